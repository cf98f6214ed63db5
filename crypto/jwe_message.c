/* SPDX-License-Identifier: Apache-2.0 */
#include "jwe_message.h"

#include <stdlib.h>
#include <string.h>

enum { JWE_MAX = 64 * 1024, JWE_DEPTH = 16, COMPACT_PARTS = 5 };

static int malformed(struct sl_error *err, const char *what)
{
    return sl_error_set(err, SL_E_FORMAT, EBADMSG, "JWE: %s", what);
}

static int decode(struct sl_span text, const char *name, struct sl_bytes *ret, struct sl_error *err)
{
    int r = sl_base64url_decode(text, ret, err);
    return r < 0 ? sl_error_wrap(err, r, "JWE: %s", name) : 0;
}

static int decode_member(const struct sl_json *object, const char *name, struct sl_bytes *ret,
                         struct sl_error *err)
{
    const char *text = sl_json_string(sl_json_get(object, name));
    if (!text)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "JWE: no %s", name);
    return decode(sl_span_of(text), name, ret, err);
}

/* As every reader does, since people wrap the text in files. */
static int strip_whitespace(struct sl_span text, struct sl_bytes *ret, struct sl_error *err)
{
    if (text.len > JWE_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "JWE: exceeds %d bytes", JWE_MAX);
    int r = sl_bytes_append(ret, text, JWE_MAX, err);
    if (r < 0)
        return r;
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        if (!text.data[i] || !strchr(" \t\r\n", text.data[i]))
            ret->data[n++] = text.data[i];
    ret->len = n;
    ret->data[n] = 0;
    return 0;
}

static int set_protected(struct sl_jwe *jwe, struct sl_span text, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) header = {0};
    int r = decode(text, "protected", &header, err);
    if (r < 0)
        return r;
    const struct sl_json_limits limits = {.size = JWE_MAX, .depth = JWE_DEPTH};
    r = sl_json_parse(sl_bytes_span(&header), "JWE protected header", &limits, &jwe->protected_doc,
                      err);
    if (r < 0)
        return r;
    return sl_bytes_append(&jwe->aad, text, JWE_MAX, err);
}

/* RFC 7516 section 5.1, step 14: a public "aad" member is authenticated behind a dot. */
static int append_public_aad(struct sl_jwe *jwe, const struct sl_json *aad, struct sl_error *err)
{
    if (sl_json_type(aad) == SL_JSON_NULL)
        return 0;
    if (!sl_json_string(aad))
        return malformed(err, "aad is not a string");
    int r = sl_bytes_append(&jwe->aad, sl_span_of("."), (size_t)2 * JWE_MAX, err);
    if (r < 0)
        return r;
    return sl_bytes_append(&jwe->aad, sl_span_of(sl_json_string(aad)), (size_t)2 * JWE_MAX, err);
}

static int check_encrypted_key(const struct sl_jwe_recipient *recipient, struct sl_error *err)
{
    return recipient->encrypted_key.len ? 0 : malformed(err, "empty encrypted_key");
}

static int add_recipient(struct sl_jwe *jwe, const struct sl_json *object, struct sl_error *err)
{
    struct sl_jwe_recipient *recipient = &jwe->recipients[jwe->n_recipients++];
    recipient->header = sl_json_get(object, "header");
    int r = decode_member(object, "encrypted_key", &recipient->encrypted_key, err);
    return r < 0 ? r : check_encrypted_key(recipient, err);
}

