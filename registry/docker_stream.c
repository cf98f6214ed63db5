/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blob on its way into a flow. libcurl lends its memory for the length of a callback, so the
 * bytes are copied once, into a buffer of the lane; without one the transfer pauses until the
 * lane's waker says that a buffer came home.
 *
 * A blob comes in parts, mostly one. Where the way is long several are asked for at once
 * (range_plan.h): the first one, whose bytes are next, and those ahead, which keep their bytes in
 * buffers that the lane was widened by. Being ahead is a favour: who fails there is asked again in
 * his turn, by the rules for all blobs, and only then it counts.
 *
 * Where a place fails, the next one is asked to go on behind the bytes that are here already.
 */
#include "docker_opener.h"
#include "docker_source.h"
#include "registry_request.h"
#include "sluice/core/log.h"

#include <stdlib.h>
#include <string.h>

enum {
    AHEAD_BUFFERS_MAX = 128, /* of the pool, for parts that are ahead: 32 MiB */
    /* Bytes of a blob that comes beside documents (sl_fetch.is_small). The first buffer of its lane
     * holds it, so that it is never paused: that would stop all of an HTTP/2 connection. */
    SMALL_MAX = SL_BUF_SIZE,
    LONE_SIZE = 32 << 20,   /* bytes of a part beside which there is no room for others */
    AHEAD_FAILURES_MAX = 3, /* of a blob; then no more parts are asked for ahead */
};

enum part_state {
    PART_IDLE,    /* the slot is free */
    PART_RUNNING, /* is asked for */
    PART_HERE,    /* all its bytes have come */
    PART_FAILED,  /* ahead: to be asked for in its turn */
};

struct part {
    struct sl_registry_request get; /* first */
    struct docker_stream *stream;
    enum part_state state;
    bool is_favour; /* was asked for when it was ahead: one try */
    char *url;
    unsigned *counted_in;            /* requests of its registry while it is one, or NULL */
    struct sl_buf *bufs, **bufs_end; /* full ones, while it is ahead */
    struct sl_buf *buf;              /* partly filled, or NULL */
};

struct docker_stream {
    struct sl_blob_stream base;
    struct sl_docker_source *src;
    struct sl_http_loop *loop;
    struct sl_buf_lane *lane;
    struct sl_flow *flow;
    struct sl_http_job start, wake, stop;
    struct sl_docker_waiter waiter; /* for the endpoint at to be opened */
    bool is_foreign;                /* a layer that registries need not have */
    char digest[SL_DIGEST_TEXT_MAX];
    uint64_t size;
    size_t endpoint_first, at; /* endpoints: the one that gave the manifest, the one asked now */
    bool has_ended;            /* the flow was ended; loop thread */

    /* Parts in a ring, in order: the first one, then those ahead. Loop thread. */
    struct part parts[SL_RANGES_OUT];
    unsigned first, n_parts;
    uint64_t next; /* first byte that no part has */
    struct sl_range_plan plan;
    unsigned n_failures; /* of parts ahead */
    bool ignores_ranges; /* the server does */
    size_t room, held;   /* buffers for parts ahead; those they have */
};

#define STREAM_OF(ptr, member)                                                                     \
    ((struct docker_stream *)((char *)(ptr)-offsetof(struct docker_stream, member)))

static struct part *part_at(struct docker_stream *s, unsigned i)
{
    return &s->parts[(s->first + i) % SL_RANGES_OUT];
}

static bool is_first(const struct part *p)
{
    return p == part_at(p->stream, 0);
}

/* --- bytes --- */

static void feed(struct docker_stream *s, struct sl_buf **bufp)
{
    if (!*bufp)
        return;
    atomic_fetch_add_explicit(&s->base.bytes, (*bufp)->len, memory_order_relaxed);
    sl_flow_feed(s->flow, bufp);
}

