/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc_answer.h"
#include "grpc_format.h"
#include "grpc_target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define N_OF(table) (sizeof(table) / sizeof((table)[0]))

static void body_of_the_specification_is_written(void **state)
{
    (void)state;
    static const uint8_t expected[] = "\0\0\0\0\x0c\x0a\x0a{\"op\":\"x\"}";
    struct sl_bytes body = {0};
    assert_int_equal(sl_grpc_body_append(&body, (struct sl_span){expected + 5, 12}, NULL), 0);
    assert_int_equal(body.len, 17);
    assert_memory_equal(body.data, expected, 17);
    sl_bytes_done(&body);
}

static void body_above_the_limit_is_not_written(void **state)
{
    (void)state;
    struct sl_bytes body = {0};
    struct sl_error err;
    struct sl_span large = {(const uint8_t *)"", SL_RPC_MESSAGE_MAX + 1};
    assert_int_equal(sl_grpc_body_append(&body, large, &err), -E2BIG);
    assert_int_equal(err.code, SL_E_LIMIT);
    assert_null(body.data);
}

static void texts_are_encoded(void **state)
{
    (void)state;
    static const struct {
        const char *plain, *encoded;
    } table[] = {
        {"", ""},
        {"no such key", "no such key"},
        {"100%", "100%25"},
        {"a\tb\x7f~", "a%09b%7F~"},
        {"\xe2\x82\xac", "%E2%82%AC"},
        {"\xff\xc3", "%FF%C3"},
    };
    for (size_t i = 0; i < N_OF(table); i++) {
        SL_AUTO_FREE char *text = sl_grpc_text_encode(sl_span_of(table[i].plain));
        assert_string_equal(text, table[i].encoded);
    }
}

static void long_texts_are_cut_between_characters(void **state)
{
    (void)state;
    SL_AUTO_FREE char *plain = calloc(1, 6001);
    for (size_t i = 0; i < 6000; i += 3)
        memcpy(plain + i, "\xe2\x82\xac", 3);
    SL_AUTO_FREE char *text = sl_grpc_text_encode(sl_span_of(plain));
    size_t len = strlen(text);
    assert_in_range(len, SL_RPC_STATUS_TEXT_MAX - 20, SL_RPC_STATUS_TEXT_MAX);
    assert_int_equal(len % 9, 0);
    assert_string_equal(text + len - 9, "%E2%82%AC");
}

static void texts_are_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *encoded, *plain;
    } table[] = {
        {"", ""},
        {"100%25 n%C3%B6", "100% n\xc3\xb6"},
        {"%e2%82%AC", "\xe2\x82\xac"},
        {"50% off%", "50% off%"},
        {"%4", "%4"},
        {"%zz%2", "%zz%2"},
        {"a%0Ab%00c%7F", "a?b?c?"},
        {"\xff%ff%C3", "???"},
        {"%ED%A0%80", "???"},     /* a surrogate */
        {"%C0%AF", "??"},         /* an overlong / */
        {"%F4%90%80%80", "????"}, /* above U+10FFFF */
        {"%F0%9F%98%80", "\xf0\x9f\x98\x80"},
        {"n\xc3\xb6", "n\xc3\xb6"},
    };
    for (size_t i = 0; i < N_OF(table); i++) {
        SL_AUTO_FREE char *text = sl_grpc_text_decode(sl_span_of(table[i].encoded));
        assert_string_equal(text, table[i].plain);
    }
}

static void statuses_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int r;
        enum sl_rpc_status status;
    } table[] = {
        {"0", 0, SL_RPC_OK},
        {"7", 0, SL_RPC_PERMISSION_DENIED},
        {"14", 0, SL_RPC_UNAVAILABLE},
        {"16", 0, SL_RPC_UNKNOWN},
        {"999", 0, SL_RPC_UNKNOWN},
        {"", -EBADMSG, SL_RPC_ABORTED},
        {"-1", -EBADMSG, SL_RPC_ABORTED},
        {"0x0", -EBADMSG, SL_RPC_ABORTED},
        {"0 ", -EBADMSG, SL_RPC_ABORTED},
        {"0000", -EBADMSG, SL_RPC_ABORTED},
    };
    for (size_t i = 0; i < N_OF(table); i++) {
        enum sl_rpc_status status = SL_RPC_ABORTED;
        assert_int_equal(sl_grpc_status_parse(sl_span_of(table[i].text), &status), table[i].r);
        assert_int_equal(status, table[i].status);
    }
}

static void timeouts_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns; /* -1: refused */
    } table[] = {
        {"1n", 1},
        {"0S", 1},
        {"250u", 250000},
        {"1500m", 1500000000},
        {"50S", 50000000000},
        {"2M", 120000000000},
        {"1H", 3600000000000},
        {"99999999H", INT64_MAX},
        {"99999999S", 99999999000000000},
        {"123456789n", -1},
        {"", -1},
        {"S", -1},
        {"5", -1},
        {"5s", -1},
        {"-5S", -1},
        {" 5S", -1},
        {"5S ", -1},
    };
    for (size_t i = 0; i < N_OF(table); i++) {
        int64_t ns = -1;
        int r = sl_grpc_timeout_parse(sl_span_of(table[i].text), &ns);
        assert_int_equal(r, table[i].ns < 0 ? -EBADMSG : 0);
        assert_int_equal(ns, table[i].ns);
    }
}

