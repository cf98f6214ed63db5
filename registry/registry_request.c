/* SPDX-License-Identifier: Apache-2.0 */
#include "registry_request.h"

#include "http_url.h"

#include <inttypes.h>
#include <string.h>

enum {
    UNREAD_MAX = 64 * 1024, /* bytes of an answer that nobody reads */
};

#define REQUEST_OF_FETCH(f) ((struct sl_registry_request *)(f)) /* its first member */
#define REQUEST_OF_WAITER(w)                                                                       \
    ((struct sl_registry_request *)((char *)(w)-offsetof(struct sl_registry_request, waiter)))

/* --- authorization --- */

static void token_ready(struct sl_token_waiter *waiter, int r, const struct sl_error *err)
{
    struct sl_registry_request *req = REQUEST_OF_WAITER(waiter);
    sl_fetch_continue(&req->fetch, r, err);
}

static int show_authorization(struct sl_registry_request *req, struct sl_error *err)
{
    if (req->is_elsewhere)
        return 0;
    char *value = NULL;
    int r = sl_registry_auth_value(req->auth, &req->waiter, &value, err);
    if (r < 0)
        return r;
    sl_secret_free(req->fetch.authorization);
    req->fetch.authorization = value;
    /* Only a token from the cache may be stale; a password stays what it is. And a challenge that
     * was remembered may be out of date. */
    bool is_new = req->waiter.was_served || req->auth->challenge.scheme == SL_AUTH_BASIC;
    req->value_is_fresh =
        value && (req->auth->credentials.registry_token || (is_new && !req->auth->is_remembered));
    req->waiter.was_served = false;
    return 0;
}

/* Tries again with what the challenge asks for, unless what was sent is gone. */
static int answer_anew(struct sl_registry_request *req, struct sl_error *err)
{
    struct sl_fetch *f = &req->fetch;
    int r = sl_registry_auth_refused(req->auth, sl_bytes_span(&f->response.challenges),
                                     f->authorization, err);
    if (r < 0)
        return r;
    if (f->sent)
        return sl_error_set(err, SL_E_NETWORK, ESTALE,
                            "our authorization has expired; the blob must be sent again");
    return SL_FETCH_AGAIN;
}

/* An enum sl_fetch_verdict. */
static int answer_challenge(struct sl_registry_request *req, struct sl_error *err)
{
    struct sl_fetch *f = &req->fetch;
    /* Another host's refusal, behind a redirect, is not about our authorization. */
    if (req->is_elsewhere || !f->may_authorize || req->value_is_fresh)
        return SL_FETCH_DEFAULT;
    return answer_anew(req, err);
}

static int answer_missing_scope(struct sl_registry_request *req, struct sl_error *err)
{
    struct sl_fetch *f = &req->fetch;
    if (req->is_elsewhere || !f->may_authorize || req->scope_redone ||
        !sl_auth_wants_scope(sl_bytes_span(&f->response.challenges)))
        return SL_FETCH_DEFAULT;
    req->scope_redone = true;
    return answer_anew(req, err);
}

/* --- size and range --- */

static uint64_t end_of(const struct sl_registry_request *req)
{
    return req->end ? req->end : req->size;
}

static int wrong_size(const struct sl_registry_request *req, int64_t there, struct sl_error *err)
{
    return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                        "the registry has %" PRId64 " bytes, the descriptor says %" PRIu64, there,
                        req->size);
}

static int answer_bad_range(struct sl_registry_request *req, struct sl_error *err)
{
    const struct sl_fetch *f = &req->fetch;
    if (!req->has_size || !f->has_range)
        return SL_FETCH_DEFAULT;
    if (req->got == end_of(req))
        return SL_FETCH_COMPLETE;
    if (f->response.range_total >= 0 && (uint64_t)f->response.range_total != req->size)
        return wrong_size(req, f->response.range_total, err);
    return SL_FETCH_DEFAULT;
}

static int check_partial(struct sl_registry_request *req, struct sl_error *err)
{
    const struct sl_http_response *resp = &req->fetch.response;
    bool is_ours = req->fetch.has_range && resp->range_start >= 0 &&
                   (uint64_t)resp->range_start == req->fetch.range_start;
    if (is_ours && resp->range_total >= 0 && (uint64_t)resp->range_total != req->size)
        return wrong_size(req, resp->range_total, err);
    if (!is_ours || (uint64_t)resp->range_last >= end_of(req))
        return sl_error_set(err, SL_E_NETWORK, EPROTO,
                            "the server answers with a range we did not ask for");
    return 0;
}

/* --- hooks --- */

