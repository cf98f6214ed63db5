/* SPDX-License-Identifier: Apache-2.0 */
#include "http_fetch.h"

#include "http_easy.h"
#include "http_url.h"
#include "registry_error.h"
#include "sluice/core/cancel.h"
#include "sluice/core/clock.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    REDIRECTS_MAX = 10, /* hops of one try */
    STAYING_MAX = 5,    /* likewise, where all lead to the same server */
    ROUNDS_MAX = 8,     /* SL_FETCH_AGAIN without a byte of progress */
    /* Times the usual patience, for an answer to a change: a registry may have to move a blob of
     * many GB before it can say that it is there. */
    CHANGE_PATIENCE = 5,
};

#define FETCH_OF(member_ptr, member)                                                               \
    ((struct sl_fetch *)((char *)(member_ptr)-offsetof(struct sl_fetch, member)))

static void begin_try(struct sl_fetch *f);

static unsigned attempts_of(const struct sl_fetch *f)
{
    if (f->is_tidying || f->send_size)
        return 1;
    return f->max_attempts ? f->max_attempts : f->settings->max_attempts;
}

static void let_go(struct sl_fetch *f)
{
    if (f->state == SL_FETCH_RUNNING)
        sl_http_loop_remove(f->loop, &f->transfer);
    sl_http_loop_disarm(f->loop, &f->timer);
    sl_http_loop_disarm(f->loop, &f->end);
    sl_http_loop_disarm(f->loop, &f->pace);
}

static void finish(struct sl_fetch *f, int r, const struct sl_error *err)
{
    let_go(f);
    f->state = SL_FETCH_OVER;
    if (!f->is_tidying)
        sl_http_loop_unwatch(f->loop, &f->watch);
    sl_http_easy_free(f);
    sl_http_response_done(&f->response);
    sl_bytes_done(&f->error_body);
    sl_secret_free(f->authorization);
    f->authorization = NULL;
    free(f->hop_url);
    f->hop_url = NULL;
    struct sl_error copy = r < 0 ? *err : (struct sl_error){0}; /* err may be inside f */
    f->ops->done(f, r, &copy);
}

/* A server that always moves a little, or always asks for patience, would keep us for ever. */
static void on_end(struct sl_http_timer *timer)
{
    struct sl_fetch *f = FETCH_OF(timer, end);
    struct sl_error err;
    bool has_failed = f->retry.failures > 0;
    int r = sl_error_set(&err, SL_E_NETWORK, ETIMEDOUT, "no whole answer within %u ms%s%s",
                         f->within_ms, has_failed ? ": " : "", has_failed ? f->error.msg : "");
    finish(f, r, &err);
}

/* The try failed with f->error in a way that may pass. */
static void try_later(struct sl_fetch *f, int r)
{
    if (f->progress >= SL_RETRY_PROGRESS)
        f->retry.failures = 0;
    f->progress = 0;
    uint32_t random = 0;
    (void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);
    int64_t after_ms = sl_retry_after_ms(f->response.retry_after, time(NULL));
    uint64_t pause_ms;
    if (!sl_retry_next(&f->retry, after_ms, random, &pause_ms)) {
        if (f->retry.failures > 1)
            r = sl_error_wrap(&f->error, r, "after %u attempts", f->retry.failures);
        finish(f, r, &f->error);
        return;
    }
    if (f->end.is_armed && (uint64_t)sl_clock_ms() + pause_ms >= f->end.due_ms) {
        on_end(&f->end); /* nobody need wait for that */
        return;
    }
    f->state = SL_FETCH_WAITING;
    sl_http_loop_arm(f->loop, &f->timer, pause_ms);
}

static void on_timer(struct sl_http_timer *timer)
{
    struct sl_fetch *f = FETCH_OF(timer, timer);
    if (f->state != SL_FETCH_RUNNING) {
        begin_try(f);
        return;
    }
    int r = sl_error_set(&f->error, SL_E_NETWORK, ETIMEDOUT,
                         "the server took nothing for %u seconds", sl_fetch_patience_s(f));
    finish(f, r, &f->error);
}

/* libcurl's own watch over slow transfers does not know of pauses in sending. */
void sl_fetch_note_sending(struct sl_fetch *f, bool is_moving)
{
    if (is_moving)
        sl_http_loop_arm(f->loop, &f->timer, (uint64_t)sl_fetch_patience_s(f) * 1000);
    else
        sl_http_loop_disarm(f->loop, &f->timer);
}

/* --- the pace: libcurl's watch is content with a byte a second --- */

