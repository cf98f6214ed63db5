/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "error_words.h"

#include <string.h>

static void advice_names_keys_of_the_configuration(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"SSL: no; trust its CA with --cert-dir, or use --tls-verify=false",
         "SSL: no; trust its CA with image.extra_root_certificates"},
        {"check the credentials (--creds, --authfile)",
         "check the credentials (image.authenticated_registry_credentials_uri)"},
        {"kid k: none (--kbc), nor", "kid k: none (kbc.name, sluice.upstream), nor"},
        {"a --kbc b another --root", "a kbc.name, sluice.upstream b another image.work_dir"},
        {"--unknown --kb", "--unknown --kb"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char got[512];
        sl_reword_advice(cases[i].text, got, sizeof(got));
        assert_string_equal(got, cases[i].expected);
    }
}

static void advice_that_grows_is_cut_at_the_end(void **state)
{
    (void)state;
    static const char full[] = "x kbc.name, sluice.upstream y";
    for (size_t size = 1; size <= sizeof(full); size++) {
        char got[sizeof(full) + 1];
        memset(got, '#', sizeof(got));
        sl_reword_advice("x --kbc y", got, size);
        assert_int_equal(strlen(got), size - 1);
        assert_memory_equal(got, full, size - 1);
        assert_int_equal(got[size], '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(advice_names_keys_of_the_configuration),
        cmocka_unit_test(advice_that_grows_is_cut_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