static int request_prepare(struct sl_fetch *f, struct sl_error *err)
{
    struct sl_registry_request *req = REQUEST_OF_FETCH(f);
    int r = show_authorization(req, err);
    if (r < 0)
        return r;
    req->refused = 0;
    if (!req->has_size) {
        req->got = 0;
        if (req->ops->restart)
            req->ops->restart(req);
    }
    f->has_range = req->has_size && (req->got > 0 || req->end);
    f->range_start = req->got;
    f->range_end = req->end;
    return 0;
}

static int request_refused(struct sl_fetch *f, struct sl_error *err)
{
    struct sl_registry_request *req = REQUEST_OF_FETCH(f);
    req->refused = f->response.status;
    switch (f->response.status) {
    case 401:
        return answer_challenge(req, err);
    case 403:
        return answer_missing_scope(req, err);
    case 416:
        return answer_bad_range(req, err);
    default:
        return SL_FETCH_DEFAULT;
    }
}

static int check_head(struct sl_registry_request *req, struct sl_error *err)
{
    const struct sl_http_response *resp = &req->fetch.response;
    req->value_is_fresh = false; /* it was good; should it be refused later, it has expired */
    req->skip = 0;
    if (req->fetch.method)
        return 0; /* 201, 202, 204: its user knows */
    if (resp->status == 206)
        return check_partial(req, err);
    if (resp->status != 200)
        return sl_error_set(err, SL_E_NETWORK, EPROTO, "unexpected answer HTTP %ld", resp->status);
    if (req->has_size && resp->content_length >= 0 && (uint64_t)resp->content_length != req->size)
        return wrong_size(req, resp->content_length, err);
    req->skip = req->got; /* the server ignores ranges, or none was asked for */
    return 0;
}

static int request_begin(struct sl_fetch *f, struct sl_error *err)
{
    struct sl_registry_request *req = REQUEST_OF_FETCH(f);
    int r = check_head(req, err);
    return r < 0 || !req->ops->head ? r : req->ops->head(req, err);
}

static int pass_on(struct sl_registry_request *req, struct sl_span bytes, struct sl_error *err)
{
    if (req->ops->body)
        return req->ops->body(req, bytes, err);
    if (bytes.len <= UNREAD_MAX && req->got <= UNREAD_MAX)
        return 0;
    return sl_error_set(err, SL_E_LIMIT, E2BIG, "the server's answer does not end");
}

static int request_body(struct sl_fetch *f, struct sl_span bytes, struct sl_error *err)
{
    struct sl_registry_request *req = REQUEST_OF_FETCH(f);
    size_t known = bytes.len < req->skip ? bytes.len : (size_t)req->skip;
    struct sl_span fresh = {bytes.data + known, bytes.len - known};
    if (req->has_size && fresh.len > end_of(req) - req->got)
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                            "the registry sends more than the %" PRIu64 " bytes of the descriptor",
                            req->size);
    int r = fresh.len ? pass_on(req, fresh, err) : 0;
    if (r < 0)
        return r;
    req->skip -= known;
    req->got += fresh.len;
    if (req->has_size) /* only what is kept for the next try is progress */
        f->progress += fresh.len;
    return 0;
}

static int request_end(struct sl_fetch *f, struct sl_error *err)
{
    struct sl_registry_request *req = REQUEST_OF_FETCH(f);
    if (!req->has_size || req->got == end_of(req))
        return 0;
    return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                        "the registry sent %" PRIu64 " bytes, %s says %" PRIu64, req->got,
                        req->end ? "the range" : "the descriptor", end_of(req));
}

static ssize_t request_send(struct sl_fetch *f, uint8_t *to, size_t room, struct sl_error *err)
{
    struct sl_registry_request *req = REQUEST_OF_FETCH(f);
    return req->ops->send(req, to, room, err);
}

static void request_done(struct sl_fetch *f, int r, const struct sl_error *err)
{
    struct sl_registry_request *req = REQUEST_OF_FETCH(f);
    sl_token_waiter_leave(&req->waiter);
    req->ops->done(req, r, err);
}

static const struct sl_fetch_ops request_ops = {
    .prepare = request_prepare,
    .refused = request_refused,
    .begin = request_begin,
    .body = request_body,
    .end = request_end,
    .send = request_send,
    .done = request_done,
};

void sl_registry_request_start(struct sl_registry_request *req)
{
    req->fetch.ops = &request_ops;
    req->waiter = (struct sl_token_waiter){.ready = token_ready};
    req->value_is_fresh = req->scope_redone = false;
    req->skip = 0;
    req->refused = 0;
    req->is_elsewhere = !sl_url_is_same_origin(req->fetch.peer->origin, req->fetch.url);
    sl_fetch_start(&req->fetch);
}
