/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc_vectors.h"

/* A connection that writes down what the wire asks. */
struct sl_connection {
    unsigned n_calls;
    uint32_t streams[8];
    char words[8][200]; /* service, method, message, timeout */
};

int sl_connection_call(struct sl_connection *c, const struct sl_wire_request *request,
                       struct sl_error *err)
{
    (void)err;
    assert_true(c->n_calls < 8);
    c->streams[c->n_calls] = request->stream;
    snprintf(c->words[c->n_calls++], sizeof(c->words[0]), "%.*s|%.*s|%.*s|%lld|%zu",
             (int)request->service.len, (const char *)request->service.data,
             (int)request->method.len, (const char *)request->method.data,
             (int)request->message.len, (const char *)request->message.data,
             (long long)request->timeout_ns, request->n_metadata);
    return 0;
}

void sl_connection_abandon(struct sl_connection *c, uint32_t stream)
{
    (void)c;
    (void)stream;
}

struct fixture {
    struct sl_connection connection;
    struct sl_wire *wire;
};

static struct fixture *open_wire(void)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    assert_ok(sl_ttrpc_wire.open(&f->connection, &f->wire, NULL));
    return f;
}

static void close_wire(struct fixture *f)
{
    f->wire->ops->close(f->wire);
    free(f);
}

static void input(struct fixture *f, const char *hex)
{
    SL_AUTO_DONE(sl_bytes) bytes = from_hex(hex);
    assert_ok(f->wire->ops->input(f->wire, sl_bytes_span(&bytes), NULL));
}

static void assert_output(struct fixture *f, const char *hex)
{
    SL_AUTO_DONE(sl_bytes) want = from_hex(hex);
    struct sl_span out;
    assert_ok(f->wire->ops->output(f->wire, &out, NULL));
    assert_bytes(out, want.data, want.len);
}

static void requests_cut_anywhere_are_the_same_calls(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) bytes = from_hex(UNWRAP_REQUEST_HEX GET_RESOURCE_HEX);
    for (size_t cut = 0; cut <= bytes.len; cut++) {
        struct fixture *f = open_wire();
        assert_ok(f->wire->ops->input(f->wire, (struct sl_span){bytes.data, cut}, NULL));
        bool is_between = cut == 0 || cut == 74 || cut == bytes.len;
        assert_int_equal(f->wire->ops->is_partial(f->wire), !is_between);
        assert_ok(f->wire->ops->input(f->wire, (struct sl_span){bytes.data + cut, bytes.len - cut},
                                      NULL));
        assert_int_equal(f->connection.n_calls, 2);
        assert_int_equal(f->connection.streams[0], 1);
        assert_int_equal(f->connection.streams[1], 3);
        assert_string_equal(f->connection.words[0],
                            "keyprovider.KeyProviderService|UnWrapKey|\n\n{\"op\":\"x\"}|"
                            "50000000000|0");
        assert_string_equal(f->connection.words[1],
                            "api.GetResourceService|GetResource|\n\x14kbs:///default/key/1|"
                            "50000000000|0");
        close_wire(f);
    }
}

static void answers_leave_in_the_order_they_came(void **state)
{
    (void)state;
    const struct sl_wire_answer good = {.message = sl_span_of("\n+" UNWRAP_RESULTS)};
    const struct sl_wire_answer refusal = {.status = SL_RPC_INTERNAL,
                                           .text = sl_span_of("[CDH] [ERROR]: x")};
    struct fixture *f = open_wire();
    input(f, UNWRAP_REQUEST_HEX);
    assert_output(f, "");
    assert_ok(f->wire->ops->answer(f->wire, 1, &refusal, NULL));
    assert_ok(f->wire->ops->answer(f->wire, 1, &good, NULL));
    assert_int_equal(f->wire->ops->pending(f->wire), 32 + 57);
    assert_output(f, ERROR_RESPONSE_HEX);
    assert_int_equal(f->wire->ops->pending(f->wire), 32 + 57);
    assert_output(f, GO_RESPONSE_HEX);
    f->wire->ops->shut(f->wire);
    assert_false(f->wire->ops->is_idle(f->wire));
    assert_output(f, "");
    assert_int_equal(f->wire->ops->pending(f->wire), 0);
    assert_true(f->wire->ops->is_idle(f->wire));
    close_wire(f);
}

static void frames_that_are_no_calls_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        /* stream id must be odd */
        {"00000000000000020100",
         "0000001b0000000202000a190803121573747265616d206964206d757374206265206f6464"},
        /* streams are not supported */
        {"00000000000000010101",
         "0000001f0000000102000a1d080c121973747265616d7320617265206e6f7420737570706f72746564"},
        /* StreamID is no longer active */
        {"0000000100000001030061",
         "00000022000000010200"
         "0a200803121c53747265616d4944206973206e6f206c6f6e67657220616374697665"},
        /* responses, unknown types */
        {"0000000100000001020061", ""},
        {"000000010000000109006100000000000000000000", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture *f = open_wire();
        input(f, cases[i].in);
        assert_output(f, cases[i].out);
        assert_int_equal(f->connection.n_calls, 0);
        input(f, UNWRAP_REQUEST_HEX);
        assert_int_equal(f->connection.n_calls, i == 1 ? 0 : 1);
        close_wire(f);
    }
}

static void timeout_below_zero_is_none(void **state)
{
    (void)state;
    struct fixture *f = open_wire();
    input(f, "0000000b0000000101002080808080808080808001");
    assert_string_equal(f->connection.words[0], "|||0|0");
    close_wire(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_cut_anywhere_are_the_same_calls),
        cmocka_unit_test(answers_leave_in_the_order_they_came),
        cmocka_unit_test(frames_that_are_no_calls_are_refused),
        cmocka_unit_test(timeout_below_zero_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
