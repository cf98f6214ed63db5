/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges a sigstore bundle (sigstore's client specification, "Verification using a Bundle"). The
 * order is: form, signature, log, time, certificate, and only then what the signature says: claims
 * count when their signer is known.
 */
#include "bundle.h"
#include "proto_json.h"
#include "signature_payload.h"
#include "sigstore_signing.h"
#include "sigstore_trust.h"

#include "sluice/core/openssl_auto.h"

#include <openssl/err.h>
#include <string.h>
#include <time.h>

enum { TIMES_MAX = SL_BUNDLE_ENTRIES_MAX + SL_BUNDLE_TIMESTAMPS_MAX };

static void free_certificates(STACK_OF(X509) * *certs)
{
    sk_X509_pop_free(*certs, X509_free);
}

struct examination {
    const struct sl_requirement *requirement;
    const struct sl_judged_image *image;
    struct sl_signature_finding *finding;
    struct sl_bundle bundle;
    struct sl_bytes pae;            /* of DSSE */
    struct sl_span artifact;        /* of a message: manifest or index */
    bool is_index;                  /* the artifact is */
    struct sl_public_key certified; /* of the certificate */
    X509 *leaf;
    STACK_OF(X509) * intermediates;
    const struct sl_public_key *signer;
    int64_t times[TIMES_MAX];
    size_t n_times;
    struct sl_validity log_valid; /* when all logs were trusted whose entries tell no time */
};
static void examination_done(struct examination *x)
{
    sl_bundle_done(&x->bundle);
    sl_bytes_done(&x->pae);
    sl_public_key_done(&x->certified);
    X509_free(x->leaf);
    free_certificates(&x->intermediates);
}
SL_DEFINE_AUTO_DONE(examination, examination_done)

static int reject_error(const struct examination *x, enum sl_signature_code code,
                        const struct sl_error *err)
{
    return sl_finding_reject(x->finding, err->code == SL_E_LIMIT ? SL_SIG_LIMIT : code, "%s",
                             err->msg);
}

/* ---- form ---- */

static int parse(struct examination *x, const struct sl_signature *signature)
{
    struct sl_error err = {0};
    if (sl_bundle_parse(sl_bytes_span(&signature->bytes), &x->bundle, &err) < 0)
        return reject_error(x, err.code == SL_E_UNSUPPORTED ? SL_SIG_UNSUPPORTED : SL_SIG_FORMAT,
                            &err);
    if (!x->bundle.is_dsse)
        return 0;
    const struct sl_dsse_envelope *envelope = &x->bundle.envelope;
    if (strcmp(envelope->payload_type, SL_DSSE_PAYLOAD_TYPE) != 0)
        return sl_finding_reject(x->finding, SL_SIG_PAYLOAD, "payload type is '%.80s', not %s",
                                 envelope->payload_type, SL_DSSE_PAYLOAD_TYPE);
    if (sl_dsse_pae(envelope->payload_type, sl_bytes_span(&envelope->payload), &x->pae, &err) < 0)
        return reject_error(x, SL_SIG_FORMAT, &err);
    return 0;
}

/* ---- who may have signed ---- */

/* A root in the chain would be a trust anchor that the signer brought along. */
static bool is_self_signed(X509 *cert)
{
    return X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)) == 0;
}

static int open_chain(struct examination *x)
{
    struct sl_error err = {0};
    x->intermediates = sk_X509_new_null();
    for (size_t i = 0; i < x->bundle.n_certificates; i++) {
        SL_AUTO(x509_st) cert = NULL;
        if (sl_certificate_parse_der(sl_bytes_span(&x->bundle.certificates[i]), &cert, &err) < 0)
            return sl_finding_reject(x->finding, SL_SIG_FORMAT, "certificate %zu: %s", i + 1,
                                     err.msg);
        if (is_self_signed(cert))
            return sl_finding_reject(x->finding, SL_SIG_CERT, "certificate %zu is self-signed",
                                     i + 1);
        if (i == 0)
            x->leaf = sl_steal(&cert);
        else if (x->intermediates && sk_X509_push(x->intermediates, cert) > 0)
            cert = NULL; /* the stack's now */
        else
            return sl_finding_reject(x->finding, SL_SIG_CERT, "out of memory");
    }
    return 0;
}

