/* SPDX-License-Identifier: Apache-2.0 */
#include "der_writer.h"

#include "hex_bytes.h"
#include "key_vectors.h"

static void elements_nest(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_der_writer) w = {0};
    SL_AUTO_DONE(sl_bytes) out = {0};
    size_t outer = sl_der_open(&w);
    sl_der_put(&w, SL_DER_INTEGER, sl_span_of("\1"));
    size_t inner = sl_der_open(&w);
    sl_der_put_encoded(&w, (struct sl_span){(const uint8_t *)"\5\0", 2});
    sl_der_close(&w, SL_DER_SET, inner);
    sl_der_put(&w, SL_DER_OCTETS, (struct sl_span){0});
    sl_der_close(&w, SL_DER_SEQUENCE, outer);
    assert_ok(sl_der_end(&w, &out, NULL));
    SL_AUTO_DONE(sl_bytes) want = bytes_of_hex("30090201013102050004"
                                               "00");
    assert_int_equal(out.len, want.len);
    assert_memory_equal(out.data, want.data, want.len);
}

/* X.690 section 8.1.3: the shortest form. */
static void lengths_have_their_shortest_form(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        const char *head;
    } cases[] = {{0, "0400"},           {127, "047f"},         {128, "048180"},
                 {255, "0481ff"},       {256, "04820100"},     {65535, "0482ffff"},
                 {65536, "0483010000"}, {500000, "048307a120"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_der_writer) put = {0};
        SL_AUTO_DONE(sl_der_writer) closed = {0};
        SL_AUTO_DONE(sl_bytes) out = {0};
        SL_AUTO_DONE(sl_bytes) out_closed = {0};
        SL_AUTO_DONE(sl_bytes) head = bytes_of_hex(cases[i].head);
        SL_AUTO_FREE uint8_t *body = malloc(cases[i].len + 1);
        memset(body, 0x5a, cases[i].len);
        sl_der_put(&put, SL_DER_OCTETS, (struct sl_span){body, cases[i].len});
        size_t at = sl_der_open(&closed);
        sl_der_put_encoded(&closed, (struct sl_span){body, cases[i].len});
        sl_der_close(&closed, SL_DER_OCTETS, at);
        assert_ok(sl_der_end(&put, &out, NULL));
        assert_ok(sl_der_end(&closed, &out_closed, NULL));
        assert_int_equal(out.len, head.len + cases[i].len);
        assert_memory_equal(out.data, head.data, head.len);
        assert_int_equal(out_closed.len, out.len);
        assert_memory_equal(out_closed.data, out.data, out.len);
    }
}

static void too_long_is_told_at_the_end(void **state)
{
    (void)state;
    enum { BIG = 700 * 1000 };
    SL_AUTO_DONE(sl_der_writer) w = {0};
    SL_AUTO_FREE uint8_t *body = calloc(1, BIG);
    struct sl_bytes out = {0};
    struct sl_error err = {0};
    size_t at = sl_der_open(&w);
    sl_der_put(&w, SL_DER_OCTETS, (struct sl_span){body, BIG});
    sl_der_put(&w, SL_DER_OCTETS, (struct sl_span){body, BIG});
    sl_der_close(&w, SL_DER_SEQUENCE, at);
    assert_fails(sl_der_end(&w, &out, &err), E2BIG, err, SL_E_LIMIT);
    assert_null(out.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_nest),
        cmocka_unit_test(lengths_have_their_shortest_form),
        cmocka_unit_test(too_long_is_told_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
