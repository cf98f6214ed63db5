/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launch fields of confidential guests have a size of their own, whatever the digest in them: the
 * initdata specification of confidential containers cuts what is longer, and fills what is
 * shorter with zero bytes, both at the end.
 */
#include "sluice/resource.h"

#include <openssl/evp.h>
#include <string.h>

enum { FIELD_MAX = 64 }; /* bytes: SGX CONFIGID, the longest */

static const struct pin_kind {
    const char *prefix, *openssl_name;
    size_t size;     /* bytes of the digest */
    size_t size_min; /* bytes it may be cut to: a collision must stay out of reach */
} kinds[] = {
    {"sha256:", "SHA256", 32, 32},
    {"sha384:", "SHA384", 48, 32},
};

struct pin {
    const struct pin_kind *kind;
    uint8_t field[FIELD_MAX];
    size_t len;
};

static bool hex_decode(const char *text, struct pin *pin)
{
    size_t len = strlen(text);
    if (len % 2 || len / 2 > FIELD_MAX || len / 2 < pin->kind->size_min)
        return false;
    pin->len = len / 2;
    return sl_hex_parse(text, pin->field, pin->len);
}

/* Fields have the sizes there are: a SHA-384 is not cut to anything else. */
static bool has_field_size(const struct pin *pin)
{
    if (pin->len != 32 && pin->len != 48 && pin->len != 64)
        return false;
    for (size_t i = pin->kind->size; i < pin->len; i++)
        if (pin->field[i])
            return false;
    return true;
}

static int parse(const char *text, struct pin *ret, struct sl_error *err)
{
    *ret = (struct pin){0};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t len = strlen(kinds[i].prefix);
        if (strncmp(text, kinds[i].prefix, len) != 0)
            continue;
        ret->kind = &kinds[i];
        if (hex_decode(text + len, ret) && has_field_size(ret))
            return 0;
    }
    return sl_error_set(err, SL_E_FORMAT, EINVAL,
                        "'%.160s' is not sha256: or sha384: and 64 hex digits (96 or 128 for "
                        "longer launch fields)",
                        text);
}

int sl_pinned_digest_parse(const char *pin, struct sl_error *err)
{
    struct pin parsed;
    return parse(pin, &parsed, err);
}

int sl_pinned_digest_check(const char *pin, struct sl_span bytes, const char *what,
                           struct sl_error *err)
{
    struct pin want;
    int r = parse(pin, &want, err);
    if (r < 0)
        return r;
    uint8_t have[EVP_MAX_MD_SIZE];
    size_t size = 0;
    if (EVP_Q_digest(NULL, want.kind->openssl_name, NULL, bytes.data, bytes.len, have, &size) !=
            1 ||
        size != want.kind->size)
        return sl_error_set(err, SL_E_SYSTEM, EIO, "%s of the %s cannot be computed",
                            want.kind->openssl_name, what);
    if (memcmp(want.field, have, want.len < size ? want.len : size) == 0)
        return 0;
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    sl_hex_format((struct sl_span){have, size}, hex);
    return sl_error_set(err, SL_E_POLICY, EPERM, "the %s has digest %s%s, pinned is %.160s", what,
                        want.kind->prefix, hex, pin);
}
