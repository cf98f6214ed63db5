/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc_format.h"

#include "sluice/core/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    TIMEOUT_DIGITS_MAX = 8, /* of a grpc-timeout, by its grammar */
    STATUS_DIGITS_MAX = 3,
};

/* --- bodies --- */

static size_t announced(const struct sl_grpc_reader *reader)
{
    const uint8_t *p = reader->prefix;
    return (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | (size_t)p[4];
}

static enum sl_grpc_body_fault check_prefix(const struct sl_grpc_reader *reader)
{
    if (reader->prefix[0] > 1)
        return SL_GRPC_BODY_BAD_FLAG;
    if (reader->prefix[0] == 1)
        return SL_GRPC_BODY_COMPRESSED;
    return announced(reader) > SL_RPC_MESSAGE_MAX ? SL_GRPC_BODY_TOO_LARGE : SL_GRPC_BODY_GOOD;
}

enum sl_grpc_body_fault sl_grpc_reader_feed(struct sl_grpc_reader *reader, struct sl_span bytes)
{
    while (bytes.len && reader->n_prefix < SL_GRPC_PREFIX_SIZE) {
        reader->prefix[reader->n_prefix++] = *bytes.data++;
        bytes.len--;
    }
    if (reader->n_prefix < SL_GRPC_PREFIX_SIZE)
        return SL_GRPC_BODY_GOOD;
    enum sl_grpc_body_fault fault = check_prefix(reader);
    if (fault != SL_GRPC_BODY_GOOD)
        return fault;
    if (bytes.len > announced(reader) - reader->message.len)
        return SL_GRPC_BODY_TOO_LONG;
    if (sl_bytes_append(&reader->message, bytes, SL_RPC_MESSAGE_MAX, NULL) < 0)
        return SL_GRPC_BODY_NO_MEMORY;
    return SL_GRPC_BODY_GOOD;
}

enum sl_grpc_body_fault sl_grpc_reader_end(const struct sl_grpc_reader *reader)
{
    if (reader->n_prefix < SL_GRPC_PREFIX_SIZE || reader->message.len < announced(reader))
        return SL_GRPC_BODY_TOO_SHORT;
    return SL_GRPC_BODY_GOOD;
}

void sl_grpc_reader_wipe(struct sl_grpc_reader *reader)
{
    sl_bytes_wipe(&reader->message);
    *reader = (struct sl_grpc_reader){0};
}

const char *sl_grpc_body_fault_text(enum sl_grpc_body_fault fault)
{
    switch (fault) {
    case SL_GRPC_BODY_GOOD:
        return "good";
    case SL_GRPC_BODY_COMPRESSED:
        return "compressed messages are not supported";
    case SL_GRPC_BODY_BAD_FLAG:
        return "the message begins with a flag that is neither 0 nor 1";
    case SL_GRPC_BODY_TOO_LARGE:
        return "the message is larger than 4 MiB";
    case SL_GRPC_BODY_TOO_LONG:
        return "there are bytes behind the one message";
    case SL_GRPC_BODY_TOO_SHORT:
        return "the message is missing or cut short";
    case SL_GRPC_BODY_NO_MEMORY:
        return "out of memory";
    }
    return "unknown";
}

int sl_grpc_body_append(struct sl_bytes *body, struct sl_span message, struct sl_error *err)
{
    if (message.len > SL_RPC_MESSAGE_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "message of %zu bytes, more than %d",
                            message.len, SL_RPC_MESSAGE_MAX);
    uint32_t n = (uint32_t)message.len;
    uint8_t prefix[SL_GRPC_PREFIX_SIZE] = {0, (uint8_t)(n >> 24), (uint8_t)(n >> 16),
                                           (uint8_t)(n >> 8), (uint8_t)n};
    /* One message is all that most bodies are: no more memory than it takes. */
    size_t size = sizeof(prefix) + message.len + 1;
    if (!body->data && !(body->data = malloc(size)))
        return sl_error_oom(err);
    if (!body->cap)
        body->cap = size;
    int r = sl_bytes_append(body, (struct sl_span){prefix, sizeof(prefix)}, SIZE_MAX, err);
    return r < 0 ? r : sl_bytes_append(body, message, SIZE_MAX, err);
}

/* --- status texts --- */

/* Bytes of the well-formed character at p, or 0. */
static size_t utf8_length(const uint8_t *p, size_t len)
{
    return *p < 0x80 ? 1 : sl_utf8_multibyte_len(p, len);
}

static size_t put_escaped(char *out, const uint8_t *p, size_t n)
{
    static const char digits[] = "0123456789ABCDEF";
    if (n == 1 && *p >= 0x20 && *p <= 0x7e && *p != '%') {
        *out = (char)*p;
        return 1;
    }
    for (size_t i = 0; i < n; i++) {
        *out++ = '%';
        *out++ = digits[p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
    return 3 * n;
}

char *sl_grpc_text_encode(struct sl_span text)
{
    enum { CHARACTER_MAX = 3 * 4 };
    char *out = malloc(SL_RPC_STATUS_TEXT_MAX + 1);
    if (!out)
        return NULL;
    size_t len = 0;
    for (size_t i = 0; i < text.len && len + CHARACTER_MAX <= SL_RPC_STATUS_TEXT_MAX;) {
        size_t n = utf8_length(text.data + i, text.len - i);
        n = n ? n : 1;
        len += put_escaped(out + len, text.data + i, n);
        i += n;
    }
    out[len] = '\0';
    return out;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    uint8_t lower = c | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static size_t unescape(struct sl_span text, char *out)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t *p = text.data + i;
        bool is_escape =
            *p == '%' && text.len - i > 2 && hex_value(p[1]) >= 0 && hex_value(p[2]) >= 0;
        int byte = is_escape ? hex_value(p[1]) << 4 | hex_value(p[2]) : *p;
        out[len++] = (char)(uint8_t)byte;
        i += is_escape ? 2 : 0;
    }
    return len;
}

char *sl_grpc_text_decode(struct sl_span text)
{
    if (text.len > SL_RPC_STATUS_TEXT_MAX)
        text.len = SL_RPC_STATUS_TEXT_MAX;
    char *out = malloc(text.len + 1);
    if (!out)
        return NULL;
    size_t len = unescape(text, out);
    out[len] = '\0';
    for (size_t i = 0; i < len;) {
        size_t n = utf8_length((uint8_t *)out + i, len - i);
        if (n == 0 || (n == 1 && ((uint8_t)out[i] < 0x20 || out[i] == 0x7f)))
            out[i] = '?';
        i += n ? n : 1;
    }
    return out;
}

/* --- numbers --- */

/* -1 unless all bytes are digits, at least one and at most max. */
static int64_t parse_digits(struct sl_span text, size_t max)
{
    if (text.len == 0 || text.len > max)
        return -1;
    int64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -1;
        value = value * 10 + (text.data[i] - '0');
    }
    return value;
}

int sl_grpc_status_parse(struct sl_span text, enum sl_rpc_status *ret)
{
    int64_t value = parse_digits(text, STATUS_DIGITS_MAX);
    if (value < 0)
        return -EBADMSG;
    switch (value) {
    case SL_RPC_OK:
    case SL_RPC_CANCELLED:
    case SL_RPC_INVALID_ARGUMENT:
    case SL_RPC_DEADLINE_EXCEEDED:
    case SL_RPC_NOT_FOUND:
    case SL_RPC_PERMISSION_DENIED:
    case SL_RPC_RESOURCE_EXHAUSTED:
    case SL_RPC_FAILED_PRECONDITION:
    case SL_RPC_ABORTED:
    case SL_RPC_UNIMPLEMENTED:
    case SL_RPC_INTERNAL:
    case SL_RPC_UNAVAILABLE:
        *ret = (enum sl_rpc_status)value;
        return 0;
    default:
        *ret = SL_RPC_UNKNOWN;
        return 0;
    }
}

int sl_grpc_timeout_parse(struct sl_span text, int64_t *ret_ns)
{
    static const struct {
        uint8_t unit;
        int64_t ns;
    } units[] = {{'H', 3600000000000}, {'M', 60000000000}, {'S', 1000000000},
                 {'m', 1000000},       {'u', 1000},        {'n', 1}};
    if (text.len == 0)
        return -EBADMSG;
    struct sl_span digits = {text.data, text.len - 1};
    int64_t count = parse_digits(digits, TIMEOUT_DIGITS_MAX);
    for (size_t i = 0; count >= 0 && i < sizeof(units) / sizeof(units[0]); i++) {
        if (text.data[text.len - 1] != units[i].unit)
            continue;
        if (count > INT64_MAX / units[i].ns)
            *ret_ns = INT64_MAX;
        else
            *ret_ns = count ? count * units[i].ns : 1;
        return 0;
    }
    return -EBADMSG;
}

void sl_grpc_timeout_format(int ms, char out[SL_GRPC_TIMEOUT_SIZE])
{
    bool is_long = ms > 99999999; /* TIMEOUT_DIGITS_MAX */
    (void)snprintf(out, SL_GRPC_TIMEOUT_SIZE, "%d%c", is_long ? ms / 1000 : ms,
                   is_long ? 'S' : 'm');
}

/* --- names --- */

bool sl_grpc_path_split(struct sl_span path, struct sl_span *ret_service,
                        struct sl_span *ret_method)
{
    if (path.len == 0 || path.data[0] != '/')
        return false;
    const uint8_t *service = path.data + 1, *end = path.data + path.len;
    const uint8_t *slash = memchr(service, '/', (size_t)(end - service));
    if (!slash || slash == service || slash + 1 == end)
        return false;
    if (memchr(slash + 1, '/', (size_t)(end - slash - 1)))
        return false;
    *ret_service = (struct sl_span){service, (size_t)(slash - service)};
    *ret_method = (struct sl_span){slash + 1, (size_t)(end - slash - 1)};
    return true;
}

bool sl_grpc_is_content_type(struct sl_span value)
{
    static const char name[] = "application/grpc";
    size_t n = sizeof(name) - 1;
    if (value.len < n || strncasecmp((const char *)value.data, name, n) != 0)
        return false;
    return value.len == n || value.data[n] == '+' || value.data[n] == ';' || value.data[n] == ' ';
}
