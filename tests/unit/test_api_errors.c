/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "scratch_dir.h"
#include "sluice/api_error.h"

static struct sluice *open_at(const char *root, enum sluice_parts parts)
{
    struct sluice *s = NULL;
    struct sluice_error err = {0};
    const struct sluice_options o =
        SLUICE_OPTIONS(sluice_options, .parts = parts, .root = root, .threads = 1);
    assert_int_equal(sluice_open(&o, &s, &err), 0);
    return s;
}

static void errors_go_out_and_come_back_whole(void **state)
{
    (void)state;
    const struct sl_error from = {
        .code = SL_E_INTEGRITY, .errnum = EBADMSG, .stage = "decompress", .msg = "layer 1: bad"};
    struct sluice_error out = {0};
    struct sl_error back = {0};
    assert_int_equal(sl_api_result(-EBADMSG, &from, &out), -EBADMSG);
    assert_int_equal(out.code, SLUICE_E_INTEGRITY);
    assert_int_equal(out.errnum, EBADMSG);
    assert_string_equal(out.stage, "decompress");
    assert_string_equal(out.message, "layer 1: bad");
    assert_string_equal(sluice_code_name(out.code), "integrity");
    assert_int_equal(sl_error_from_api(-EBADMSG, &out, &back), -EBADMSG);
    assert_int_equal(back.code, SL_E_INTEGRITY);
    assert_string_equal(back.stage, "decompress");
    assert_string_equal(back.msg, "layer 1: bad");
}

static void success_leaves_the_error_untouched(void **state)
{
    (void)state;
    const struct sl_error from = {.code = SL_E_NETWORK};
    struct sluice_error out = {.code = SLUICE_E_AUTH};
    assert_int_equal(sl_api_result(1, &from, &out), 1);
    assert_int_equal(out.code, SLUICE_E_AUTH);
}

static void errors_may_be_null(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    struct sluice *s = NULL;
    assert_int_equal(sluice_open(NULL, &s, NULL), -EINVAL);
    s = open_at(dir.path, SLUICE_STORE_ONLY);
    assert_int_equal(sluice_remove(s, "busybox", false, NULL), -ENOENT);
    assert_int_equal(sluice_pull(s, NULL, NULL, NULL), -EINVAL);
    assert_null(sluice_close(s));
    assert_null(sluice_close(NULL));
}

static void options_without_a_size_are_refused(void **state)
{
    (void)state;
    struct sluice *s = NULL;
    struct sluice_error err = {0};
    const struct sluice_options o = {.size = 0};
    assert_int_equal(sluice_open(&o, &s, &err), -EINVAL);
    assert_int_equal(err.code, SLUICE_E_FORMAT);
    assert_non_null(strstr(err.message, "SLUICE_OPTIONS"));
    assert_null(s);
}

static void parts_are_missed_where_they_are_needed(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    struct sluice_error err = {0};
    const struct sluice_pull_options pull = SLUICE_OPTIONS(sluice_pull_options, .image = "busybox");
    struct sluice *s = open_at(dir.path, SLUICE_STORE_ONLY);
    assert_int_equal(sluice_pull(s, &pull, NULL, &err), -EINVAL);
    assert_non_null(strstr(err.message, "SLUICE_STORE_ONLY"));
    assert_int_equal(sluice_reload(s, NULL, NULL, &err), -EINVAL);
    sluice_cancel(s);
    assert_null(sluice_close(s));
    s = open_at(dir.path, SLUICE_NO_STORE);
    struct sluice_image_list *list = NULL;
    assert_int_equal(sluice_list(s, &list, &err), -EINVAL);
    assert_non_null(strstr(err.message, "SLUICE_NO_STORE"));
    assert_int_equal(sluice_pull(s, &pull, NULL, &err), -EINVAL);
    assert_null(sluice_close(s));
}

static void pull_without_an_image_says_so(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    struct sluice_error err = {0};
    struct sluice *s = open_at(dir.path, SLUICE_ALL);
    const struct sluice_pull_options pull = SLUICE_OPTIONS(sluice_pull_options);
    assert_int_equal(sluice_pull(s, &pull, NULL, &err), -EINVAL);
    assert_int_equal(err.code, SLUICE_E_FORMAT);
    assert_string_equal(err.message, "options: no image is named");
    assert_null(sluice_close(s));
}

static int pull_from_nowhere(struct sluice *s, int cancel_fd, struct sluice_error *err)
{
    const struct sluice_policy_options policy =
        SLUICE_OPTIONS(sluice_policy_options, .insecure = true);
    /* Nobody listens there: without an end this fails as a network does. */
    const struct sluice_pull_options pull =
        SLUICE_OPTIONS(sluice_pull_options, .image = "docker://127.0.0.1:1/some/image:1",
                       .policy = &policy, .cancel_fd = cancel_fd);
    return sluice_pull(s, &pull, NULL, err);
}

static void pull_in_a_cancelled_library_ends_at_once(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    struct sluice_error err = {0};
    struct sluice *s = open_at(dir.path, SLUICE_ALL);
    sluice_cancel(s);
    assert_int_equal(pull_from_nowhere(s, 0, &err), -ECANCELED);
    assert_int_equal(err.code, SLUICE_E_CANCELLED);
    assert_null(sluice_close(s));
}

static void pull_with_its_end_before_its_start_ends_alone(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    struct sluice_error err = {0};
    struct sluice *s = open_at(dir.path, SLUICE_ALL);
    int fd = eventfd(1, EFD_CLOEXEC);
    assert_int_equal(pull_from_nowhere(s, fd, &err), -ECANCELED);
    assert_int_equal(err.code, SLUICE_E_CANCELLED);
    eventfd_t value = 0;
    assert_int_equal(eventfd_read(fd, &value), 0); /* was not read by the pull */
    assert_int_equal(close(fd), 0);
    struct sluice_image_list *list = NULL;
    assert_int_equal(sluice_list(s, &list, &err), 0);
    assert_int_equal(list->n, 0);
    assert_null(sluice_image_list_free(list));
    assert_null(sluice_close(s));
}

/* Nobody ignores SIGPIPE here: it would end the test. */
static void connection_that_is_gone_does_not_end_the_process(void **state)
{
    (void)state;
    int ends[2];
    sigset_t mask;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(close(ends[0]), 0);
    {
        SL_API_QUIET();
        assert_int_equal(write(ends[1], "x", 1), -1);
        assert_int_equal(errno, EPIPE);
    }
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    assert_int_equal(sigismember(&mask, SIGPIPE), 0);
    assert_int_equal(close(ends[1]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_go_out_and_come_back_whole),
        cmocka_unit_test(success_leaves_the_error_untouched),
        cmocka_unit_test(errors_may_be_null),
        cmocka_unit_test(options_without_a_size_are_refused),
        cmocka_unit_test(parts_are_missed_where_they_are_needed),
        cmocka_unit_test(connection_that_is_gone_does_not_end_the_process),
        cmocka_unit_test(pull_without_an_image_says_so),
        cmocka_unit_test(pull_in_a_cancelled_library_ends_at_once),
        cmocka_unit_test(pull_with_its_end_before_its_start_ends_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
