/* SPDX-License-Identifier: Apache-2.0 */
#include "crew.h"

#include "assert_result.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>

enum { THREADS = 8, ROUNDS = 50, YIELDS = 2000 };

static pthread_key_t key;
static atomic_uint n_cleaned;

/* What a library keeps for a thread goes after the thread's work, and takes its time. */
static void clean(void *value)
{
    (void)value;
    for (int i = 0; i < YIELDS; i++)
        sched_yield();
    atomic_fetch_add(&n_cleaned, 1);
}

static void use_library(void *arg)
{
    (void)pthread_setspecific(key, arg);
}

static void wait_for(void *arg)
{
    (void)sem_wait(arg);
}

static void crew_free_leaves_nothing_of_its_threads(void **state)
{
    (void)state;
    assert_int_equal(pthread_key_create(&key, clean), 0);
    for (int round = 0; round < ROUNDS; round++) {
        struct sl_crew *crew = NULL;
        atomic_store(&n_cleaned, 0);
        assert_int_equal(sl_crew_new(THREADS, &crew, NULL), 0);
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(sl_crew_run(crew, use_library, &key, NULL), 0);
        (void)sl_crew_free(crew);
        assert_int_equal(atomic_load(&n_cleaned), THREADS);
    }
    (void)pthread_key_delete(key);
}

static void crew_full_refuses_until_somebody_goes(void **state)
{
    (void)state;
    SL_AUTO(sl_crew) crew = NULL;
    struct sl_error err = {0};
    sem_t go;
    assert_int_equal(sem_init(&go, /* pshared= */ 0, /* value= */ 0), 0);
    assert_int_equal(sl_crew_new(/* max_threads= */ 2, &crew, NULL), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sl_crew_run(crew, wait_for, &go, NULL), 0);
    assert_int_equal(sl_crew_run(crew, wait_for, &go, &err), -EAGAIN);
    assert_int_equal(err.code, SL_E_LIMIT);
    sem_post(&go);
    while (sl_crew_run(crew, wait_for, &go, NULL) < 0)
        sched_yield(); /* until the one that was let go has gone */
    sem_post(&go);
    sem_post(&go);
    crew = sl_crew_free(crew);
    sem_destroy(&go);
}

static void crew_unused_is_freed(void **state)
{
    (void)state;
    struct sl_crew *crew = NULL;
    assert_int_equal(sl_crew_new(THREADS, &crew, NULL), 0);
    assert_null(sl_crew_free(crew));
    assert_null(sl_crew_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crew_free_leaves_nothing_of_its_threads),
        cmocka_unit_test(crew_full_refuses_until_somebody_goes),
        cmocka_unit_test(crew_unused_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
