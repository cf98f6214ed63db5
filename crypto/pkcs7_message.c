/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Go libraries that write these messages deviate from RFC 5652 and RFC 5084 in two places,
 * and OpenSSL refuses both: the GCM parameters are wrapped in a primitive SEQUENCE with a
 * context-tagged nonce, and the content is an implicit primitive [0]. The standard forms are
 * read as well.
 */
#include "pkcs7_message.h"

#include "der_reader.h"

#include <string.h>

enum {
    CONTENT_MAX = 64 * 1024,
    GCM_IV_SIZE = 12,
    GCM_TAG_SIZE = 16,
    CBC_IV_SIZE = 16,
    ODD_SEQUENCE = SL_DER_SEQUENCE & ~SL_DER_CONSTRUCTED,
    ODD_NONCE = SL_DER_CONTEXT | 4,
    EXPLICIT = SL_DER_CONTEXT | SL_DER_CONSTRUCTED, /* [0]; add the number */
};

struct oid {
    const char *bytes;
    size_t len;
};
#define OID(text)                                                                                  \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static const struct oid oid_data = OID("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01");
static const struct oid oid_enveloped_data = OID("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03");
static const struct oid oid_rsa = OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01");
static const struct oid oid_rsa_oaep = OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07");
static const struct oid oid_mgf1 = OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08");

static const struct {
    struct oid oid;
    enum sl_pkcs7_mode mode;
    size_t key_size;
} ciphers[] = {
    {OID("\x60\x86\x48\x01\x65\x03\x04\x01\x06"), SL_PKCS7_GCM, 16}, /* aes128-GCM */
    {OID("\x60\x86\x48\x01\x65\x03\x04\x01\x2e"), SL_PKCS7_GCM, 32}, /* aes256-GCM */
    {OID("\x60\x86\x48\x01\x65\x03\x04\x01\x02"), SL_PKCS7_CBC, 16}, /* aes128-CBC */
    {OID("\x60\x86\x48\x01\x65\x03\x04\x01\x2a"), SL_PKCS7_CBC, 32}, /* aes256-CBC */
};

static const struct {
    struct oid oid;
    const char *name;
} digests[] = {
    {OID("\x2b\x0e\x03\x02\x1a"), "SHA1"},
    {OID("\x60\x86\x48\x01\x65\x03\x04\x02\x01"), "SHA256"},
    {OID("\x60\x86\x48\x01\x65\x03\x04\x02\x02"), "SHA384"},
    {OID("\x60\x86\x48\x01\x65\x03\x04\x02\x03"), "SHA512"},
};

static int malformed(struct sl_error *err, const char *what)
{
    return sl_error_set(err, SL_E_FORMAT, EBADMSG, "PKCS7: %s", what);
}

static int unsupported(struct sl_error *err, const char *what)
{
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "PKCS7: %s is not supported", what);
}

static bool is_oid(struct sl_span body, const struct oid *oid)
{
    return body.len == oid->len && memcmp(body.data, oid->bytes, oid->len) == 0;
}

static int need_oid(struct sl_der *der, const struct oid *oid, const char *what,
                    struct sl_error *err)
{
    struct sl_der_item item;
    int r = sl_der_need(der, SL_DER_OID, &item, err);
    if (r < 0)
        return r;
    return is_oid(item.body, oid) ? 0 : malformed(err, what);
}

/* AlgorithmIdentifier: its OID; parameters are what is left. */
static int enter_algorithm(struct sl_der *der, struct sl_span *ret_oid, struct sl_der *ret_params,
                           struct sl_error *err)
{
    struct sl_der_item oid;
    int r = sl_der_enter(der, SL_DER_SEQUENCE, ret_params, err);
    if (r >= 0)
        r = sl_der_need(ret_params, SL_DER_OID, &oid, err);
    if (r >= 0)
        *ret_oid = oid.body;
    return r;
}

static int read_digest(struct sl_der *der, const char **ret, struct sl_error *err)
{
    struct sl_span oid;
    struct sl_der params;
    int r = enter_algorithm(der, &oid, &params, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++) {
        if (is_oid(oid, &digests[i].oid)) {
            *ret = digests[i].name;
            return 0;
        }
    }
    return unsupported(err, "this OAEP digest");
}

static int read_mgf(struct sl_der *der, const char **ret, struct sl_error *err)
{
    struct sl_span oid;
    struct sl_der params;
    int r = enter_algorithm(der, &oid, &params, err);
    if (r < 0)
        return r;
    return is_oid(oid, &oid_mgf1) ? read_digest(&params, ret, err)
                                  : unsupported(err, "this OAEP mask function");
}

