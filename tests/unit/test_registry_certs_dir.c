/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "certs_dir.h"
#include "scratch_dir.h"

#define PEM(x) "-----BEGIN CERTIFICATE-----\n" x "\n-----END CERTIFICATE-----"

static void expect_refused(const struct scratch_dir *d, enum sl_errc code, const char *in_msg)
{
    SL_AUTO_DONE(sl_registry_certs) c = {0};
    struct sl_error err = {0};
    assert_true(sl_registry_certs_load(d->path, "q.io", &c, &err) < 0);
    assert_null(c.roots.data);
    assert_null(c.client_cert);
    if (err.code != code || !strstr(err.msg, in_msg) || !strstr(err.msg, d->path))
        fail_msg("%s: %s", sl_errc_name(err.code), err.msg);
}

static void certs_of_a_folder_are_roots_and_one_pair(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    scratch_write(&d, "b.crt", PEM("two"), 0644);
    scratch_write(&d, "a.crt", PEM("one") "\n", 0644);
    scratch_write(&d, "client.cert", "c", 0644);
    scratch_write(&d, "client.key", "k", 0600);
    scratch_write(&d, "other.cert", "c", 0644);
    scratch_write(&d, "other.key", "k", 0600);
    scratch_write(&d, "README", "x", 0644);
    scratch_write(&d, ".hidden.crt", "x", 0644);
    SL_AUTO_DONE(sl_registry_certs) c = {0};
    struct sl_error err = {0};
    if (sl_registry_certs_load(d.path, "q.io", &c, &err) < 0)
        fail_msg("%s", err.msg);
    assert_string_equal((const char *)c.roots.data, PEM("one") "\n\n" PEM("two") "\n");
    SL_AUTO_FREE char *cert = scratch_path(&d, "client.cert");
    SL_AUTO_FREE char *key = scratch_path(&d, "client.key");
    assert_string_equal(c.client_cert, cert);
    assert_string_equal(c.client_key, key);
}

static void certs_of_an_empty_folder_are_none(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    SL_AUTO_DONE(sl_registry_certs) c = {0};
    assert_int_equal(sl_registry_certs_load(d.path, "q.io", &c, NULL), 0);
    assert_int_equal(c.roots.len, 0);
    assert_null(c.client_cert);
    assert_null(c.client_key);
}

static void certs_with_half_a_pair_are_refused(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    scratch_write(&d, "me.cert", "c", 0644);
    expect_refused(&d, SL_E_FORMAT, "me.cert has no me.key beside it");
    SCRATCH_DIR e = scratch_make();
    scratch_write(&e, "me.key", "k", 0600);
    expect_refused(&e, SL_E_FORMAT, "me.key has no me.cert beside it");
}

static void certs_that_are_no_certificates_are_refused(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    scratch_write(&d, "der.crt", "\x30\x82", 0644);
    expect_refused(&d, SL_E_FORMAT, "der.crt: holds no certificate");
    SCRATCH_DIR e = scratch_make();
    scratch_write(&e, "dir.crt/x", "x", 0644);
    expect_refused(&e, SL_E_SYSTEM, "dir.crt");
}

static void certs_over_the_limit_are_refused(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    scratch_write(&d, "big.crt", PEM("x"), 0644);
    SL_AUTO_FREE char *path = scratch_path(&d, "big.crt");
    assert_int_equal(truncate(path, 4 * 1024 * 1024 + 1), 0);
    expect_refused(&d, SL_E_LIMIT, "big.crt");
}

static void certs_are_those_of_the_first_folder_with_the_host(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    scratch_write(&d, "one/q.io:5000/ca.crt", PEM("one"), 0644);
    scratch_write(&d, "two/q.io:5000/ca.crt", PEM("two"), 0644);
    scratch_write(&d, "two/q.io/ca.crt", PEM("plain"), 0644);
    SL_AUTO_FREE char *none = scratch_path(&d, "none");
    SL_AUTO_FREE char *one = scratch_path(&d, "one");
    SL_AUTO_FREE char *two = scratch_path(&d, "two");
    const char *folders[] = {none, one, two, NULL};
    static const struct {
        const char *host, *roots;
    } cases[] = {{"q.io:5000", PEM("one") "\n"}, {"q.io", PEM("plain") "\n"}, {"r.io", NULL}};
    for (size_t i = 0; i < 3; i++) {
        SL_AUTO_DONE(sl_registry_certs) c = {0};
        assert_int_equal(sl_registry_certs_search(folders, cases[i].host, &c, NULL), 0);
        if (cases[i].roots)
            assert_string_equal((const char *)c.roots.data, cases[i].roots);
        else
            assert_int_equal(c.roots.len, 0);
    }
}

static void certs_of_a_host_that_is_a_path_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "..", ".", "a/b", "../etc"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        SL_AUTO_DONE(sl_registry_certs) c = {0};
        struct sl_error err = {0};
        assert_int_equal(sl_registry_certs_load(NULL, bad[i], &c, &err), -EINVAL);
        assert_int_equal(err.code, SL_E_FORMAT);
    }
}

static void certs_folder_named_explicitly_must_exist(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_registry_certs) c = {0};
    struct sl_error err = {0};
    assert_int_equal(sl_registry_certs_load("/nonexistent", "q.io", &c, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "/nonexistent"));
}

static void certs_of_the_user_are_found(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    scratch_write(&d, ".config/containers/certs.d/q.io/ca.crt", PEM("mine"), 0644);
    assert_int_equal(setenv("HOME", d.path, 1), 0);
    SL_AUTO_DONE(sl_registry_certs) c = {0};
    assert_int_equal(sl_registry_certs_load(NULL, "q.io", &c, NULL), 0);
    assert_string_equal((const char *)c.roots.data, PEM("mine") "\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certs_of_a_folder_are_roots_and_one_pair),
        cmocka_unit_test(certs_of_an_empty_folder_are_none),
        cmocka_unit_test(certs_with_half_a_pair_are_refused),
        cmocka_unit_test(certs_that_are_no_certificates_are_refused),
        cmocka_unit_test(certs_over_the_limit_are_refused),
        cmocka_unit_test(certs_are_those_of_the_first_folder_with_the_host),
        cmocka_unit_test(certs_of_a_host_that_is_a_path_are_refused),
        cmocka_unit_test(certs_folder_named_explicitly_must_exist),
        cmocka_unit_test(certs_of_the_user_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
