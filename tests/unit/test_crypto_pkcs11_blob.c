/* SPDX-License-Identifier: Apache-2.0 */
#include "pkcs11_blob.h"

#include "key_vectors.h"

static void blob_of_every_form_is_read(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_pkcs11_blob) blob = {.n = 0};
    assert_ok(sl_pkcs11_blob_parse(
        sl_span_of("{\"version\":0,\"recipients\":[{\"version\":0,\"blob\":\"AQID\",\"hash\":"
                   "\"sha256\"},{\"version\":0,\"blob\":\"BA==\",\"hash\":\"sha1\"},"
                   "{\"blob\":\"BQ==\",\"hash\":\"\"},{\"blob\":\"Bg==\"}]}"),
        &blob, NULL));
    static const char *const digests[] = {"sha256", "sha1", "sha1", "sha1"};
    assert_int_equal(blob.n, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(blob.recipients[i].digest, digests[i]);
    assert_int_equal(blob.recipients[0].text.len, 3);
    assert_memory_equal(blob.recipients[0].text.data, "\1\2\3", 3);
    assert_memory_equal(blob.recipients[3].text.data, "\6", 1);
}

static void blob_is_written_as_others_write_it(void **state)
{
    (void)state;
    struct sl_pkcs11_blob blob = {.n = 2};
    blob.recipients[0] = (struct sl_pkcs11_recipient){{(uint8_t *)"\1\2\3", 3, 3}, "sha256"};
    blob.recipients[1] = (struct sl_pkcs11_recipient){{(uint8_t *)"\4", 1, 1}, "sha1"};
    SL_AUTO_DONE(sl_bytes) text = {0};
    assert_ok(sl_pkcs11_blob_write(&blob, &text, NULL));
    assert_string_equal((const char *)text.data,
                        "{\"version\":0,\"recipients\":[{\"version\":0,\"blob\":\"AQID\",\"hash\":"
                        "\"sha256\"},{\"version\":0,\"blob\":\"BA==\",\"hash\":\"sha1\"}]}\n");
}

static void blob_of_no_use_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int errnum;
        enum sl_errc code;
        const char *says;
    } cases[] = {
        {"", EINVAL, SL_E_FORMAT, "PKCS11 blob"},
        {"[]", EBADMSG, SL_E_FORMAT, "no recipients"},
        {"{\"recipients\":[]}", EBADMSG, SL_E_FORMAT, "no recipients"},
        {"{\"recipients\":{}}", EBADMSG, SL_E_FORMAT, "no recipients"},
        {"{\"version\":1,\"recipients\":[{\"blob\":\"\"}]}", ENOTSUP, SL_E_UNSUPPORTED,
         "version 1"},
        {"{\"version\":\"0\"}", EBADMSG, SL_E_FORMAT, "version is no number"},
        {"{\"recipients\":[{\"version\":2,\"blob\":\"\"}]}", ENOTSUP, SL_E_UNSUPPORTED,
         "version 2"},
        {"{\"recipients\":[{\"hash\":\"sha1\"}]}", EINVAL, SL_E_FORMAT, "blob"},
        {"{\"recipients\":[{\"blob\":\"?\"}]}", EINVAL, SL_E_FORMAT, "base64"},
        {"{\"recipients\":[{\"blob\":\"\",\"hash\":\"sha512\"}]}", ENOTSUP, SL_E_UNSUPPORTED,
         "sha512"},
        {"{\"recipients\":[{\"blob\":\"\",\"hash\":1}]}", EBADMSG, SL_E_FORMAT, "no string"},
        {"{\"recipients\":[{\"blob\":\"AA==\"},{\"blob\":\"?\"}]}", EINVAL, SL_E_FORMAT, "base64"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_pkcs11_blob blob = {.n = 7};
        struct sl_error err = {0};
        int r = sl_pkcs11_blob_parse(sl_span_of(cases[i].text), &blob, &err);
        assert_contains(err.msg, cases[i].says);
        assert_fails(r, cases[i].errnum, err, cases[i].code);
        assert_int_equal(blob.n, 7);
    }
}

static void blob_for_too_many_is_refused(void **state)
{
    (void)state;
    for (int n = 64; n <= 65; n++) {
        SL_AUTO_DONE(sl_bytes) text = {0};
        assert_ok(sl_bytes_append(&text, sl_span_of("{\"recipients\":["), 1 << 16, NULL));
        for (int i = 0; i < n; i++)
            assert_ok(sl_bytes_append(&text, sl_span_of(i ? ",{\"blob\":\"\"}" : "{\"blob\":\"\"}"),
                                      1 << 16, NULL));
        assert_ok(sl_bytes_append(&text, sl_span_of("]}"), 1 << 16, NULL));
        SL_AUTO_DONE(sl_pkcs11_blob) blob = {.n = 0};
        struct sl_error err = {0};
        int r = sl_pkcs11_blob_parse(sl_bytes_span(&text), &blob, &err);
        if (n == 64)
            assert_ok(r);
        else
            assert_fails(r, E2BIG, err, SL_E_LIMIT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blob_of_every_form_is_read),
        cmocka_unit_test(blob_is_written_as_others_write_it),
        cmocka_unit_test(blob_of_no_use_is_refused),
        cmocka_unit_test(blob_for_too_many_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
