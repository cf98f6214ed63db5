/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffers wait in a queue until libcurl has copied them out, and go home then: their lane is the
 * limit of what can wait. When the queue is empty the PATCH pauses, and the next buffer wakes it.
 *
 * The bytes of a PATCH are gone once sent. If it breaks, the upload has failed, and whoever has the
 * blob must send it anew; all other requests are tried again as any.
 */
#include "docker_upload.h"

#include "docker_opener.h"
#include "http_url.h"
#include "registry_request.h"
#include "sluice/core/log.h"
#include "upload_url.h"

#include <stdlib.h>
#include <string.h>

enum {
    PATIENCE_MS = 5 * 1000, /* with a request that must be over before its upload is taken back */
};

/* Where an upload is; the requests are in flight for the length of their step. */
enum step {
    STEP_OPEN, /* waits for the endpoint */
    STEP_POST,
    STEP_PATCH,
    STEP_COMMIT, /* all is sent; waits for the digest */
    STEP_PUT,
    STEP_HEAD,   /* an answer was lost: is the blob there? */
    STEP_DELETE, /* has failed */
    STEP_OVER,
};

struct docker_upload {
    struct sl_blob_upload base;
    struct sl_docker_endpoint *ep;
    struct sl_http_loop *loop;
    struct sl_http_job start, wake;

    /* Loop thread: */
    enum step step;
    struct sl_registry_request req;
    struct sl_docker_waiter waiter;
    struct sl_http_timer patience;     /* with the answer to a POST nobody needs any more */
    struct sl_registry_auth tidy_auth; /* deletion asks for a scope of its own */
    bool is_stopped;                   /* closed, with the request of this step under way */
    char *url, *location;
    struct sl_error put_error;
    int put_r;

    pthread_mutex_t lock; /* guards: */
    pthread_cond_t over;
    struct sl_buf *head, **tail;
    bool is_fed; /* the stage is through: failed() may not be called */
    bool has_digest, is_told, is_over;
    struct sl_digest digest;
    int r; /* the first failure */
    struct sl_error err;
};

#define UPLOAD_OF(ptr, member)                                                                     \
    ((struct docker_upload *)((char *)(ptr)-offsetof(struct docker_upload, member)))

/* --- the end, one way or the other --- */

static void tell(struct docker_upload *u, int r, const struct sl_error *err)
{
    if (u->is_told || !u->base.events.done)
        return;
    u->is_told = true;
    u->base.events.done(u->base.events.arg, r, err);
}

static void set_over(struct docker_upload *u)
{
    u->step = STEP_OVER;
    pthread_mutex_lock(&u->lock);
    u->is_over = true;
    pthread_cond_signal(&u->over);
    pthread_mutex_unlock(&u->lock);
}

static void release_all(struct sl_buf *buf)
{
    while (buf) {
        struct sl_buf *next = buf->next;
        sl_buf_release(&buf);
        buf = next;
    }
}

static void take_back(struct docker_upload *u);

static void fail(struct docker_upload *u, int r, const struct sl_error *err)
{
    struct sl_error why = *err;
    if (why.code != SL_E_CANCELLED)
        r = sl_error_wrap(&why, r, "upload to %s/%s", u->ep->plan->host, u->ep->plan->repository);
    pthread_mutex_lock(&u->lock);
    u->r = r;
    u->err = why;
    struct sl_buf *left = sl_steal(&u->head);
    u->tail = &u->head;
    bool must_tell = u->has_digest;
    /* Under the lock: the stage cannot leave, nor its flow end, while it is being told. */
    if (!u->is_fed && u->base.events.failed)
        u->base.events.failed(u->base.events.arg, r, &why);
    pthread_mutex_unlock(&u->lock);
    release_all(left);
    if (must_tell)
        tell(u, r, &why);
    take_back(u);
}

static void fail_cancelled(struct docker_upload *u)
{
    struct sl_error err;
    fail(u, sl_error_set(&err, SL_E_CANCELLED, ECANCELED, "cancelled"), &err);
}

/* --- requests --- */

static const struct sl_registry_request_ops request_ops;

