/* SPDX-License-Identifier: Apache-2.0 */
#include "message_memory.h"

#include "rpc_vectors.h"

static void pack_has_the_published_bytes(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) json = {0};
    SL_AUTO_DONE(sl_bytes) uri = {0};
    SL_AUTO_DONE(sl_bytes) empty = {0};
    assert_ok(sl_rpc_bytes_message_pack(sl_span_of("{\"op\":\"x\"}"), &json, NULL));
    assert_span(sl_bytes_span(&json), "\x0a\x0a{\"op\":\"x\"}");
    assert_ok(sl_rpc_bytes_message_pack(sl_span_of("kbs:///default/key/1"), &uri, NULL));
    assert_span(sl_bytes_span(&uri), "\x0a\x14kbs:///default/key/1");
    assert_ok(sl_rpc_bytes_message_pack((struct sl_span){0}, &empty, NULL));
    assert_int_equal(empty.len, 0);
}

static void unpack_takes_the_last_field_and_skips_others(void **state)
{
    (void)state;
    static const struct {
        const char *hex, *want;
    } cases[] = {
        {"", ""},
        {"0a00", ""},
        {"0a036b6579", "key"},
        {"0a0161"
         "0a026262",
         "bb"},
        {"1001"
         "0a0161"
         "1a03787878"
         "2501020304",
         "a"},
        {"0a8100"
         "61",
         "a"}, /* a length longer than it needs to be */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_bytes) message = from_hex(cases[i].hex);
        SL_AUTO_DONE(sl_bytes) got = {0};
        assert_ok(sl_rpc_bytes_message_unpack(sl_bytes_span(&message), &got, NULL));
        assert_bytes(sl_bytes_span(&got), (const uint8_t *)cases[i].want, strlen(cases[i].want));
    }
}

static void unpack_of_nonsense_fails_with_format(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "0a",     "0a0361", "0aff", "0affffffff0f61",           "08",
        "0b",     "0c",     "00",   "0affffffffffffffffff0161", "ffffffffffffffffffff",
        "0d0000",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_bytes) message = from_hex(cases[i]);
        struct sl_bytes got = {0};
        struct sl_error err = {0};
        assert_fails(sl_rpc_bytes_message_unpack(sl_bytes_span(&message), &got, &err), EBADMSG, err,
                     SL_E_FORMAT);
        assert_null(got.data);
    }
}

static void unpack_of_very_many_fields_fails_with_limit(void **state)
{
    (void)state;
    enum { SIZE = 1024 * 1024 };
    struct sl_bytes got = {0};
    struct sl_error err = {0};
    uint8_t *bytes = malloc(SIZE);
    assert_non_null(bytes);
    for (size_t i = 0; i < SIZE; i += 2)
        memcpy(bytes + i, "\x10", 2);
    assert_fails(sl_rpc_bytes_message_unpack((struct sl_span){bytes, SIZE}, &got, &err), E2BIG, err,
                 SL_E_LIMIT);
    free(bytes);
}

static void pack_over_the_limit_fails(void **state)
{
    (void)state;
    static uint8_t bytes[SL_RPC_MESSAGE_MAX + 1];
    struct sl_bytes got = {0};
    struct sl_error err = {0};
    assert_fails(sl_rpc_bytes_message_pack((struct sl_span){bytes, sizeof(bytes)}, &got, &err),
                 E2BIG, err, SL_E_LIMIT);
}

static void memory_has_its_limit_and_counts_what_comes_back(void **state)
{
    (void)state;
    struct sl_message_memory memory;
    sl_message_memory_init(&memory, 0);
    size_t all = memory.left;
    void *p = memory.allocator.alloc(&memory, all);
    assert_non_null(p);
    assert_null(memory.allocator.alloc(&memory, 1));
    assert_true(memory.exceeded);
    memory.allocator.free(&memory, p);
    memory.allocator.free(&memory, NULL);
    assert_int_equal(memory.left, all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pack_has_the_published_bytes),
        cmocka_unit_test(unpack_takes_the_last_field_and_skips_others),
        cmocka_unit_test(unpack_of_nonsense_fails_with_format),
        cmocka_unit_test(unpack_of_very_many_fields_fails_with_limit),
        cmocka_unit_test(pack_over_the_limit_fails),
        cmocka_unit_test(memory_has_its_limit_and_counts_what_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
