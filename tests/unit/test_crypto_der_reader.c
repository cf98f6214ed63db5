/* SPDX-License-Identifier: Apache-2.0 */
#include "der_reader.h"

#include "key_vectors.h"

#define SPAN(text) ((struct sl_span){(const uint8_t *)(text), sizeof(text) - 1})

static void item_short_and_long_forms_are_read(void **state)
{
    (void)state;
    uint8_t long_form[3 + 200] = {0x04, 0x81, 200};
    struct sl_der der = sl_der_of((struct sl_span){long_form, sizeof(long_form)});
    struct sl_der_item item;
    assert_ok(sl_der_next(&der, &item, NULL));
    assert_int_equal(item.tag, SL_DER_OCTETS);
    assert_int_equal(item.body.len, 200);
    assert_int_equal(item.whole.len, sizeof(long_form));
    assert_true(sl_der_is_end(&der));

    struct sl_der inner;
    der = sl_der_of(SPAN("\x30\x05\x02\x01\x07\x04\x00\x05\x00"));
    assert_ok(sl_der_enter(&der, SL_DER_SEQUENCE, &inner, NULL));
    assert_ok(sl_der_need(&inner, SL_DER_INTEGER, &item, NULL));
    assert_int_equal(item.body.data[0], 7);
    assert_ok(sl_der_need(&inner, SL_DER_OCTETS, &item, NULL));
    assert_int_equal(item.body.len, 0);
    assert_true(sl_der_is_end(&inner));
    assert_false(sl_der_is_end(&der));
}

static void item_malformed_is_refused(void **state)
{
    (void)state;
    static const struct {
        struct sl_span der;
        const char *text;
    } cases[] = {
        {{(const uint8_t *)"", 0}, "missing"},
        {{(const uint8_t *)"\x30", 1}, "ends within"},
        {{(const uint8_t *)"\x30\x01", 2}, "exceeds"},
        {{(const uint8_t *)"\x30\x80\x00\x00", 4}, "indefinite"},
        {{(const uint8_t *)"\x30\x81\x01\x00", 4}, "shortest"},
        {{(const uint8_t *)"\x30\x82\x00\x81\x00", 5}, "shortest"},
        {{(const uint8_t *)"\x30\x84\xff\xff\xff\xff\x00", 7}, "exceeds"},
        {{(const uint8_t *)"\x30\x83\xff\xff\xff\x00", 6}, "exceeds"},
        {{(const uint8_t *)"\x30\x82\x01", 3}, "exceeds"},
        {{(const uint8_t *)"\x1f\x81\x01\x00", 4}, "high tag"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_der der = sl_der_of(cases[i].der);
        struct sl_der_item item;
        struct sl_error err = {0};
        assert_fails(sl_der_next(&der, &item, &err), EBADMSG, err, SL_E_FORMAT);
        assert_contains(err.msg, cases[i].text);
    }
}

static void need_other_tag_fails_and_does_not_move(void **state)
{
    (void)state;
    struct sl_der der = sl_der_of(SPAN("\x02\x01\x07"));
    struct sl_der_item item;
    struct sl_error err = {0};
    assert_fails(sl_der_need(&der, SL_DER_OCTETS, &item, &err), EBADMSG, err, SL_E_FORMAT);
    assert_contains(err.msg, "tag 02 where 04");
    assert_ok(sl_der_need(&der, SL_DER_INTEGER, &item, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(item_short_and_long_forms_are_read),
        cmocka_unit_test(item_malformed_is_refused),
        cmocka_unit_test(need_other_tag_fails_and_does_not_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