/* Takes url. */
static void ask(struct docker_upload *u, enum step step, const char *method, char *url)
{
    struct sl_error err;
    if (!url) {
        fail(u, sl_error_oom(&err), &err);
        return;
    }
    free(u->url);
    u->url = url;
    u->step = step;
    u->req = (struct sl_registry_request){
        .fetch =
            {
                .loop = u->loop,
                .settings = &u->ep->registry->settings,
                .peer = u->ep->peer,
                .group = u->ep->group,
                .url = url,
                .method = method,
                .is_blob = true,
            },
        .ops = &request_ops,
        .auth = &u->ep->auth,
    };
    if (step == STEP_PATCH || step == STEP_PUT)
        u->req.fetch.content_type = "application/octet-stream";
    if (step == STEP_PATCH)
        u->req.fetch.send_size = u->base.size;
    if (step == STEP_DELETE) {
        u->req.fetch.is_tidying = true;
        u->req.auth = &u->tidy_auth;
    }
    sl_registry_request_start(&u->req);
}

/* A registry may want a token that allows deletion; the other uploads keep theirs. */
static void take_back(struct docker_upload *u)
{
    if (!u->location) {
        set_over(u);
        return;
    }
    u->tidy_auth = (struct sl_registry_auth){
        .cache = u->ep->auth.cache,
        .peer = u->ep->auth.peer,
        .credentials = u->ep->auth.credentials, /* borrowed */
        .scope = u->ep->auth.scope,             /* likewise */
    };
    char *url = sl_steal(&u->location);
    ask(u, STEP_DELETE, "DELETE", url);
}

static void put(struct docker_upload *u)
{
    ask(u, STEP_PUT, "PUT", sl_upload_url_end(u->location, &u->digest));
}

static bool has_digest(struct docker_upload *u)
{
    pthread_mutex_lock(&u->lock);
    bool ret = u->has_digest;
    pthread_mutex_unlock(&u->lock);
    return ret;
}

static void all_sent(struct docker_upload *u)
{
    u->step = STEP_COMMIT;
    if (has_digest(u))
        put(u);
}

static void sent(struct docker_upload *u)
{
    struct sl_error err;
    if (u->req.fetch.sent == u->base.size) {
        all_sent(u);
        return;
    }
    int r = sl_error_set(&err, SL_E_NETWORK, EPROTO,
                         "the registry says that all is well before it has all bytes");
    fail(u, r, &err);
}

static void begun(struct docker_upload *u)
{
    char *url = u->base.size ? strdup(u->location) : NULL;
    if (u->base.size)
        ask(u, STEP_PATCH, "PATCH", url);
    else
        all_sent(u);
}

static void in_place(struct docker_upload *u)
{
    static const struct sl_error none = {0};
    set_over(u);
    tell(u, 0, &none);
}

/* A PUT whose answer was lost is tried again, and then there is no such upload any more. */
static void ask_whether_in_place(struct docker_upload *u, int r, const struct sl_error *err)
{
    char digest[SL_DIGEST_TEXT_MAX];
    sl_digest_format(&u->digest, digest);
    u->put_r = r;
    u->put_error = *err;
    ask(u, STEP_HEAD, "HEAD", sl_docker_endpoint_url(u->ep, "blobs", digest));
}

/* --- answers --- */

static int take_location(struct docker_upload *u, const char *location, struct sl_error *err)
{
    char *next = NULL;
    int r = sl_upload_url_next(u->req.fetch.hop_url, location, &next, err);
    if (r < 0)
        return r;
    free(u->location);
    u->location = next;
    return 0;
}

static int request_head(struct sl_registry_request *req, struct sl_error *err)
{
    struct docker_upload *u = UPLOAD_OF(req, req);
    const struct sl_http_response *resp = &req->fetch.response;
    if (u->step == STEP_POST || (u->step == STEP_PATCH && resp->location))
        return take_location(u, resp->location, err);
    if (u->step == STEP_PUT)
        return sl_upload_check_digest(resp->content_digest, &u->digest, err);
    return 0;
}

