/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "assert_result.h"

static void options_of_an_older_version_leave_the_rest_zero(void **state)
{
    (void)state;
    struct sluice_key_options now =
        SLUICE_OPTIONS(sluice_key_options, .kbc = "a::b", .pgp_home = "/home", .timeout_s = 7);
    struct sl_key_options ret;
    now.size = offsetof(struct sluice_key_options, pgp_home);
    assert_int_equal(sl_api_key_options(&now, &ret, NULL), 0);
    assert_string_equal(ret.kbc, "a::b");
    assert_null(ret.pgp_home);
    assert_int_equal(ret.timeout_s, 0);
}

static void options_of_the_same_version_are_all_taken(void **state)
{
    (void)state;
    const struct sluice_key_options now =
        SLUICE_OPTIONS(sluice_key_options, .kbc = "a::b", .upstream = "unix:///u",
                       .allow_a256ctr = true, .timeout_s = 7);
    struct sl_key_options ret;
    assert_int_equal(sl_api_key_options(&now, &ret, NULL), 0);
    assert_string_equal(ret.upstream, "unix:///u");
    assert_true(ret.allow_a256ctr);
    assert_false(ret.unsafe_sample_key);
    assert_int_equal(ret.timeout_s, 7);
}

struct newer {
    struct sluice_policy_options known;
    const char *unknown;
};

static void options_of_a_newer_version_count_when_nothing_new_is_said(void **state)
{
    (void)state;
    struct newer newer = {.known = {.size = sizeof(newer), .policy = "/p"}};
    struct sl_policy_options ret;
    assert_int_equal(sl_api_policy_options(&newer.known, &ret, NULL), 0);
    assert_string_equal(ret.policy, "/p");
}

static void options_of_a_newer_version_that_say_something_new_are_refused(void **state)
{
    (void)state;
    struct newer newer = {.known = {.size = sizeof(newer), .policy = "/p"}, .unknown = "x"};
    struct sl_policy_options ret;
    struct sl_error err = {0};
    assert_int_equal(sl_api_policy_options(&newer.known, &ret, &err), -E2BIG);
    assert_int_equal(err.code, SL_E_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "policy: a member is set"));
}

static void sizes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 7, 12, 4104, SIZE_MAX};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct sluice_registry_options o = {.size = sizes[i]};
        struct sl_registry_options ret;
        struct sl_error err = {0};
        assert_int_equal(sl_api_registry_options(&o, &ret, &err), -EINVAL);
        assert_int_equal(err.code, SL_E_FORMAT);
        assert_non_null(strstr(err.msg, "SLUICE_OPTIONS"));
    }
}

static void no_options_are_zero_where_they_may_be_missing(void **state)
{
    (void)state;
    struct sl_registry_options ret = {.insecure = true};
    assert_int_equal(sl_api_registry_options(NULL, &ret, NULL), 0);
    assert_false(ret.insecure);
    assert_false(ret.force_secure);
}

static void tls_is_one_of_three(void **state)
{
    (void)state;
    struct sluice_registry_options o = SLUICE_OPTIONS(sluice_registry_options);
    struct sl_registry_options ret;
    o.tls = SLUICE_TLS_VERIFY;
    assert_int_equal(sl_api_registry_options(&o, &ret, NULL), 0);
    assert_true(ret.force_secure && !ret.insecure);
    o.tls = SLUICE_TLS_INSECURE;
    assert_int_equal(sl_api_registry_options(&o, &ret, NULL), 0);
    assert_true(ret.insecure && !ret.force_secure);
}

static void answers_fit_what_the_caller_knows(void **state)
{
    (void)state;
    struct sluice_usage usage = {.size = offsetof(struct sluice_usage, buffers_peak),
                                 .buffers_peak = 42};
    const struct sluice_usage now = {.buffer_bytes = 1, .buffers_peak = 2};
    sl_api_give(&usage, &now, sizeof(now));
    assert_int_equal(usage.size, offsetof(struct sluice_usage, buffers_peak));
    assert_int_equal(usage.buffer_bytes, 1);
    assert_int_equal(usage.buffers_peak, 42);
}

static void answers_to_a_newer_caller_are_zero_behind_what_is_known(void **state)
{
    (void)state;
    struct {
        struct sluice_usage known;
        uint64_t unknown;
    } newer = {.known = {.size = sizeof(newer)}, .unknown = 42};
    const struct sluice_usage now = {.store_total_bytes = 3};
    sl_api_give(&newer.known, &now, sizeof(now));
    assert_int_equal(newer.known.size, sizeof(newer));
    assert_int_equal(newer.known.store_total_bytes, 3);
    assert_int_equal(newer.unknown, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_of_an_older_version_leave_the_rest_zero),
        cmocka_unit_test(options_of_the_same_version_are_all_taken),
        cmocka_unit_test(options_of_a_newer_version_count_when_nothing_new_is_said),
        cmocka_unit_test(options_of_a_newer_version_that_say_something_new_are_refused),
        cmocka_unit_test(sizes_that_cannot_be_are_refused),
        cmocka_unit_test(no_options_are_zero_where_they_may_be_missing),
        cmocka_unit_test(tls_is_one_of_three),
        cmocka_unit_test(answers_fit_what_the_caller_knows),
        cmocka_unit_test(answers_to_a_newer_caller_are_zero_behind_what_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
