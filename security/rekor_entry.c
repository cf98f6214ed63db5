/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a transparency log promises about a signature. The formats are Rekor's: the body of an entry
 * (pkg/types/{hashedrekord/v0.0.1,dsse/v0.0.1,intoto/v0.0.2} of sigstore/rekor, hashedrekord 0.0.2
 * of sigstore/rekor-tiles), and the signed entry timestamp over four of its fields in the canonical
 * JSON of RFC 8785. An entry proves nothing unless it is about this very signature, key and
 * payload.
 */
#include "pem_block.h"
#include "sigstore_trust.h"

#include "sluice/core/digest.h"
#include "sluice/core/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    BODY_MAX = 256 * 1024,         /* bytes of one entry */
    ANNOTATION_MAX = 2 * BODY_MAX, /* its base64, and little beside it */
    JSON_DEPTH_MAX = 16,           /* bodies nest seven deep */
    LOG_ID_SIZE = 32,              /* a SHA-256 */
    HASH_SIZE_MAX = EVP_MAX_MD_SIZE,
    LOG_ID_HEX_SIZE = 2 * LOG_ID_SIZE,
    SHA256_HEX_SIZE = 2 * 32,
    SET_MAX = 4096, /* bytes; an ECDSA signature has some seventy */
};
/* Integers beyond 2^53 do not survive canonical JSON (RFC 8785 section 3.2.2.3). */
static const int64_t integer_end = INT64_C(1) << 53;

/* ---- pieces of a body ---- */

static int not_ours(struct sl_error *err, const char *what)
{
    return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                        "the log entry is about another signature: its %s differs", what);
}

/* Walks members; NULL ends the list. */
static const struct sl_json *find(const struct sl_json *node, const char *const *path)
{
    for (; node && *path; path++)
        node = sl_json_get(node, *path);
    return node;
}
#define FIND(node, ...) find(node, (const char *const[]){__VA_ARGS__, NULL})

static int decode_base64(const struct sl_json *node, const char *what, struct sl_bytes *ret,
                         struct sl_error *err)
{
    const char *text = sl_json_string(node);
    if (!text || !*text)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "the log entry has no %s", what);
    int r = sl_base64_decode(sl_span_of(text), ret, err);
    return r < 0 ? sl_error_wrap(err, r, "%s of the log entry", what) : 0;
}

/* The one name a string member may have. */
static int need_text(const struct sl_json *node, const char *want, const char *what,
                     struct sl_error *err)
{
    const char *text = sl_json_string(node);
    if (!text)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "the log entry has no %s", what);
    if (strcmp(text, want) != 0)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "the log entry has %s %s, not %s", what,
                            text, want);
    return 0;
}

static int hash_of(const EVP_MD *md, struct sl_span data, uint8_t out[HASH_SIZE_MAX],
                   size_t *ret_len, struct sl_error *err)
{
    unsigned len = 0;
    if (EVP_Digest(data.data, data.len, out, &len, md, /* impl= */ NULL) != 1)
        return sl_error_oom(err);
    *ret_len = len;
    return 0;
}

/* {"algorithm":"sha256","value":hex}, lower case as the log writes it. */
static int check_hex_hash(const struct sl_json *hash, struct sl_span data, const char *what,
                          struct sl_error *err)
{
    uint8_t sum[HASH_SIZE_MAX];
    char hex[2 * HASH_SIZE_MAX + 1];
    size_t len = 0;
    const char *value = sl_json_string(sl_json_get(hash, "value"));
    if (!value || strlen(value) != SHA256_HEX_SIZE)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "the log entry has no %s", what);
    int r = need_text(sl_json_get(hash, "algorithm"), "sha256", "hash algorithm", err);
    if (r == 0)
        r = hash_of(EVP_sha256(), data, sum, &len, err);
    if (r < 0)
        return r;
    sl_hex_format((struct sl_span){sum, len}, hex);
    return strcmp(value, hex) == 0 ? 0 : not_ours(err, what);
}