static int open_certificate(struct examination *x)
{
    const struct sl_requirement *requirement = x->requirement;
    struct sl_error err = {0};
    if (!requirement->has_fulcio && !requirement->has_pki)
        return sl_finding_reject(x->finding, SL_SIG_KEY,
                                 "signed with a certificate, and the requirement names keys");
    if (requirement->has_fulcio &&
        (requirement->trust->n_authorities == 0 || requirement->trust->n_logs == 0))
        return sl_finding_reject(x->finding, SL_SIG_CERT,
                                 "a keyless signature needs a trusted root, or CA and Rekor keys, "
                                 "in the requirement");
    int r = open_chain(x);
    if (r < 0)
        return r;
    EVP_PKEY *key = X509_get0_pubkey(x->leaf);
    if (!key)
        ERR_clear_error();
    if (!key || sl_public_key_from_evp(key, &x->certified, &err) < 0)
        return sl_finding_reject(x->finding, SL_SIG_CERT, "the certificate's key: %s",
                                 key ? err.msg : "is of an unknown kind");
    return 0;
}

/* ---- the signature ---- */

static bool is_by(const struct sl_public_key *key, const struct examination *x)
{
    struct sl_span data = x->bundle.is_dsse ? sl_bytes_span(&x->pae) : x->artifact;
    return sl_public_key_verify(key, data, sl_bundle_signature(&x->bundle),
                                /* allow_ed25519ph= */ true);
}

/* Of any key of the requirement, or of the certificate. */
static bool find_signer(struct examination *x)
{
    const struct sl_sigstore_trust *trust = x->requirement->trust;
    if (x->leaf) {
        x->signer = is_by(&x->certified, x) ? &x->certified : NULL;
        return x->signer;
    }
    for (size_t i = 0; !x->signer && i < trust->n_keys; i++)
        if (is_by(&trust->keys[i], x))
            x->signer = &trust->keys[i];
    return x->signer;
}

/* A message is the manifest or the index itself. The digest beside the signature is not signed, but
 * a wrong one is a bundle of something else. */
static bool find_artifact(struct examination *x, bool is_index, bool *matches)
{
    const struct sl_judged_image *image = x->image;
    struct sl_span bytes = is_index ? image->index : image->manifest;
    const struct sl_digest *digest = is_index ? &image->index_digest : &image->manifest_digest;
    /* What is approved is the digest: the bytes must be those it stands for. */
    if (sl_digest_verify(digest, bytes, /* err= */ NULL) < 0)
        return false;
    if (x->bundle.has_message_digest &&
        sl_digest_verify(&x->bundle.message_digest, bytes, /* err= */ NULL) < 0)
        return false;
    *matches = true;
    x->artifact = bytes;
    x->is_index = is_index;
    return find_signer(x);
}

static int verify_signature(struct examination *x)
{
    bool matches = x->bundle.is_dsse;
    bool is_signed = x->bundle.is_dsse ? find_signer(x)
                                       : find_artifact(x, /* is_index= */ false, &matches) ||
                                             (x->image->has_index &&
                                              find_artifact(x, /* is_index= */ true, &matches));
    if (!matches)
        return sl_finding_reject(x->finding, SL_SIG_DIGEST,
                                 "the bundle is about something else than this image");
    if (!is_signed)
        return sl_finding_reject(x->finding, SL_SIG_CRYPTO, "the signature does not verify with %s",
                                 x->leaf ? "its certificate" : "any key of the requirement");
    sl_public_key_describe(x->signer, x->finding->key);
    return 0;
}

static int verify_signer(struct examination *x)
{
    if (x->bundle.n_certificates > 0) {
        int r = open_certificate(x);
        return r < 0 ? r : verify_signature(x);
    }
    if (x->requirement->trust->n_keys == 0)
        return sl_finding_reject(x->finding, SL_SIG_KEY,
                                 "signed with a key, and the requirement names certificates");
    return verify_signature(x);
}

/* ---- the log ---- */

static bool is_of(const struct sl_trusted_log *log, const struct sl_bundle_entry *entry)
{
    return memcmp(log->id, entry->log_id, sizeof(log->id)) == 0;
}

static bool is_known_log(const struct sl_sigstore_trust *trust, const struct sl_bundle_entry *entry)
{
    for (size_t i = 0; i < trust->n_logs; i++)
        if (is_of(&trust->logs[i], entry))
            return true;
    return false;
}

/* The promise proves the time, and the log was trusted then. */
static int check_promise(struct examination *x, const struct sl_bundle_entry *entry,
                         struct sl_error *err)
{
    const struct sl_span log_id = {entry->log_id, sizeof(entry->log_id)};
    int r = sl_rekor_set_check(x->requirement->trust, sl_bytes_span(&entry->set),
                               sl_bytes_span(&entry->body), log_id, entry->integrated_time,
                               entry->log_index, err);
    if (r == 0)
        x->times[x->n_times++] = entry->integrated_time;
    return r;
}

