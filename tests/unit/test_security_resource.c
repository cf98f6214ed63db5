/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/resource.h"

#include "assert_result.h"
#include "scratch_dir.h"

#define RESOURCES                                                                                  \
    "{\"default/security-policy/test\":\"cG9saWN5\",\"default/empty/test\":\"\"}" /* "policy" */

static struct sl_kbc *open_broker(const struct scratch_dir *dir)
{
    scratch_write(dir, "resources", RESOURCES, 0600);
    SL_AUTO_FREE char *resources = scratch_path(dir, "resources");
    const struct sl_kbc_options options = {.selection = "offline_fs_kbc::null",
                                           .offline_resources = resources};
    struct sl_kbc *kbc = NULL;
    struct sl_error err = {0};
    assert_done(sl_kbc_open(&options, &kbc, &err));
    return kbc;
}

static void assert_got(const struct sl_resources *resources, const char *name, const char *text)
{
    struct sl_error err = {0};
    SL_AUTO_DONE(sl_bytes) got = {0};
    assert_done(sl_resource_get(resources, name, 100, &got, &err));
    assert_string_equal((const char *)got.data, text);
}

static void assert_refused(const struct sl_resources *resources, const char *name, int errnum,
                           enum sl_errc code, const char *message)
{
    struct sl_error err = {0};
    struct sl_bytes got = {0};
    assert_error(sl_resource_get(resources, name, 100, &got, &err), errnum, code, message);
    assert_null(got.data);
}

static void resource_is_read_from_where_its_name_says(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    SL_AUTO(sl_kbc) kbc = open_broker(&dir);
    const struct sl_resources resources = {.kbc = kbc};
    scratch_write(&dir, "plain", "a file", 0600);
    SL_AUTO_FREE char *path = scratch_path(&dir, "plain");
    SL_AUTO_FREE char *uri = sl_strf("file://%s", path);
    assert_got(&resources, path, "a file");
    assert_got(&resources, uri, "a file");
    assert_got(&resources, "kbs:///default/security-policy/test", "policy");
}

static void what_is_no_resource_is_refused_by_name(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    SL_AUTO(sl_kbc) kbc = open_broker(&dir);
    const struct sl_resources resources = {.kbc = kbc}, no_broker = {0};
    SL_AUTO_FREE char *big = malloc(102);
    memset(big, 'x', 101);
    big[101] = 0;
    scratch_write(&dir, "big", big, 0600);
    scratch_write(&dir, "empty", "", 0600);
    SL_AUTO_FREE char *big_path = scratch_path(&dir, "big");
    SL_AUTO_FREE char *empty_path = scratch_path(&dir, "empty");
    SL_AUTO_FREE char *fifo_path = scratch_path(&dir, "fifo");
    assert_int_equal(mkfifo(fifo_path, 0600), 0);
    const struct {
        const char *name;
        int errnum;
        enum sl_errc code;
        const char *message;
    } cases[] = {
        {"/nonexistent/policy.json", ENOENT, SL_E_SYSTEM, "/nonexistent/policy.json"},
        {dir.path, EISDIR, SL_E_SYSTEM, dir.path},
        {big_path, E2BIG, SL_E_LIMIT, big_path},
        {empty_path, ENODATA, SL_E_FORMAT, "is empty"},
        {fifo_path, ENODATA, SL_E_FORMAT, "is empty"},
        {"file://relative", EINVAL, SL_E_FORMAT, "absolute path"},
        {"https://example.com/policy.json", EINVAL, SL_E_FORMAT, "https://example.com/policy.json"},
        {"kbs:///default/security-policy/other", ENOENT, SL_E_AUTH, "other"},
        {"kbs:///default/../test", EBADMSG, SL_E_FORMAT, ".."},
        {"kbs:///default/empty/test", ENODATA, SL_E_FORMAT, "is empty"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_refused(&resources, cases[i].name, cases[i].errnum, cases[i].code, cases[i].message);
    assert_refused(&no_broker, "kbs:///default/security-policy/test", ENOKEY, SL_E_AUTH, "--kbc");
}

/* ---- pins ---- */

/* printf policy | sha256sum; printf policy | sha384sum, in two pieces */
#define SHA256 "823412d1eacb67956220e532959f0104603057c88704863ca38e7cd188fda812"
#define SHA384_HEAD "55c3537b4d68df3e9bcf6bf7d37eb15ab32e67caa492891ae1397fc3cdb48513"
#define SHA384_TAIL "f87d8e1f89da67b8143860f3d867aca7"
#define ZEROS "00000000000000000000000000000000" /* 16 bytes */

static int check(const char *pin, struct sl_error *err)
{
    return sl_pinned_digest_check(pin, sl_span_of("policy"), "policy", err);
}

static void pin_fits_in_every_launch_field(void **state)
{
    (void)state;
    static const char *const pins[] = {
        "sha256:" SHA256,                        /* SNP HOST_DATA */
        "sha256:" SHA256 ZEROS,                  /* TDX MRCONFIGID */
        "sha256:" SHA256 ZEROS ZEROS,            /* SGX CONFIGID */
        "sha384:" SHA384_HEAD SHA384_TAIL,       /* TDX */
        "sha384:" SHA384_HEAD,                   /* SNP, cut */
        "sha384:" SHA384_HEAD SHA384_TAIL ZEROS, /* SGX */
    };
    struct sl_error err = {0};
    for (size_t i = 0; i < sizeof(pins) / sizeof(pins[0]); i++)
        assert_done(check(pins[i], &err));
}

static void pin_of_something_else_is_a_policy_error(void **state)
{
    (void)state;
    static const char *const pins[] = {
        "sha256:" SHA384_HEAD,
        "sha384:" SHA256,
        "sha384:" SHA384_HEAD ZEROS,
    };
    struct sl_error err = {0};
    for (size_t i = 0; i < sizeof(pins) / sizeof(pins[0]); i++)
        assert_error(check(pins[i], &err), EPERM, SL_E_POLICY, "the policy has digest sha");
}

static void malformed_pin_is_refused(void **state)
{
    (void)state;
    static const char *const pins[] = {
        "",
        SHA256,
        "sha256:",
        "sha512:" SHA256 SHA256,
        "SHA256:" SHA256,
        "sha256:823412D1EACB67956220E532959F0104603057C88704863CA38E7CD188FDA812",
        "sha256:" SHA256 "00",
        "sha256:" SHA256 SHA384_TAIL, /* not zeros behind it */
        "sha256:" ZEROS,
        "sha384:" ZEROS,
        "sha384:" SHA384_HEAD "00",
        "sha384:" SHA384_HEAD SHA384_TAIL SHA384_TAIL,
        "sha256:" SHA256 ZEROS ZEROS ZEROS,
        "sha256:" SHA256 " ",
    };
    struct sl_error err = {0};
    for (size_t i = 0; i < sizeof(pins) / sizeof(pins[0]); i++) {
        assert_error(check(pins[i], &err), EINVAL, SL_E_FORMAT, "is not sha256:");
        assert_error(sl_pinned_digest_parse(pins[i], &err), EINVAL, SL_E_FORMAT, "is not sha256:");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resource_is_read_from_where_its_name_says),
        cmocka_unit_test(what_is_no_resource_is_refused_by_name),
        cmocka_unit_test(pin_fits_in_every_launch_field),
        cmocka_unit_test(pin_of_something_else_is_a_policy_error),
        cmocka_unit_test(malformed_pin_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