/* RSAES-OAEP-params (RFC 8017 A.2.1), all fields optional. A mask digest that is not given is
 * the digest itself, as Go has it. */
static int read_oaep(struct sl_der params, struct sl_pkcs7_recipient *ret, struct sl_error *err)
{
    ret->digest = "SHA1";
    const char *mgf_digest = NULL;
    struct sl_der fields = {0};
    int r = sl_der_is_end(&params) ? 0 : sl_der_enter(&params, SL_DER_SEQUENCE, &fields, err);
    while (r == 0 && !sl_der_is_end(&fields)) {
        struct sl_der_item field;
        r = sl_der_next(&fields, &field, err);
        if (r < 0)
            return r;
        struct sl_der body = sl_der_of(field.body);
        if (field.tag == EXPLICIT)
            r = read_digest(&body, &ret->digest, err);
        else if (field.tag == (EXPLICIT | 1))
            r = read_mgf(&body, &mgf_digest, err);
        else
            r = unsupported(err, "an OAEP label");
    }
    ret->mgf_digest = mgf_digest ? mgf_digest : ret->digest;
    return r;
}

static int read_transport(struct sl_der *der, struct sl_pkcs7_recipient *ret, struct sl_error *err)
{
    struct sl_span oid;
    struct sl_der params;
    int r = enter_algorithm(der, &oid, &params, err);
    if (r < 0)
        return r;
    if (is_oid(oid, &oid_rsa)) {
        ret->transport = SL_PKCS7_RSA_PKCS1;
        return 0;
    }
    if (!is_oid(oid, &oid_rsa_oaep))
        return unsupported(err, "this key transport");
    ret->transport = SL_PKCS7_RSA_OAEP;
    return read_oaep(params, ret, err);
}

/* KeyTransRecipientInfo. *ret_known is false for a recipient named in another way. */
static int read_key_transport(struct sl_der info, struct sl_pkcs7_recipient *ret, bool *ret_known,
                              struct sl_error *err)
{
    struct sl_der_item version;
    struct sl_der_item item;
    int r = sl_der_need(&info, SL_DER_INTEGER, &version, err);
    if (r >= 0)
        r = sl_der_next(&info, &item, err);
    if (r < 0)
        return r;
    *ret_known = item.tag == SL_DER_SEQUENCE;
    if (!*ret_known)
        return 0;
    struct sl_der name = sl_der_of(item.body);
    struct sl_der_item issuer;
    struct sl_der_item serial;
    r = sl_der_need(&name, SL_DER_SEQUENCE, &issuer, err);
    if (r == 0)
        r = sl_der_need(&name, SL_DER_INTEGER, &serial, err);
    if (r == 0)
        r = read_transport(&info, ret, err);
    if (r == 0)
        r = sl_der_need(&info, SL_DER_OCTETS, &item, err);
    if (r < 0)
        return r;
    ret->issuer = issuer.whole;
    ret->serial = serial.whole;
    ret->encrypted_key = item.body;
    return 0;
}

static int read_recipients(struct sl_der set, struct sl_pkcs7 *ret, struct sl_error *err)
{
    while (!sl_der_is_end(&set)) {
        struct sl_der_item info;
        struct sl_pkcs7_recipient recipient = {0};
        bool known = false;
        int r = sl_der_next(&set, &info, err);
        if (r == 0 && info.tag == SL_DER_SEQUENCE)
            r = read_key_transport(sl_der_of(info.body), &recipient, &known, err);
        if (r < 0)
            return r;
        if (!known)
            continue;
        if (ret->n_recipients == SL_PKCS7_RECIPIENTS_MAX)
            return sl_error_set(err, SL_E_LIMIT, E2BIG, "PKCS7: more than %d recipients",
                                SL_PKCS7_RECIPIENTS_MAX);
        ret->recipients[ret->n_recipients++] = recipient;
    }
    return 0;
}