static void narrow(struct sl_validity *v, const struct sl_validity *by)
{
    if (by->start > v->start)
        v->start = by->start;
    if (by->end < v->end)
        v->end = by->end;
}

/* Without a promise the log tells no time: those of timestamps must then be ones at which it was
 * trusted. */
static int check_proof(struct examination *x, const struct sl_bundle_entry *entry,
                       struct sl_error *err)
{
    const struct sl_sigstore_trust *trust = x->requirement->trust;
    struct sl_span hashes[SL_BUNDLE_PROOF_HASHES_MAX] = {{0}};
    for (size_t i = 0; i < entry->n_proof_hashes; i++)
        hashes[i] = sl_bytes_span(&entry->proof_hashes[i]);
    const struct sl_inclusion_proof proof = {
        .index = (uint64_t)entry->proof_index,
        .size = (uint64_t)entry->proof_size,
        .root = {entry->proof_root, sizeof(entry->proof_root)},
        .hashes = hashes,
        .n_hashes = entry->n_proof_hashes,
        .checkpoint = entry->checkpoint,
    };
    int r = -ENOKEY;
    for (size_t i = 0; r < 0 && i < trust->n_logs; i++)
        if (is_of(&trust->logs[i], entry)) {
            r = sl_rekor_proof_check(&trust->logs[i], sl_bytes_span(&entry->body), &proof, err);
            if (r == 0 && !entry->set.len)
                narrow(&x->log_valid, &trust->logs[i].valid);
        }
    return r;
}

static int check_entry(struct examination *x, const struct sl_bundle_entry *entry,
                       const struct sl_logged_signature *about, struct sl_error *err)
{
    int r =
        sl_rekor_body_check(sl_bytes_span(&entry->body), entry->kind, entry->version, about, err);
    if (r == 0 && entry->has_proof)
        r = check_proof(x, entry, err);
    if (r == 0 && entry->set.len)
        r = check_promise(x, entry, err);
    /* The parser has seen to it; without either, nothing is proved. */
    if (r == 0 && !entry->has_proof && !entry->set.len)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "has neither proof nor promise");
    return r;
}

/* Entries of logs nobody trusts say nothing. One of a trusted log that does not hold has been
 * tampered with, and so has the bundle. */
static int check_entries(struct examination *x, const struct sl_logged_signature *about)
{
    size_t n_good = 0;
    for (size_t i = 0; i < x->bundle.n_entries; i++) {
        struct sl_error err = {0};
        const struct sl_bundle_entry *entry = &x->bundle.entries[i];
        if (!is_known_log(x->requirement->trust, entry))
            continue;
        if (check_entry(x, entry, about, &err) < 0)
            return sl_finding_reject(x->finding, SL_SIG_TLOG, "log entry %zu: %s", i + 1, err.msg);
        n_good++;
    }
    if (n_good == 0)
        return sl_finding_reject(x->finding, SL_SIG_TLOG, "no entry of a log that is trusted");
    return 0;
}

/* DER of the signer's key; NULL when memory is out. */
static uint8_t *encode_key(const struct sl_public_key *key, size_t *ret_len)
{
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(key->key, &der);
    if (len <= 0)
        ERR_clear_error();
    *ret_len = len > 0 ? (size_t)len : 0;
    return len > 0 ? der : NULL;
}

static int verify_log(struct examination *x)
{
    const struct sl_sigstore_trust *trust = x->requirement->trust;
    if (trust->n_logs == 0 && !trust->has_trusted_root)
        return 0;
    struct sl_logged_signature about = {
        .signature = sl_bundle_signature(&x->bundle),
        .payload = x->bundle.is_dsse ? sl_bytes_span(&x->bundle.envelope.payload) : x->artifact,
        .pae = sl_bytes_span(&x->pae),
    };
    if (x->leaf) {
        about.certificate = sl_bytes_span(&x->bundle.certificates[0]);
        return check_entries(x, &about);
    }
    size_t len;
    uint8_t *spki = encode_key(x->signer, &len);
    if (!spki)
        return sl_finding_reject(x->finding, SL_SIG_TLOG, "out of memory");
    about.spki = (struct sl_span){spki, len};
    int r = check_entries(x, &about);
    OPENSSL_free(spki);
    return r;
}

