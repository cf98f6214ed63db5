/* SPDX-License-Identifier: Apache-2.0 */
/* One layer of a sha256-….sig image (cosign's SIGNATURE_SPEC.md): its blob is the payload, its
 * annotations are the evidence. The signature is checked over the bytes as they are, before
 * anything reads them. */
#include "finding.h"
#include "signature_payload.h"
#include "sigstore_signing.h"
#include "sigstore_trust.h"

#include "sluice/core/json.h"
#include "sluice/core/openssl_auto.h"

#include <stdlib.h>
#include <string.h>

enum {
    RAW_SIGNATURE_MAX = 4 * 1024,   /* bytes; RSA of 8192 bits has 1024 */
    TIMESTAMP_TEXT_MAX = 64 * 1024, /* bytes of the annotation */
    TIMES_MAX = 2,                  /* of the log, and of a timestamp authority */
};

/* What is being judged, piece by piece as it is proved. */
struct evidence {
    const struct sl_requirement *requirement;
    const struct sl_signature *signature;
    struct sl_bytes raw; /* the signature, decoded */
    struct sl_span payload;
    int64_t times[TIMES_MAX]; /* proved */
    size_t n_times;
};

static bool is_set(const char *annotation)
{
    return annotation && annotation[0];
}

/* ---- the signature ---- */

/* Some signers wrap its lines, and image-rs unwraps them. */
static void strip_line_ends(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++)
        if (*from != '\r' && *from != '\n')
            *to++ = *from;
    *to = 0;
}

static int decode_signature(struct evidence *e, struct sl_signature_finding *finding)
{
    if (!is_set(e->signature->signature))
        return sl_finding_reject(finding, SL_SIG_FORMAT,
                                 "no annotation dev.cosignproject.cosign/signature");
    SL_AUTO_FREE char *text = strdup(e->signature->signature);
    if (!text)
        return sl_finding_reject(finding, SL_SIG_LIMIT, "out of memory");
    if (e->requirement->is_compat)
        strip_line_ends(text);
    struct sl_error err = {0};
    if (sl_base64_decode(sl_span_of(text), &e->raw, &err) < 0)
        return sl_finding_reject(finding, SL_SIG_FORMAT, "signature: %s", err.msg);
    if (!e->raw.len || e->raw.len > RAW_SIGNATURE_MAX)
        return sl_finding_reject(finding, SL_SIG_FORMAT, "signature: empty, or more than %d bytes",
                                 RAW_SIGNATURE_MAX);
    return 0;
}

static bool is_signed_by(const struct evidence *e, const struct sl_public_key *key)
{
    return sl_public_key_verify(key, e->payload, sl_bytes_span(&e->raw),
                                /* allow_ed25519ph= */ false);
}

/* ---- when ---- */

static int check_log(struct evidence *e, struct sl_logged_signature about,
                     struct sl_signature_finding *finding)
{
    struct sl_error err = {0};
    if (!is_set(e->signature->rekor))
        return sl_finding_reject(finding, SL_SIG_TLOG,
                                 "not in a transparency log: no annotation "
                                 "dev.sigstore.cosign/bundle");
    about.signature = sl_bytes_span(&e->raw);
    about.payload = e->payload;
    if (sl_rekor_annotation_check(e->requirement->trust, e->signature->rekor, &about,
                                  &e->times[e->n_times], &err) < 0)
        return sl_finding_reject(finding, SL_SIG_TLOG, "transparency log: %s", err.msg);
    e->n_times++;
    return 0;
}

/* {"SignedRFC3161Timestamp": base64 of a TimeStampResp}, as cosign writes it. */
static int decode_timestamp(const char *annotation, struct sl_bytes *ret, struct sl_error *err)
{
    const struct sl_json_limits limits = {.size = TIMESTAMP_TEXT_MAX, .depth = 2};
    SL_AUTO(sl_json_doc) doc = NULL;
    const char *text = NULL;
    int r = sl_json_parse(sl_span_of(annotation), "rfc3161timestamp", &limits, &doc, err);
    if (r < 0)
        return r;
    const struct sl_json *root = sl_json_root(doc);
    if (sl_json_count(root) != 1)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "rfc3161timestamp: SignedRFC3161Timestamp and nothing else is wanted");
    r = sl_json_need_string(root, "SignedRFC3161Timestamp", &text, err);
    return r < 0 ? r : sl_base64_decode(sl_span_of(text), ret, err);
}