static int check_signature(const struct sl_json *node, const struct sl_logged_signature *about,
                           struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) bytes = {0};
    int r = decode_base64(node, "signature", &bytes, err);
    if (r < 0)
        return r;
    return sl_span_is_equal(sl_bytes_span(&bytes), about->signature) ? 0
                                                                     : not_ours(err, "signature");
}

static bool pem_holds(struct sl_span pem, const char *label, struct sl_span der)
{
    SL_AUTO_DONE(sl_bytes) found = {0};
    return sl_pem_read_one(pem, label, &found, /* err= */ NULL) == 0 &&
           sl_span_is_equal(sl_bytes_span(&found), der);
}

/* base64 of PEM: the certificate, or without one the key. */
static int check_verifier_pem(const struct sl_json *node, const struct sl_logged_signature *about,
                              struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) pem = {0};
    int r = decode_base64(node, "public key", &pem, err);
    if (r < 0)
        return r;
    bool ours = about->certificate.len
                    ? pem_holds(sl_bytes_span(&pem), "CERTIFICATE", about->certificate)
                    : about->spki.len && pem_holds(sl_bytes_span(&pem), "PUBLIC KEY", about->spki);
    return ours ? 0 : not_ours(err, "public key");
}

/* ---- kinds of bodies ---- */

static int need_envelope(const struct sl_logged_signature *about, bool want, struct sl_error *err)
{
    if ((about->pae.len != 0) == want)
        return 0;
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "a log entry of this kind is not about %s",
                        want ? "a plain signature" : "a DSSE envelope");
}

static int check_hashedrekord_1(const struct sl_json *spec, const struct sl_logged_signature *about,
                                struct sl_error *err)
{
    int r = need_envelope(about, false, err);
    if (r == 0)
        r = check_hex_hash(FIND(spec, "data", "hash"), about->payload, "payload hash", err);
    if (r == 0)
        r = check_signature(FIND(spec, "signature", "content"), about, err);
    if (r == 0)
        r = check_verifier_pem(FIND(spec, "signature", "publicKey", "content"), about, err);
    return r;
}

/* The bundle has one signature, so must the entry. */
static int only_signature(const struct sl_json *signatures, const struct sl_json **ret,
                          struct sl_error *err)
{
    if (sl_json_type(signatures) != SL_JSON_ARRAY || sl_json_count(signatures) != 1)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "the log entry has not exactly one signature");
    *ret = sl_json_at(signatures, 0);
    return 0;
}

static int check_dsse_1(const struct sl_json *spec, const struct sl_logged_signature *about,
                        struct sl_error *err)
{
    const struct sl_json *one;
    int r = need_envelope(about, true, err);
    if (r == 0)
        r = check_hex_hash(sl_json_get(spec, "payloadHash"), about->payload, "payload hash", err);
    if (r == 0)
        r = only_signature(sl_json_get(spec, "signatures"), &one, err);
    if (r == 0)
        r = check_signature(sl_json_get(one, "signature"), about, err);
    if (r == 0)
        r = check_verifier_pem(sl_json_get(one, "verifier"), about, err);
    return r;
}

/* Here, and only here, the signature is base64 of base64. */
static int check_signature_twice(const struct sl_json *node,
                                 const struct sl_logged_signature *about, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) outer = {0};
    SL_AUTO_DONE(sl_bytes) inner = {0};
    int r = decode_base64(node, "signature", &outer, err);
    if (r == 0)
        r = sl_base64_decode(sl_bytes_span(&outer), &inner, err);
    if (r < 0)
        return sl_error_wrap(err, r, "intoto");
    return sl_span_is_equal(sl_bytes_span(&inner), about->signature) ? 0
                                                                     : not_ours(err, "signature");
}

static int check_intoto_2(const struct sl_json *spec, const struct sl_logged_signature *about,
                          struct sl_error *err)
{
    const struct sl_json *content = sl_json_get(spec, "content"), *one;
    int r = need_envelope(about, true, err);
    if (r == 0)
        r = check_hex_hash(sl_json_get(content, "payloadHash"), about->payload, "payload hash",
                           err);
    if (r == 0)
        r = only_signature(FIND(content, "envelope", "signatures"), &one, err);
    if (r == 0)
        r = check_signature_twice(sl_json_get(one, "sig"), about, err);
    if (r == 0)
        r = check_verifier_pem(sl_json_get(one, "publicKey"), about, err);
    return r;
}

