/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blob of a layout, streamed: a thread of its own reads the file through a ring, several reads
 * at once, each straight into a buffer of the lane, and feeds them in order. Without a free buffer
 * and with nothing in flight it sleeps until the lane's waker calls.
 */
#include "oci_layout.h"

#include "sluice/core/ring.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { READS_IN_FLIGHT = 8 };

struct sl_layout_stream {
    struct sl_blob_stream stream;
    struct sl_oci_layout *layout;
    struct sl_layout_stream *next; /* under the layout's lock */
    const struct sl_descriptor *blob;
    struct sl_buf_lane *lane;
    struct sl_flow *flow;
    pthread_t thread;
    atomic_bool is_stopped;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool is_awake; /* under lock: somebody called since the last look */
};

/* A piece of the file on its way into a buffer. */
struct piece {
    struct sl_buf *buf;
    uint64_t offset;
    size_t want;
};

/* What the thread works with. Pieces are numbered in file order; number n lives in n % size. */
struct reader {
    struct sl_layout_stream *s;
    struct sl_ring *ring;
    int fd;
    uint64_t size;
    uint64_t next_offset; /* of the first byte not yet asked for */
    struct piece pieces[READS_IN_FLIGHT];
    size_t first, end; /* numbers of the oldest piece, and behind the newest */
};

/* ---- waking ---- */