/* ---- times and certificates ---- */

/* Timestamps of authorities nobody trusts prove nothing, and do not hurt. */
static void verify_timestamps(struct examination *x, struct sl_error *ret_err)
{
    const struct sl_sigstore_trust *trust = x->requirement->trust;
    if (trust->n_timestampers == 0)
        return;
    for (size_t i = 0; i < x->bundle.n_timestamps; i++) {
        int64_t t;
        int r = sl_timestamp_check(trust, sl_bytes_span(&x->bundle.timestamps[i]),
                                   sl_bundle_signature(&x->bundle), &t, ret_err);
        if (r == 0)
            x->times[x->n_times++] = t;
    }
}

/* Where nothing tells the time, logs must be trusted still: whoever holds the key of one that was
 * given up could write an entry today. */
static bool were_logs_trusted(const struct examination *x)
{
    for (size_t i = 0; i < x->n_times; i++)
        if (!sl_validity_has(&x->log_valid, x->times[i]))
            return false;
    return x->n_times > 0 || sl_validity_has(&x->log_valid, (int64_t)time(NULL));
}

static int verify_certificate(struct examination *x)
{
    struct sl_error err = {0};
    verify_timestamps(x, &err);
    if (!were_logs_trusted(x))
        return sl_finding_reject(x->finding, SL_SIG_TLOG,
                                 "the transparency log was not trusted when it was signed");
    if (x->n_times > 0)
        x->finding->signed_at = x->times[0];
    if (!x->leaf)
        return 0;
    if (x->requirement->has_pki)
        return sl_pki_check(x->requirement, x->leaf, x->intermediates, x->finding);
    if (x->n_times == 0)
        return sl_finding_reject(x->finding, SL_SIG_TIME,
                                 "nothing proves when the certificate was used%s%s",
                                 *err.msg ? ": " : "", err.msg);
    return sl_fulcio_check(x->requirement, x->leaf, x->intermediates, x->times, x->n_times,
                           x->finding);
}

/* ---- what the signature says ---- */

static int check_statement(struct examination *x)
{
    SL_AUTO_DONE(sl_statement) statement = {0};
    struct sl_error err = {0};
    if (sl_statement_parse(sl_bytes_span(&x->bundle.envelope.payload), &statement, &err) < 0)
        return reject_error(x, SL_SIG_PAYLOAD, &err);
    if (strcmp(statement.predicate_type, SL_PREDICATE_COSIGN_SIGN) != 0)
        return sl_finding_reject(x->finding, SL_SIG_PAYLOAD,
                                 "predicate type is '%.80s': an attestation, not a signature",
                                 statement.predicate_type);
    if (sl_statement_names(&statement, &x->image->manifest_digest))
        return 0;
    x->is_index = x->image->has_index && sl_statement_names(&statement, &x->image->index_digest);
    return x->is_index ? 0
                       : sl_finding_reject(x->finding, SL_SIG_DIGEST,
                                           "the statement is about something else than this image");
}

/* Of an index too, that it has the manifest: it says nothing about others. */
static int check_image(const struct examination *x)
{
    char text[SL_DIGEST_TEXT_MAX];
    sl_digest_format(x->is_index ? &x->image->index_digest : &x->image->manifest_digest, text);
    return sl_signed_digest_check(x->image, text, x->finding);
}

static int examine(struct examination *x, const struct sl_signature *signature)
{
    int r = parse(x, signature);
    if (r == 0)
        r = verify_signer(x);
    if (r == 0)
        r = verify_log(x);
    if (r == 0)
        r = verify_certificate(x);
    if (r == 0 && x->bundle.is_dsse)
        r = check_statement(x);
    return r < 0 ? r : check_image(x);
}

int sl_bundle_signature_verify(const struct sl_requirement *requirement,
                               const struct sl_judged_image *image,
                               const struct sl_signature *signature,
                               struct sl_signature_finding *finding)
{
    if (!requirement->accepts_bundles)
        return sl_finding_reject(finding, SL_SIG_IDENTITY,
                                 "a bundle names no repository; \"x-bundles\": \"digest-only\" in "
                                 "the requirement accepts it");
    SL_AUTO_DONE(examination)
    x = {.requirement = requirement,
         .image = image,
         .finding = finding,
         .log_valid = {INT64_MIN, INT64_MAX}};
    int r = examine(&x, signature);
    if (r < 0)
        return r;
    finding->code = SL_SIG_OK;
    finding->reason[0] = 0;
    return 0;
}