static void copy_into(struct sl_buf *buf, struct sl_span *bytes)
{
    size_t n = bytes->len < sl_buf_room(buf) ? bytes->len : sl_buf_room(buf);
    memcpy(buf->data + buf->off + buf->len, bytes->data, n);
    buf->len += n;
    bytes->data += n;
    bytes->len -= n;
}

/* Parts ahead have no more than the lane was widened by, so that the first one never waits for
 * them. */
static struct sl_buf *take_buffer(struct part *p)
{
    struct docker_stream *s = p->stream;
    if (!is_first(p) && s->held >= s->room)
        return NULL;
    struct sl_buf *buf = sl_buf_acquire(s->lane);
    if (buf && !is_first(p))
        s->held++;
    return buf;
}

static void put_away(struct part *p)
{
    if (is_first(p)) {
        feed(p->stream, &p->buf);
        return;
    }
    *p->bufs_end = p->buf;
    p->bufs_end = &p->buf->next;
    p->buf = NULL;
}

static struct sl_buf *take_kept(struct part *p)
{
    struct sl_buf *buf = p->bufs;
    if (buf) {
        p->bufs = buf->next;
        buf->next = NULL;
        p->stream->held--;
    }
    if (!p->bufs)
        p->bufs_end = &p->bufs;
    return buf;
}

static void drop_bytes(struct part *p)
{
    for (struct sl_buf *buf; (buf = take_kept(p));)
        sl_buf_release(&buf);
    if (p->buf && !is_first(p))
        p->stream->held--;
    sl_buf_release(&p->buf);
}

/* libcurl offers a chunk again whole after a pause, so that room for all of it must be found
 * before any of it is taken. Its chunks are much smaller than a buffer: one more is enough. */
static int part_body(struct sl_registry_request *get, struct sl_span bytes, struct sl_error *err)
{
    struct part *p = (struct part *)get;
    if (bytes.len > SL_BUF_SIZE)
        return sl_error_set(err, SL_E_SYSTEM, EMSGSIZE, "libcurl hands over %zu bytes at once",
                            bytes.len);
    struct sl_buf *more = NULL;
    if (!p->buf || sl_buf_room(p->buf) < bytes.len) {
        more = take_buffer(p);
        if (!more) {
            if (is_first(p))
                feed(p->stream, &p->buf); /* or a lane of one buffer would wait for itself */
            return -EAGAIN;
        }
    }
    if (p->buf) {
        copy_into(p->buf, &bytes);
        if (more)
            put_away(p);
    }
    if (more) {
        p->buf = more;
        copy_into(p->buf, &bytes);
    }
    return 0;
}

/* --- parts --- */

static const struct sl_registry_request_ops part_ops;

/* A request is one of its registry's until this, which may be repeated. */
static void uncount(struct part *p)
{
    if (p->counted_in)
        --*p->counted_in;
    p->counted_in = NULL;
}

static int ask(struct part *p, bool is_favour, struct sl_error *err)
{
    struct docker_stream *s = p->stream;
    struct sl_docker_endpoint *ep = &s->src->endpoints[s->at];
    char *url = sl_docker_endpoint_url(ep, "blobs", s->digest);
    if (!url)
        return sl_error_oom(err);
    free(p->url);
    p->url = url;
    p->is_favour = is_favour;
    p->state = PART_RUNNING;
    p->get.fetch = (struct sl_fetch){
        .loop = s->loop,
        .settings = &ep->registry->settings,
        .peer = ep->peer,
        .group = ep->group,
        .url = p->url,
        .is_blob = true,
        .is_small = s->size <= SMALL_MAX,
        .max_attempts = is_favour ? 1 : 0,
    };
    p->get.auth = &ep->auth;
    p->counted_in = ep->peer->blob_requests;
    ++*p->counted_in;
    sl_registry_request_start(&p->get);
    return 0;
}

