/* SPDX-License-Identifier: Apache-2.0 */
#include "http_response.h"
#include "http_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static void feed(struct sl_http_response *resp, const char *line)
{
    struct sl_error err;
    assert_int_equal(sl_http_response_line(resp, sl_span_of(line), &err), 0);
}

static void head_of_an_answer_is_kept(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_http_response) resp;
    sl_http_response_init(&resp);
    feed(&resp, "HTTP/1.1 100 Continue\r\n");
    feed(&resp, "Location: http://wrong\r\n");
    feed(&resp, "\r\n");
    feed(&resp, "HTTP/2 206 \r\n");
    feed(&resp, "content-TYPE:  application/json; x=y  \r\n");
    feed(&resp, "Content-Length: 300\r\n");
    feed(&resp, "Content-Range: bytes 100-399/1000\r\n");
    feed(&resp, "WWW-Authenticate: Basic\r\n");
    feed(&resp, "WWW-Authenticate: Bearer realm=\"x\"\r\n");
    feed(&resp, "Link: </a>; rel=prev\r\n");
    feed(&resp, "link: </b>; rel=next\r\n");
    feed(&resp, "OCI-Subject: sha256:00\r\n");
    assert_false(resp.offers_signatures);
    feed(&resp, "X-Registry-Supports-Signatures: 1\r\n");
    feed(&resp, "no colon here\r\n");
    assert_int_equal(resp.status, 206);
    assert_null(resp.location);
    assert_string_equal(resp.content_type, "application/json; x=y");
    assert_int_equal(resp.content_length, 300);
    assert_int_equal(resp.range_start, 100);
    assert_int_equal(resp.range_last, 399);
    assert_int_equal(resp.range_total, 1000);
    assert_string_equal((char *)resp.challenges.data, "Basic\nBearer realm=\"x\"\n");
    assert_string_equal((char *)resp.links.data, "</a>; rel=prev\n</b>; rel=next\n");
    assert_string_equal(resp.subject, "sha256:00");
    assert_true(resp.offers_signatures);
}

static void content_range_forms(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int64_t start, total;
    } table[] = {
        {"Content-Range: bytes 0-0/1", 0, 1},
        {"Content-Range: bytes 5-9/*", 5, -1},
        {"Content-Range: bytes */77", -1, 77},
        {"Content-Range: bytes 9-5/77", -1, -1},
        {"Content-Range: bytes 5/77", -1, -1},
        {"Content-Range: pages 5-9/77", -1, -1},
        {"Content-Range: bytes", -1, -1},
        {"Content-Range: bytes 99999999999999999999-5/7", -1, -1},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        SL_AUTO_DONE(sl_http_response) resp;
        sl_http_response_init(&resp);
        feed(&resp, "HTTP/1.1 206 x");
        feed(&resp, table[i].line);
        assert_int_equal(resp.range_start, table[i].start);
        assert_int_equal(resp.range_total, table[i].total);
    }
}

static void head_too_large_is_a_limit(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_http_response) resp;
    sl_http_response_init(&resp);
    feed(&resp, "HTTP/1.1 200 OK");
    struct sl_error err;
    int r = 0;
    unsigned n = 0;
    for (; r == 0 && n < 1000; n++)
        r = sl_http_response_line(&resp, sl_span_of("a: b"), &err);
    assert_int_equal(r, -E2BIG);
    assert_int_equal(err.code, SL_E_LIMIT);
    assert_int_equal(n, 256);
}

static void heads_without_end_are_a_limit(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_http_response) resp;
    sl_http_response_init(&resp);
    struct sl_error err;
    int r = 0;
    for (unsigned n = 0; r == 0 && n < 1000; n++)
        r = sl_http_response_line(&resp, sl_span_of("HTTP/1.1 100 Continue"), &err);
    assert_int_equal(r, -E2BIG);
    assert_int_equal(err.code, SL_E_LIMIT);
}

static void origins_are_compared_as_libcurl_reads_them(void **state)
{
    (void)state;
    assert_true(sl_url_is_same_origin("https://a/x", "HTTPS://A:443/y?z"));
    assert_true(sl_url_is_same_origin("http://a:80", "http://a/"));
    assert_false(sl_url_is_same_origin("https://a", "http://a"));
    assert_false(sl_url_is_same_origin("https://a", "https://a:444"));
    assert_false(sl_url_is_same_origin("https://a", "https://a.evil"));
    assert_false(sl_url_is_same_origin("https://a", "https://a@evil/"));
    assert_false(sl_url_is_same_origin("file:///a", "file:///a"));
}

static void resolve(const char *location, const char *want)
{
    SL_AUTO_FREE char *got = sl_url_resolve("https://host:5000/v2/a/blobs/x", location);
    if (want)
        assert_string_equal(got ? got : "(none)", want);
    else
        assert_null(got);
}

static void locations_are_resolved_and_checked(void **state)
{
    (void)state;
    resolve("https://cdn/blob?sig=a%2Fb", "https://cdn/blob?sig=a%2Fb");
    resolve("/other", "https://host:5000/other");
    resolve("//cdn/x", "https://cdn/x");
    resolve("y?q#fragment", "https://host:5000/v2/a/blobs/y?q");
    resolve("https://user:pw@cdn/", NULL);
    resolve("https://evil\\@host:5000/", NULL);
    resolve("file:///etc/passwd", NULL);
    resolve("ftp://cdn/", NULL);
    resolve("https://", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head_of_an_answer_is_kept),
        cmocka_unit_test(content_range_forms),
        cmocka_unit_test(head_too_large_is_a_limit),
        cmocka_unit_test(heads_without_end_are_a_limit),
        cmocka_unit_test(origins_are_compared_as_libcurl_reads_them),
        cmocka_unit_test(locations_are_resolved_and_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
