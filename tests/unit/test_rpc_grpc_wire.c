/* SPDX-License-Identifier: Apache-2.0 */
/* The peer is nghttp2's client; the bodies are those of the key provider protocol. */
#include "http2_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t ask_bytes[] = "\0\0\0\0\x0c\x0a\x0a{\"op\":\"x\"}";
static const struct sl_span ask = {ask_bytes, sizeof(ask_bytes) - 1};
static const struct sl_span message = {ask_bytes + 5, sizeof(ask_bytes) - 6};

static const char *const good_headers = ":status: 200\ncontent-type: application/grpc\n"
                                        "--\ngrpc-status: 0\n";

static void assert_bytes(const struct sl_bytes *got, struct sl_span expected)
{
    assert_int_equal(got->len, expected.len);
    assert_memory_equal(got->data, expected.data, expected.len);
}

static const char *headers_of(const struct http2_peer *peer, int32_t id)
{
    const struct sl_bytes *headers = &peer->answers[id].headers;
    return headers->data ? (const char *)headers->data : "";
}

static void answer_call(struct http2_peer *peer, int32_t id, struct sl_span reply)
{
    assert_int_equal(sl_grpc_wire.answer(peer->wire, (uint32_t)id,
                                         &(struct sl_wire_answer){.message = reply}, NULL),
                     0);
    http2_peer_pump(peer);
}

static void refuse_call(struct http2_peer *peer, int32_t id, enum sl_rpc_status status,
                        struct sl_span text)
{
    const struct sl_wire_answer refusal = {.status = (int)status, .text = text};
    assert_int_equal(sl_grpc_wire.answer(peer->wire, (uint32_t)id, &refusal, NULL), 0);
    http2_peer_pump(peer);
}

static int setup(void **state)
{
    struct http2_peer *peer = malloc(sizeof(*peer));
    if (!peer)
        return -1;
    http2_peer_init(peer);
    *state = peer;
    return 0;
}

static int teardown(void **state)
{
    http2_peer_done(*state);
    free(*state);
    return 0;
}

static void call_of_the_specification_is_answered(void **state)
{
    struct http2_peer *peer = *state;
    static const struct peer_header extra[] = {
        {"grpc-timeout", "50S"}, {"user-agent", "grpc-go/1.5"}, {"x-token", "abc"}, {NULL, NULL}};
    int32_t id = http2_peer_ask(peer, extra, ask, /* stays_open= */ false);
    http2_peer_pump(peer);
    assert_int_equal(peer->connection.n_calls, 1);
    const struct fake_call *call = &peer->connection.calls[0];
    assert_int_equal(call->stream, id);
    assert_string_equal(call->service, "keyprovider.KeyProviderService");
    assert_string_equal(call->method, "UnWrapKey");
    assert_int_equal(call->timeout_ns, 50000000000);
    assert_string_equal(call->metadata, "user-agent=grpc-go/1.5\nx-token=abc\n");
    assert_bytes(&call->message, message);
    answer_call(peer, id, message);
    assert_string_equal(headers_of(peer, id), good_headers);
    assert_bytes(&peer->answers[id].body, ask);
    assert_true(peer->answers[id].is_closed);
    assert_int_equal(peer->answers[id].close_code, NGHTTP2_NO_ERROR);
    assert_false(call->is_abandoned);
}

static void bytes_one_by_one_make_the_same_calls(void **state)
{
    struct http2_peer *peer = *state;
    peer->chunk = 1;
    int32_t first = http2_peer_ask(peer, NULL, ask, false);
    int32_t second = http2_peer_ask(peer, NULL, ask, false);
    http2_peer_pump(peer);
    assert_int_equal(peer->input_r, 0);
    assert_int_equal(peer->connection.n_calls, 2);
    assert_int_equal(peer->connection.calls[0].stream, first);
    assert_int_equal(peer->connection.calls[1].stream, second);
    assert_bytes(&peer->connection.calls[1].message, message);
}

static void replay_in_two(const struct sl_bytes *recorded, size_t cut)
{
    struct sl_connection connection = {0};
    struct sl_wire *wire;
    assert_int_equal(sl_grpc_wire.open(&connection, &wire, NULL), 0);
    struct sl_span head = {recorded->data, cut};
    struct sl_span tail = {recorded->data + cut, recorded->len - cut};
    assert_int_equal(sl_grpc_wire.input(wire, head, NULL), 0);
    assert_int_equal(connection.n_calls, 0);
    assert_int_equal(sl_grpc_wire.input(wire, tail, NULL), 0);
    assert_int_equal(connection.n_calls, 1);
    assert_bytes(&connection.calls[0].message, message);
    sl_grpc_wire.close(wire);
    fake_connection_done(&connection);
}

