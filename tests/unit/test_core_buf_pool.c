/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/buf.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct sl_buf_pool *make_pool(size_t buffers)
{
    struct sl_buf_pool *pool = NULL;
    assert_int_equal(sl_buf_pool_new(buffers * SL_BUF_SIZE, &pool, NULL), 0);
    return pool;
}

static struct sl_buf_lane *make_lane(struct sl_buf_pool *pool, size_t count)
{
    struct sl_buf_lane *lane = NULL;
    assert_int_equal(sl_buf_lane_open(pool, count, &lane, NULL), 0);
    return lane;
}

static void pool_rounds_down_to_whole_buffers(void **state)
{
    (void)state;
    struct sl_error err = {0};
    struct sl_buf_pool *pool = NULL;
    assert_int_equal(sl_buf_pool_new(SL_BUF_SIZE - 1, &pool, &err), -EINVAL);
    assert_int_equal(err.code, SL_E_LIMIT);
    assert_null(pool);
    assert_int_equal(sl_buf_pool_new(3 * SL_BUF_SIZE - 1, &pool, &err), 0);
    assert_int_equal(sl_buf_pool_spare(pool), 2);
    assert_null(sl_buf_pool_free(pool));
    assert_null(sl_buf_pool_free(NULL));
}

static void pool_memory_is_aligned_and_apart(void **state)
{
    (void)state;
    SL_AUTO(sl_buf_pool) pool = make_pool(8);
    SL_AUTO(sl_buf_lane) lane = make_lane(pool, 8);
    struct sl_buf *bufs[8];
    for (size_t i = 0; i < 8; i++) {
        bufs[i] = sl_buf_acquire(lane);
        assert_non_null(bufs[i]);
        assert_int_equal(bufs[i]->cap, SL_BUF_SIZE);
        assert_int_equal((uintptr_t)bufs[i]->data % 4096, 0);
        memset(bufs[i]->data, (int)i, bufs[i]->cap);
    }
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(bufs[i]->data[0], i);
        assert_int_equal(bufs[i]->data[SL_BUF_SIZE - 1], i);
        sl_buf_release(&bufs[i]);
        assert_null(bufs[i]);
    }
}

static void lane_is_reserved_whole_or_not_at_all(void **state)
{
    (void)state;
    SL_AUTO(sl_buf_pool) pool = make_pool(5);
    struct sl_error err = {0};
    SL_AUTO(sl_buf_lane) first = make_lane(pool, 3);
    struct sl_buf_lane *second = NULL;
    assert_int_equal(sl_buf_lane_open(pool, 3, &second, &err), -EAGAIN);
    assert_null(second);
    assert_int_equal(err.code, SL_OK);
    assert_int_equal(sl_buf_pool_spare(pool), 2);
    first = sl_buf_lane_close(first);
    second = make_lane(pool, 5);
    assert_int_equal(sl_buf_pool_spare(pool), 0);
    (void)sl_buf_lane_close(second);
    assert_int_equal(sl_buf_pool_spare(pool), 5);
}

static void peak_remembers_the_most_that_was_reserved(void **state)
{
    (void)state;
    SL_AUTO(sl_buf_pool) pool = make_pool(10);
    assert_int_equal(sl_buf_pool_peak(pool), 0);
    struct sl_buf_lane *a = make_lane(pool, 3), *b = make_lane(pool, 4);
    (void)sl_buf_lane_close(a);
    a = make_lane(pool, 1);
    assert_int_equal(sl_buf_pool_peak(pool), 7);
    (void)sl_buf_lane_close(a);
    (void)sl_buf_lane_close(b);
    assert_int_equal(sl_buf_pool_peak(pool), 7);
}

static void acquired_buffer_is_empty_whatever_it_held(void **state)
{
    (void)state;
    SL_AUTO(sl_buf_pool) pool = make_pool(1);
    SL_AUTO(sl_buf_lane) lane = make_lane(pool, 1);
    struct sl_buf *buf = sl_buf_acquire(lane);
    buf->len = 100;
    assert_int_equal(sl_buf_room(buf), SL_BUF_SIZE - 100);
    sl_buf_consume(buf, 30);
    assert_int_equal(sl_buf_span(buf).len, 70);
    assert_ptr_equal(sl_buf_span(buf).data, buf->data + 30);
    assert_int_equal(sl_buf_room(buf), SL_BUF_SIZE - 100);
    sl_buf_release(&buf);
    buf = sl_buf_acquire(lane);
    assert_int_equal(buf->len, 0);
    assert_int_equal(buf->off, 0);
    assert_null(buf->next);
    sl_buf_release(&buf);
    sl_buf_release(&buf); /* NULL by now */
}

static void count_wake(void *arg)
{
    ++*(unsigned *)arg;
}

