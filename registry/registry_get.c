/* SPDX-License-Identifier: Apache-2.0 */
#include "registry_get.h"

#include <inttypes.h>
#include <string.h>

#define GET_OF_FETCH(f) ((struct sl_registry_get *)(f)) /* its first member */
#define GET_OF_WAITER(w)                                                                           \
    ((struct sl_registry_get *)((char *)(w)-offsetof(struct sl_registry_get, waiter)))

/* --- authorization --- */

static void token_ready(struct sl_token_waiter *waiter, int r, const struct sl_error *err)
{
    struct sl_registry_get *get = GET_OF_WAITER(waiter);
    sl_fetch_continue(&get->fetch, r, err);
}

static int show_authorization(struct sl_registry_get *get, struct sl_error *err)
{
    char *value = NULL;
    int r = sl_registry_auth_value(get->auth, &get->waiter, &value, err);
    if (r < 0)
        return r;
    sl_secret_free(get->fetch.authorization);
    get->fetch.authorization = value;
    /* Only a token from the cache may be stale; a password stays what it is. */
    get->value_is_fresh =
        value && (get->waiter.was_served || get->auth->credentials.registry_token ||
                  get->auth->challenge.scheme == SL_AUTH_BASIC);
    get->waiter.was_served = false;
    return 0;
}

/* An enum sl_fetch_verdict. */
static int answer_challenge(struct sl_registry_get *get, struct sl_error *err)
{
    struct sl_fetch *f = &get->fetch;
    /* Another host's refusal, behind a redirect, is not about our authorization. */
    if (!f->may_authorize || get->value_is_fresh)
        return SL_FETCH_DEFAULT;
    int r = sl_registry_auth_refused(get->auth, sl_bytes_span(&f->response.challenges),
                                     f->authorization, err);
    return r < 0 ? r : SL_FETCH_AGAIN;
}

static int answer_missing_scope(struct sl_registry_get *get, struct sl_error *err)
{
    struct sl_fetch *f = &get->fetch;
    if (!f->may_authorize || get->scope_redone ||
        !sl_auth_wants_scope(sl_bytes_span(&f->response.challenges)))
        return SL_FETCH_DEFAULT;
    get->scope_redone = true;
    int r = sl_registry_auth_refused(get->auth, sl_bytes_span(&f->response.challenges),
                                     f->authorization, err);
    return r < 0 ? r : SL_FETCH_AGAIN;
}

/* --- size and range --- */

static int wrong_size(const struct sl_registry_get *get, int64_t there, struct sl_error *err)
{
    return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                        "the registry has %" PRId64 " bytes, the descriptor says %" PRIu64, there,
                        get->size);
}

static int answer_bad_range(struct sl_registry_get *get, struct sl_error *err)
{
    const struct sl_fetch *f = &get->fetch;
    if (!get->has_size || !f->has_range)
        return SL_FETCH_DEFAULT;
    if (get->got == get->size)
        return SL_FETCH_COMPLETE;
    if (f->response.range_total >= 0 && (uint64_t)f->response.range_total != get->size)
        return wrong_size(get, f->response.range_total, err);
    return SL_FETCH_DEFAULT;
}

static int check_partial(struct sl_registry_get *get, struct sl_error *err)
{
    const struct sl_http_response *resp = &get->fetch.response;
    if (!get->fetch.has_range || resp->range_start < 0 ||
        (uint64_t)resp->range_start != get->fetch.range_start)
        return sl_error_set(err, SL_E_NETWORK, EPROTO,
                            "the server answers with a range we did not ask for");
    if (resp->range_total >= 0 && (uint64_t)resp->range_total != get->size)
        return wrong_size(get, resp->range_total, err);
    return 0;
}

/* --- hooks --- */

static int get_prepare(struct sl_fetch *f, struct sl_error *err)
{
    struct sl_registry_get *get = GET_OF_FETCH(f);
    int r = show_authorization(get, err);
    if (r < 0)
        return r;
    if (!get->has_size) {
        get->got = 0;
        if (get->ops->restart)
            get->ops->restart(get);
    }
    f->has_range = get->has_size && get->got > 0;
    f->range_start = get->got;
    return 0;
}

static int get_refused(struct sl_fetch *f, struct sl_error *err)
{
    struct sl_registry_get *get = GET_OF_FETCH(f);
    switch (f->response.status) {
    case 401:
        return answer_challenge(get, err);
    case 403:
        return answer_missing_scope(get, err);
    case 416:
        return answer_bad_range(get, err);
    default:
        return SL_FETCH_DEFAULT;
    }
}

static int check_head(struct sl_registry_get *get, struct sl_error *err)
{
    const struct sl_http_response *resp = &get->fetch.response;
    get->value_is_fresh = false; /* it was good; should it be refused later, it has expired */
    get->skip = 0;
    if (resp->status == 206)
        return check_partial(get, err);
    if (resp->status != 200)
        return sl_error_set(err, SL_E_NETWORK, EPROTO, "unexpected answer HTTP %ld", resp->status);
    if (get->has_size && resp->content_length >= 0 && (uint64_t)resp->content_length != get->size)
        return wrong_size(get, resp->content_length, err);
    get->skip = get->got; /* the server ignores ranges, or none was asked for */
    return 0;
}

static int get_begin(struct sl_fetch *f, struct sl_error *err)
{
    struct sl_registry_get *get = GET_OF_FETCH(f);
    int r = check_head(get, err);
    return r < 0 || !get->ops->head ? r : get->ops->head(get, err);
}

static int get_body(struct sl_fetch *f, struct sl_span bytes, struct sl_error *err)
{
    struct sl_registry_get *get = GET_OF_FETCH(f);
    size_t known = bytes.len < get->skip ? bytes.len : (size_t)get->skip;
    struct sl_span fresh = {bytes.data + known, bytes.len - known};
    if (get->has_size && fresh.len > get->size - get->got)
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                            "the registry sends more than the %" PRIu64 " bytes of the descriptor",
                            get->size);
    int r = fresh.len ? get->ops->body(get, fresh, err) : 0;
    if (r < 0)
        return r;
    get->skip -= known;
    get->got += fresh.len;
    if (get->has_size) /* only what is kept for the next try is progress */
        f->progress += fresh.len;
    return 0;
}

static int get_end(struct sl_fetch *f, struct sl_error *err)
{
    struct sl_registry_get *get = GET_OF_FETCH(f);
    if (!get->has_size || get->got == get->size)
        return 0;
    return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                        "the registry sent %" PRIu64 " bytes, the descriptor says %" PRIu64,
                        get->got, get->size);
}

static void get_done(struct sl_fetch *f, int r, const struct sl_error *err)
{
    struct sl_registry_get *get = GET_OF_FETCH(f);
    sl_token_waiter_leave(&get->waiter);
    get->ops->done(get, r, err);
}

static const struct sl_fetch_ops get_ops = {
    .prepare = get_prepare,
    .refused = get_refused,
    .begin = get_begin,
    .body = get_body,
    .end = get_end,
    .done = get_done,
};

void sl_registry_get_start(struct sl_registry_get *get)
{
    get->fetch.ops = &get_ops;
    get->waiter = (struct sl_token_waiter){.ready = token_ready};
    get->value_is_fresh = get->scope_redone = false;
    get->skip = 0;
    sl_fetch_start(&get->fetch);
}
