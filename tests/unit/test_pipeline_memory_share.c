/* SPDX-License-Identifier: Apache-2.0 */
#include "memory_share.h"

#include "assert_result.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { SHARE = 4, SHARES = 2, THREADS = 8, ROUNDS = 300 };

static const size_t counts[] = {1, SHARE - 1};

struct guest {
    struct sl_memory_guest guest;
    struct sl_buf_lane *lanes[SHARES + 1][2];
};

struct fixture {
    struct sl_buf_pool *pool;
    struct sl_memory_share *share;
};

static void open_fixture(struct fixture *f)
{
    struct sl_error err;
    assert_int_equal(sl_buf_pool_new(SHARES * SHARE * SL_BUF_SIZE, &f->pool, &err), 0);
    assert_int_equal(sl_memory_share_new(f->pool, &f->share, &err), 0);
}

static void close_fixture(struct fixture *f)
{
    assert_int_equal(sl_buf_pool_spare(f->pool), SHARES * SHARE);
    (void)sl_memory_share_free(f->share);
    (void)sl_buf_pool_free(f->pool);
}

static void join(struct fixture *f, struct guest *g)
{
    *g = (struct guest){0};
    sl_memory_join(f->share, &g->guest, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

static void leave(struct guest *g)
{
    int fd = g->guest.event_fd;
    for (size_t i = 0; i < SHARES + 1; i++)
        sl_memory_give(&g->guest, g->lanes[i], 2);
    sl_memory_leave(&g->guest);
    close(fd);
}

static int take(struct guest *g, size_t i)
{
    struct sl_error err;
    return sl_memory_take(&g->guest, counts, 2, g->lanes[i], &err);
}

static void give(struct guest *g, size_t i)
{
    sl_memory_give(&g->guest, g->lanes[i], 2);
    assert_null(g->lanes[i][0]);
}

/* Takes the news, if there are some. */
static bool was_told(const struct guest *g)
{
    uint64_t count;
    return read(g->guest.event_fd, &count, sizeof(count)) == sizeof(count);
}

static void next_share_is_for_who_holds_fewest(void **state)
{
    (void)state;
    struct fixture f;
    struct guest rich, poor;
    open_fixture(&f);
    join(&f, &rich);
    join(&f, &poor);
    assert_int_equal(take(&rich, 0), 0);
    assert_int_equal(take(&rich, 1), 0);
    assert_int_equal(take(&rich, 2), -EAGAIN);
    assert_int_equal(take(&poor, 0), -EAGAIN);
    give(&rich, 0);
    assert_true(was_told(&poor));
    assert_false(was_told(&rich));
    assert_int_equal(take(&rich, 0), -EAGAIN); /* does not overtake */
    assert_int_equal(take(&poor, 0), 0);
    leave(&poor);
    assert_true(was_told(&rich));
    leave(&rich);
    close_fixture(&f);
}

static void among_equals_the_longest_waiting_is_next(void **state)
{
    (void)state;
    struct fixture f;
    struct guest holder, first, second;
    open_fixture(&f);
    join(&f, &holder);
    join(&f, &first);
    join(&f, &second);
    assert_int_equal(take(&holder, 0), 0);
    assert_int_equal(take(&holder, 1), 0);
    assert_int_equal(take(&first, 0), -EAGAIN);
    assert_int_equal(take(&second, 0), -EAGAIN);
    assert_int_equal(take(&first, 0), -EAGAIN); /* asking again loses no place */
    give(&holder, 0);
    assert_int_equal(take(&second, 0), -EAGAIN);
    assert_true(was_told(&first));
    assert_int_equal(take(&first, 0), 0);
    leave(&holder);
    assert_true(was_told(&second));
    leave(&first);
    leave(&second);
    close_fixture(&f);
}

static void turn_goes_round_while_there_is_room(void **state)
{
    (void)state;
    struct fixture f;
    struct guest holder, first, second;
    open_fixture(&f);
    join(&f, &holder);
    join(&f, &first);
    join(&f, &second);
    assert_int_equal(take(&holder, 0), 0);
    assert_int_equal(take(&holder, 1), 0);
    assert_int_equal(take(&first, 0), -EAGAIN);
    assert_int_equal(take(&second, 0), -EAGAIN);
    give(&holder, 0);
    give(&holder, 1);
    assert_true(was_told(&first));
    assert_false(was_told(&second));
    assert_int_equal(take(&first, 0), 0);
    assert_true(was_told(&second)); /* nobody will give anything back for a long time */
    assert_int_equal(take(&second, 0), 0);
    leave(&holder);
    leave(&first);
    leave(&second);
    close_fixture(&f);
}

static void turn_that_nobody_takes_is_passed_on(void **state)
{
    (void)state;
    struct fixture f;
    struct guest holder, first, second, third;
    open_fixture(&f);
    join(&f, &holder);
    join(&f, &first);
    join(&f, &second);
    join(&f, &third);
    assert_int_equal(take(&holder, 0), 0);
    assert_int_equal(take(&holder, 1), 0);
    assert_int_equal(take(&first, 0), -EAGAIN);
    assert_int_equal(take(&second, 0), -EAGAIN);
    assert_int_equal(take(&third, 0), -EAGAIN);
    give(&holder, 0);
    assert_true(was_told(&first));
    sl_memory_withdraw(&first.guest);
    assert_true(was_told(&second));
    leave(&second);
    assert_true(was_told(&third));
    assert_int_equal(take(&third, 0), 0);
    leave(&third);
    leave(&first);
    leave(&holder);
    close_fixture(&f);
}

static void too_little_memory_is_an_error_at_once(void **state)
{
    (void)state;
    static const size_t too_many[] = {SHARES * SHARE, 1};
    struct fixture f;
    struct guest g;
    struct sl_error err = {0};
    open_fixture(&f);
    join(&f, &g);
    assert_int_equal(sl_memory_take(&g.guest, too_many, 2, g.lanes[0], &err), -ENOMEM);
    assert_int_equal(err.code, SL_E_LIMIT);
    assert_null(g.lanes[0][0]);
    leave(&g);
    close_fixture(&f);
}

/* ---- under load ---- */

struct worker {
    struct fixture *fixture;
    pthread_t thread;
    unsigned number, taken;
};

static atomic_int n_held;

static void wait_for_turn(const struct guest *g)
{
    struct pollfd p = {.fd = g->guest.event_fd, .events = POLLIN};
    if (poll(&p, 1, -1) == 1)
        (void)was_told(g);
}

/* Some rounds are given up after the turn has come, as pulls do whose layer somebody else has. */
static void *work(void *arg)
{
    struct worker *w = arg;
    struct guest g;
    join(w->fixture, &g);
    for (unsigned round = 0; round < ROUNDS; round++) {
        int r;
        while ((r = take(&g, 0)) == -EAGAIN) {
            wait_for_turn(&g);
            if ((round + w->number) % 7 == 0)
                sl_memory_withdraw(&g.guest);
        }
        if (r < 0 || atomic_fetch_add(&n_held, 1) >= SHARES)
            break;
        w->taken++;
        atomic_fetch_sub(&n_held, 1);
        give(&g, 0);
    }
    leave(&g);
    return NULL;
}

static void all_threads_get_all_their_shares(void **state)
{
    (void)state;
    struct fixture f;
    struct worker workers[THREADS];
    open_fixture(&f);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.fixture = &f, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].taken, ROUNDS);
    }
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(next_share_is_for_who_holds_fewest),
        cmocka_unit_test(among_equals_the_longest_waiting_is_next),
        cmocka_unit_test(turn_goes_round_while_there_is_room),
        cmocka_unit_test(turn_that_nobody_takes_is_passed_on),
        cmocka_unit_test(too_little_memory_is_an_error_at_once),
        cmocka_unit_test(all_threads_get_all_their_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
