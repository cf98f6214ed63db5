/* SPDX-License-Identifier: Apache-2.0 */
/* Outlines of messages, by hand; whole messages come from gpg and skopeo in the integration
 * tests. */
#include "pgp_message.h"

#include "key_vectors.h"

#define SPAN(text) ((struct sl_span){(const uint8_t *)(text), sizeof(text) - 1})

static void message_of_every_form_of_length_is_read(void **state)
{
    (void)state;
    static const struct {
        struct sl_span text;
        size_t n_recipients;
        bool is_aead;
    } cases[] = {
        {SPAN("\xc1\x02\x03x\xd2\x03\x01xx"), 1, false},
        {SPAN("\x84\x02\x03x\xd2\x03\x01xx"), 1, false},
        {SPAN("\x85\x00\x02\x03x\x86\x00\x00\x00\x01\x03\xd2\x03\x01xx"), 2, false},
        {SPAN("\xc1\xff\x00\x00\x00\x02\x03x\xd2\xe1\x01x\xe0x\x00"), 1, false},
        {SPAN("\xc1\x02\x03x\xd2\xe0\x01\x02xx"), 1, false},
        {SPAN("\xc1\x02\x03x\xd4\x03\x01xx"), 1, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_pgp_message message;
        assert_ok(sl_pgp_message_parse(cases[i].text, &message, NULL));
        assert_int_equal(message.n_recipients, cases[i].n_recipients);
        assert_int_equal(message.is_aead, cases[i].is_aead);
    }
}

static void message_with_a_long_body_is_read(void **state)
{
    (void)state;
    uint8_t text[9 + 8000] = "\xc1\x01\x03\xd2\xde\x80\x01"; /* ((0xde - 192) << 8) + 0x80 + 192 */
    struct sl_pgp_message message;
    size_t len = 6 + ((0xde - 192) << 8) + 0x80 + 192;
    assert_ok(sl_pgp_message_parse((struct sl_span){text, len}, &message, NULL));
    struct sl_error err = {0};
    assert_fails(sl_pgp_message_parse((struct sl_span){text, len - 1}, &message, &err), EBADMSG,
                 err, SL_E_FORMAT);
    assert_fails(sl_pgp_message_parse((struct sl_span){text, len + 1}, &message, &err), EBADMSG,
                 err, SL_E_FORMAT);
    assert_contains(err.msg, "behind the data");
}

static void message_of_no_use_is_refused_with_its_reason(void **state)
{
    (void)state;
    static const struct {
        struct sl_span text;
        int errnum;
        enum sl_errc code;
        const char *says;
    } cases[] = {
        {SPAN(""), EBADMSG, SL_E_FORMAT, "not an OpenPGP packet"},
        {SPAN("-----BEGIN PGP MESSAGE-----"), EBADMSG, SL_E_FORMAT, "not an OpenPGP packet"},
        {SPAN("\xc1"), EBADMSG, SL_E_FORMAT, "without a length"},
        {SPAN("\xc1\x00\xd2\x01\x01"), EBADMSG, SL_E_FORMAT, "without a length"},
        {SPAN("\xc1\x02\x03"), EBADMSG, SL_E_FORMAT, "cut short"},
        {SPAN("\xc1\x01\x03"), EBADMSG, SL_E_FORMAT, "not an OpenPGP packet"},
        {SPAN("\xc1\x01\x03\xd2\xe0\x01"), EBADMSG, SL_E_FORMAT, "cut short"},
        {SPAN("\xc1\xff\xff\xff\xff\xff\x03"), EBADMSG, SL_E_FORMAT, "cut short"},
        {SPAN("\xd2\x01\x01"), EBADMSG, SL_E_FORMAT, "no recipients"},
        {SPAN("\xc1\x01\x03\xd2\x01\x01z"), EBADMSG, SL_E_FORMAT, "behind the data"},
        {SPAN("\xc1\x01\x03\xcb\x01\x01"), EBADMSG, SL_E_FORMAT, "does not belong"},
        {SPAN("\xc1\x01\x03\xc9\x01\x01"), EBADMSG, SL_E_INTEGRITY, "no modification detection"},
        {SPAN("\xc1\x01\x06\xd2\x01\x01"), ENOTSUP, SL_E_UNSUPPORTED, "packet 1 of version 6"},
        {SPAN("\xc1\x01\x03\xd2\x01\x02"), ENOTSUP, SL_E_UNSUPPORTED, "packet 18 of version 2"},
        {SPAN("\xc3\x01\x04\xd2\x01\x01"), ENOTSUP, SL_E_UNSUPPORTED, "with a password"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_pgp_message message;
        struct sl_error err = {0};
        int r = sl_pgp_message_parse(cases[i].text, &message, &err);
        assert_contains(err.msg, cases[i].says);
        assert_fails(r, cases[i].errnum, err, cases[i].code);
    }
}

static void message_for_too_many_is_refused(void **state)
{
    (void)state;
    uint8_t text[3 * 65 + 3];
    for (size_t i = 0; i < 65; i++)
        memcpy(text + 3 * i, "\xc1\x01\x03", 3);
    struct sl_pgp_message message;
    struct sl_error err = {0};
    memcpy(text + 3 * 64, "\xd2\x01\x01", 3);
    assert_ok(sl_pgp_message_parse((struct sl_span){text, 3 * 65}, &message, NULL));
    assert_int_equal(message.n_recipients, 64);
    memcpy(text + 3 * 64, "\xc1\x01\x03\xd2\x01\x01", 6);
    assert_fails(sl_pgp_message_parse((struct sl_span){text, sizeof(text)}, &message, &err), E2BIG,
                 err, SL_E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_of_every_form_of_length_is_read),
        cmocka_unit_test(message_with_a_long_body_is_read),
        cmocka_unit_test(message_of_no_use_is_refused_with_its_reason),
        cmocka_unit_test(message_for_too_many_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