/* The hashes of Rekor v2, and the key details each goes with (sigstore_common.proto). */
static const struct {
    const char *details, *algorithm;
    const EVP_MD *(*md)(void);
} key_details[] = {
    {"PKIX_ECDSA_P256_SHA_256", "SHA2_256", EVP_sha256},
    {"PKIX_ECDSA_P384_SHA_384", "SHA2_384", EVP_sha384},
    {"PKIX_ECDSA_P521_SHA_512", "SHA2_512", EVP_sha512},
    {"PKIX_ED25519", "SHA2_512", EVP_sha512},
    {"PKIX_ED25519_PH", "SHA2_512", EVP_sha512},
    {"PKIX_RSA_PKCS1V15_2048_SHA256", "SHA2_256", EVP_sha256},
    {"PKIX_RSA_PKCS1V15_3072_SHA256", "SHA2_256", EVP_sha256},
    {"PKIX_RSA_PKCS1V15_4096_SHA256", "SHA2_256", EVP_sha256},
};

static int find_key_details(const char *details, size_t *ret, struct sl_error *err)
{
    for (size_t i = 0; i < sizeof(key_details) / sizeof(key_details[0]); i++)
        if (strcmp(key_details[i].details, details) == 0) {
            *ret = i;
            return 0;
        }
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "the log entry has keys of kind %s",
                        details);
}

/* Unlike v1, the hash is of the bytes under the signature: of an envelope the PAE. */
static int check_v2_hash(const struct sl_json *record, const struct sl_logged_signature *about,
                         struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) digest = {0};
    uint8_t sum[HASH_SIZE_MAX];
    size_t len = 0, k = 0;
    const char *details = sl_json_string(FIND(record, "signature", "verifier", "keyDetails"));
    if (!details)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "the log entry has no key details");
    int r = find_key_details(details, &k, err);
    if (r == 0)
        r = need_text(FIND(record, "data", "algorithm"), key_details[k].algorithm, "hash algorithm",
                      err);
    if (r == 0)
        r = decode_base64(FIND(record, "data", "digest"), "hash", &digest, err);
    if (r == 0)
        r = hash_of(key_details[k].md(), about->pae.len ? about->pae : about->payload, sum, &len,
                    err);
    if (r < 0)
        return r;
    return sl_span_is_equal(sl_bytes_span(&digest), (struct sl_span){sum, len})
               ? 0
               : not_ours(err, "hash");
}

static int check_v2_verifier(const struct sl_json *verifier,
                             const struct sl_logged_signature *about, struct sl_error *err)
{
    static const char *const members[] = {"publicKey", "x509Certificate"};
    bool by_certificate = about->certificate.len != 0;
    struct sl_span want = by_certificate ? about->certificate : about->spki;
    SL_AUTO_DONE(sl_bytes) raw = {0};
    if (sl_json_get(verifier, members[!by_certificate]))
        return not_ours(err, "kind of public key");
    int r =
        decode_base64(FIND(verifier, members[by_certificate], "rawBytes"), "public key", &raw, err);
    if (r < 0)
        return r;
    return sl_span_is_equal(sl_bytes_span(&raw), want) ? 0 : not_ours(err, "public key");
}

static int check_hashedrekord_2(const struct sl_json *spec, const struct sl_logged_signature *about,
                                struct sl_error *err)
{
    const struct sl_json *record = sl_json_get(spec, "hashedRekordV002");
    int r = check_v2_hash(record, about, err);
    if (r == 0)
        r = check_signature(FIND(record, "signature", "content"), about, err);
    if (r == 0)
        r = check_v2_verifier(FIND(record, "signature", "verifier"), about, err);
    return r;
}

static const struct entry_kind {
    const char *kind, *version;
    int (*check)(const struct sl_json *spec, const struct sl_logged_signature *about,
                 struct sl_error *err);
} entry_kinds[] = {
    {"hashedrekord", "0.0.1", check_hashedrekord_1},
    {"dsse", "0.0.1", check_dsse_1},
    {"intoto", "0.0.2", check_intoto_2},
    {"hashedrekord", "0.0.2", check_hashedrekord_2},
};