/* A top-level encrypted_key beside recipients is a writer's slip and means nothing. */
static int add_recipients(struct sl_jwe *jwe, const struct sl_json *root, struct sl_error *err)
{
    const struct sl_json *list = sl_json_get(root, "recipients");
    if (!list)
        return add_recipient(jwe, root, err);
    size_t n = sl_json_count(list);
    if (sl_json_type(list) != SL_JSON_ARRAY || n == 0)
        return malformed(err, "recipients is not a list of some");
    if (n > SL_JWE_RECIPIENTS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "JWE: more than %d recipients",
                            SL_JWE_RECIPIENTS_MAX);
    for (size_t i = 0; i < n; i++) {
        int r = add_recipient(jwe, sl_json_at(list, i), err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_json(struct sl_jwe *jwe, struct sl_span text, struct sl_error *err)
{
    const struct sl_json_limits limits = {.size = JWE_MAX, .depth = JWE_DEPTH};
    int r = sl_json_parse(text, "JWE", &limits, &jwe->doc, err);
    if (r < 0)
        return r;
    const struct sl_json *root = sl_json_root(jwe->doc);
    const char *protected_text = sl_json_string(sl_json_get(root, "protected"));
    if (!protected_text)
        return malformed(err, "no protected header");
    r = set_protected(jwe, sl_span_of(protected_text), err);
    if (r == 0)
        r = append_public_aad(jwe, sl_json_get(root, "aad"), err);
    if (r == 0)
        r = add_recipients(jwe, root, err);
    if (r == 0)
        r = decode_member(root, "iv", &jwe->iv, err);
    if (r == 0)
        r = decode_member(root, "ciphertext", &jwe->ciphertext, err);
    if (r == 0)
        r = decode_member(root, "tag", &jwe->tag, err);
    return r;
}

static int split_compact(struct sl_span text, struct sl_span parts[COMPACT_PARTS],
                         struct sl_error *err)
{
    for (size_t i = 0; i < COMPACT_PARTS; i++) {
        const uint8_t *dot = text.len ? memchr(text.data, '.', text.len) : NULL;
        if (!dot != (i == COMPACT_PARTS - 1))
            return malformed(err, "neither JSON nor five parts joined by dots");
        size_t len = dot ? (size_t)(dot - text.data) : text.len;
        parts[i] = (struct sl_span){text.data, len};
        text.data += dot ? len + 1 : len;
        text.len -= dot ? len + 1 : len;
    }
    return 0;
}

static int parse_compact(struct sl_jwe *jwe, struct sl_span text, struct sl_error *err)
{
    struct sl_span parts[COMPACT_PARTS];
    int r = split_compact(text, parts, err);
    if (r < 0)
        return r;
    jwe->n_recipients = 1;
    r = set_protected(jwe, parts[0], err);
    if (r == 0)
        r = decode(parts[1], "encrypted_key", &jwe->recipients[0].encrypted_key, err);
    if (r == 0)
        r = check_encrypted_key(&jwe->recipients[0], err);
    if (r == 0)
        r = decode(parts[2], "iv", &jwe->iv, err);
    if (r == 0)
        r = decode(parts[3], "ciphertext", &jwe->ciphertext, err);
    if (r == 0)
        r = decode(parts[4], "tag", &jwe->tag, err);
    return r;
}

/* crit: "do not go on unless you know these". zip: a small text that becomes a large one. */
static int refuse_extensions(const struct sl_jwe *jwe, struct sl_error *err)
{
    static const char *const refused[] = {"crit", "zip"};
    for (size_t i = 0; i < jwe->n_recipients; i++)
        for (size_t k = 0; k < sizeof(refused) / sizeof(refused[0]); k++)
            if (sl_jwe_param(jwe, &jwe->recipients[i], refused[k]))
                return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                                    "JWE: header parameter %s is not supported", refused[k]);
    return 0;
}

int sl_jwe_parse(struct sl_span text, struct sl_jwe *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) stripped = {0};
    *ret = (struct sl_jwe){0};
    int r = strip_whitespace(text, &stripped, err);
    if (r < 0)
        return r;
    bool is_json = stripped.len && stripped.data[0] == '{';
    r = is_json ? parse_json(ret, sl_bytes_span(&stripped), err)
                : parse_compact(ret, sl_bytes_span(&stripped), err);
    return r < 0 ? r : refuse_extensions(ret, err);
}

void sl_jwe_done(struct sl_jwe *jwe)
{
    for (size_t i = 0; i < jwe->n_recipients; i++)
        sl_bytes_done(&jwe->recipients[i].encrypted_key);
    sl_bytes_done(&jwe->aad);
    sl_bytes_done(&jwe->iv);
    sl_bytes_done(&jwe->ciphertext);
    sl_bytes_done(&jwe->tag);
    jwe->protected_doc = sl_json_free(jwe->protected_doc);
    jwe->doc = sl_json_free(jwe->doc);
    jwe->n_recipients = 0;
}

const struct sl_json *sl_jwe_param(const struct sl_jwe *jwe,
                                   const struct sl_jwe_recipient *recipient, const char *name)
{
    const struct sl_json *shared = sl_json_get(sl_json_root(jwe->doc), "unprotected");
    const struct sl_json *found = sl_json_get(sl_json_root(jwe->protected_doc), name);
    if (!found)
        found = sl_json_get(shared, name);
    return found ? found : sl_json_get(recipient->header, name);
}
