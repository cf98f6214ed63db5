/* SPDX-License-Identifier: Apache-2.0 */
/* When the loop has a thread. What it does with it is tested by all that makes requests. */
#include "http_loop.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void *wait_for_the_end(void *barrier)
{
    (void)pthread_barrier_wait(barrier);
    return NULL;
}

/* Tasks of this process; sanitizers may have some of their own. */
static unsigned count_threads(void)
{
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/task");
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

static void note_thread(void *arg)
{
    *(pthread_t *)arg = pthread_self();
}

static pthread_t where_it_runs(struct sl_http_loop *loop)
{
    pthread_t thread = 0;
    sl_http_loop_call(loop, note_thread, &thread);
    return thread;
}

static void loop_has_no_thread_before_the_first_request(void **state)
{
    (void)state;
    SL_AUTO(sl_http_loop) loop = NULL;
    pthread_t other;
    pthread_barrier_t end;
    /* A sanitizer starts a thread of its own with the program's first, which is counted all the
     * while: whoever was joined may still be in /proc for a moment. */
    assert_int_equal(pthread_barrier_init(&end, NULL, 2), 0);
    assert_int_equal(pthread_create(&other, NULL, wait_for_the_end, &end), 0);
    unsigned before = count_threads();
    assert_int_equal(sl_http_loop_new(&loop, NULL), 0);
    assert_int_equal(count_threads(), before);
    assert_true(pthread_equal(where_it_runs(loop), pthread_self()));
    assert_int_equal(sl_http_loop_start(loop, NULL), 0);
    assert_int_equal(sl_http_loop_start(loop, NULL), 0);
    assert_int_equal(count_threads(), before + 1);
    assert_false(pthread_equal(where_it_runs(loop), pthread_self()));
    (void)pthread_barrier_wait(&end);
    assert_int_equal(pthread_join(other, NULL), 0);
    (void)pthread_barrier_destroy(&end);
}

struct heard {
    struct sl_http_watch watch;
    struct sl_http_loop *loop;
    bool was_cancelled;
};

static void hear(struct sl_http_watch *watch)
{
    struct heard *heard = (struct heard *)watch;
    heard->was_cancelled = true;
    sl_http_loop_unwatch(heard->loop, watch);
}

static void watch(void *arg)
{
    sl_http_loop_watch(((struct heard *)arg)->loop, arg);
}

/* What was said before there was a thread is heard by it. */
static void group_cancelled_before_the_thread_is_cancelled(void **state)
{
    (void)state;
    SL_AUTO(sl_http_loop) loop = NULL;
    struct sl_http_group group, forgotten;
    assert_int_equal(sl_http_loop_new(&loop, NULL), 0);
    assert_int_equal(sl_http_group_init(&forgotten, loop, NULL), 0);
    sl_http_group_cancel(&forgotten);
    sl_http_group_done(&forgotten);
    assert_int_equal(sl_http_group_init(&group, loop, NULL), 0);
    struct heard heard = {.watch = {.cancel = hear, .group = &group}, .loop = loop};
    sl_http_loop_call(loop, watch, &heard);
    sl_http_group_cancel(&group);
    assert_false(heard.was_cancelled);
    assert_int_equal(sl_http_loop_start(loop, NULL), 0);
    (void)where_it_runs(loop); /* its turn comes after the cancellation's */
    assert_true(heard.was_cancelled);
    sl_http_group_done(&group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loop_has_no_thread_before_the_first_request),
        cmocka_unit_test(group_cancelled_before_the_thread_is_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
