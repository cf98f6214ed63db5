/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blob on its way into a flow. libcurl lends its memory for the length of a callback, so the
 * bytes are copied once, into a buffer of the lane; without one the transfer pauses until the
 * lane's waker says that a buffer came home.
 *
 * Where a place fails, the next one is asked to go on behind the bytes that are here already.
 */
#include "docker_opener.h"
#include "docker_source.h"
#include "registry_request.h"
#include "sluice/core/log.h"

#include <stdlib.h>
#include <string.h>

struct docker_stream {
    struct sl_blob_stream base;
    struct sl_registry_request get;
    struct sl_docker_source *src;
    struct sl_http_loop *loop;
    struct sl_buf_lane *lane;
    struct sl_flow *flow;
    struct sl_http_job start, wake, stop;
    struct sl_docker_waiter waiter; /* for the endpoint at to be opened */
    bool is_foreign;                /* a layer that registries need not have */
    char *url;
    char digest[SL_DIGEST_TEXT_MAX];
    size_t first, at;   /* endpoints: the one that gave the manifest, the one asked now */
    bool has_ended;     /* the flow was ended; loop thread */
    struct sl_buf *buf; /* partly filled, or NULL */
};

#define STREAM_OF(ptr, member)                                                                     \
    ((struct docker_stream *)((char *)(ptr)-offsetof(struct docker_stream, member)))

/* --- bytes --- */

static void feed(struct docker_stream *s)
{
    if (!s->buf)
        return;
    atomic_fetch_add_explicit(&s->base.bytes, s->buf->len, memory_order_relaxed);
    sl_flow_feed(s->flow, &s->buf);
}

static void copy_into(struct sl_buf *buf, struct sl_span *bytes)
{
    size_t n = bytes->len < sl_buf_room(buf) ? bytes->len : sl_buf_room(buf);
    memcpy(buf->data + buf->off + buf->len, bytes->data, n);
    buf->len += n;
    bytes->data += n;
    bytes->len -= n;
}

/* libcurl offers a chunk again whole after a pause, so that room for all of it must be found
 * before any of it is taken. Its chunks are much smaller than a buffer: one more is enough. */
static int stream_body(struct sl_registry_request *get, struct sl_span bytes, struct sl_error *err)
{
    struct docker_stream *s = STREAM_OF(get, get);
    if (bytes.len > SL_BUF_SIZE)
        return sl_error_set(err, SL_E_SYSTEM, EMSGSIZE, "libcurl hands over %zu bytes at once",
                            bytes.len);
    struct sl_buf *more = NULL;
    if (!s->buf || sl_buf_room(s->buf) < bytes.len) {
        more = sl_buf_acquire(s->lane);
        if (!more) {
            feed(s); /* or a lane of one buffer would wait for itself */
            return -EAGAIN;
        }
    }
    if (s->buf) {
        copy_into(s->buf, &bytes);
        if (more)
            feed(s);
    }
    if (more) {
        s->buf = more;
        copy_into(s->buf, &bytes);
    }
    return 0;
}

/* --- places --- */

static int ask(struct docker_stream *s, struct sl_error *err)
{
    struct sl_docker_endpoint *ep = &s->src->endpoints[s->at];
    char *url = sl_docker_endpoint_url(ep, "blobs", s->digest);
    if (!url)
        return sl_error_oom(err);
    free(s->url);
    s->url = url;
    s->get.fetch = (struct sl_fetch){
        .loop = s->loop,
        .settings = &ep->registry->settings,
        .peer = ep->peer,
        .group = ep->group,
        .url = s->url,
        .is_blob = true,
    };
    s->get.auth = &ep->auth;
    sl_registry_request_start(&s->get);
    return 0;
}

/* Moves to the place behind s->at, if there is one. */
static bool take_next_place(struct docker_stream *s)
{
    size_t i = s->at == s->first ? 0 : s->at + 1;
    for (; i < s->src->n_endpoints; i++) {
        if (i == s->first || !sl_docker_is_same_name(s->src, i, s->first))
            continue;
        s->at = i;
        return true;
    }
    return false;
}

/* Last touch of the stream: whoever hears of the end may close it at once. */
static void end(struct docker_stream *s, int r, const struct sl_error *err)
{
    struct sl_error copy = *err;
    sl_buf_lane_set_waker(s->lane, NULL, NULL);
    sl_http_loop_unpost(s->loop, &s->wake);
    if (r < 0)
        sl_buf_release(&s->buf);
    else
        feed(s);
    s->has_ended = true;
    sl_flow_end(s->flow, r, &copy);
}

static void give_up(struct docker_stream *s, int r, struct sl_error *why)
{
    const char *host = s->src->endpoints[s->at].plan->host;
    if (s->is_foreign && r == -ENOENT)
        r = sl_error_set(why, why->code, ENOENT,
                         "%s does not have this foreign layer, and the URLs that its descriptor "
                         "may name are not followed",
                         host);
    if (why->code != SL_E_CANCELLED)
        r = sl_error_wrap(why, r, "blob %.19s from %s", s->digest, host);
    end(s, r, why);
}