static void request_done(struct sl_registry_request *req, int r, const struct sl_error *err)
{
    struct docker_upload *u = UPLOAD_OF(req, req);
    if (u->step == STEP_DELETE) {
        if (r < 0)
            sl_log(SL_LOG_DEBUG, "an upload to %s is not taken back: %s", u->ep->plan->host,
                   err->msg);
        sl_auth_challenge_done(&u->tidy_auth.challenge);
        set_over(u);
    } else if (u->is_stopped) {
        sl_http_loop_disarm(u->loop, &u->patience);
        fail_cancelled(u);
    } else if (u->step == STEP_PUT && r == -ENOENT) {
        ask_whether_in_place(u, r, err);
    } else if (u->step == STEP_HEAD && r == -ENOENT) {
        fail(u, u->put_r, &u->put_error);
    } else if (r < 0) {
        fail(u, r, err);
    } else if (u->step == STEP_POST) {
        begun(u);
    } else if (u->step == STEP_PATCH) {
        sent(u);
    } else {
        in_place(u);
    }
}

static ssize_t request_send(struct sl_registry_request *req, uint8_t *to, size_t room,
                            struct sl_error *err)
{
    (void)err;
    struct docker_upload *u = UPLOAD_OF(req, req);
    pthread_mutex_lock(&u->lock);
    struct sl_buf *buf = u->head;
    if (!buf) {
        pthread_mutex_unlock(&u->lock);
        return -EAGAIN;
    }
    /* The one copy: libcurl sends from memory of its own. */
    size_t n = buf->len < room ? buf->len : room;
    memcpy(to, buf->data + buf->off, n);
    sl_buf_consume(buf, n);
    bool is_empty = buf->len == 0;
    if (is_empty) {
        u->head = buf->next;
        if (!u->head)
            u->tail = &u->head;
    }
    pthread_mutex_unlock(&u->lock);
    if (is_empty)
        sl_buf_release(&buf);
    atomic_fetch_add_explicit(&u->base.bytes, n, memory_order_relaxed);
    return (ssize_t)n;
}

static const struct sl_registry_request_ops request_ops = {
    .head = request_head,
    .send = request_send,
    .done = request_done,
};

/* --- jobs --- */

static void opened(struct sl_docker_waiter *waiter, int r, const struct sl_error *err)
{
    struct docker_upload *u = UPLOAD_OF(waiter, waiter);
    if (r < 0)
        fail(u, r, err);
    else
        ask(u, STEP_POST, "POST", sl_upload_url_begin(u->ep, NULL, /* from= */ NULL));
}

static void run_start(struct sl_http_job *job)
{
    struct docker_upload *u = UPLOAD_OF(job, start);
    struct sl_error err;
    int r = sl_docker_opener_wait(u->ep, &u->waiter, &err);
    if (r != -EAGAIN)
        opened(&u->waiter, r, &err);
}

/* There are more bytes, or a digest. */
static void run_wake(struct sl_http_job *job)
{
    struct docker_upload *u = UPLOAD_OF(job, wake);
    if (u->r < 0) { /* only this thread sets it */
        if (has_digest(u))
            tell(u, u->r, &u->err);
    } else if (u->step == STEP_PATCH) {
        sl_fetch_unpause(&u->req.fetch);
    } else if (u->step == STEP_COMMIT && has_digest(u)) {
        put(u);
    }
}

static void cut_short(struct docker_upload *u)
{
    struct sl_error err;
    u->is_stopped = true;
    sl_fetch_abort(&u->req.fetch, sl_error_set(&err, SL_E_CANCELLED, ECANCELED, "cancelled"), &err);
}

static void patience_ends(struct sl_http_timer *timer)
{
    cut_short(UPLOAD_OF(timer, patience));
}

/* The answer to a POST tells what to take back; and docker-registry does not delete an upload whose
 * PATCH was cut, so one that has all its bytes may send them. */
static bool is_nearly_over(const struct docker_upload *u)
{
    return u->step == STEP_POST || (u->step == STEP_PATCH && u->base.fed == u->base.size);
}

static void stop_now(void *arg)
{
    struct docker_upload *u = arg;
    if (u->step == STEP_DELETE || u->step == STEP_OVER)
        return;
    if (is_nearly_over(u)) {
        u->is_stopped = true;
        sl_http_loop_arm(u->loop, &u->patience, PATIENCE_MS);
    } else if (u->step == STEP_OPEN || u->step == STEP_COMMIT) {
        sl_http_loop_unpost(u->loop, &u->start);
        sl_docker_waiter_leave(&u->waiter);
        fail_cancelled(u);
    } else {
        cut_short(u);
    }
}