static void timeouts_are_written(void **state)
{
    (void)state;
    char text[SL_GRPC_TIMEOUT_SIZE];
    sl_grpc_timeout_format(50000, text);
    assert_string_equal(text, "50000m");
    sl_grpc_timeout_format(99999999, text);
    assert_string_equal(text, "99999999m");
    sl_grpc_timeout_format(INT32_MAX, text);
    assert_string_equal(text, "2147483S");
}

static void targets_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text, *authority, *port, *socket_path;
    } table[] = {
        {"127.0.0.1:50000", "127.0.0.1:50000", "50000", NULL},
        {"dns:///kp.example:1", "kp.example:1", "1", NULL},
        {"http://localhost:65535", "localhost:65535", "65535", NULL},
        {"tcp://[::1]:80", "[::1]:80", "80", NULL},
        {"unix:run/kp.sock", "localhost", NULL, "run/kp.sock"},
        {"unix:/run/kp.sock", "localhost", NULL, "/run/kp.sock"},
        {"unix:///run/kp.sock", "localhost", NULL, "/run/kp.sock"},
    };
    for (size_t i = 0; i < N_OF(table); i++) {
        SL_AUTO_DONE(sl_grpc_target) target = {0};
        assert_int_equal(sl_grpc_target_parse(table[i].text, &target, NULL), 0);
        assert_string_equal(target.authority, table[i].authority);
        assert_true(!target.port == !table[i].port);
        assert_true(!target.socket_path == !table[i].socket_path);
        if (target.port)
            assert_string_equal(target.port, table[i].port);
        if (target.socket_path)
            assert_string_equal(target.socket_path, table[i].socket_path);
    }
}

static void bad_targets_are_refused(void **state)
{
    (void)state;
    static const char *const table[] = {
        "",
        "host",
        "host:",
        ":80",
        "host:0",
        "host:65536",
        "host:99999999999",
        "host:8a",
        "a@host:80",
        "host/x:80",
        "http://host",
        "https://host:80",
        "dns://host:80",
        "::1:80",
        "[::1:80",
        "[zz]:80",
        "unix:",
        "unix://",
        "unix://relative",
        "ho st:80",
        "host:80/x",
        "vsock://2:1024",
        "host%00:80",
        "host:80\n",
    };
    char path[256] = "unix:/";
    memset(path + 6, 'x', 107);
    struct sl_grpc_target target = {0};
    struct sl_error err;
    for (size_t i = 0; i < N_OF(table); i++) {
        assert_int_equal(sl_grpc_target_parse(table[i], &target, &err), -EINVAL);
        assert_int_equal(err.code, SL_E_FORMAT);
    }
    assert_int_equal(sl_grpc_target_parse(path, &target, &err), -EINVAL);
    assert_null(target.authority);
}

/* --- answers --- */

struct taken {
    int r;
    enum sl_rpc_status status;
    struct sl_bytes message, text;
    struct sl_error err;
};

/* Lines up to an empty one, the body, then the trailers. */
static struct taken take(const char *const *lines, struct sl_span body)
{
    struct taken got = {.status = SL_RPC_ABORTED};
    SL_AUTO_DONE(sl_grpc_answer) answer = {0};
    for (; *lines && got.r == 0; lines++)
        got.r = **lines ? sl_grpc_answer_line(&answer, sl_span_of(*lines), &got.err)
                        : sl_grpc_answer_body(&answer, body, &got.err);
    if (got.r == 0)
        got.r = sl_grpc_answer_take(&answer, &got.status, &got.message, &got.text, &got.err);
    return got;
}

static void drop(struct taken *got)
{
    sl_bytes_done(&got->message);
    sl_bytes_done(&got->text);
}

static const struct sl_span one_byte = {(const uint8_t *)"\0\0\0\0\1x", 6};

static void whole_answer_is_taken(void **state)
{
    (void)state;
    const char *lines[] = {"HTTP/2 200 \r\n",
                           "Content-Type: application/grpc+proto\r\n",
                           "\r\n",
                           "",
                           "grpc-status: 0\r\n",
                           "grpc-message: \r\n",
                           NULL};
    struct taken got = take(lines, one_byte);
    assert_int_equal(got.r, 0);
    assert_int_equal(got.status, SL_RPC_OK);
    assert_int_equal(got.message.len, 1);
    assert_int_equal(got.message.data[0], 'x');
    assert_null(got.text.data);
    drop(&got);
}