static void waker_is_called_once_for_each_vain_acquire(void **state)
{
    (void)state;
    SL_AUTO(sl_buf_pool) pool = make_pool(2);
    SL_AUTO(sl_buf_lane) lane = make_lane(pool, 2);
    unsigned woken = 0;
    sl_buf_lane_set_waker(lane, count_wake, &woken);
    struct sl_buf *a = sl_buf_acquire(lane), *b = sl_buf_acquire(lane);
    sl_buf_release(&a);
    assert_int_equal(woken, 0); /* nobody came in vain */
    a = sl_buf_acquire(lane);
    assert_null(sl_buf_acquire(lane));
    assert_null(sl_buf_acquire(lane));
    sl_buf_release(&a);
    assert_int_equal(woken, 1);
    sl_buf_release(&b);
    assert_int_equal(woken, 1);
}

/* What is given back to the system comes again as zeroes. */
static void trim_takes_only_what_nobody_has_reserved(void **state)
{
    (void)state;
    SL_AUTO(sl_buf_pool) pool = make_pool(2);
    SL_AUTO(sl_buf_lane) kept = make_lane(pool, 1);
    struct sl_buf_lane *gone = make_lane(pool, 1);
    struct sl_buf *held = sl_buf_acquire(kept), *released = sl_buf_acquire(gone);
    const uint8_t *data = released->data;
    memset(held->data, 'x', held->cap);
    memset(released->data, 'y', released->cap);
    sl_buf_release(&released);
    assert_null(sl_buf_lane_close(gone));
    assert_int_equal(sl_buf_pool_total(pool), 2);
    sl_buf_pool_trim(pool);
    assert_int_equal(data[0] | data[SL_BUF_SIZE - 1], 0);
    assert_int_equal(held->data[SL_BUF_SIZE - 1], 'x');
    sl_buf_release(&held);
    /* And again, of those that were used since. */
    struct sl_buf_lane *again = make_lane(pool, 1);
    released = sl_buf_acquire(again);
    assert_ptr_equal(released->data, data);
    memset(released->data, 'z', released->cap);
    sl_buf_release(&released);
    assert_null(sl_buf_lane_close(again));
    sl_buf_pool_trim(pool);
    assert_int_equal(data[0] | data[SL_BUF_SIZE - 1], 0);
}

/* ---- threads ---- */

enum { N_THREADS = 4, N_ROUNDS = 5000 };

struct shared {
    struct sl_buf_lane *lane;
    atomic_uint got;
};

static void *take_and_give(void *arg)
{
    struct shared *s = arg;
    for (unsigned i = 0; i < N_ROUNDS; i++) {
        struct sl_buf *buf = sl_buf_acquire(s->lane);
        if (!buf)
            continue;
        memset(buf->data, (int)i, 64); /* a second owner would race here */
        atomic_fetch_add(&s->got, 1);
        sl_buf_release(&buf);
    }
    return NULL;
}

static void buffer_has_one_owner_among_many_threads(void **state)
{
    (void)state;
    SL_AUTO(sl_buf_pool) pool = make_pool(2);
    SL_AUTO(sl_buf_lane) lane = make_lane(pool, 2);
    struct shared s = {.lane = lane};
    pthread_t threads[N_THREADS];
    for (size_t i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, &s), 0);
    for (size_t i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(s.got > 0);
}

static void widened_lane_leaves_others_half_and_gives_all_back(void **state)
{
    (void)state;
    SL_AUTO(sl_buf_pool) pool = NULL;
    assert_int_equal(sl_buf_pool_new(12 * SL_BUF_SIZE, &pool, NULL), 0);
    struct sl_buf_lane *lane = NULL;
    assert_int_equal(sl_buf_lane_open(pool, 2, &lane, NULL), 0);
    assert_int_equal(sl_buf_lane_widen(lane, 100), 5);
    assert_int_equal(sl_buf_pool_spare(pool), 5);
    assert_int_equal(sl_buf_lane_widen(lane, 1), 1);
    assert_int_equal(sl_buf_pool_peak(pool), 8);
    struct sl_buf *bufs[8];
    for (size_t i = 0; i < 8; i++)
        assert_non_null(bufs[i] = sl_buf_acquire(lane));
    assert_null(sl_buf_acquire(lane));
    for (size_t i = 0; i < 8; i++)
        sl_buf_release(&bufs[i]);
    sl_buf_lane_close(lane);
    assert_int_equal(sl_buf_pool_spare(pool), 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pool_rounds_down_to_whole_buffers),
        cmocka_unit_test(pool_memory_is_aligned_and_apart),
        cmocka_unit_test(lane_is_reserved_whole_or_not_at_all),
        cmocka_unit_test(peak_remembers_the_most_that_was_reserved),
        cmocka_unit_test(acquired_buffer_is_empty_whatever_it_held),
        cmocka_unit_test(waker_is_called_once_for_each_vain_acquire),
        cmocka_unit_test(trim_takes_only_what_nobody_has_reserved),
        cmocka_unit_test(widened_lane_leaves_others_half_and_gives_all_back),
        cmocka_unit_test(buffer_has_one_owner_among_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