/* The next part of the blob gets a slot behind all others; it is not asked for yet. */
static struct part *open_part(struct docker_stream *s, uint64_t end)
{
    struct part *p = part_at(s, s->n_parts++);
    p->stream = s;
    p->state = PART_FAILED;
    p->bufs_end = &p->bufs;
    p->get.ops = &part_ops;
    p->get.has_size = true;
    p->get.size = s->size;
    p->get.got = s->next;
    p->get.end = end < s->size ? end : 0; /* what goes to the end is not limited */
    s->next = end;
    return p;
}

static unsigned n_running(struct docker_stream *s)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->n_parts; i++)
        n += part_at(s, i)->state == PART_RUNNING;
    return n;
}

/* Whether there is room for one more request beside those of the registry and so many others. All
 * blobs share its way. Nobody waits for room: the first part is asked for in any case, and each
 * that is done looks again. */
static bool has_way(const struct docker_stream *s, unsigned others)
{
    unsigned n = *s->src->endpoints[s->at].peer->blob_requests;
    return s->plan.width <= 1 || n + others < s->plan.width;
}

static bool may_ask_ahead(struct docker_stream *s)
{
    return !s->has_ended && s->next < s->size && s->held < s->room && s->plan.width > 1 &&
           s->n_parts < s->plan.out && n_running(s) < s->plan.width && has_way(s, 0);
}

static void ask_ahead(struct docker_stream *s)
{
    while (may_ask_ahead(s)) {
        struct part *p = open_part(s, sl_range_end(&s->plan, s->next, s->size));
        if (ask(p, /* is_favour= */ true, NULL) < 0)
            return; /* in its turn, then */
    }
}

static void drop_ahead(struct docker_stream *s)
{
    struct sl_error err;
    int r = sl_error_set(&err, SL_E_CANCELLED, ECANCELED, "no longer wanted");
    for (; s->n_parts > 1; s->n_parts--) {
        struct part *p = part_at(s, s->n_parts - 1);
        if (p->state == PART_RUNNING) {
            p->state = PART_IDLE;
            uncount(p);
            sl_fetch_abort(&p->get.fetch, r, &err);
        }
        p->state = PART_IDLE;
        drop_bytes(p);
    }
}

/* From here on one request after the other. */
static void stop_planning(struct docker_stream *s)
{
    s->plan.width = 1;
}

static void make_plan(struct docker_stream *s)
{
    const struct sl_range_limits *limits = &s->src->registry->settings.ranges;
    unsigned rtt_us = atomic_load(&s->src->endpoints[s->at].rtt_us);
    unsigned width = sl_range_width(limits, s->size - s->next, rtt_us);
    if (width <= 1)
        return;
    s->room += sl_buf_lane_widen(s->lane, AHEAD_BUFFERS_MAX);
    s->plan = sl_range_plan(limits, width, s->room * SL_BUF_SIZE);
    if (s->plan.width > 1)
        sl_log(SL_LOG_DEBUG, "blob %.19s: at most %u ranges of %llu bytes at once, %u us away",
               s->digest, s->plan.width, (unsigned long long)s->plan.size, rtt_us);
}

static uint64_t end_of_next(const struct docker_stream *s)
{
    uint64_t left = s->size - s->next;
    if (has_way(s, 1))
        return sl_range_end(&s->plan, s->next, s->size);
    return left > LONE_SIZE ? s->next + LONE_SIZE : s->size;
}

/* Where nothing was asked of a place yet nobody knows how far away it is: a first part tells. */
static uint64_t end_of_first(const struct docker_stream *s)
{
    const struct sl_range_limits *limits = &s->src->registry->settings.ranges;
    bool is_far_away = limits->presumed_us || atomic_load(&s->src->endpoints[s->at].rtt_us);
    if (is_far_away || s->size < limits->blob_min || s->size <= limits->range_max)
        return end_of_next(s);
    return limits->range_max;
}

/* The blob from its beginning, from the place at s->at. */
static int ask_first(struct docker_stream *s, struct sl_error *err)
{
    make_plan(s);
    struct part *p = open_part(s, end_of_first(s));
    int r = ask(p, /* is_favour= */ false, err);
    if (r == 0)
        ask_ahead(s);
    return r;
}

