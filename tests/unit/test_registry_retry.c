/* SPDX-License-Identifier: Apache-2.0 */
#include "retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <curl/curl.h>

static void status_transient_ones_are_retried(void **state)
{
    (void)state;
    static const long yes[] = {408, 429, 500, 502, 503, 504};
    static const long no[] = {200, 301, 400, 401, 403, 404, 405, 416, 451, 501, 505, 0};
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        assert_true(sl_retry_is_transient_status(yes[i]));
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        assert_false(sl_retry_is_transient_status(no[i]));
}

static void curl_bad_certificate_and_nonsense_are_final(void **state)
{
    (void)state;
    assert_true(sl_retry_is_transient_curl(CURLE_COULDNT_RESOLVE_HOST));
    assert_true(sl_retry_is_transient_curl(CURLE_COULDNT_CONNECT));
    assert_true(sl_retry_is_transient_curl(CURLE_SSL_CONNECT_ERROR));
    assert_true(sl_retry_is_transient_curl(CURLE_RECV_ERROR));
    assert_true(sl_retry_is_transient_curl(CURLE_PARTIAL_FILE));
    assert_true(sl_retry_is_transient_curl(CURLE_OPERATION_TIMEDOUT));
    assert_false(sl_retry_is_transient_curl(CURLE_PEER_FAILED_VERIFICATION));
    assert_false(sl_retry_is_transient_curl(CURLE_UNSUPPORTED_PROTOCOL));
    assert_false(sl_retry_is_transient_curl(CURLE_WRITE_ERROR));
}

static void retry_after_seconds_are_read_and_capped(void **state)
{
    (void)state;
    assert_int_equal(sl_retry_after_ms("0", 0), 0);
    assert_int_equal(sl_retry_after_ms("17", 0), 17000);
    assert_int_equal(sl_retry_after_ms("300", 0), SL_RETRY_AFTER_CAP_MS);
    assert_int_equal(sl_retry_after_ms("301", 0), SL_RETRY_AFTER_CAP_MS);
    assert_int_equal(sl_retry_after_ms("99999999999999999999999999", 0), SL_RETRY_AFTER_CAP_MS);
}

/* The date of RFC 9110 5.6.7, in its three forms: 784111777 seconds after the epoch. */
static void retry_after_dates_are_read_in_all_forms(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        assert_int_equal(sl_retry_after_ms(forms[i], 784111777 - 30), 30000);
        assert_int_equal(sl_retry_after_ms(forms[i], 784111777 + 30), 0);
        assert_int_equal(sl_retry_after_ms(forms[i], 784111777 - 86400), SL_RETRY_AFTER_CAP_MS);
    }
}

static void retry_after_nonsense_is_as_if_absent(void **state)
{
    (void)state;
    assert_int_equal(sl_retry_after_ms(NULL, 0), -1);
    assert_int_equal(sl_retry_after_ms("", 0), -1);
    assert_int_equal(sl_retry_after_ms("soon", 0), -1);
    assert_int_equal(sl_retry_after_ms("-5", 0), -1);
}

static void pauses_double_up_to_the_cap(void **state)
{
    (void)state;
    static const uint64_t full[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    struct sl_retry low = {.max_attempts = 9, .base_ms = 1000}, high = low;
    uint64_t ms = 0;
    for (size_t i = 0; i < sizeof(full) / sizeof(full[0]); i++) {
        assert_true(sl_retry_next(&low, -1, 0, &ms));
        assert_int_equal(ms, full[i] / 2);
        assert_true(sl_retry_next(&high, -1, (uint32_t)(full[i] / 2), &ms));
        assert_int_equal(ms, full[i]);
    }
    assert_false(sl_retry_next(&low, -1, 0, &ms));
}

static void server_may_ask_for_more_but_not_for_less(void **state)
{
    (void)state;
    struct sl_retry retry = {.max_attempts = 5, .base_ms = 1000};
    uint64_t ms = 0;
    assert_true(sl_retry_next(&retry, 120000, 0, &ms));
    assert_int_equal(ms, 120000);
    assert_true(sl_retry_next(&retry, 0, 0, &ms));
    assert_int_equal(ms, 1000);
}

static void one_attempt_means_no_retry(void **state)
{
    (void)state;
    struct sl_retry retry = {.max_attempts = 1, .base_ms = 1000};
    uint64_t ms = 7;
    assert_false(sl_retry_next(&retry, -1, 0, &ms));
    assert_int_equal(ms, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_transient_ones_are_retried),
        cmocka_unit_test(curl_bad_certificate_and_nonsense_are_final),
        cmocka_unit_test(retry_after_seconds_are_read_and_capped),
        cmocka_unit_test(retry_after_dates_are_read_in_all_forms),
        cmocka_unit_test(retry_after_nonsense_is_as_if_absent),
        cmocka_unit_test(pauses_double_up_to_the_cap),
        cmocka_unit_test(server_may_ask_for_more_but_not_for_less),
        cmocka_unit_test(one_attempt_means_no_retry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
