/* SPDX-License-Identifier: Apache-2.0 */
#include "pkcs11_policy.h"

#include "key_vectors.h"

#include "scratch_dir.h"

static void put_file(const struct scratch_dir *dir, const char *name, const char *text)
{
    char *path = scratch_path(dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    free(path);
}

/* {dirs, allowed}, each with the folder in front. */
static void make_policy(const struct scratch_dir *dir, const char *directory, const char *allowed,
                        struct sl_pkcs11_policy *ret)
{
    char *text = sl_strf("pkcs11:\n  module-directories: [%s%s]\n  allowed-module-paths: [%s%s]\n",
                         dir->path, directory, dir->path, allowed);
    assert_ok(sl_pkcs11_policy_parse(sl_span_of(text), ret, NULL));
    free(text);
}

static void module_is_found_where_the_policy_allows(void **state)
{
    (void)state;
    static const struct {
        const char *directory, *allowed, *path, *name, *found;
        enum sl_errc code;
    } cases[] = {
        {"/", "/", NULL, "softhsm2", "/libsofthsm2.so", SL_OK},
        {"", "/", NULL, "SoftHSM2", "/libsofthsm2.so", SL_OK},
        {"", "/", NULL, "libsofthsm2.so", "/libsofthsm2.so", SL_OK},
        {"/", "/libsofthsm2.so", NULL, "softhsm2", "/libsofthsm2.so", SL_OK},
        {"/", "/", NULL, "softhsm", NULL, SL_E_AUTH},
        {"/", "/", NULL, "soft", NULL, SL_E_AUTH},
        {"/none", "/", NULL, "softhsm2", NULL, SL_E_AUTH},
        {"/", "/other/", NULL, "softhsm2", NULL, SL_E_POLICY},
        {"/", "", NULL, "softhsm2", NULL, SL_E_POLICY},
        {"/", "/", "/libsofthsm2.so", NULL, "/libsofthsm2.so", SL_OK},
        {"/", "/", "/not-there.so", NULL, "/not-there.so", SL_OK},
        {"/", "/", "/sub/evil.so", NULL, NULL, SL_E_POLICY},
        {"/", "/", "/sub/../libsofthsm2.so", NULL, NULL, SL_E_POLICY},
        {"/", "/sub/", "/sub", "evil", "/sub/evil.so", SL_OK},
        {"/", "/", "/sub", "evil", NULL, SL_E_POLICY},
        {"/", "/", "/sub", NULL, NULL, SL_E_FORMAT},
        {"/", "/", NULL, "", NULL, SL_E_FORMAT},
        {"/", "/", NULL, NULL, NULL, SL_E_FORMAT},
    };
    SCRATCH_DIR dir = scratch_make();
    put_file(&dir, "libsofthsm2.so", "");
    char *sub = scratch_path(&dir, "sub");
    assert_ok(mkdir(sub, 0700));
    put_file(&dir, "sub/evil.so", "");
    free(sub);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_pkcs11_policy) policy = {0};
        make_policy(&dir, cases[i].directory, cases[i].allowed, &policy);
        SL_AUTO_FREE char *path = cases[i].path ? sl_strf("%s%s", dir.path, cases[i].path) : NULL;
        SL_AUTO_FREE char *want = sl_strf("%s%s", dir.path, cases[i].found ? cases[i].found : "");
        SL_AUTO_FREE char *found = NULL;
        struct sl_error err = {0};
        int r = sl_pkcs11_policy_find(&policy, path, cases[i].name, &found, &err);
        assert_int_equal(err.code, cases[i].code);
        assert_int_equal(r == 0, cases[i].code == SL_OK);
        if (r == 0)
            assert_string_equal(found, want);
    }
}

static void policy_of_no_use_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"pkcs11: {module-directories: /usr/lib}", "is no list"},
        {"pkcs11: {module-directories: [lib]}", "module-directories[0] is no absolute path"},
        {"pkcs11: {allowed-module-paths: [/a, \"\"]}", "allowed-module-paths[1]"},
        {"pkcs11: {allowed-module-paths: [1]}", "allowed-module-paths[0]"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_pkcs11_policy policy = {.allowed = {.n = 7}};
        struct sl_error err = {0};
        assert_fails(sl_pkcs11_policy_parse(sl_span_of(cases[i].text), &policy, &err), EBADMSG, err,
                     SL_E_FORMAT);
        assert_contains(err.msg, cases[i].says);
        assert_int_equal(policy.allowed.n, 7);
    }
    struct sl_pkcs11_policy policy = {0};
    struct sl_error err = {0};
    assert_fails(sl_pkcs11_policy_parse(sl_span_of("pkcs11: ["), &policy, &err), EINVAL, err,
                 SL_E_FORMAT);
}

static size_t loaded(void)
{
    SL_AUTO_DONE(sl_pkcs11_policy) policy = {0};
    assert_ok(sl_pkcs11_policy_load(&policy, NULL));
    return policy.allowed.n;
}

static void set_folder(const char *name, const struct scratch_dir *dir, const char *folder)
{
    char *path = scratch_path(dir, folder);
    assert_ok(setenv(name, path, 1));
    free(path);
}

/* Each place has another number of allowed paths. */
static void policy_comes_from_the_first_file_there_is(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_pkcs11_policy) builtin = {0};
    assert_ok(sl_pkcs11_policy_builtin(&builtin, NULL));
    assert_true(builtin.allowed.n > 3);
    SCRATCH_DIR dir = scratch_make();
    char *config = scratch_path(&dir, ".config");
    assert_ok(mkdir(config, 0700));
    free(config);
    assert_ok(unsetenv("OCICRYPT_CONFIG"));
    set_folder("XDG_CONFIG_HOME", &dir, "none");
    set_folder("HOME", &dir, "");
    put_file(&dir, ".config/ocicrypt.conf", "pkcs11: {allowed-module-paths: [/a]}");
    assert_int_equal(loaded(), 1);
    put_file(&dir, "ocicrypt.conf", "pkcs11: {allowed-module-paths: [/a, /b]}");
    set_folder("XDG_CONFIG_HOME", &dir, "");
    assert_int_equal(loaded(), 2);
    put_file(&dir, "mine", "pkcs11: {allowed-module-paths: [/a, /b, /c]}");
    set_folder("OCICRYPT_CONFIG", &dir, "mine");
    assert_int_equal(loaded(), 3);
    assert_ok(setenv("OCICRYPT_CONFIG", "internal", 1));
    assert_int_equal(loaded(), builtin.allowed.n);
    set_folder("OCICRYPT_CONFIG", &dir, "missing");
    struct sl_error err = {0};
    assert_fails(sl_pkcs11_policy_load(&builtin, &err), ENOENT, err, SL_E_SYSTEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(module_is_found_where_the_policy_allows),
        cmocka_unit_test(policy_of_no_use_is_refused),
        cmocka_unit_test(policy_comes_from_the_first_file_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