/* What is left, from the place at s->at, by one request. */
static int ask_rest(struct docker_stream *s, struct sl_error *err)
{
    if (!s->n_parts)
        return ask_first(s, err);
    struct part *p = part_at(s, 0);
    p->get.end = 0;
    s->next = s->size;
    stop_planning(s);
    return ask(p, /* is_favour= */ false, err);
}

/* Moves to the place behind s->at, if there is one. */
static bool take_next_place(struct docker_stream *s)
{
    size_t first = s->endpoint_first;
    size_t i = s->at == first ? 0 : s->at + 1;
    for (; i < s->src->n_endpoints; i++) {
        if (i == first || !sl_docker_is_same_name(s->src, i, first))
            continue;
        s->at = i;
        return true;
    }
    return false;
}

/* Whoever hears of the end may close the stream at once, from another thread; that waits until the
 * job that runs here is over, so that what called this may still look at has_ended. */
static void end(struct docker_stream *s, int r, const struct sl_error *err)
{
    struct sl_error copy = *err;
    struct part *p = part_at(s, 0);
    sl_buf_lane_set_waker(s->lane, NULL, NULL);
    s->has_ended = true;
    drop_ahead(s);
    sl_http_loop_unpost(s->loop, &s->wake);
    if (r < 0)
        sl_buf_release(&p->buf);
    else
        feed(s, &p->buf);
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
    drop_ahead(s);
    while (sl_docker_may_fall_back(&why) && take_next_place(s)) {
        sl_log(SL_LOG_DEBUG, "blob %.19s: trying %s: %s", s->digest,
               s->src->endpoints[s->at].plan->host, why.msg);
        r = sl_docker_opener_wait(&s->src->endpoints[s->at], &s->waiter, &why);
        if (r == 0)
            r = ask_rest(s, &why);
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
        r = ask_rest(s, &why);
    if (r < 0)
        fall_back(s, r, &why);
}

/* --- turns --- */

/* What was ahead is first now: its bytes go on. */
static void hand_kept_on(struct part *p)
{
    for (struct sl_buf *buf; (buf = take_kept(p));)
        feed(p->stream, &buf);
    if (p->buf)
        p->stream->held--;
}

/* The first part is here: makes the next one the first. */
static struct part *take_turn(struct docker_stream *s)
{
    struct part *p = part_at(s, 0);
    feed(s, &p->buf);
    p->state = PART_IDLE;
    s->n_parts--;
    s->first = (s->first + 1) % SL_RANGES_OUT;
    if (!s->n_parts) {
        if (s->plan.width == 1 && !s->ignores_ranges && !s->n_failures)
            make_plan(s); /* now it is known how far away it is */
        return open_part(s, end_of_next(s));
    }
    p = part_at(s, 0);
    hand_kept_on(p);
    return p;
}

static void unpause(struct docker_stream *s)
{
    for (unsigned i = 0; i < s->n_parts && !s->has_ended; i++)
        if (part_at(s, i)->state == PART_RUNNING)
            sl_fetch_unpause(&part_at(s, i)->get.fetch);
}

static void advance(struct docker_stream *s)
{
    struct sl_error err = {0};
    struct part *p = part_at(s, 0);
    while (p->state == PART_HERE && p->get.got < s->size)
        p = take_turn(s);
    if (p->state == PART_HERE) {
        end(s, 0, &err);
        return;
    }
    int r = p->state == PART_FAILED ? ask(p, /* is_favour= */ false, &err) : 0;
    if (r < 0) {
        fall_back(s, r, &err);
        return;
    }
    ask_ahead(s);
    sl_http_loop_post(s->loop, &s->wake); /* there is room again, but libcurl is not asked here */
}

static void ahead_failed(struct part *p, const struct sl_error *err)
{
    struct docker_stream *s = p->stream;
    p->state = PART_FAILED;
    if (err->code == SL_E_CANCELLED)
        return;
    sl_log(SL_LOG_DEBUG, "blob %.19s: a range ahead failed: %s", s->digest, err->msg);
    s->n_failures++;
    bool is_unwelcome = p->get.refused || s->ignores_ranges || err->code != SL_E_NETWORK;
    if (is_unwelcome || s->n_failures > AHEAD_FAILURES_MAX)
        stop_planning(s);
    else
        (void)ask(p, /* is_favour= */ true, NULL);
}

static void first_failed(struct part *p, int r, const struct sl_error *err)
{
    struct sl_error why = *err;
    if (p->is_favour && why.code != SL_E_CANCELLED) {
        r = ask(p, /* is_favour= */ false, &why);
        if (r == 0)
            return;
    }
    fall_back(p->stream, r, &why);
}

static void part_done(struct sl_registry_request *get, int r, const struct sl_error *err)
{
    struct part *p = (struct part *)get;
    struct docker_stream *s = p->stream;
    uncount(p);
    if (p->state != PART_RUNNING || s->has_ended)
        return;
    sl_docker_endpoint_note_rtt(&s->src->endpoints[s->at], &get->fetch.transfer);
    if (r == 0)
        p->state = PART_HERE;
    if (r == 0 && is_first(p))
        advance(s);
    else if (r == 0)
        ask_ahead(s);
    else if (r < 0 && is_first(p))
        first_failed(p, r, err);
    else if (r < 0)
        ahead_failed(p, err);
}

/* A server that does not know ranges sends all of the blob each time: once is enough. */
static int part_head(struct sl_registry_request *get, struct sl_error *err)
{
    struct part *p = (struct part *)get;
    struct docker_stream *s = p->stream;
    if (get->fetch.response.status != 200 || !get->fetch.has_range)
        return 0;
    s->ignores_ranges = true;
    stop_planning(s);
    if (!is_first(p))
        return sl_error_set(err, SL_E_NETWORK, EPROTO, "the server ignores ranges");
    get->end = 0;
    s->next = s->size;
    sl_http_loop_post(s->loop, &s->wake); /* drops the others, which cannot be done here */
    return 0;
}

static const struct sl_registry_request_ops part_ops = {
    .head = part_head,
    .body = part_body,
    .done = part_done,
};

/* --- jobs --- */

static void run_start(struct sl_http_job *job)
{
    struct docker_stream *s = STREAM_OF(job, start);
    struct sl_error err;
    /* It is ready, unless the manifest was known. */
    int r = sl_docker_opener_wait(&s->src->endpoints[s->at], &s->waiter, &err);
    if (r == 0)
        r = ask_first(s, &err);
    if (r < 0 && r != -EAGAIN)
        fall_back(s, r, &err);
}

static void run_wake(struct sl_http_job *job)
{
    struct docker_stream *s = STREAM_OF(job, wake);
    if (s->n_parts && !part_at(s, 0)->get.end && s->ignores_ranges)
        drop_ahead(s);
    unpause(s);
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
        sl_fetch_abort(&part_at(s, 0)->get.fetch, r, &err);
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
    for (size_t i = 0; i < SL_RANGES_OUT; i++)
        free(s->parts[i].url);
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
    s->endpoint_first = s->at = serving < src->n_endpoints ? serving : 0;
    struct sl_layer_media media = {0};
    s->is_foreign = sl_layer_media_parse(blob->media_type, &media, NULL) == 0 && media.foreign;
    s->waiter.opened = place_opened;
    s->start.run = run_start;
    s->wake.run = run_wake;
    s->stop.run = run_stop;
    sl_digest_format(&blob->digest, s->digest);
    s->size = blob->size;
    s->plan.width = 1;
    sl_buf_lane_set_waker(lane, on_buffer_home, s);
    *ret = &s->base;
    sl_http_loop_post(s->loop, &s->start);
    return 0;
}
