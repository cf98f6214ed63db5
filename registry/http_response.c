/* SPDX-License-Identifier: Apache-2.0 */
#include "http_response.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    HEADER_BYTES_MAX = 64 * 1024, /* of all heads of an answer */
    HEADER_LINES_MAX = 256,
    CHALLENGES_MAX = 16 * 1024, /* of all WWW-Authenticate lines */
    LINKS_MAX = 16 * 1024,      /* of all Link lines */
};

void sl_http_response_init(struct sl_http_response *resp)
{
    *resp = (struct sl_http_response){
        .content_length = -1,
        .range_start = -1,
        .range_last = -1,
        .range_total = -1,
    };
}

void sl_http_response_done(struct sl_http_response *resp)
{
    free(resp->content_type);
    free(resp->content_digest);
    free(resp->location);
    free(resp->retry_after);
    free(resp->subject);
    sl_bytes_done(&resp->challenges);
    sl_bytes_done(&resp->links);
    sl_http_response_init(resp);
}

/* Digits only, at *p; moves it behind them. -1 when there are none or too many. */
static int64_t take_number(const char **p)
{
    int64_t n = 0;
    const char *start = *p;
    for (; isdigit((unsigned char)**p); (*p)++) {
        if (n > (INT64_MAX - 9) / 10)
            return -1;
        n = n * 10 + (**p - '0');
    }
    return *p == start ? -1 : n;
}

/* "bytes 100-199/200", "bytes 100-199/" "*", "bytes *" "/200" (RFC 9110 14.4). */
static void parse_content_range(struct sl_http_response *resp, const char *value)
{
    if (strncasecmp(value, "bytes", 5) != 0 || value[5] != ' ')
        return;
    const char *p = value + 6;
    int64_t start = -1, last = -1;
    if (*p == '*') {
        p++;
    } else {
        start = take_number(&p);
        if (start < 0 || *p != '-')
            return;
        p++;
        last = take_number(&p);
        if (last < start)
            return;
    }
    if (*p != '/')
        return;
    p++;
    resp->range_start = start;
    resp->range_last = last;
    resp->range_total = take_number(&p);
}

static int keep_text(char **slot, const char *value, struct sl_error *err)
{
    char *copy = strdup(value);
    if (!copy)
        return sl_error_oom(err);
    free(*slot);
    *slot = copy;
    return 0;
}

static int keep_line(struct sl_bytes *lines, const char *value, size_t limit, struct sl_error *err)
{
    int r = sl_bytes_append(lines, sl_span_of(value), limit, err);
    return r < 0 ? r : sl_bytes_append(lines, sl_span_of("\n"), limit, err);
}

static int keep_field(struct sl_http_response *resp, const char *name, const char *value,
                      struct sl_error *err)
{
    if (!strcasecmp(name, "content-type"))
        return keep_text(&resp->content_type, value, err);
    if (!strcasecmp(name, "docker-content-digest"))
        return keep_text(&resp->content_digest, value, err);
    if (!strcasecmp(name, "location"))
        return keep_text(&resp->location, value, err);
    if (!strcasecmp(name, "retry-after"))
        return keep_text(&resp->retry_after, value, err);
    if (!strcasecmp(name, "www-authenticate"))
        return keep_line(&resp->challenges, value, CHALLENGES_MAX, err);
    if (!strcasecmp(name, "link"))
        return keep_line(&resp->links, value, LINKS_MAX, err);
    if (!strcasecmp(name, "oci-subject"))
        return keep_text(&resp->subject, value, err);
    if (!strcasecmp(name, "x-registry-supports-signatures"))
        resp->offers_signatures = !strcmp(value, "1");
    if (!strcasecmp(name, "content-length"))
        resp->content_length = take_number(&(const char *){value});
    else if (!strcasecmp(name, "content-range"))
        parse_content_range(resp, value);
    return 0;
}

/* "HTTP/1.1 200 OK", "HTTP/2 200 ". */
static void start_head(struct sl_http_response *resp, const char *text)
{
    size_t bytes = resp->header_bytes, lines = resp->header_lines;
    sl_http_response_done(resp);
    /* Heads without end, one 100 Continue after the other, share one limit. */
    resp->header_bytes = bytes;
    resp->header_lines = lines;
    const char *p = strchr(text, ' ');
    if (!p)
        return;
    p++;
    int64_t status = take_number(&p);
    resp->status = status >= 100 && status <= 999 ? (long)status : 0;
}

static int take_line(struct sl_http_response *resp, char *text, struct sl_error *err)
{
    if (!strncmp(text, "HTTP/", 5)) {
        start_head(resp, text);
        return 0;
    }
    char *colon = strchr(text, ':');
    if (!colon || !resp->status)
        return 0;
    *colon = '\0';
    return keep_field(resp, text, colon + 1 + strspn(colon + 1, " \t"), err);
}

int sl_http_response_line(struct sl_http_response *resp, struct sl_span line, struct sl_error *err)
{
    resp->header_bytes += line.len;
    resp->header_lines++;
    if (line.len > HEADER_BYTES_MAX || resp->header_bytes > HEADER_BYTES_MAX ||
        resp->header_lines > HEADER_LINES_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "the server sends too many headers");
    size_t len = line.len;
    while (len && isspace(line.data[len - 1]))
        len--;
    SL_AUTO_FREE char *text = strndup((const char *)line.data, len);
    return text ? take_line(resp, text, err) : sl_error_oom(err);
}