static const struct entry_kind *find_kind(const char *kind, const char *version)
{
    for (size_t i = 0; i < sizeof(entry_kinds) / sizeof(entry_kinds[0]); i++)
        if (strcmp(entry_kinds[i].kind, kind) == 0 && strcmp(entry_kinds[i].version, version) == 0)
            return &entry_kinds[i];
    return NULL;
}

int sl_rekor_body_check(struct sl_span body, const char *kind, const char *version,
                        const struct sl_logged_signature *about, struct sl_error *err)
{
    static const struct sl_json_limits limits = {.size = BODY_MAX, .depth = JSON_DEPTH_MAX};
    SL_AUTO(sl_json_doc) doc = NULL;
    const char *said_kind = "", *said_version = "";
    int r = sl_json_parse(body, "log entry", &limits, &doc, err);
    const struct sl_json *root = r == 0 ? sl_json_root(doc) : NULL;
    if (r == 0)
        r = sl_json_need_string(root, "kind", &said_kind, err);
    if (r == 0)
        r = sl_json_need_string(root, "apiVersion", &said_version, err);
    if (r < 0)
        return r;
    if ((kind && strcmp(kind, said_kind) != 0) || (version && strcmp(version, said_version) != 0))
        return sl_error_set(
            err, SL_E_INTEGRITY, EBADMSG, "the log entry is a %s %s, and %s %s was announced",
            said_kind, said_version, kind ? kind : said_kind, version ? version : said_version);
    const struct entry_kind *known = find_kind(said_kind, said_version);
    if (!known)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "log entries of kind %s %s are not supported", said_kind, said_version);
    return known->check(sl_json_get(root, "spec"), about, err);
}

/* ---- the signed entry timestamp ---- */

/* RFC 8785 of four members whose values need no escapes: sorted by code point, no blanks. */
static char *canonical_payload(struct sl_span body, const char *log_id_hex, int64_t integrated_time,
                               int64_t log_index)
{
    SL_AUTO_FREE char *text = sl_base64_encode(body);
    return text ? sl_strf("{\"body\":\"%s\",\"integratedTime\":%" PRId64
                          ",\"logID\":\"%s\",\"logIndex\":%" PRId64 "}",
                          text, integrated_time, log_id_hex, log_index)
                : NULL;
}

static int check_set_limits(struct sl_span set, struct sl_span body, struct sl_span log_id,
                            int64_t integrated_time, int64_t log_index, struct sl_error *err)
{
    if (set.len == 0 || set.len > SET_MAX || body.len == 0 || body.len > BODY_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG,
                            "a signed entry timestamp of %zu bytes over an entry of %zu", set.len,
                            body.len);
    if (log_id.len != LOG_ID_SIZE)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "the id of the log has %zu bytes, not %d",
                            log_id.len, LOG_ID_SIZE);
    if (integrated_time < 0 || integrated_time >= integer_end || log_index < 0 ||
        log_index >= integer_end)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "the log entry's time or index is not in [0, 2^53)");
    return 0;
}

int sl_rekor_set_check(const struct sl_sigstore_trust *trust, struct sl_span set,
                       struct sl_span body, struct sl_span log_id, int64_t integrated_time,
                       int64_t log_index, struct sl_error *err)
{
    int r = check_set_limits(set, body, log_id, integrated_time, log_index, err);
    if (r < 0)
        return r;
    char hex[LOG_ID_HEX_SIZE + 1];
    sl_hex_format(log_id, hex);
    SL_AUTO_FREE char *text = canonical_payload(body, hex, integrated_time, log_index);
    if (!text)
        return sl_error_oom(err);
    bool known = false, timely = false;
    for (size_t i = 0; i < trust->n_logs; i++) {
        const struct sl_trusted_log *log = &trust->logs[i];
        if (memcmp(log->id, log_id.data, LOG_ID_SIZE) != 0)
            continue;
        known = true;
        if (!sl_validity_has(&log->valid, integrated_time))
            continue;
        timely = true;
        if (sl_public_key_verify(&log->key, sl_span_of(text), set, /* allow_ed25519ph= */ false))
            return 0;
    }
    return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                        !known    ? "no trusted transparency log has the id %s"
                        : !timely ? "the transparency log %s is not trusted at that time"
                                  : "the transparency log %s did not sign the entry's timestamp",
                        hex);
}

