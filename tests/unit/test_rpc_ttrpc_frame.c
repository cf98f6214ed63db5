/* SPDX-License-Identifier: Apache-2.0 */
#include "ttrpc_answer.h"

#include "rpc_vectors.h"

static const int64_t fifty_seconds = 50000000000;

static void assert_frame(const struct sl_bytes *got, const char *hex)
{
    SL_AUTO_DONE(sl_bytes) want = from_hex(hex);
    assert_bytes(sl_bytes_span(got), want.data, want.len);
}

static void request_has_the_published_bytes(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) unwrap = {0};
    SL_AUTO_DONE(sl_bytes) resource = {0};
    assert_ok(sl_ttrpc_request_frame(
        1,
        &(struct sl_ttrpc_request){.service = sl_span_of("keyprovider.KeyProviderService"),
                                   .method = sl_span_of("UnWrapKey"),
                                   .message = sl_span_of("\n\n{\"op\":\"x\"}"),
                                   .timeout_ns = fifty_seconds},
        &unwrap, NULL));
    assert_frame(&unwrap, UNWRAP_REQUEST_HEX);
    assert_ok(sl_ttrpc_request_frame(
        3,
        &(struct sl_ttrpc_request){.service = sl_span_of("api.GetResourceService"),
                                   .method = sl_span_of("GetResource"),
                                   .message = sl_span_of("\n\x14kbs:///default/key/1"),
                                   .timeout_ns = fifty_seconds},
        &resource, NULL));
    assert_frame(&resource, GET_RESOURCE_HEX);
}

/* message: or the text of a refusal. */
static int answer_frame(int status, struct sl_span message, struct sl_bytes *ret,
                        struct sl_error *err)
{
    struct sl_wire_answer answer = {.status = status};
    *(status == SL_RPC_OK ? &answer.message : &answer.text) = message;
    return sl_ttrpc_response_frame(1, &answer, ret, err);
}

static void response_has_the_published_bytes(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) good = {0};
    SL_AUTO_DONE(sl_bytes) bad = {0};
    assert_ok(answer_frame(SL_RPC_OK, sl_span_of("\n+" UNWRAP_RESULTS), &good, NULL));
    assert_frame(&good, GO_RESPONSE_HEX);
    assert_ok(answer_frame(SL_RPC_INTERNAL, sl_span_of("[CDH] [ERROR]: x"), &bad, NULL));
    assert_frame(&bad, ERROR_RESPONSE_HEX);
}

/* Feeds frame in two pieces and reads the answer. */
static void read_answer(const char *hex, size_t cut, struct sl_rpc_reply *ret)
{
    SL_AUTO_DONE(sl_bytes) frame = from_hex(hex);
    SL_AUTO_DONE(sl_ttrpc_reader) reader = {0};
    bool is_whole = cut >= frame.len;
    if (is_whole)
        cut = frame.len;
    assert_int_equal(sl_ttrpc_answer_take(&reader, 1, (struct sl_span){frame.data, cut}, NULL),
                     is_whole);
    if (!is_whole)
        assert_int_equal(sl_ttrpc_answer_take(
                             &reader, 1, (struct sl_span){frame.data + cut, frame.len - cut}, NULL),
                         1);
    assert_ok(sl_ttrpc_answer_read(&reader, ret, NULL));
}

static void answer_cut_anywhere_is_read(void **state)
{
    (void)state;
    static const char *const frames[] = {GO_RESPONSE_HEX, RUST_RESPONSE_HEX};
    for (size_t i = 0; i < 2; i++)
        for (size_t cut = 0; cut <= strlen(frames[i]) / 2; cut++) {
            struct sl_rpc_reply reply = {0};
            read_answer(frames[i], cut, &reply);
            assert_int_equal(reply.status, SL_RPC_OK);
            assert_span(sl_bytes_span(&reply.message), "\n+" UNWRAP_RESULTS);
            sl_rpc_reply_done(&reply);
        }
}

static void answer_that_refuses_has_status_and_text(void **state)
{
    (void)state;
    struct sl_rpc_reply reply = {0};
    read_answer(ERROR_RESPONSE_HEX, 5, &reply);
    assert_int_equal(reply.status, SL_RPC_INTERNAL);
    assert_span(sl_bytes_span(&reply.text), "[CDH] [ERROR]: x");
    assert_int_equal(reply.message.len, 0);
    sl_rpc_reply_done(&reply);
}