static void bytes_cut_anywhere_make_the_same_call(void **state)
{
    struct http2_peer *peer = *state;
    struct sl_bytes recorded = {0};
    peer->record = &recorded;
    (void)http2_peer_ask(peer, NULL, ask, false);
    const uint8_t *data;
    for (ssize_t n; (n = nghttp2_session_mem_send(peer->session, &data)) > 0;)
        assert_int_equal(sl_bytes_append(&recorded, (struct sl_span){data, (size_t)n}, 65536, NULL),
                         0);
    for (size_t cut = 1; cut < recorded.len; cut++)
        replay_in_two(&recorded, cut);
    sl_bytes_done(&recorded);
}

static void empty_message_is_a_message(void **state)
{
    struct http2_peer *peer = *state;
    static const uint8_t none[5];
    int32_t id = http2_peer_ask(peer, NULL, (struct sl_span){none, 5}, false);
    http2_peer_pump(peer);
    assert_int_equal(peer->connection.n_calls, 1);
    assert_int_equal(peer->connection.calls[0].message.len, 0);
    assert_int_equal(peer->connection.calls[0].timeout_ns, 0);
    answer_call(peer, id, (struct sl_span){0});
    assert_bytes(&peer->answers[id].body, (struct sl_span){none, 5});
    assert_string_equal(headers_of(peer, id), good_headers);
}