/* ---- the annotation of cosign ---- */

struct log_payload {
    struct sl_bytes body;
    int64_t integrated_time, log_index;
    uint8_t log_id[LOG_ID_SIZE];
};
static void log_payload_done(struct log_payload *p)
{
    sl_bytes_done(&p->body);
}
SL_DEFINE_AUTO_DONE(log_payload, log_payload_done)

/* As digits: an exponent, a fraction or a sign would be the same number in another spelling. */
static int need_integer(const struct sl_json *object, const char *name, int64_t *ret,
                        struct sl_error *err)
{
    const struct sl_json *node = sl_json_get(object, name);
    const char *text = sl_json_number(node);
    int64_t v;
    if (!text || text[strspn(text, "0123456789")] || !sl_json_int64(node, &v))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "%s is not a plain integer", name);
    *ret = v;
    return 0;
}

static int parse_log_id(const char *hex, uint8_t out[LOG_ID_SIZE], struct sl_error *err)
{
    if (!sl_hex_parse(hex, out, LOG_ID_SIZE))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "logID is not 64 lower-case hex digits");
    return 0;
}

static int parse_payload(const struct sl_json *payload, struct log_payload *ret,
                         struct sl_error *err)
{
    const char *body, *log_id;
    if (sl_json_type(payload) != SL_JSON_OBJECT || sl_json_count(payload) != 4)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "Payload has not exactly body, integratedTime, logIndex and logID");
    int r = sl_json_need_string(payload, "body", &body, err);
    if (r == 0)
        r = sl_json_need_string(payload, "logID", &log_id, err);
    if (r == 0)
        r = need_integer(payload, "integratedTime", &ret->integrated_time, err);
    if (r == 0)
        r = need_integer(payload, "logIndex", &ret->log_index, err);
    if (r == 0)
        r = parse_log_id(log_id, ret->log_id, err);
    return r < 0 ? r : sl_base64_decode(sl_span_of(body), &ret->body, err);
}

static int parse_annotation(const char *text, struct sl_bytes *set, struct log_payload *payload,
                            struct sl_error *err)
{
    static const struct sl_json_limits limits = {.size = ANNOTATION_MAX, .depth = JSON_DEPTH_MAX};
    SL_AUTO(sl_json_doc) doc = NULL;
    const char *set_text;
    int r = sl_json_parse(sl_span_of(text), "log bundle", &limits, &doc, err);
    if (r < 0)
        return r;
    const struct sl_json *root = sl_json_root(doc);
    if (sl_json_type(root) != SL_JSON_OBJECT || sl_json_count(root) != 2)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "not exactly SignedEntryTimestamp and Payload");
    r = sl_json_need_string(root, "SignedEntryTimestamp", &set_text, err);
    if (r == 0)
        r = sl_base64_decode(sl_span_of(set_text), set, err);
    return r < 0 ? r : parse_payload(sl_json_get(root, "Payload"), payload, err);
}

int sl_rekor_annotation_check(const struct sl_sigstore_trust *trust, const char *annotation,
                              const struct sl_logged_signature *about, int64_t *ret_time,
                              struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) set = {0};
    SL_AUTO_DONE(log_payload) payload = {0};
    int r = parse_annotation(annotation, &set, &payload, err);
    if (r < 0)
        return sl_error_wrap(err, r, "dev.sigstore.cosign/bundle");
    r = sl_rekor_set_check(trust, sl_bytes_span(&set), sl_bytes_span(&payload.body),
                           (struct sl_span){payload.log_id, LOG_ID_SIZE}, payload.integrated_time,
                           payload.log_index, err);
    if (r == 0)
        r = sl_rekor_body_check(sl_bytes_span(&payload.body), "hashedrekord", "0.0.1", about, err);
    if (r == 0)
        *ret_time = payload.integrated_time;
    return r;
}
