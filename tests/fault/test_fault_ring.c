/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a ring may answer, and what its user, the stream of a layout's blob, makes of it: the bytes
 * in order, or one failure that says why, and every buffer home. And what the kernel may answer
 * the ring itself. The linker sends sl_ring_wait(), pread() and the wait of liburing here.
 */
#include "sluice/image_source.h"

#include "sluice/core/ring.h"

#include "layout_fixture.h"

#include <liburing.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { POOL_BUFFERS = 4, BLOB_SIZE = 5 * SL_BUF_SIZE + 4321 };

/* What goes wrong, and with which completion (from 1). */
struct ring_fault {
    int64_t result; /* 0: the end of the file; above: at most so many bytes; below: -errno */
    unsigned at, until;
    int wait; /* not 0: sl_ring_wait() itself fails with this */
};

static struct ring_fault fault;
static atomic_uint completions;
static atomic_uint interruptions; /* still to come, of pread() or io_uring_submit_and_wait() */

int __real_sl_ring_wait(struct sl_ring *ring, struct sl_ring_done *ret, struct sl_error *err);
int __wrap_sl_ring_wait(struct sl_ring *ring, struct sl_ring_done *ret, struct sl_error *err);
int __wrap_sl_ring_wait(struct sl_ring *ring, struct sl_ring_done *ret, struct sl_error *err)
{
    unsigned n = atomic_fetch_add(&completions, 1) + 1;
    bool hit = n >= fault.at && n <= fault.until;
    if (hit && fault.wait)
        return sl_error_system(err, fault.wait, "io_uring");
    struct sl_ring_done done;
    int r = __real_sl_ring_wait(ring, &done, err);
    if (r == 0 && hit && done.result > fault.result)
        done.result = fault.result;
    if (r == 0)
        *ret = done;
    return r;
}

static bool is_interrupted(void)
{
    unsigned left = atomic_load(&interruptions);
    if (!left)
        return false;
    atomic_store(&interruptions, left - 1);
    return true;
}

ssize_t __real_pread64(int fd, void *data, size_t len, off_t offset);
ssize_t __wrap_pread64(int fd, void *data, size_t len, off_t offset);
ssize_t __wrap_pread64(int fd, void *data, size_t len, off_t offset)
{
    if (is_interrupted()) {
        errno = EINTR;
        return -1;
    }
    return __real_pread64(fd, data, len, offset);
}

int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_for);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_for);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned wait_for)
{
    /* The kernel has taken the requests, and a signal ended the wait. */
    if (is_interrupted())
        return io_uring_submit(ring) < 0 ? -EIO : -EINTR;
    return __real_io_uring_submit_and_wait(ring, wait_for);
}

/* ---- a stream and its end ---- */

struct collect {
    struct sl_stage stage;
    struct sl_bytes *out;
};

static int collect_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    int r = sl_bytes_append(((struct collect *)stage)->out, sl_buf_span(*bufp), BLOB_SIZE, err);
    sl_buf_release(bufp);
    return r;
}

static int collect_finish(struct sl_stage *stage, struct sl_error *err)
{
    (void)stage, (void)err;
    return 0;
}

static void collect_close(struct sl_stage *stage)
{
    free(stage);
}

static const struct sl_stage_ops collect_ops = {.name = "collect",
                                                .phase = SL_PHASE_TREE,
                                                .push = collect_push,
                                                .finish = collect_finish,
                                                .close = collect_close};

struct outcome {
    sem_t done;
    int r;
    struct sl_error err;
};

static void on_done(void *arg, int r, const struct sl_error *err)
{
    struct outcome *o = arg;
    o->r = r;
    o->err = *err;
    assert_int_equal(sem_post(&o->done), 0);
}

struct bench {
    struct layout_fixture fx;
    struct sl_bytes bytes;
    struct sl_descriptor blob;
    struct sl_worker_pool *workers;
    struct sl_buf_pool *pool;
    struct sl_image_source *source;
};

/* Streams the blob once. */
static int stream(struct bench *b, struct sl_bytes *out, struct sl_error *err)
{
    struct outcome o = {0};
    struct sl_flow *flow = NULL;
    struct sl_buf_lane *lane = NULL;
    struct sl_blob_stream *transfer = NULL;
    const struct sl_flow_events events = {.done = on_done, .arg = &o};
    struct collect *collect = calloc(1, sizeof(*collect));
    *collect = (struct collect){.stage.ops = &collect_ops, .out = out};
    struct sl_stage *stage = &collect->stage;
    assert_int_equal(sem_init(&o.done, 0, 0), 0);
    assert_int_equal(sl_buf_lane_open(b->pool, POOL_BUFFERS, &lane, NULL), 0);
    assert_int_equal(sl_flow_new(b->workers, &events, &flow, NULL), 0);
    assert_int_equal(sl_flow_add(flow, &stage, SL_NEW_SEGMENT, NULL), 0);
    sl_flow_start(flow);
    assert_int_equal(sl_image_source_stream(b->source, &b->blob, lane, flow, &transfer, NULL), 0);
    assert_int_equal(sem_wait(&o.done), 0);
    sl_blob_stream_close(transfer);
    sl_flow_free(flow);
    sl_buf_lane_close(lane); /* aborts when a buffer is not home */
    assert_int_equal(sl_buf_pool_spare(b->pool), POOL_BUFFERS);
    assert_int_equal(sem_destroy(&o.done), 0);
    *err = o.err;
    return o.r;
}