static void requests_that_are_no_calls_are_refused(void **state)
{
    struct http2_peer *peer = *state;
    static const struct {
        struct peer_header header;
        const char *answer;
    } table[] = {
        {{"content-type", "application/json"}, ":status: 415\ncontent-length: 0\n"},
        {{"content-type", "application/grpcx"}, ":status: 415\ncontent-length: 0\n"},
        {{"content-type", NULL}, ":status: 415\ncontent-length: 0\n"},
        {{":method", "PUT"}, ":status: 405\ncontent-length: 0\n"},
        {{":path", "/"},
         ":status: 200\ncontent-type: application/grpc\ngrpc-status: 12\n"
         "grpc-message: the path is not /SERVICE/METHOD\n"},
        {{":path", "/a/b/c"},
         ":status: 200\ncontent-type: application/grpc\ngrpc-status: 12\n"
         "grpc-message: the path is not /SERVICE/METHOD\n"},
        {{"grpc-timeout", "5"},
         ":status: 200\ncontent-type: application/grpc\ngrpc-status: 13\n"
         "grpc-message: malformed grpc-timeout\n"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct peer_header extra[] = {table[i].header, {NULL, NULL}};
        int32_t id = http2_peer_ask(peer, extra, ask, false);
        http2_peer_pump(peer);
        assert_string_equal(headers_of(peer, id), table[i].answer);
        assert_int_equal(peer->answers[id].body.len, 0);
        assert_true(peer->answers[id].is_closed);
    }
    assert_int_equal(peer->connection.n_calls, 0);
    assert_false(peer->got_goaway);
}

static void bodies_that_are_not_one_message_are_refused(void **state)
{
    struct http2_peer *peer = *state;
    static const struct {
        struct sl_span body;
        const char *status;
    } table[] = {
        {{(const uint8_t *)"\1\0\0\0\1x", 6}, "grpc-status: 12\ngrpc-message: compressed messages"},
        {{(const uint8_t *)"\2\0\0\0\1x", 6}, "grpc-status: 13\ngrpc-message: the message begins"},
        {{(const uint8_t *)"\0\0\x40\0\1", 5}, "grpc-status: 8\ngrpc-message: the message is lar"},
        {{(const uint8_t *)"\0\xff\xff\xff\xff", 5},
         "grpc-status: 8\ngrpc-message: the message is"},
        {{(const uint8_t *)"\0\0\0\0\1xy", 7}, "grpc-status: 13\ngrpc-message: there are bytes be"},
        {{(const uint8_t *)"\0\0\0\0\2x", 6}, "grpc-status: 13\ngrpc-message: the message is miss"},
        {{(const uint8_t *)"\0\0\0\0", 4}, "grpc-status: 13\ngrpc-message: the message is missing"},
        {{NULL, 0}, "grpc-status: 13\ngrpc-message: the message is missing or cut short"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        int32_t id = http2_peer_ask(peer, NULL, table[i].body, false);
        http2_peer_pump(peer);
        assert_non_null(strstr(headers_of(peer, id), table[i].status));
        assert_true(peer->answers[id].is_closed);
    }
    assert_int_equal(peer->connection.n_calls, 0);
    assert_false(sl_grpc_wire.is_partial(peer->wire));
}

static void refusal_before_the_end_stops_the_client(void **state)
{
    struct http2_peer *peer = *state;
    static const uint8_t huge[] = {0, 0x7f, 0, 0, 0};
    int32_t id = http2_peer_ask(peer, NULL, (struct sl_span){huge, 5}, /* stays_open= */ true);
    http2_peer_pump(peer);
    assert_non_null(strstr(headers_of(peer, id), "grpc-status: 8\n"));
    assert_true(peer->answers[id].is_closed);
    assert_int_equal(peer->answers[id].close_code, NGHTTP2_NO_ERROR);
}

static void too_many_headers_are_refused(void **state)
{
    struct http2_peer *peer = *state;
    struct peer_header extra[60] = {{NULL, NULL}};
    char names[58][8];
    for (int i = 0; i < 58; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "x-%d", i);
        extra[i] = (struct peer_header){names[i], "v"};
    }
    int32_t good = http2_peer_ask(peer, extra, ask, false); /* 64 with the usual ones */
    extra[58] = (struct peer_header){"x-more", "v"};
    int32_t bad = http2_peer_ask(peer, extra, ask, false);
    http2_peer_pump(peer);
    assert_int_equal(peer->connection.n_calls, 1);
    assert_int_equal(peer->connection.calls[0].stream, good);
    assert_non_null(strstr(headers_of(peer, bad),
                           "grpc-status: 8\ngrpc-message: too many headers, or too large ones\n"));
}

static void too_large_headers_are_refused(void **state)
{
    struct http2_peer *peer = *state;
    char value[16 * 1024];
    memset(value, 'v', sizeof(value));
    value[sizeof(value) - 1] = '\0';
    struct peer_header extra[] = {{"x-large", value}, {NULL, NULL}};
    int32_t bad = http2_peer_ask(peer, extra, ask, false);
    value[12 * 1024] = '\0';
    int32_t good = http2_peer_ask(peer, extra, ask, false);
    http2_peer_pump(peer);
    assert_non_null(strstr(headers_of(peer, bad), "grpc-status: 8\n"));
    assert_int_equal(peer->connection.n_calls, 1);
    assert_int_equal(peer->connection.calls[0].stream, good);
}

static void status_text_is_percent_encoded(void **state)
{
    struct http2_peer *peer = *state;
    int32_t id = http2_peer_ask(peer, NULL, ask, false);
    http2_peer_pump(peer);
    refuse_call(peer, id, SL_RPC_PERMISSION_DENIED, sl_span_of("100% n\xc3\xb6\n"));
    assert_string_equal(headers_of(peer, id),
                        ":status: 200\ncontent-type: application/grpc\ngrpc-status: 7\n"
                        "grpc-message: 100%25 n%C3%B6%0A\n");
    assert_true(peer->answers[id].is_closed);
}

static void calls_are_answered_in_any_order(void **state)
{
    enum { N = 100 };
    struct http2_peer *peer = *state;
    int32_t ids[N];
    for (size_t i = 0; i < N; i++)
        ids[i] = http2_peer_ask(peer, NULL, ask, false);
    http2_peer_pump(peer);
    assert_int_equal(peer->connection.n_calls, N);
    for (size_t i = N; i-- > 0;) {
        uint8_t number = (uint8_t)i;
        answer_call(peer, ids[i], (struct sl_span){&number, 1});
    }
    for (size_t i = 0; i < N; i++) {
        uint8_t expected[] = {0, 0, 0, 0, 1, (uint8_t)i};
        assert_bytes(&peer->answers[ids[i]].body, (struct sl_span){expected, 6});
        assert_string_equal(headers_of(peer, ids[i]), good_headers);
    }
}

static void streams_above_the_limit_wait_or_are_turned_away(void **state)
{
    struct http2_peer *peer = *state;
    for (int i = 0; i < 200; i++)
        (void)http2_peer_ask(peer, NULL, ask, false);
    http2_peer_pump(peer);
    assert_int_equal(peer->connection.n_calls, 128);
}

static struct sl_bytes large_body(size_t len)
{
    struct sl_bytes body = {.data = malloc(5 + len), .len = 5 + len};
    assert_non_null(body.data);
    body.data[0] = 0;
    for (int i = 0; i < 4; i++)
        body.data[1 + i] = (uint8_t)(len >> (24 - 8 * i));
    for (size_t i = 0; i < len; i++)
        body.data[5 + i] = (uint8_t)(i * 7 + i / 251);
    return body;
}

static void largest_messages_pass_both_ways(void **state)
{
    struct http2_peer *peer = *state;
    struct sl_bytes body = large_body(SL_RPC_MESSAGE_MAX);
    struct sl_span plain = {body.data + 5, SL_RPC_MESSAGE_MAX};
    int32_t id = http2_peer_ask(peer, NULL, sl_bytes_span(&body), false);
    http2_peer_pump(peer);
    assert_int_equal(peer->connection.n_calls, 1);
    assert_bytes(&peer->connection.calls[0].message, plain);
    answer_call(peer, id, plain);
    assert_bytes(&peer->answers[id].body, sl_bytes_span(&body));
    assert_string_equal(headers_of(peer, id), good_headers);
    sl_bytes_done(&body);
}

/* All that can be sent; our peer gets it, and says nothing yet. */
static void deliver_output(struct http2_peer *peer)
{
    for (struct sl_span out = {0};;) {
        assert_int_equal(sl_grpc_wire.output(peer->wire, &out, NULL), 0);
        if (out.len == 0)
            return;
        assert_int_equal(nghttp2_session_mem_recv(peer->session, out.data, out.len), out.len);
    }
}

static void answer_without_room_is_pending(void **state)
{
    struct http2_peer *peer = *state;
    nghttp2_settings_entry narrow = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 4};
    (void)nghttp2_submit_settings(peer->session, NGHTTP2_FLAG_NONE, &narrow, 1);
    int32_t id = http2_peer_ask(peer, NULL, ask, false);
    int32_t other = http2_peer_ask(peer, NULL, ask, false);
    http2_peer_pump(peer);
    assert_int_equal(sl_grpc_wire.pending(peer->wire), 0);
    assert_int_equal(sl_grpc_wire.answer(peer->wire, (uint32_t)id,
                                         &(struct sl_wire_answer){.message = message}, NULL),
                     0);
    assert_int_equal(sl_grpc_wire.answer(peer->wire, (uint32_t)other,
                                         &(struct sl_wire_answer){.message = message}, NULL),
                     0);
    assert_int_equal(sl_grpc_wire.pending(peer->wire), 2 * ask.len);
    deliver_output(peer);
    assert_int_equal(sl_grpc_wire.pending(peer->wire), 2 * (ask.len - 4));
    (void)nghttp2_submit_rst_stream(peer->session, NGHTTP2_FLAG_NONE, other, NGHTTP2_CANCEL);
    http2_peer_pump(peer);
    assert_int_equal(sl_grpc_wire.pending(peer->wire), 0);
    assert_bytes(&peer->answers[id].body, ask);
}

