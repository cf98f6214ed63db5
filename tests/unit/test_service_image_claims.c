/* SPDX-License-Identifier: Apache-2.0 */
#include "image_claims.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

enum { THREADS = 4, ROUNDS = 2000 };

static void claimed_image_is_not_removed(void **state)
{
    (void)state;
    SL_AUTO(sl_image_claims) claims = NULL;
    struct sl_image_claim *mine = NULL, *too = NULL;
    assert_int_equal(sl_image_claims_new(&claims, NULL), 0);
    assert_int_equal(sl_image_claim_take(claims, "a", &mine, NULL), 0);
    assert_int_equal(sl_image_claim_take(claims, "a", &too, NULL), 0);
    struct sl_image_claim *shared = sl_image_claim_share(mine);
    mine = sl_image_claim_drop(mine);
    too = sl_image_claim_drop(too);
    assert_false(sl_image_claims_begin_removal(claims, "a"));
    assert_true(sl_image_claims_begin_removal(claims, "b"));
    sl_image_claims_end_removal(claims);
    shared = sl_image_claim_drop(shared);
    assert_true(sl_image_claims_begin_removal(claims, "a"));
    sl_image_claims_end_removal(claims);
    assert_null(sl_image_claim_share(shared));
}

static void count(void *arg)
{
    ++*(int *)arg;
}

static void whoever_watches_hears_of_the_last_claim(void **state)
{
    (void)state;
    SL_AUTO(sl_image_claims) claims = NULL;
    struct sl_image_claim *mine = NULL;
    int n = 0;
    assert_int_equal(sl_image_claims_new(&claims, NULL), 0);
    sl_image_claims_watch(claims, count, &n);
    assert_int_equal(sl_image_claim_take(claims, "a", &mine, NULL), 0);
    struct sl_image_claim *shared = sl_image_claim_share(mine);
    mine = sl_image_claim_drop(mine);
    assert_int_equal(n, 0);
    shared = sl_image_claim_drop(shared);
    assert_int_equal(n, 1);
}

struct desk {
    struct sl_image_claims *claims;
    atomic_int users, removers;
};

static void *use(void *arg)
{
    struct desk *desk = arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct sl_image_claim *claim = NULL;
        assert_int_equal(sl_image_claim_take(desk->claims, "a", &claim, NULL), 0);
        atomic_fetch_add(&desk->users, 1);
        assert_int_equal(atomic_load(&desk->removers), 0);
        atomic_fetch_sub(&desk->users, 1);
        claim = sl_image_claim_drop(claim);
    }
    return NULL;
}

static void *remove_it(void *arg)
{
    struct desk *desk = arg;
    for (int i = 0; i < ROUNDS; i++) {
        if (!sl_image_claims_begin_removal(desk->claims, "a"))
            continue;
        assert_int_equal(atomic_fetch_add(&desk->removers, 1), 0);
        assert_int_equal(atomic_load(&desk->users), 0);
        atomic_fetch_sub(&desk->removers, 1);
        sl_image_claims_end_removal(desk->claims);
    }
    return NULL;
}

static void nobody_claims_what_is_being_removed(void **state)
{
    (void)state;
    struct desk desk = {0};
    pthread_t threads[2 * THREADS];
    assert_int_equal(sl_image_claims_new(&desk.claims, NULL), 0);
    for (int i = 0; i < 2 * THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i % 2 ? use : remove_it, &desk), 0);
    for (int i = 0; i < 2 * THREADS; i++)
        pthread_join(threads[i], NULL);
    desk.claims = sl_image_claims_free(desk.claims);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claimed_image_is_not_removed),
        cmocka_unit_test(whoever_watches_hears_of_the_last_claim),
        cmocka_unit_test(nobody_claims_what_is_being_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