/* 30 11 04 0c NONCE 02 01 10, or the same with 84 for 04 inside a primitive SEQUENCE. */
static int read_gcm_params(struct sl_der params, struct sl_span *ret_iv, struct sl_error *err)
{
    struct sl_der odd;
    struct sl_der_item nonce;
    struct sl_der_item tag_size;
    if (sl_der_enter(&params, ODD_SEQUENCE, &odd, NULL) == 0)
        params = odd;
    struct sl_der fields;
    int r = sl_der_enter(&params, SL_DER_SEQUENCE, &fields, err);
    if (r >= 0)
        r = sl_der_next(&fields, &nonce, err);
    if (r >= 0)
        r = sl_der_need(&fields, SL_DER_INTEGER, &tag_size, err);
    if (r < 0)
        return r;
    bool is_nonce = nonce.tag == SL_DER_OCTETS || nonce.tag == ODD_NONCE;
    if (!is_nonce || nonce.body.len != GCM_IV_SIZE)
        return malformed(err, "AES-GCM without a nonce of 12 bytes");
    if (tag_size.body.len != 1 || tag_size.body.data[0] != GCM_TAG_SIZE)
        return malformed(err, "AES-GCM without a tag of 16 bytes");
    *ret_iv = nonce.body;
    return 0;
}

static int read_cbc_params(struct sl_der params, struct sl_span *ret_iv, struct sl_error *err)
{
    struct sl_der_item iv;
    int r = sl_der_need(&params, SL_DER_OCTETS, &iv, err);
    if (r < 0)
        return r;
    if (iv.body.len != CBC_IV_SIZE)
        return malformed(err, "AES-CBC without an IV of 16 bytes");
    *ret_iv = iv.body;
    return 0;
}

static int read_cipher(struct sl_der *der, struct sl_pkcs7 *ret, struct sl_error *err)
{
    struct sl_span oid;
    struct sl_der params;
    int r = enter_algorithm(der, &oid, &params, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++) {
        if (!is_oid(oid, &ciphers[i].oid))
            continue;
        ret->mode = ciphers[i].mode;
        ret->key_size = ciphers[i].key_size;
        return ret->mode == SL_PKCS7_GCM ? read_gcm_params(params, &ret->iv, err)
                                         : read_cbc_params(params, &ret->iv, err);
    }
    return unsupported(err, "a content cipher other than AES-GCM and AES-CBC");
}

/* [0]: primitive, or constructed around any number of octet strings. */
static int read_content(struct sl_der *der, struct sl_bytes *ret, struct sl_error *err)
{
    struct sl_der_item item;
    int r = sl_der_next(der, &item, err);
    if (r < 0)
        return r;
    if (item.tag == SL_DER_CONTEXT)
        return sl_bytes_append(ret, item.body, CONTENT_MAX, err);
    if (item.tag != EXPLICIT)
        return malformed(err, "no encrypted content");
    struct sl_der parts = sl_der_of(item.body);
    while (r == 0 && !sl_der_is_end(&parts)) {
        struct sl_der_item part;
        r = sl_der_need(&parts, SL_DER_OCTETS, &part, err);
        if (r == 0)
            r = sl_bytes_append(ret, part.body, CONTENT_MAX, err);
    }
    return r;
}

static int read_enveloped(struct sl_der enveloped, struct sl_pkcs7 *ret, struct sl_error *err)
{
    struct sl_der_item version;
    struct sl_der recipients;
    struct sl_der content;
    int r = sl_der_need(&enveloped, SL_DER_INTEGER, &version, err);
    if (r == 0)
        r = sl_der_enter(&enveloped, SL_DER_SET, &recipients, err);
    if (r == 0)
        r = read_recipients(recipients, ret, err);
    if (r == 0)
        r = sl_der_enter(&enveloped, SL_DER_SEQUENCE, &content, err);
    if (r == 0)
        r = need_oid(&content, &oid_data, "the content is not plain data", err);
    if (r == 0)
        r = read_cipher(&content, ret, err);
    if (r == 0)
        r = read_content(&content, &ret->content, err);
    return r;
}

int sl_pkcs7_parse(struct sl_span der, struct sl_pkcs7 *ret, struct sl_error *err)
{
    *ret = (struct sl_pkcs7){0};
    struct sl_der outer = sl_der_of(der);
    struct sl_der info;
    struct sl_der explicit;
    struct sl_der enveloped;
    int r = sl_der_enter(&outer, SL_DER_SEQUENCE, &info, err);
    if (r == 0 && !sl_der_is_end(&outer))
        r = malformed(err, "bytes behind the message");
    if (r == 0)
        r = need_oid(&info, &oid_enveloped_data, "not EnvelopedData", err);
    if (r == 0)
        r = sl_der_enter(&info, EXPLICIT, &explicit, err);
    if (r == 0)
        r = sl_der_enter(&explicit, SL_DER_SEQUENCE, &enveloped, err);
    return r < 0 ? r : read_enveloped(enveloped, ret, err);
}

void sl_pkcs7_done(struct sl_pkcs7 *message)
{
    sl_bytes_done(&message->content);
}
