/* SPDX-License-Identifier: Apache-2.0 */
#include "answer_cache.h"

#include "assert_result.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 16 };

/* Somebody who knows, counts, and answers only when all who want to ask are about to. */
struct oracle {
    atomic_int asked, arrived;
    int wait_for;
    enum sl_errc failure; /* SL_OK: answers */
};

static int consult(void *arg, struct sl_bytes *ret, struct sl_error *err)
{
    struct oracle *o = arg;
    atomic_fetch_add(&o->asked, 1);
    while (atomic_load(&o->arrived) < o->wait_for)
        ;
    if (o->failure != SL_OK)
        return sl_error_set(err, o->failure, ENOKEY, "no, %d", atomic_load(&o->asked));
    return sl_bytes_append(ret, sl_span_of("yes"), 3, err);
}

static struct sl_answer_cache *new_cache_that(bool keeps_refusals)
{
    struct sl_answer_cache *cache = NULL;
    struct sl_error err = {0};
    assert_done(sl_answer_cache_new(keeps_refusals, &cache, &err));
    return cache;
}

static struct sl_answer_cache *new_cache(void)
{
    return new_cache_that(/* keeps_refusals= */ true);
}

static int get(struct sl_answer_cache *cache, const char *question, struct oracle *o,
               struct sl_bytes *ret, struct sl_error *err)
{
    return sl_answer_cache_get(cache, sl_span_of(question), consult, o, ret, err);
}

static void assert_yes(struct sl_answer_cache *cache, const char *question, struct oracle *o)
{
    struct sl_error err = {0};
    SL_AUTO_DONE(sl_bytes) answer = {0};
    assert_done(get(cache, question, o, &answer, &err));
    assert_string_equal((const char *)answer.data, "yes");
}

static void answer_is_asked_once_and_kept(void **state)
{
    (void)state;
    SL_AUTO(sl_answer_cache) cache = new_cache();
    struct oracle o = {0};
    for (int i = 0; i < 3; i++)
        assert_yes(cache, "a", &o);
    assert_int_equal(o.asked, 1);
    assert_yes(cache, "ab", &o);
    assert_yes(cache, "", &o);
    assert_int_equal(o.asked, 3);
}

static void refusal_is_kept_on_demand_and_failure_to_ask_is_not(void **state)
{
    (void)state;
    static const struct {
        enum sl_errc code;
        int asked;
    } cases[] = {{SL_E_AUTH, 1},      {SL_E_FORMAT, 1},  {SL_E_INTEGRITY, 1},
                 {SL_E_POLICY, 1},    {SL_E_NETWORK, 3}, {SL_E_SYSTEM, 3},
                 {SL_E_CANCELLED, 3}, {SL_E_LIMIT, 3},   {SL_E_UNSUPPORTED, 1}};
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        bool keeps_refusals = i % 2;
        SL_AUTO(sl_answer_cache) cache = new_cache_that(keeps_refusals);
        struct oracle o = {.failure = cases[i / 2].code};
        struct sl_error err = {0};
        struct sl_bytes answer = {0};
        for (int n = 0; n < 3; n++)
            assert_error(get(cache, "a", &o, &answer, &err), ENOKEY, cases[i / 2].code, "no, ");
        assert_int_equal(o.asked, keeps_refusals ? cases[i / 2].asked : 3);
        assert_null(answer.data);
    }
}

static void refusal_may_be_ignored_by_who_asks(void **state)
{
    (void)state;
    SL_AUTO(sl_answer_cache) cache = new_cache();
    struct oracle o = {.failure = SL_E_AUTH};
    struct sl_bytes answer = {0};
    assert_int_equal(get(cache, "a", &o, &answer, NULL), -ENOKEY);
    assert_int_equal(get(cache, "a", &o, &answer, NULL), -ENOKEY);
}

static void questions_above_the_limit_are_asked_each_time(void **state)
{
    (void)state;
    SL_AUTO(sl_answer_cache) cache = new_cache();
    struct oracle o = {0};
    for (int i = 0; i < 4096; i++) {
        char question[16];
        (void)snprintf(question, sizeof(question), "%d", i);
        assert_yes(cache, question, &o);
    }
    assert_yes(cache, "one more", &o);
    assert_yes(cache, "one more", &o);
    assert_int_equal(o.asked, 4098);
    assert_yes(cache, "0", &o);
    assert_int_equal(o.asked, 4098);
}

/* ---- many at once ---- */

struct asker {
    pthread_t thread;
    struct sl_answer_cache *cache;
    struct oracle *oracle;
    int result;
    struct sl_bytes answer;
    struct sl_error error;
};

static void *run_asker(void *arg)
{
    struct asker *a = arg;
    atomic_fetch_add(&a->oracle->arrived, 1);
    a->result = get(a->cache, "kbs:///default/key/1", a->oracle, &a->answer, &a->error);
    return NULL;
}

static void ask_from_many_threads(struct sl_answer_cache *cache, struct oracle *o,
                                  struct asker askers[THREADS])
{
    o->wait_for = THREADS;
    for (int i = 0; i < THREADS; i++) {
        askers[i] = (struct asker){.cache = cache, .oracle = o};
        assert_int_equal(pthread_create(&askers[i].thread, NULL, run_asker, &askers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
}

static void many_threads_make_one_request(void **state)
{
    (void)state;
    SL_AUTO(sl_answer_cache) cache = new_cache();
    struct oracle o = {0};
    struct asker askers[THREADS];
    ask_from_many_threads(cache, &o, askers);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(askers[i].result, 0);
        assert_string_equal((const char *)askers[i].answer.data, "yes");
        sl_bytes_wipe(&askers[i].answer);
    }
    assert_int_equal(o.asked, 1);
}

static void many_threads_share_one_refusal(void **state)
{
    (void)state;
    SL_AUTO(sl_answer_cache) cache = new_cache();
    struct oracle o = {.failure = SL_E_AUTH};
    struct asker askers[THREADS];
    ask_from_many_threads(cache, &o, askers);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(askers[i].result, -ENOKEY);
        assert_int_equal(askers[i].error.code, SL_E_AUTH);
        assert_string_equal(askers[i].error.msg, "no, 1");
    }
    assert_int_equal(o.asked, 1);
}

/* Those who come when the failure has been told ask again; nobody may wait for ever. */
static void many_threads_survive_a_failure_to_ask(void **state)
{
    (void)state;
    SL_AUTO(sl_answer_cache) cache = new_cache();
    struct oracle o = {.failure = SL_E_NETWORK};
    struct asker askers[THREADS];
    ask_from_many_threads(cache, &o, askers);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(askers[i].error.code, SL_E_NETWORK);
    assert_in_range(o.asked, 1, THREADS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answer_is_asked_once_and_kept),
        cmocka_unit_test(refusal_is_kept_on_demand_and_failure_to_ask_is_not),
        cmocka_unit_test(refusal_may_be_ignored_by_who_asks),
        cmocka_unit_test(questions_above_the_limit_are_asked_each_time),
        cmocka_unit_test(many_threads_make_one_request),
        cmocka_unit_test(many_threads_share_one_refusal),
        cmocka_unit_test(many_threads_survive_a_failure_to_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