static void watch_pace(struct sl_fetch *f)
{
    if (!f->is_blob || f->send_size || f->within_ms || !f->settings->pace_window_ms)
        return;
    f->moved = 0;
    sl_http_loop_arm(f->loop, &f->pace, f->settings->pace_window_ms);
}

static void on_pace(struct sl_http_timer *timer)
{
    struct sl_fetch *f = FETCH_OF(timer, pace);
    if (f->moved >= f->settings->pace_bytes) {
        watch_pace(f);
        return;
    }
    sl_http_loop_remove(f->loop, &f->transfer);
    sl_http_loop_disarm(f->loop, &f->timer);
    f->state = SL_FETCH_IDLE;
    int r = sl_error_set(&f->error, SL_E_NETWORK, ETIMEDOUT,
                         "the server is too slow: %llu bytes in %u ms, less than %u",
                         (unsigned long long)f->moved, f->settings->pace_window_ms,
                         f->settings->pace_bytes);
    try_later(f, r);
}

void sl_fetch_note_paused(struct sl_fetch *f)
{
    f->is_paused = true;
    sl_http_loop_disarm(f->loop, &f->pace);
}

static void try_again(struct sl_fetch *f)
{
    if (f->progress)
        f->rounds = 0;
    if (++f->rounds > ROUNDS_MAX) {
        int r = sl_error_set(&f->error, SL_E_NETWORK, EPROTO, "the server goes round in circles");
        finish(f, r, &f->error);
        return;
    }
    begin_try(f);
}

bool sl_fetch_is_reading(const struct sl_fetch *f)
{
    return !f->method || !strcmp(f->method, "HEAD");
}

unsigned sl_fetch_patience_s(const struct sl_fetch *f)
{
    return f->settings->stall_timeout_s * (sl_fetch_is_reading(f) ? 1 : CHANGE_PATIENCE);
}

/* --- redirects: ours, since libcurl's would not tell a safe hop from an unsafe one --- */

static int check_hop(const struct sl_fetch *f, const char *next, struct sl_error *err)
{
    if (!next)
        return sl_error_set(err, SL_E_NETWORK, EPROTO, "redirected to a URL that makes no sense");
    if (sl_url_is_https(f->hop_url) && !sl_url_is_https(next))
        return sl_error_set(err, SL_E_NETWORK, EPROTO, "redirected from https to http: refused");
    if (f->must_stay && !sl_url_is_same_origin(f->hop_url, next))
        return sl_error_set(err, SL_E_NETWORK, EPROTO, "redirected to another server: refused");
    if (f->must_not_move || f->send_size)
        return sl_error_set(err, SL_E_NETWORK, EPROTO, "a %s was redirected: refused", f->method);
    /* Others turn some methods into GET. */
    if (!sl_fetch_is_reading(f) && f->response.status != 307 && f->response.status != 308)
        return sl_error_set(err, SL_E_NETWORK, EPROTO, "a %s was redirected with HTTP %ld: refused",
                            f->method, f->response.status);
    return 0;
}

static int send_hop(struct sl_fetch *f, struct sl_error *err)
{
    int r = sl_http_easy_send(f, err);
    f->is_paused = false;
    if (r == 0)
        watch_pace(f);
    return r;
}

static void follow_redirect(struct sl_fetch *f)
{
    char *next = NULL;
    int r = 0;
    unsigned max = f->must_stay ? STAYING_MAX : REDIRECTS_MAX;
    if (f->hops++ >= max)
        r = sl_error_set(&f->error, SL_E_NETWORK, ELOOP, "more than %u redirects", max);
    else
        next = sl_url_resolve(f->hop_url, f->response.location);
    if (r == 0)
        r = check_hop(f, next, &f->error);
    if (r == 0) {
        /* Once it has been dropped it stays dropped, also when a later hop comes back. */
        f->may_authorize = f->may_authorize && sl_url_is_same_origin(f->hop_url, next);
        free(f->hop_url);
        f->hop_url = sl_steal(&next);
        r = send_hop(f, &f->error);
        f->state = r < 0 ? SL_FETCH_IDLE : SL_FETCH_RUNNING;
    }
    free(next);
    if (r < 0)
        finish(f, r, &f->error);
}

static bool is_redirect(const struct sl_http_response *resp)
{
    switch (resp->status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        return resp->location != NULL;
    default:
        return false;
    }
}

/* --- the end of a transfer --- */

static void answer_refused(struct sl_fetch *f)
{
    int verdict = f->ops->refused ? f->ops->refused(f, &f->error) : SL_FETCH_DEFAULT;
    if (verdict < 0 || verdict == SL_FETCH_COMPLETE) {
        finish(f, verdict < 0 ? verdict : 0, &f->error);
        return;
    }
    if (verdict == SL_FETCH_AGAIN) {
        try_again(f);
        return;
    }
    long status = f->response.status;
    int r = sl_registry_error_set(status, sl_bytes_span(&f->error_body), &f->error);
    if (sl_retry_is_transient_status(status))
        try_later(f, r);
    else
        finish(f, r, &f->error);
}