static int check_timestamp(struct evidence *e, struct sl_signature_finding *finding)
{
    SL_AUTO_DONE(sl_bytes) response = {0};
    struct sl_error err = {0};
    int r = decode_timestamp(e->signature->timestamp, &response, &err);
    if (r == 0)
        r = sl_timestamp_check(e->requirement->trust, sl_bytes_span(&response),
                               sl_bytes_span(&e->raw), &e->times[e->n_times], &err);
    if (r < 0)
        return sl_finding_reject(finding, SL_SIG_TIME, "timestamp: %s", err.msg);
    e->n_times++;
    return 0;
}

/* Where the policy trusts logs, a signature must be in one; where it only trusts timestamp
 * authorities, one of them must have seen it. A key alone needs neither. */
static int check_times(struct evidence *e, const struct sl_logged_signature *about,
                       struct sl_signature_finding *finding)
{
    const struct sl_requirement *q = e->requirement;
    bool needs_time = q->has_fulcio || q->rekor_keys.n || q->trust->has_trusted_root;
    e->n_times = 0;
    int r = q->trust->n_logs || q->rekor_keys.n ? check_log(e, *about, finding) : 0;
    if (r == 0 && q->trust->n_timestampers && is_set(e->signature->timestamp))
        r = check_timestamp(e, finding);
    if (r < 0)
        return r;
    if (needs_time && !e->n_times)
        return sl_finding_reject(finding, SL_SIG_TIME,
                                 "nothing the policy trusts proves when it was signed");
    finding->signed_at = e->n_times ? e->times[0] : 0;
    return 0;
}

/* ---- keys of the policy ---- */

static int check_log_for_key(struct evidence *e, const struct sl_public_key *key,
                             struct sl_signature_finding *finding)
{
    uint8_t *spki = NULL;
    int len = i2d_PUBKEY(key->key, &spki);
    if (len <= 0)
        return sl_finding_reject(finding, SL_SIG_CRYPTO, "the key cannot be written as DER");
    const struct sl_logged_signature about = {.spki = {spki, (size_t)len}};
    int r = check_times(e, &about, finding);
    OPENSSL_free(spki);
    return r;
}

/* With a log, only the key it has seen counts. */
static int check_keys(struct evidence *e, struct sl_signature_finding *finding)
{
    const struct sl_sigstore_trust *trust = e->requirement->trust;
    int r = sl_finding_reject(finding, SL_SIG_CRYPTO, "signed by none of the policy's keys");
    for (size_t i = 0; r < 0 && i < trust->n_keys; i++) {
        const struct sl_public_key *key = &trust->keys[i];
        if (!is_signed_by(e, key))
            continue;
        r = check_log_for_key(e, key, finding);
        if (r == 0)
            sl_public_key_describe(key, finding->key);
    }
    return r;
}

/* ---- certificates ---- */

/* The last of the chain is taken for a root, of which the policy has its own. */
static int parse_chain(const char *pem, STACK_OF(X509) * *ret, struct sl_error *err)
{
    if (!is_set(pem))
        return 0;
    STACK_OF(X509) *certs = NULL;
    int r = sl_certificates_parse_pem(sl_span_of(pem), &certs, err);
    if (r < 0)
        return r;
    X509_free(sk_X509_pop(certs));
    *ret = certs;
    return 0;
}

static int check_fulcio(struct evidence *e, X509 *leaf, STACK_OF(X509) * intermediates,
                        struct sl_signature_finding *finding)
{
    uint8_t *der = NULL;
    int len = i2d_X509(leaf, &der);
    if (len <= 0)
        return sl_finding_reject(finding, SL_SIG_CERT, "certificate: cannot be written as DER");
    const struct sl_logged_signature about = {.certificate = {der, (size_t)len}};
    int r = check_times(e, &about, finding);
    OPENSSL_free(der);
    return r < 0 ? r
                 : sl_fulcio_check(e->requirement, leaf, intermediates, e->times, e->n_times,
                                   finding);
}