static void inject(struct ring_fault what)
{
    fault = what;
    atomic_store(&completions, 0);
}

static void assert_streams(struct bench *b)
{
    SL_AUTO_DONE(sl_bytes) out = {0};
    struct sl_error err = {0};
    if (stream(b, &out, &err) != 0)
        fail_msg("%s", err.msg);
    assert_int_equal(out.len, b->bytes.len);
    assert_memory_equal(out.data, b->bytes.data, out.len);
}

/* Whatever of the blob came before is its beginning. */
static void assert_stops(struct bench *b, enum sl_errc code, int errnum, const char *text)
{
    SL_AUTO_DONE(sl_bytes) out = {0};
    struct sl_error err = {0};
    assert_int_equal(stream(b, &out, &err), -errnum);
    assert_int_equal(err.code, code);
    if (!strstr(err.msg, text))
        fail_msg("\"%s\" lacks \"%s\"", err.msg, text);
    assert_true(out.len < b->bytes.len);
    assert_true(!out.len || memcmp(out.data, b->bytes.data, out.len) == 0);
}

static void ring_short_reads_are_read_on(void **state)
{
    static const int64_t sizes[] = {1, 511, 4096, SL_BUF_SIZE - 1};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        /* Those of one byte for a while only: every read gives up as little. */
        inject(
            (struct ring_fault){.result = sizes[i], .at = 1, .until = sizes[i] < 4096 ? 50 : ~0u});
        assert_streams(*state);
    }
}

static void ring_end_of_file_in_the_middle_is_a_short_blob(void **state)
{
    for (unsigned at = 1; at <= 6; at++) {
        inject((struct ring_fault){.result = 0, .at = at, .until = at});
        assert_stops(*state, SL_E_INTEGRITY, EBADMSG, "bytes");
    }
}

static void ring_failed_read_stops_the_stream_with_its_reason(void **state)
{
    static const struct {
        int errnum;
        const char *text;
    } cases[] = {{EIO, "Input/output error"},
                 {ECANCELED, "Operation canceled"},
                 {EINTR, "Interrupted system call"},
                 {ENOMEM, "Cannot allocate memory"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (unsigned at = 1; at <= 6; at++) {
            inject((struct ring_fault){.result = -cases[i].errnum, .at = at, .until = at});
            assert_stops(*state, SL_E_SYSTEM, cases[i].errnum, cases[i].text);
        }
}

static void ring_that_cannot_wait_stops_the_stream(void **state)
{
    for (unsigned at = 1; at <= 6; at++) {
        inject((struct ring_fault){.wait = EBADR, .at = at, .until = at});
        assert_stops(*state, SL_E_SYSTEM, EBADR, "io_uring");
    }
}

static void ring_interrupted_by_signals_reads_on(void **state)
{
    inject((struct ring_fault){0});
    atomic_store(&interruptions, 5);
    assert_streams(*state);
    assert_int_equal(atomic_load(&interruptions), 0);
}

/* The same through pread(). */
static void plain_ring_interrupted_by_signals_reads_on(void **state)
{
    (void)state;
    SL_AUTO(sl_ring) ring = NULL;
    struct sl_ring_done done;
    char text[8] = "";
    SL_AUTO_FD fd = memfd_create("ring", 0);
    assert_int_equal(write(fd, "content", 7), 7);
    assert_int_equal(sl_ring_new(1, SL_RING_PLAIN, &ring, NULL), 0);
    inject((struct ring_fault){0});
    atomic_store(&interruptions, 3);
    assert_int_equal(sl_ring_read(ring, fd, text, 7, 0, NULL, NULL), 0);
    assert_int_equal(sl_ring_wait(ring, &done, NULL), 0);
    assert_int_equal(done.result, 7);
    assert_string_equal(text, "content");
    assert_int_equal(atomic_load(&interruptions), 0);
}

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    layout_fixture_new(&b->fx);
    b->bytes = (struct sl_bytes){.data = malloc(BLOB_SIZE), .len = BLOB_SIZE};
    for (size_t i = 0; i < BLOB_SIZE; i++)
        b->bytes.data[i] = (uint8_t)(i * 2654435761u >> 13);
    b->blob.digest = layout_fixture_add(&b->fx, sl_bytes_span(&b->bytes), SL_SHA256);
    b->blob.size = BLOB_SIZE;
    assert_int_equal(sl_worker_pool_new(2, &b->workers, NULL), 0);
    assert_int_equal(sl_buf_pool_new((size_t)POOL_BUFFERS * SL_BUF_SIZE, &b->pool, NULL), 0);
    SL_AUTO_FREE char *name = sl_strf("oci:%s", b->fx.dir);
    assert_int_equal(sl_image_source_open(NULL, name, &b->source, NULL), 0);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    sl_image_source_close(b->source);
    sl_worker_pool_free(b->workers);
    sl_buf_pool_free(b->pool);
    layout_fixture_free(&b->fx);
    sl_bytes_done(&b->bytes);
    free(b);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ring_short_reads_are_read_on),
        cmocka_unit_test(ring_end_of_file_in_the_middle_is_a_short_blob),
        cmocka_unit_test(ring_failed_read_stops_the_stream_with_its_reason),
        cmocka_unit_test(ring_that_cannot_wait_stops_the_stream),
        cmocka_unit_test(ring_interrupted_by_signals_reads_on),
        cmocka_unit_test(plain_ring_interrupted_by_signals_reads_on),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