/* The place at s->at has failed with r. */
static void fall_back(struct docker_stream *s, int r, const struct sl_error *err)
{
    struct sl_error why = *err;
    while (sl_docker_may_fall_back(&why) && take_next_place(s)) {
        sl_log(SL_LOG_DEBUG, "blob %.19s: trying %s: %s", s->digest,
               s->src->endpoints[s->at].plan->host, why.msg);
        r = sl_docker_opener_wait(&s->src->endpoints[s->at], &s->waiter, &why);
        if (r == 0)
            r = ask(s, &why);
        if (r == 0 || r == -EAGAIN)
            return;
    }
    give_up(s, r, &why);
}

static void place_opened(struct sl_docker_waiter *waiter, int r, const struct sl_error *err)
{
    struct docker_stream *s = STREAM_OF(waiter, waiter);
    struct sl_error why = *err;
    if (r == 0)
        r = ask(s, &why);
    if (r < 0)
        fall_back(s, r, &why);
}

static void stream_done(struct sl_registry_request *get, int r, const struct sl_error *err)
{
    struct docker_stream *s = STREAM_OF(get, get);
    if (r < 0)
        fall_back(s, r, err);
    else
        end(s, 0, err);
}

static const struct sl_registry_request_ops stream_get_ops = {
    .body = stream_body,
    .done = stream_done,
};

/* --- jobs --- */

static void run_start(struct sl_http_job *job)
{
    struct docker_stream *s = STREAM_OF(job, start);
    struct sl_error err;
    /* It is ready, unless the manifest was known. */
    int r = sl_docker_opener_wait(&s->src->endpoints[s->at], &s->waiter, &err);
    if (r == 0)
        r = ask(s, &err);
    if (r < 0 && r != -EAGAIN)
        fall_back(s, r, &err);
}

static void run_wake(struct sl_http_job *job)
{
    sl_fetch_unpause(&STREAM_OF(job, wake)->get.fetch);
}

static void run_stop(struct sl_http_job *job)
{
    struct docker_stream *s = STREAM_OF(job, stop);
    if (s->has_ended)
        return;
    struct sl_error err;
    int r = sl_error_set(&err, SL_E_CANCELLED, ECANCELED, "cancelled");
    if (s->waiter.opener) {
        sl_docker_waiter_leave(&s->waiter);
        end(s, r, &err);
    } else {
        sl_fetch_abort(&s->get.fetch, r, &err);
    }
}

static void on_buffer_home(void *arg)
{
    struct docker_stream *s = arg;
    sl_http_loop_post(s->loop, &s->wake);
}

static void stream_stop(struct sl_blob_stream *base)
{
    struct docker_stream *s = (struct docker_stream *)base;
    sl_http_loop_post(s->loop, &s->stop);
}

static void forget_jobs(void *arg)
{
    struct docker_stream *s = arg;
    sl_http_loop_unpost(s->loop, &s->start);
    sl_http_loop_unpost(s->loop, &s->wake);
    sl_http_loop_unpost(s->loop, &s->stop);
}

static void stream_close(struct sl_blob_stream *base)
{
    struct docker_stream *s = (struct docker_stream *)base;
    sl_http_loop_call(s->loop, forget_jobs, s);
    free(s->url);
    free(s);
}

static const struct sl_blob_stream_ops stream_ops = {
    .stop = stream_stop,
    .close = stream_close,
};

int sl_docker_source_stream(struct sl_source *base, const struct sl_descriptor *blob,
                            struct sl_buf_lane *lane, struct sl_flow *flow,
                            struct sl_blob_stream **ret, struct sl_error *err)
{
    struct sl_docker_source *src = (struct sl_docker_source *)base;
    size_t serving = src->serving;
    if (!src->plan || (serving == src->n_endpoints && !src->has_one_name))
        return sl_error_set(err, SL_E_SYSTEM, EINVAL, "no manifest was fetched before its blobs");
    int r = sl_http_loop_start(src->registry->loop, err);
    if (r < 0)
        return r;
    struct docker_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return sl_error_oom(err);
    s->base.ops = &stream_ops;
    s->src = src;
    s->loop = src->registry->loop;
    s->lane = lane;
    s->flow = flow;
    s->first = s->at = serving < src->n_endpoints ? serving : 0;
    struct sl_layer_media media = {0};
    s->is_foreign = sl_layer_media_parse(blob->media_type, &media, NULL) == 0 && media.foreign;
    s->waiter.opened = place_opened;
    s->start.run = run_start;
    s->wake.run = run_wake;
    s->stop.run = run_stop;
    sl_digest_format(&blob->digest, s->digest);
    s->get.ops = &stream_get_ops;
    s->get.has_size = true;
    s->get.size = blob->size;
    sl_buf_lane_set_waker(lane, on_buffer_home, s);
    *ret = &s->base;
    sl_http_loop_post(s->loop, &s->start);
    return 0;
}