static void forget_jobs(void *arg)
{
    struct docker_upload *u = arg;
    sl_http_loop_unpost(u->loop, &u->start);
    sl_http_loop_unpost(u->loop, &u->wake);
}

/* --- operations --- */

static int docker_upload_push(struct sl_blob_upload *base, struct sl_buf **bufp,
                              struct sl_error *err)
{
    struct docker_upload *u = (struct docker_upload *)base;
    pthread_mutex_lock(&u->lock);
    int r = u->r;
    if (r < 0 && err)
        *err = u->err;
    if (r == 0) {
        struct sl_buf *buf = sl_steal(bufp);
        buf->next = NULL;
        *u->tail = buf;
        u->tail = &buf->next;
    }
    pthread_mutex_unlock(&u->lock);
    sl_buf_release(bufp);
    if (r == 0)
        sl_http_loop_post(u->loop, &u->wake);
    return r;
}

static int docker_upload_finish(struct sl_blob_upload *base, struct sl_error *err)
{
    struct docker_upload *u = (struct docker_upload *)base;
    pthread_mutex_lock(&u->lock);
    u->is_fed = true;
    int r = u->r;
    if (r < 0 && err)
        *err = u->err;
    pthread_mutex_unlock(&u->lock);
    return r;
}

static void docker_upload_leave(struct sl_blob_upload *base)
{
    struct docker_upload *u = (struct docker_upload *)base;
    pthread_mutex_lock(&u->lock);
    u->is_fed = true;
    pthread_mutex_unlock(&u->lock);
}

static void docker_upload_commit(struct sl_blob_upload *base, const struct sl_digest *digest)
{
    struct docker_upload *u = (struct docker_upload *)base;
    pthread_mutex_lock(&u->lock);
    u->digest = *digest;
    u->has_digest = true;
    pthread_mutex_unlock(&u->lock);
    sl_http_loop_post(u->loop, &u->wake);
}

static void docker_upload_close(struct sl_blob_upload *base)
{
    struct docker_upload *u = (struct docker_upload *)base;
    sl_http_loop_call(u->loop, stop_now, u);
    pthread_mutex_lock(&u->lock);
    while (!u->is_over)
        pthread_cond_wait(&u->over, &u->lock);
    pthread_mutex_unlock(&u->lock);
    sl_http_loop_call(u->loop, forget_jobs, u);
    pthread_cond_destroy(&u->over);
    pthread_mutex_destroy(&u->lock);
    free(u->url);
    free(u->location);
    free(u);
}

static const struct sl_blob_upload_ops docker_upload_ops = {
    .push = docker_upload_push,
    .finish = docker_upload_finish,
    .leave = docker_upload_leave,
    .commit = docker_upload_commit,
    .close = docker_upload_close,
};

static struct docker_upload *upload_new(struct sl_docker_endpoint *ep)
{
    struct docker_upload *u = calloc(1, sizeof(*u));
    if (!u)
        return NULL;
    u->base.ops = &docker_upload_ops;
    u->ep = ep;
    u->loop = ep->registry->loop;
    u->start.run = run_start;
    u->wake.run = run_wake;
    u->patience.fire = patience_ends;
    u->waiter.opened = opened;
    u->tail = &u->head;
    pthread_mutex_init(&u->lock, NULL);
    pthread_cond_init(&u->over, NULL);
    return u;
}

int sl_docker_upload_new(struct sl_docker_endpoint *ep, uint64_t size,
                         const struct sl_upload_events *events, struct sl_blob_upload **ret,
                         struct sl_error *err)
{
    int r = sl_http_loop_start(ep->registry->loop, err);
    if (r < 0)
        return r;
    struct docker_upload *u = upload_new(ep);
    if (!u)
        return sl_error_oom(err);
    u->base.size = size;
    u->base.events = *events;
    *ret = &u->base;
    sl_http_loop_post(u->loop, &u->start);
    return 0;
}

void sl_docker_upload_take_back(struct sl_docker_endpoint *ep, const char *location)
{
    struct docker_upload *u = upload_new(ep);
    if (!u)
        return;
    u->location = strdup(location);
    u->step = STEP_COMMIT;
    docker_upload_close(&u->base);
}
