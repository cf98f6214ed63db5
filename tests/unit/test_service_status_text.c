/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "status_text.h"

#include <errno.h>
#include <string.h>

static const struct sluice_error denied = {
    .code = SLUICE_E_POLICY,
    .errnum = EPERM,
    .message = "Image policy rejected: Denied by policy: reject",
};

static void status_of_a_pull_has_the_words_of_the_hub(void **state)
{
    (void)state;
    struct sl_status s = sl_status_of_failure(SL_STEP_PULL, "r.example/a:1", &denied);
    assert_int_equal(s.code, SL_RPC_INTERNAL);
    assert_string_equal(s.text,
                        "[CDH] [ERROR]: Failed to pull image r.example/a:1 from all mirror/mapping "
                        "locations or original location: image: r.example/a:1, error: Image policy "
                        "rejected: Denied by policy: reject");
}

static void status_of_a_bad_reference_says_so(void **state)
{
    (void)state;
    const struct sluice_error err = {.code = SLUICE_E_FORMAT, .message = "no tag"};
    struct sl_status s = sl_status_of_failure(SL_STEP_REFERENCE, "", &err);
    assert_string_equal(s.text,
                        "[CDH] [ERROR]: Failed to pull image : Illegal image reference: no tag");
}

static void status_of_a_bundle_names_the_image(void **state)
{
    (void)state;
    const struct sluice_error err = {.code = SLUICE_E_SYSTEM, .message = "rootfs: no space"};
    struct sl_status s = sl_status_of_failure(SL_STEP_BUNDLE, "a", &err);
    assert_string_equal(s.text, "[CDH] [ERROR]: Failed to pull image a: rootfs: no space");
}

static void status_of_a_monster_is_cut_and_printable(void **state)
{
    (void)state;
    static char image[1024 * 1024];
    struct sluice_error err = {.code = SLUICE_E_FORMAT};
    memset(image, 'x', sizeof(image) - 1);
    memcpy(image, "\x1b[31m\n\xff", 7);
    memset(err.message, 'e', sizeof(err.message) - 1);
    struct sl_status s = sl_status_of_failure(SL_STEP_PULL, image, &err);
    assert_true(strlen(s.text) < 1300);
    for (const char *p = s.text; *p; p++)
        assert_in_range(*p, 0x20, 0x7e);
    assert_non_null(strstr(s.text, "image ?[31m??xxx"));
    assert_non_null(strstr(s.text, "xxx... from all"));
    assert_non_null(strstr(s.text, "xxx..., error: eee"));
    assert_int_equal(s.text[strlen(s.text) - 1], 'e');
}

static void status_of_a_cancellation_is_its_own(void **state)
{
    (void)state;
    const struct sluice_error by_hand = {.code = SLUICE_E_CANCELLED, .errnum = ECANCELED};
    const struct sluice_error shutdown = {.code = SLUICE_E_CANCELLED, .errnum = ESHUTDOWN};
    assert_int_equal(sl_status_of_failure(SL_STEP_PULL, "a", &by_hand).code, SL_RPC_CANCELLED);
    assert_int_equal(sl_status_of_failure(SL_STEP_PULL, "a", &shutdown).code, SL_RPC_UNAVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_of_a_pull_has_the_words_of_the_hub),
        cmocka_unit_test(status_of_a_bad_reference_says_so),
        cmocka_unit_test(status_of_a_bundle_names_the_image),
        cmocka_unit_test(status_of_a_monster_is_cut_and_printable),
        cmocka_unit_test(status_of_a_cancellation_is_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