static void answer_complete(struct sl_fetch *f)
{
    int r = 0;
    if (!f->has_begun && f->ops->begin) /* an empty body */
        r = f->ops->begin(f, &f->error);
    if (r < 0) {
        finish(f, r, &f->error);
        return;
    }
    r = f->ops->end ? f->ops->end(f, &f->error) : 0;
    if (r < 0)
        try_later(f, r);
    else
        finish(f, 0, NULL);
}

/* A registry need not read to the end what it refuses, and may hang up behind its answer. */
static bool is_answered_early(const struct sl_fetch *f)
{
    return f->send_size && f->response.status >= 300;
}

static void transfer_failed(struct sl_fetch *f, int curl_code)
{
    int r = sl_http_easy_error(f, curl_code, &f->error);
    f->is_plain = sl_http_easy_is_plain_answer(f, curl_code);
    if (sl_http_easy_is_transient(f, curl_code))
        try_later(f, r);
    else
        finish(f, r, &f->error);
}

static void on_transfer_done(struct sl_http_transfer *transfer, int curl_code)
{
    struct sl_fetch *f = FETCH_OF(transfer, transfer);
    f->state = SL_FETCH_IDLE;
    sl_http_loop_disarm(f->loop, &f->timer);
    sl_http_loop_disarm(f->loop, &f->pace);
    long status = f->response.status;
    if (f->stop_r < 0)
        finish(f, f->stop_r, &f->error);
    else if (curl_code != CURLE_OK && !f->is_cut && !is_answered_early(f))
        transfer_failed(f, curl_code);
    else if (status / 100 == 2)
        answer_complete(f);
    else if (is_redirect(&f->response))
        follow_redirect(f);
    else
        answer_refused(f);
}

/* --- the beginning --- */

static int send_first_hop(struct sl_fetch *f, struct sl_error *err)
{
    char *url = strdup(f->url);
    if (!url)
        return sl_error_oom(err);
    free(f->hop_url);
    f->hop_url = url;
    f->hops = 0;
    f->may_authorize = true;
    return send_hop(f, err);
}

static void begin_try(struct sl_fetch *f)
{
    f->state = SL_FETCH_PREPARING;
    int r = f->ops->prepare ? f->ops->prepare(f, &f->error) : 0;
    if (r == -EAGAIN)
        return;
    if (r == 0)
        r = send_first_hop(f, &f->error);
    f->state = r < 0 ? SL_FETCH_IDLE : SL_FETCH_RUNNING;
    if (r < 0)
        finish(f, r, &f->error);
}

static void on_cancel(struct sl_http_watch *watch)
{
    struct sl_error err;
    int r = sl_cancel_error(&err);
    sl_fetch_abort(FETCH_OF(watch, watch), r, &err);
}

void sl_fetch_start(struct sl_fetch *f)
{
    sl_http_response_init(&f->response);
    f->transfer.done = on_transfer_done;
    f->timer.fire = on_timer;
    f->end.fire = on_end;
    f->pace.fire = on_pace;
    f->watch.cancel = on_cancel;
    f->watch.group = f->group;
    f->retry.max_attempts = attempts_of(f);
    f->retry.base_ms = f->settings->retry_base_ms;
    if (f->is_tidying) {
        begin_try(f);
        return;
    }
    sl_http_loop_watch(f->loop, &f->watch);
    if (f->within_ms)
        sl_http_loop_arm(f->loop, &f->end, f->within_ms);
    if (sl_http_loop_is_cancelled(f->loop) || sl_http_group_is_cancelled(f->group))
        on_cancel(&f->watch);
    else
        begin_try(f);
}

void sl_fetch_continue(struct sl_fetch *f, int r, const struct sl_error *err)
{
    if (f->state != SL_FETCH_PREPARING)
        return;
    if (r < 0)
        finish(f, r, err);
    else
        begin_try(f);
}

void sl_fetch_unpause(struct sl_fetch *f)
{
    if (f->state != SL_FETCH_RUNNING)
        return;
    if (f->is_paused) {
        f->is_paused = false;
        watch_pace(f);
    }
    (void)curl_easy_pause(f->transfer.easy, CURLPAUSE_CONT);
}

void sl_fetch_abort(struct sl_fetch *f, int r, const struct sl_error *err)
{
    if (f->state != SL_FETCH_OVER)
        finish(f, r, err);
}