static void provisional_head_is_forgotten(void **state)
{
    (void)state;
    const char *lines[] = {"HTTP/2 103 \r\n",
                           "grpc-status: 5\r\n",
                           "\r\n",
                           "HTTP/2 200 \r\n",
                           "content-type: application/grpc\r\n",
                           "\r\n",
                           "",
                           "grpc-status:0\r\n",
                           NULL};
    struct taken got = take(lines, one_byte);
    assert_int_equal(got.r, 0);
    assert_int_equal(got.status, SL_RPC_OK);
    drop(&got);
}

static void refusal_is_taken_with_its_text(void **state)
{
    (void)state;
    const char *lines[] = {"HTTP/2 200 \r\n",
                           "content-type: application/grpc\r\n",
                           "grpc-status: 5\r\n",
                           "grpc-message: no%20key%0A\xff\r\n",
                           "\r\n",
                           NULL};
    struct taken got = take(lines, one_byte);
    assert_int_equal(got.r, 0);
    assert_int_equal(got.status, SL_RPC_NOT_FOUND);
    assert_string_equal((const char *)got.text.data, "no key??");
    assert_null(got.message.data);
    drop(&got);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *lines[6];
        struct sl_span body;
        const char *says;
    } table[] = {
        {{NULL}, {NULL, 0}, "answers HTTP 0, not gRPC"},
        {{"HTTP/1.1 200 OK\r\n"}, {NULL, 0}, "does not speak HTTP/2"},
        {{"HTTP/2 2xx\r\n"}, {NULL, 0}, "malformed HTTP status"},
        {{"HTTP/2 404 \r\n"}, {NULL, 0}, "answers HTTP 404, not gRPC"},
        {{"HTTP/2 404 \r\n", ""}, {(const uint8_t *)"x", 1}, "answers HTTP 404, not gRPC"},
        {{"HTTP/2 200 \r\n", "content-type: text/html\r\n", ""},
         {(const uint8_t *)"<", 1},
         "answers HTTP, not gRPC"},
        {{"HTTP/2 200 \r\n", "grpc-status: 0\r\n"}, {NULL, 0}, "answers HTTP, not gRPC"},
        {{"HTTP/2 200 \r\n", "content-type: application/grpc\r\n", ""},
         {(const uint8_t *)"\0\0\0\0\1x", 6},
         "without a grpc-status"},
        {{"HTTP/2 103 \r\n", "grpc-status: 0\r\n", "HTTP/2 200 \r\n",
          "content-type: application/grpc\r\n", ""},
         {(const uint8_t *)"\0\0\0\0\1x", 6},
         "without a grpc-status"},
        {{"HTTP/2 200 \r\n", "content-type: application/grpc\r\n", "", "grpc-status: ok\r\n"},
         {(const uint8_t *)"\0\0\0\0\1x", 6},
         "not a number"},
        {{"HTTP/2 200 \r\n", "content-type: application/grpc\r\n", "", "grpc-status: 0\r\n"},
         {(const uint8_t *)"\0\0\0\0\2x", 6},
         "missing or cut short"},
        {{"HTTP/2 200 \r\n", "content-type: application/grpc\r\n", "grpc-status: 0\r\n"},
         {NULL, 0},
         "missing or cut short"},
        {{"HTTP/2 200 \r\n", "content-type: application/grpc\r\n", ""},
         {(const uint8_t *)"\0\0\x40\0\1", 5},
         "larger than 4 MiB"},
        {{"HTTP/2 200 \r\n", "content-type: application/grpc\r\n", ""},
         {(const uint8_t *)"\1\0\0\0\1x", 6},
         "compressed"},
    };
    for (size_t i = 0; i < N_OF(table); i++) {
        struct taken got = take(table[i].lines, table[i].body);
        assert_int_equal(got.r, -EPROTO);
        assert_int_equal(got.err.code, SL_E_NETWORK);
        assert_non_null(strstr(got.err.msg, table[i].says));
        assert_int_equal(got.status, SL_RPC_ABORTED);
        assert_null(got.message.data);
        assert_null(got.text.data);
    }
}

static void endless_headers_are_refused(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_grpc_answer) answer = {0};
    struct sl_error err;
    int r = 0;
    size_t n = 0;
    for (; n < 10000 && r == 0; n++)
        r = sl_grpc_answer_line(&answer, sl_span_of("x-filler: 0123456789012345678901\r\n"), &err);
    assert_int_equal(r, -EPROTO);
    assert_int_equal(n, 64 * 1024 / 34 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(body_of_the_specification_is_written),
        cmocka_unit_test(body_above_the_limit_is_not_written),
        cmocka_unit_test(texts_are_encoded),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(texts_are_decoded),
        cmocka_unit_test(statuses_are_read),
        cmocka_unit_test(timeouts_are_read),
        cmocka_unit_test(timeouts_are_written),
        cmocka_unit_test(targets_are_read),
        cmocka_unit_test(bad_targets_are_refused),
        cmocka_unit_test(whole_answer_is_taken),
        cmocka_unit_test(provisional_head_is_forgotten),
        cmocka_unit_test(refusal_is_taken_with_its_text),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(endless_headers_are_refused),
    };
    return cmocka_run_group_tests_name("rpc.grpc_format", tests, NULL, NULL);
}