static int check_leaf(struct evidence *e, X509 *leaf, STACK_OF(X509) * intermediates,
                      struct sl_signature_finding *finding)
{
    struct sl_public_key key = {0};
    struct sl_error err = {0};
    EVP_PKEY *evp = X509_get0_pubkey(leaf);
    if (!evp || sl_public_key_from_evp(evp, &key, &err) < 0)
        return sl_finding_reject(finding, SL_SIG_CERT, "certificate: %s",
                                 evp ? err.msg : "no key that can be read");
    int r = is_signed_by(e, &key)
                ? 0
                : sl_finding_reject(finding, SL_SIG_CRYPTO, "not signed by the certificate's key");
    if (r == 0)
        r = e->requirement->has_fulcio ? check_fulcio(e, leaf, intermediates, finding)
                                       : sl_pki_check(e->requirement, leaf, intermediates, finding);
    if (r == 0)
        sl_public_key_describe(&key, finding->key);
    sl_public_key_done(&key);
    return r;
}

static int check_certificate(struct evidence *e, struct sl_signature_finding *finding)
{
    SL_AUTO(x509_st) leaf = NULL;
    STACK_OF(X509) *intermediates = NULL;
    struct sl_error err = {0};
    if (!is_set(e->signature->certificate))
        return sl_finding_reject(finding, SL_SIG_CERT,
                                 "no annotation dev.sigstore.cosign/certificate");
    if (sl_certificate_parse_pem(sl_span_of(e->signature->certificate), &leaf, &err) < 0)
        return sl_finding_reject(finding, SL_SIG_CERT, "certificate: %s", err.msg);
    if (parse_chain(e->signature->chain, &intermediates, &err) < 0)
        return sl_finding_reject(finding, SL_SIG_CERT, "certificate chain: %s", err.msg);
    int r = check_leaf(e, leaf, intermediates, finding);
    sk_X509_pop_free(intermediates, X509_free);
    return r;
}

/* ---- all of it ---- */

static int check_signer(struct evidence *e, struct sl_signature_finding *finding)
{
    int r = decode_signature(e, finding);
    if (r < 0)
        return r;
    return e->requirement->has_fulcio || e->requirement->has_pki ? check_certificate(e, finding)
                                                                 : check_keys(e, finding);
}

static int check_payload(const struct evidence *e, const struct sl_judged_image *image,
                         struct sl_signature_finding *finding)
{
    char subject[SL_FINDING_TEXT_MAX];
    memcpy(subject, finding->signed_name, sizeof(subject));
    int r = sl_signature_payload_check(e->payload, SL_PAYLOAD_TYPE_COSIGN, e->requirement, image,
                                       finding);
    if (subject[0])
        memcpy(finding->signed_name, subject, sizeof(subject));
    return r;
}

int sl_cosign_signature_verify(const struct sl_requirement *requirement,
                               const struct sl_judged_image *image,
                               const struct sl_signature *signature,
                               struct sl_signature_finding *finding)
{
    if (!requirement->trust)
        return sl_finding_reject(finding,
                                 requirement->trust_code == SL_SIG_OK ? SL_SIG_KEY_PARSE
                                                                      : requirement->trust_code,
                                 "%s", requirement->trust_problem.msg);
    if (signature->kind != SL_SIGNATURE_COSIGN)
        return sl_finding_reject(finding, SL_SIG_UNSUPPORTED, "not a cosign signature");
    if (signature->bytes.len > SL_SIGNATURE_PAYLOAD_MAX)
        return sl_finding_reject(finding, SL_SIG_LIMIT, "a payload of more than %d bytes",
                                 SL_SIGNATURE_PAYLOAD_MAX);
    struct evidence e = {.requirement = requirement,
                         .signature = signature,
                         .payload = sl_bytes_span(&signature->bytes)};
    finding->signed_name[0] = 0;
    finding->key[0] = 0;
    finding->signed_at = 0;
    int r = check_signer(&e, finding);
    if (r == 0)
        r = check_payload(&e, image, finding);
    sl_bytes_done(&e.raw);
    if (r < 0)
        return -EKEYREJECTED;
    finding->code = SL_SIG_OK;
    finding->reason[0] = 0;
    return 0;
}
