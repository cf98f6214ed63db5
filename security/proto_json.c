/* SPDX-License-Identifier: Apache-2.0 */
#include "proto_json.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static int wrong(struct sl_error *err, const char *name, const char *what)
{
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "'%.60s' %s", name, what);
}

const struct sl_json *sl_proto_get(const struct sl_json *object, const char *name)
{
    const struct sl_json *node = sl_json_get(object, name);
    return sl_json_type(node) == SL_JSON_NULL ? NULL : node;
}

int sl_proto_check(const struct sl_json *node, const char *what, const char *const *members,
                   struct sl_error *err)
{
    if (sl_json_type(node) != SL_JSON_OBJECT)
        return wrong(err, what, node ? "must be an object" : "is missing");
    for (size_t i = 0; i < sl_json_count(node); i++) {
        const char *const *known = members;
        while (*known && strcmp(*known, sl_json_name_at(node, i)) != 0)
            known++;
        if (!*known)
            return sl_error_set(err, SL_E_FORMAT, EINVAL, "'%s' has an unknown member '%.60s'",
                                what, sl_json_name_at(node, i));
    }
    return 0;
}

int sl_proto_text(const struct sl_json *object, const char *name, const char **ret,
                  struct sl_error *err)
{
    const struct sl_json *node = sl_proto_get(object, name);
    const char *text = node ? sl_json_string(node) : "";
    if (!text)
        return wrong(err, name, "must be a string");
    *ret = text;
    return 0;
}

int sl_proto_string(const struct sl_json *object, const char *name, char **ret,
                    struct sl_error *err)
{
    const char *text = "";
    int r = sl_proto_text(object, name, &text, err);
    if (r < 0)
        return r;
    char *copy = strdup(text);
    if (!copy)
        return sl_error_oom(err);
    *ret = copy;
    return 0;
}

int sl_proto_bytes(const struct sl_json *object, const char *name, struct sl_bytes *ret,
                   struct sl_error *err)
{
    const struct sl_json *node = sl_proto_get(object, name);
    if (!node)
        return 0;
    const char *text = sl_json_string(node);
    if (!text)
        return wrong(err, name, "must be a string");
    int r = sl_base64_decode(sl_span_of(text), ret, err);
    return r < 0 ? sl_error_wrap(err, r, "'%s'", name) : 0;
}

int sl_proto_need_bytes(const struct sl_json *object, const char *name, struct sl_bytes *ret,
                        struct sl_error *err)
{
    int r = sl_proto_bytes(object, name, ret, err);
    if (r == 0 && ret->len == 0)
        return wrong(err, name, "is missing or empty");
    return r;
}

/* Digits alone, without a leading zero: what a writer of this form makes. */
static bool parse_decimal(const char *text, int64_t *ret)
{
    size_t len = strspn(text, "0123456789");
    if (len == 0 || text[len] != 0 || (text[0] == '0' && len > 1))
        return false;
    int64_t v = 0;
    for (const char *c = text; *c; c++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *c - '0', &v))
            return false;
    *ret = v;
    return true;
}

int sl_proto_count(const struct sl_json *object, const char *name, int64_t *ret,
                   struct sl_error *err)
{
    const struct sl_json *node = sl_proto_get(object, name);
    const char *text =
        sl_json_type(node) == SL_JSON_NUMBER ? sl_json_number(node) : sl_json_string(node);
    int64_t v = 0;
    if (node && (!text || !parse_decimal(text, &v)))
        return wrong(err, name, "must be a decimal number, not negative");
    *ret = v;
    return 0;
}

int sl_proto_list(const struct sl_json *object, const char *name, size_t max,
                  const struct sl_json **ret, size_t *ret_n, struct sl_error *err)
{
    const struct sl_json *node = sl_proto_get(object, name);
    if (node && sl_json_type(node) != SL_JSON_ARRAY)
        return wrong(err, name, "must be a list");
    size_t n = sl_json_count(node);
    if (n > max)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "'%s' has more than %zu elements", name, max);
    *ret = node;
    *ret_n = n;
    return 0;
}

/* ---- times ---- */

static bool take_digits(const char **text, size_t n, int lo, int hi, int *ret)
{
    int v = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned digit = (unsigned)((*text)[i] - '0');
        if (digit > 9)
            return false;
        v = v * 10 + (int)digit;
    }
    *text += n;
    *ret = v;
    return v >= lo && v <= hi;
}

static bool take_char(const char **text, char c)
{
    bool is_there = **text == c;
    *text += is_there;
    return is_there;
}

static bool take_fraction(const char **text, bool *ret)
{
    *ret = false;
    if (!take_char(text, '.'))
        return true;
    size_t len = strspn(*text, "0123456789");
    *ret = strspn(*text, "0") < len;
    *text += len;
    return len >= 1 && len <= 9;
}

static bool parse_time(const char *text, int64_t *ret, bool *ret_has_fraction)
{
    struct tm tm = {0};
    bool ok = take_digits(&text, 4, 1, 9999, &tm.tm_year) && take_char(&text, '-') &&
              take_digits(&text, 2, 1, 12, &tm.tm_mon) && take_char(&text, '-') &&
              take_digits(&text, 2, 1, 31, &tm.tm_mday) && take_char(&text, 'T') &&
              take_digits(&text, 2, 0, 23, &tm.tm_hour) && take_char(&text, ':') &&
              take_digits(&text, 2, 0, 59, &tm.tm_min) && take_char(&text, ':') &&
              take_digits(&text, 2, 0, 59, &tm.tm_sec) && take_fraction(&text, ret_has_fraction) &&
              take_char(&text, 'Z') && *text == 0;
    if (!ok)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    struct tm normal = tm;
    *ret = (int64_t)timegm(&normal);
    /* The 30th of February becomes a day in March. */
    return normal.tm_mon == tm.tm_mon && normal.tm_mday == tm.tm_mday;
}

int sl_proto_time(const struct sl_json *object, const char *name, int64_t *ret,
                  bool *ret_has_fraction, struct sl_error *err)
{
    const char *text = sl_json_string(sl_proto_get(object, name));
    int64_t seconds;
    bool has_fraction;
    if (!text || !parse_time(text, &seconds, &has_fraction))
        return wrong(err, name, "must be a time like 2021-01-12T11:53:27Z");
    *ret = seconds;
    *ret_has_fraction = has_fraction;
    return 0;
}