static void answer_that_is_none_is_refused_at_its_header(void **state)
{
    (void)state;
    static const struct {
        const char *hex, *what;
    } cases[] = {
        {"00000001000000010100", "type 1 and stream 1"},
        {"00000001000000010300", "type 3 and stream 1"},
        {"00000001000000030200", "type 2 and stream 3"},
        {"00400001000000010200", "says it has 4194305 bytes"},
        {"ffffffff000000010200", "says it has 4294967295 bytes"},
        {"0000000000000001020000", "bytes follow the answer"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_bytes) bytes = from_hex(cases[i].hex);
        SL_AUTO_DONE(sl_ttrpc_reader) reader = {0};
        struct sl_error err = {0};
        assert_fails(sl_ttrpc_answer_take(&reader, 1, sl_bytes_span(&bytes), &err), EPROTO, err,
                     SL_E_NETWORK);
        assert_non_null(strstr(err.msg, cases[i].what));
    }
}

/* Status 99, two details (one empty), unknown fields, a payload beside it. */
static void answer_that_is_passed_on_is_the_same(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "0000001a000000010200"
        "0a1208631204"
        "74657874"
        "1a060a017812017a"
        "1a00"
        "12046162"
        "6364",
        "00000019000000010200"
        "0a1708f6ffffffffffffffff01120361c3a91a050a03782f79",
        "0000000d000000010200"
        "0a0b08051207"
        "6e6f7420746f6f",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_rpc_reply) reply = {0};
        SL_AUTO_DONE(sl_bytes) frame = {0};
        read_answer(cases[i], 15, &reply);
        const struct sl_wire_answer answer = {
            .status = reply.status,
            .message = sl_bytes_span(&reply.message),
            .text = sl_bytes_span(&reply.text),
            .details = sl_bytes_span(&reply.details),
        };
        assert_ok(sl_ttrpc_response_frame(1, &answer, &frame, NULL));
        assert_frame(&frame, cases[i]);
    }
}

static void request_with_metadata_has_its_bytes(void **state)
{
    (void)state;
    const struct sl_pair pairs[] = {{"a", "bc"}, {"d", ""}};
    const struct sl_ttrpc_request request = {
        .service = sl_span_of("s"), .method = sl_span_of("m"), .metadata = pairs, .n_metadata = 2};
    struct sl_ttrpc_request many = {.metadata = pairs, .n_metadata = SL_TTRPC_METADATA_MAX + 1};
    SL_AUTO_DONE(sl_bytes) frame = {0};
    struct sl_bytes none = {0};
    struct sl_error err = {0};
    assert_ok(sl_ttrpc_request_frame(1, &request, &frame, NULL));
    assert_frame(&frame, "00000014000000010100"
                         "0a017312016d2a070a0161120262632a030a0164");
    assert_fails(sl_ttrpc_request_frame(1, &many, &none, &err), E2BIG, err, SL_E_LIMIT);
}

static void frame_over_the_limit_is_not_made(void **state)
{
    (void)state;
    struct sl_bytes frame = {0};
    struct sl_error err = {0};
    static uint8_t bytes[SL_RPC_MESSAGE_MAX];
    struct sl_span largest = {bytes, SL_RPC_MESSAGE_MAX - 5};
    assert_ok(answer_frame(SL_RPC_OK, largest, &frame, &err));
    assert_int_equal(frame.len, SL_TTRPC_HEADER + SL_RPC_MESSAGE_MAX);
    sl_bytes_wipe(&frame);
    largest.len++;
    assert_fails(answer_frame(SL_RPC_OK, largest, &frame, &err), E2BIG, err, SL_E_LIMIT);
}

static void reader_skips_what_is_too_long(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_ttrpc_reader) reader = {0};
    SL_AUTO_DONE(sl_bytes) head = from_hex("00400001000000010100");
    static uint8_t bytes[SL_RPC_MESSAGE_MAX + 4];
    struct sl_span span = sl_bytes_span(&head);
    assert_int_equal(sl_ttrpc_reader_take(&reader, &span, NULL), 0);
    assert_true(sl_ttrpc_reader_is_too_long(&reader));
    span = (struct sl_span){bytes, sizeof(bytes)};
    assert_int_equal(sl_ttrpc_reader_take(&reader, &span, NULL), 1);
    assert_int_equal(span.len, 3);
    assert_int_equal(sl_ttrpc_reader_payload(&reader).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_has_the_published_bytes),
        cmocka_unit_test(response_has_the_published_bytes),
        cmocka_unit_test(answer_cut_anywhere_is_read),
        cmocka_unit_test(answer_that_refuses_has_status_and_text),
        cmocka_unit_test(answer_that_is_none_is_refused_at_its_header),
        cmocka_unit_test(answer_that_is_passed_on_is_the_same),
        cmocka_unit_test(request_with_metadata_has_its_bytes),
        cmocka_unit_test(frame_over_the_limit_is_not_made),
        cmocka_unit_test(reader_skips_what_is_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