static void answer_above_the_limit_becomes_a_refusal(void **state)
{
    struct http2_peer *peer = *state;
    struct sl_bytes body = large_body(SL_RPC_MESSAGE_MAX);
    int32_t id = http2_peer_ask(peer, NULL, ask, false);
    http2_peer_pump(peer);
    answer_call(peer, id, sl_bytes_span(&body)); /* 5 bytes too many */
    assert_non_null(
        strstr(headers_of(peer, id), "grpc-status: 8\ngrpc-message: the answer is too large\n"));
    sl_bytes_done(&body);
}

static void unfinished_requests_cannot_pile_up(void **state)
{
    struct http2_peer *peer = *state;
    struct sl_bytes body = large_body(SL_RPC_MESSAGE_MAX);
    struct sl_span most = {body.data, SL_RPC_MESSAGE_MAX}; /* twice that is allowed */
    int32_t ids[2];
    for (size_t i = 0; i < 2; i++)
        ids[i] = http2_peer_ask(peer, NULL, most, /* stays_open= */ true);
    http2_peer_pump(peer);
    int32_t last = http2_peer_ask(peer, NULL, most, true);
    http2_peer_pump(peer);
    assert_true(sl_grpc_wire.is_partial(peer->wire));
    for (size_t i = 0; i < 2; i++)
        assert_false(peer->answers[ids[i]].is_closed);
    assert_non_null(
        strstr(headers_of(peer, last), "grpc-status: 8\ngrpc-message: too much is und"));
    assert_true(peer->answers[last].is_closed);
    sl_bytes_done(&body);
}

