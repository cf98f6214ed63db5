/* SPDX-License-Identifier: Apache-2.0 */
#include "pkcs11_key_file.h"

#include "pkcs11_token.h"

#include "key_vectors.h"

static void key_file_with_and_without_module_is_read(void **state)
{
    (void)state;
    struct sl_pkcs11_key_file file = {0};
    assert_ok(sl_pkcs11_key_file_parse(sl_span_of("pkcs11:\n  uri: pkcs11:token=t;object=o\n"),
                                       &file, NULL));
    assert_string_equal(file.uri, "pkcs11:token=t;object=o");
    assert_int_equal(file.n_env, 0);
    sl_pkcs11_key_file_done(&file);
    assert_ok(sl_pkcs11_key_file_parse(
        sl_span_of("pkcs11:\n  uri: \"pkcs11:id=%01?pin-value=1\"\nmodule:\n  env:\n    A_B: /c\n"
                   "    D: \"1\"\n"),
        &file, NULL));
    assert_int_equal(file.n_env, 2);
    assert_string_equal(file.env[0].name, "A_B");
    assert_string_equal(file.env[0].value, "/c");
    assert_string_equal(file.env[1].value, "1");
    sl_pkcs11_key_file_done(&file);
    assert_null(file.uri);
}

static void key_file_gives_its_pin_however_it_is_written(void **state)
{
    (void)state;
    static const struct {
        const char *text, *uri;
    } cases[] = {
        {"pkcs11:\n  uri: pkcs11:id=%01?pin-value=a.b%20c\n", "pkcs11:id=%01?pin-value=a.b%20c"},
        {"pkcs11: {uri: 'pkcs11:id=%01?pin-value=12&x=y'}", "pkcs11:id=%01?pin-value=12&x=y"},
        {"pkcs11:\n  uri: \"pkcs11:id=%01?pin-value=12\\x334\"", "pkcs11:id=%01?pin-value=1234"},
        {"pkcs11:\n  uri: \"pkcs11:id=%01?pin-value=12\\\n    34\"",
         "pkcs11:id=%01?pin-value=1234"},
        {"pkcs11:\n  uri: \"pkcs11:id=%01?pin\\x2dvalue=1&pin-value=2\"",
         "pkcs11:id=%01?pin-value=1&pin-value=2"},
        {"# pin-value=9\npkcs11:\n  uri: pkcs11:id=%01?pin-value=12\n",
         "pkcs11:id=%01?pin-value=12"},
        {"pkcs11:\n  uri: pkcs11:id=%01?pin-value=\n", "pkcs11:id=%01?pin-value="},
        {"pkcs11:\n  uri: u\nmodule:\n  env:\n    A: pin-value=12\n", "u"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_pkcs11_key_file file = {0};
        assert_ok(sl_pkcs11_key_file_parse(sl_span_of(cases[i].text), &file, NULL));
        assert_string_equal(file.uri, cases[i].uri);
        if (file.n_env)
            assert_string_equal(file.env[0].value, "pin-value=12");
        sl_pkcs11_key_file_done(&file);
    }
}

static void key_file_is_told_from_others(void **state)
{
    (void)state;
    assert_true(sl_pkcs11_key_file_looks_like(sl_span_of("pkcs11:\n  uri: x\n")));
    assert_false(sl_pkcs11_key_file_looks_like(sl_span_of("{\"kty\":\"RSA\"}")));
    assert_false(sl_pkcs11_key_file_looks_like(
        sl_span_of("pkcs11: comment\n-----BEGIN PRIVATE KEY-----\n")));
}

static void key_file_of_no_use_is_refused_without_quoting_it(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *says;
    } cases[] = {
        {"pkcs11:\n  hunter2: [", "not valid YAML"},
        {"", "no pkcs11.uri"},
        {"pkcs11: pkcs11:object=hunter2\n", "no pkcs11.uri"},
        {"pkcs11:\n  uri: [hunter2]\n", "no pkcs11.uri"},
        {"pkcs11:\n  uri: x\nmodule:\n  env: [hunter2]\n", "must map"},
        {"pkcs11:\n  uri: x\nmodule:\n  env: {A: 1}\n", "module.env.A must be a string"},
        {"pkcs11:\n  uri: x\nmodule:\n  env: {\"\": hunter2}\n", "a name"},
        {"pkcs11:\n  uri: x\nmodule:\n  env: {B: b, \"A=\": hunter2}\n", "a name"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_pkcs11_key_file file = {.n_env = 7};
        struct sl_error err = {0};
        int r = sl_pkcs11_key_file_parse(sl_span_of(cases[i].text), &file, &err);
        assert_contains(err.msg, cases[i].says);
        assert_true(r == -EBADMSG);
        assert_int_equal(err.code, SL_E_FORMAT);
        assert_null(strstr(err.msg, "hunter2"));
        assert_int_equal(file.n_env, 7);
    }
}

static void uri_must_name_key_token_and_module(void **state)
{
    (void)state;
    assert_ok(setenv("OCICRYPT_CONFIG", "internal", 1));
    static const struct {
        const char *uri;
        enum sl_errc code;
        const char *says;
    } cases[] = {
        {"http://x", SL_E_FORMAT, "PKCS#11 URI"},
        {"pkcs11:token=t?module-name=x", SL_E_FORMAT, "neither id nor object"},
        {"pkcs11:object=o?module-name=x", SL_E_FORMAT, "neither token nor slot-id"},
        {"pkcs11:object=o;token=t", SL_E_FORMAT, "names no module"},
        {"pkcs11:object=o;token=t?module-name=sluicetest", SL_E_AUTH, "no PKCS#11 module fits"},
        {"pkcs11:object=o;slot-id=1?module-path=/tmp/x.so", SL_E_POLICY,
         "/tmp/x.so is not allowed"},
        {"pkcs11:object=o;token=t?module-path=/tmp/x.so&pin-source=exec:a", SL_E_UNSUPPORTED,
         "pin-source"},
        {"pkcs11:object=o;token=t?module-path=/tmp/x.so&pin-source=file:/nonexistent", SL_E_SYSTEM,
         "pin-source: /nonexistent"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text =
            sl_strf("pkcs11: {uri: \"%s\"}\nmodule: {env: {SL_NEVER_SET: x}}\n", cases[i].uri);
        SL_AUTO(sl_pkcs11_key) key = NULL;
        struct sl_error err = {0};
        assert_true(sl_pkcs11_key_new(sl_span_of(text), &key, &err) < 0);
        assert_contains(err.msg, cases[i].says);
        assert_int_equal(err.code, cases[i].code);
        assert_null(getenv("SL_NEVER_SET"));
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_file_with_and_without_module_is_read),
        cmocka_unit_test(key_file_gives_its_pin_however_it_is_written),
        cmocka_unit_test(key_file_is_told_from_others),
        cmocka_unit_test(key_file_of_no_use_is_refused_without_quoting_it),
        cmocka_unit_test(uri_must_name_key_token_and_module),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