static void wake(void *arg)
{
    struct sl_layout_stream *s = arg;
    pthread_mutex_lock(&s->lock);
    s->is_awake = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

static void sleep_until_woken(struct sl_layout_stream *s)
{
    pthread_mutex_lock(&s->lock);
    while (!s->is_awake)
        pthread_cond_wait(&s->wake, &s->lock);
    s->is_awake = false;
    pthread_mutex_unlock(&s->lock);
}

/* ---- reading ---- */

static int queue_read(struct reader *rd, struct piece *p, struct sl_error *err)
{
    int r = sl_ring_read(rd->ring, rd->fd, p->buf->data + p->buf->len, p->want - p->buf->len,
                         p->offset + p->buf->len, p, err);
    return r == -EAGAIN ? sl_error_set(err, SL_E_SYSTEM, EIO, "more reads than entries") : r;
}

/* Asks for as many pieces as there are buffers and places. */
static int queue_more(struct reader *rd, struct sl_error *err)
{
    while (rd->next_offset < rd->size && rd->end - rd->first < READS_IN_FLIGHT) {
        struct sl_buf *buf = sl_buf_acquire(rd->s->lane);
        if (!buf)
            return 0;
        struct piece *p = &rd->pieces[rd->end % READS_IN_FLIGHT];
        uint64_t left = rd->size - rd->next_offset;
        *p = (struct piece){.buf = buf,
                            .offset = rd->next_offset,
                            .want = left < buf->cap ? (size_t)left : buf->cap};
        rd->end++;
        rd->next_offset += p->want;
        int r = queue_read(rd, p, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int complete_one(struct reader *rd, struct sl_error *err)
{
    struct sl_ring_done done;
    int r = sl_ring_wait(rd->ring, &done, err);
    if (r < 0)
        return r;
    struct piece *p = done.tag;
    if (done.result < 0)
        return sl_error_system(err, (int)-done.result, "reading a blob of %s", rd->s->layout->dir);
    if (done.result == 0) /* it has shrunk since it was opened */
        return sl_oci_layout_check_size(rd->s->blob, p->offset + p->buf->len, err);
    p->buf->len += (size_t)done.result;
    return p->buf->len < p->want ? queue_read(rd, p, err) : 0;
}

static void feed_completed(struct reader *rd)
{
    while (rd->first < rd->end) {
        struct piece *p = &rd->pieces[rd->first % READS_IN_FLIGHT];
        if (p->buf->len < p->want)
            return;
        atomic_fetch_add(&rd->s->stream.bytes, p->want);
        rd->first++;
        sl_flow_feed(rd->s->flow, &p->buf);
    }
}

static int read_all(struct reader *rd, struct sl_error *err)
{
    while (rd->first < rd->end || rd->next_offset < rd->size) {
        if (atomic_load(&rd->s->is_stopped) || atomic_load(&rd->s->layout->is_cancelled) ||
            sl_flow_has_failed(rd->s->flow))
            return sl_error_set(err, SL_E_CANCELLED, ECANCELED, "stopped");
        int r = queue_more(rd, err);
        if (r < 0)
            return r;
        if (sl_ring_in_flight(rd->ring) == 0) {
            sleep_until_woken(rd->s);
            continue;
        }
        r = complete_one(rd, err);
        if (r < 0)
            return r;
        feed_completed(rd);
    }
    return 0;
}

static int open_reader(struct reader *rd, struct sl_error *err)
{
    struct sl_layout_stream *s = rd->s;
    int r = sl_oci_layout_open_blob(s->layout, &s->blob->digest, &rd->fd, &rd->size, err);
    if (r >= 0)
        r = sl_oci_layout_check_size(s->blob, rd->size, err);
    if (r < 0)
        return r;
    (void)posix_fadvise(rd->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return sl_ring_new(READS_IN_FLIGHT, /* flags= */ 0, &rd->ring, err);
}

static void close_reader(struct reader *rd)
{
    /* The ring first: until it is quiet, the kernel writes into the buffers. */
    rd->ring = sl_ring_free(rd->ring);
    for (; rd->first < rd->end; rd->first++)
        sl_buf_release(&rd->pieces[rd->first % READS_IN_FLIGHT].buf);
    if (rd->fd >= 0)
        (void)close(rd->fd);
}

static void *run(void *arg)
{
    struct sl_layout_stream *s = arg;
    struct reader rd = {.s = s, .fd = -1};
    struct sl_error err = {0};
    (void)pthread_setname_np(pthread_self(), "reader");
    sl_buf_lane_set_waker(s->lane, wake, s);
    int r = open_reader(&rd, &err);
    if (r >= 0)
        r = read_all(&rd, &err);
    close_reader(&rd);
    /* Nobody may call the stream once the flow has ended: it may be closed. */
    sl_buf_lane_set_waker(s->lane, /* fn= */ NULL, /* arg= */ NULL);
    sl_flow_end(s->flow, r, r < 0 ? &err : NULL);
    return NULL;
}

/* ---- the stream ---- */

static void stream_stop(struct sl_blob_stream *stream)
{
    struct sl_layout_stream *s = (struct sl_layout_stream *)stream;
    atomic_store(&s->is_stopped, true);
    wake(s);
}

void sl_oci_layout_stop_streams(struct sl_oci_layout *layout)
{
    pthread_mutex_lock(&layout->lock);
    for (struct sl_layout_stream *s = layout->streams; s; s = s->next)
        stream_stop(&s->stream);
    pthread_mutex_unlock(&layout->lock);
}

static void join_list(struct sl_layout_stream *s)
{
    pthread_mutex_lock(&s->layout->lock);
    s->next = s->layout->streams;
    s->layout->streams = s;
    pthread_mutex_unlock(&s->layout->lock);
    if (atomic_load(&s->layout->is_cancelled)) /* before it was in the list */
        stream_stop(&s->stream);
}

static void leave_list(struct sl_layout_stream *s)
{
    pthread_mutex_lock(&s->layout->lock);
    struct sl_layout_stream **p = &s->layout->streams;
    while (*p != s)
        p = &(*p)->next;
    *p = s->next;
    pthread_mutex_unlock(&s->layout->lock);
}

static void stream_close(struct sl_blob_stream *stream)
{
    struct sl_layout_stream *s = (struct sl_layout_stream *)stream;
    (void)pthread_join(s->thread, NULL);
    leave_list(s);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static const struct sl_blob_stream_ops stream_ops = {
    .stop = stream_stop,
    .close = stream_close,
};

/* Signals belong to the program's own threads. */
static int start_thread(struct sl_layout_stream *s)
{
    sigset_t all, saved;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &saved);
    int errnum = pthread_create(&s->thread, NULL, run, s);
    (void)pthread_sigmask(SIG_SETMASK, &saved, NULL);
    return errnum;
}

int sl_oci_layout_stream(struct sl_source *source, const struct sl_descriptor *blob,
                         struct sl_buf_lane *lane, struct sl_flow *flow,
                         struct sl_blob_stream **ret, struct sl_error *err)
{
    struct sl_layout_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return sl_error_oom(err);
    *s = (struct sl_layout_stream){.stream.ops = &stream_ops,
                                   .layout = (struct sl_oci_layout *)source,
                                   .blob = blob,
                                   .lane = lane,
                                   .flow = flow};
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, NULL);
    int errnum = start_thread(s);
    if (errnum == 0) {
        join_list(s);
        *ret = &s->stream;
        return 0;
    }
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    free(s);
    return sl_error_system(err, errnum, "starting a reader thread");
}