static void cancelled_call_is_abandoned(void **state)
{
    struct http2_peer *peer = *state;
    int32_t id = http2_peer_ask(peer, NULL, ask, false);
    int32_t other = http2_peer_ask(peer, NULL, ask, false);
    http2_peer_pump(peer);
    (void)nghttp2_submit_rst_stream(peer->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    http2_peer_pump(peer);
    assert_true(peer->connection.calls[0].is_abandoned);
    assert_false(peer->connection.calls[1].is_abandoned);
    answer_call(peer, id, message); /* too late, and harmless */
    answer_call(peer, other, message);
    assert_int_equal(peer->answers[id].body.len, 0);
    assert_bytes(&peer->answers[other].body, ask);
}

static void half_sent_request_is_partial_until_it_is_cancelled(void **state)
{
    struct http2_peer *peer = *state;
    http2_peer_pump(peer);
    assert_false(sl_grpc_wire.is_partial(peer->wire));
    int32_t id = http2_peer_ask(peer, NULL, (struct sl_span){ask.data, 9}, /* stays_open= */ true);
    http2_peer_pump(peer);
    assert_true(sl_grpc_wire.is_partial(peer->wire));
    (void)nghttp2_submit_rst_stream(peer->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    http2_peer_pump(peer);
    assert_false(sl_grpc_wire.is_partial(peer->wire));
    assert_int_equal(peer->connection.n_calls, 0);
}

static void shut_lets_calls_end_and_takes_no_more(void **state)
{
    struct http2_peer *peer = *state;
    int32_t id = http2_peer_ask(peer, NULL, ask, false);
    http2_peer_pump(peer);
    sl_grpc_wire.shut(peer->wire);
    /* Already under way when the GOAWAY comes. */
    int32_t late = http2_peer_ask(peer, NULL, ask, false);
    http2_peer_pump(peer);
    assert_true(peer->got_goaway);
    assert_int_equal(peer->goaway_code, NGHTTP2_NO_ERROR);
    assert_int_equal(peer->connection.n_calls, 1);
    assert_int_equal(peer->answers[late].headers.len, 0);
    assert_false(sl_grpc_wire.is_idle(peer->wire));
    answer_call(peer, id, message);
    assert_bytes(&peer->answers[id].body, ask);
    assert_true(sl_grpc_wire.is_idle(peer->wire));
}

static void sent_secret_is_wiped(void **state)
{
    struct http2_peer *peer = *state;
    int32_t id = http2_peer_ask(peer, NULL, ask, false);
    http2_peer_pump(peer);
    assert_int_equal(sl_grpc_wire.answer(peer->wire, (uint32_t)id,
                                         &(struct sl_wire_answer){.message = message}, NULL),
                     0);
    struct sl_span out = {0}, next = {0};
    assert_int_equal(sl_grpc_wire.output(peer->wire, &out, NULL), 0);
    assert_non_null(memmem(out.data, out.len, message.data, message.len));
    /* Nothing is added, so the memory stays where it is. */
    assert_int_equal(sl_grpc_wire.output(peer->wire, &next, NULL), 0);
    assert_int_equal(next.len, 0);
    assert_null(memmem(out.data, out.len, message.data, message.len));
}

static void failure_of_the_server_ends_the_connection(void **state)
{
    struct http2_peer *peer = *state;
    peer->connection.is_out_of_memory = true;
    (void)http2_peer_ask(peer, NULL, ask, false);
    http2_peer_pump(peer);
    assert_int_equal(peer->input_r, -ENOMEM);
    assert_int_equal(peer->error.code, SL_E_SYSTEM);
}

/* --- floods and rubbish --- */

static void http1_is_refused(void **state)
{
    struct http2_peer *peer = *state;
    struct sl_span line = sl_span_of("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    struct sl_error err;
    assert_int_equal(sl_grpc_wire.input(peer->wire, line, &err), -EPROTO);
    assert_int_equal(err.code, SL_E_NETWORK);
}

/* Frames of one kind, n times, in one input() without reading the answers. */
static int flood(struct http2_peer *peer, struct sl_span frame, size_t n)
{
    http2_peer_pump(peer);
    struct sl_bytes all = {0};
    for (size_t i = 0; i < n; i++)
        assert_int_equal(sl_bytes_append(&all, frame, SIZE_MAX, NULL), 0);
    int r = sl_grpc_wire.input(peer->wire, sl_bytes_span(&all), &peer->error);
    sl_bytes_done(&all);
    return r;
}

static void floods_of_pings_and_settings_end_the_connection(void **state)
{
    static const uint8_t ping[17] = {0, 0, 8, NGHTTP2_PING};
    static const uint8_t settings[9] = {0, 0, 0, NGHTTP2_SETTINGS};
    struct sl_span frames[] = {{ping, sizeof(ping)}, {settings, sizeof(settings)}};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(flood(*state, frames[i], 100), 0);
        assert_int_equal(teardown(state), 0); /* our peer never asked for those answers */
        assert_int_equal(setup(state), 0);
        assert_int_equal(flood(*state, frames[i], 101), -EPROTO);
        assert_int_equal(((struct http2_peer *)*state)->error.code, SL_E_NETWORK);
        assert_int_equal(teardown(state), 0);
        assert_int_equal(setup(state), 0);
    }
}

static void flood_of_resets_ends_the_connection(void **state)
{
    struct http2_peer *peer = *state;
    for (int i = 0; i < 255; i++) {
        int32_t id = http2_peer_ask(peer, NULL, (struct sl_span){ask.data, 3}, true);
        http2_peer_pump(peer);
        if (peer->got_goaway)
            break;
        (void)nghttp2_submit_rst_stream(peer->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    }
    http2_peer_pump(peer);
    assert_false(peer->got_goaway);
    static const uint8_t reset[13] = {0, 0, 4, NGHTTP2_RST_STREAM, 0, 0, 0, 0, 1};
    (void)flood(peer, (struct sl_span){reset, sizeof(reset)}, 400);
    http2_peer_pump(peer);
    assert_true(peer->got_goaway);
    assert_true(sl_grpc_wire.is_idle(peer->wire));
}

static void oversized_frame_ends_the_connection(void **state)
{
    struct http2_peer *peer = *state;
    static const uint8_t data[9] = {0xff, 0, 0, NGHTTP2_DATA, 0, 0, 0, 0, 1};
    assert_int_equal(flood(peer, (struct sl_span){data, sizeof(data)}, 1), 0);
    http2_peer_pump(peer);
    assert_true(peer->got_goaway);
    assert_int_equal(peer->goaway_code, NGHTTP2_FRAME_SIZE_ERROR);
    assert_true(sl_grpc_wire.is_idle(peer->wire));
}

#define WIRE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WIRE_TEST(call_of_the_specification_is_answered),
        WIRE_TEST(bytes_one_by_one_make_the_same_calls),
        WIRE_TEST(bytes_cut_anywhere_make_the_same_call),
        WIRE_TEST(empty_message_is_a_message),
        WIRE_TEST(requests_that_are_no_calls_are_refused),
        WIRE_TEST(bodies_that_are_not_one_message_are_refused),
        WIRE_TEST(refusal_before_the_end_stops_the_client),
        WIRE_TEST(too_many_headers_are_refused),
        WIRE_TEST(too_large_headers_are_refused),
        WIRE_TEST(status_text_is_percent_encoded),
        WIRE_TEST(calls_are_answered_in_any_order),
        WIRE_TEST(streams_above_the_limit_wait_or_are_turned_away),
        WIRE_TEST(largest_messages_pass_both_ways),
        WIRE_TEST(answer_without_room_is_pending),
        WIRE_TEST(answer_above_the_limit_becomes_a_refusal),
        WIRE_TEST(unfinished_requests_cannot_pile_up),
        WIRE_TEST(cancelled_call_is_abandoned),
        WIRE_TEST(half_sent_request_is_partial_until_it_is_cancelled),
        WIRE_TEST(shut_lets_calls_end_and_takes_no_more),
        WIRE_TEST(sent_secret_is_wiped),
        WIRE_TEST(failure_of_the_server_ends_the_connection),
        WIRE_TEST(http1_is_refused),
        WIRE_TEST(floods_of_pings_and_settings_end_the_connection),
        WIRE_TEST(flood_of_resets_ends_the_connection),
        WIRE_TEST(oversized_frame_ends_the_connection),
    };
    return cmocka_run_group_tests_name("rpc.grpc_wire", tests, NULL, NULL);
}
