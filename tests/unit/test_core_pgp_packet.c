/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/pgp_packet.h"

#include "assert_result.h"

#define SPAN(text) ((struct sl_span){(const uint8_t *)(text), sizeof(text) - 1})

static void packet_of_every_length_has_its_body(void **state)
{
    (void)state;
    static const struct {
        struct sl_span text;
        unsigned tag;
        bool has_length;
        size_t behind;
    } cases[] = {
        {SPAN("\xc2\3abcx"), 2, true, 1},
        {SPAN("\xc2\xff\0\0\0\3abcx"), 2, true, 1},
        {SPAN("\x88\3abc"), 2, true, 0},
        {SPAN("\x89\0\3abcxx"), 2, true, 2},
        {SPAN("\x8a\0\0\0\3abc"), 2, true, 0},
        {SPAN("\xaf"
              "abc"),
         11, false, 0},
        {SPAN("\xcb\xe1"
              "ab\1cx"),
         11, false, 1},
        {SPAN("\xcb\xe0"
              "a\xe0"
              "b\1cx"),
         11, false, 1},
        {SPAN("\xcb\xe0"
              "a\xe1"
              "bc\0x"),
         11, false, 1},
        {SPAN("\xff\3abc"), 63, true, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_bytes) body = {0};
        SL_AUTO_DONE(sl_bytes) none = {0};
        struct sl_pgp_packet packet = {0};
        struct sl_span rest = cases[i].text;
        struct sl_error err = {0};
        assert_done(sl_pgp_packet_take(&rest, &packet, &err));
        assert_int_equal(packet.tag, cases[i].tag);
        assert_int_equal(packet.has_length, cases[i].has_length);
        assert_int_equal(rest.len, cases[i].behind);
        assert_done(sl_pgp_packet_body(&packet, 3, &body, &err));
        assert_int_equal(body.len, 3);
        assert_string_equal((const char *)body.data, "abc");
        assert_error(sl_pgp_packet_body(&packet, 2, &none, &err), E2BIG, SL_E_LIMIT, "PGP message");
        assert_null(none.data);
    }
}

static void packet_of_two_byte_length_has_its_body(void **state)
{
    (void)state;
    uint8_t text[3 + 8383] = "\xc2\xdf\xff"; /* the longest: ((0xdf - 192) << 8) + 0xff + 192 */
    struct sl_span rest = {text, sizeof(text)};
    struct sl_pgp_packet packet = {0};
    struct sl_error err = {0};
    assert_done(sl_pgp_packet_take(&rest, &packet, &err));
    assert_int_equal(packet.first.len, 8383);
    assert_int_equal(rest.len, 0);
}

static void packet_that_is_none_is_refused(void **state)
{
    (void)state;
    static const struct {
        struct sl_span text;
        const char *says;
    } cases[] = {
        {SPAN(""), "not an OpenPGP packet"},
        {SPAN("\x42\1a"), "not an OpenPGP packet"},
        {SPAN("\xc2"), "without a length"},
        {SPAN("\xc2\0"), "without a length"},
        {SPAN("\xc2\xc0"), "without a length"},
        {SPAN("\xc2\xff\0\0"), "without a length"},
        {SPAN("\x89\0"), "without a length"},
        {SPAN("\xaf"), "without a length"},
        {SPAN("\xc2\4abc"), "cut short"},
        {SPAN("\xc2\xff\xff\xff\xff\xff"
              "abc"),
         "cut short"},
        {SPAN("\xcb\xe1"
              "ab"),
         "cut short"},
        {SPAN("\xcb\xe1"
              "ab\xe1"
              "c"),
         "cut short"},
        {SPAN("\xcb\xfe"
              "abc"),
         "cut short"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_pgp_packet packet = {0};
        struct sl_span rest = cases[i].text;
        struct sl_error err;
        assert_error(sl_pgp_packet_take(&rest, &packet, &err), EBADMSG, SL_E_FORMAT, cases[i].says);
        assert_null(packet.first.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packet_of_every_length_has_its_body),
        cmocka_unit_test(packet_of_two_byte_length_has_its_body),
        cmocka_unit_test(packet_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
