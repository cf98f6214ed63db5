/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sigstoreSigned requirement trusts, parsed: keys, certificate authorities, transparency
 * logs, timestamp authorities; from the policy's own members and from a trusted_root.json. Nothing
 * here changes once it is open, so any thread may verify with it. Inside security/ only.
 */
#pragma once

#include "policy_document.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

/* Closed at both ends, seconds since 1970. */
struct sl_validity {
    int64_t start, end; /* INT64_MIN and INT64_MAX when open */
};
static inline bool sl_validity_has(const struct sl_validity *v, int64_t t)
{
    return t >= v->start && t <= v->end;
}

struct sl_public_key {
    EVP_PKEY *key;
    uint8_t spki_sha256[32]; /* of its DER SubjectPublicKeyInfo */
};
/* A log: of signatures (Rekor) or certificates (CT). */
struct sl_trusted_log {
    struct sl_public_key key;
    uint8_t id[32]; /* how entries name it: SHA-256 of the SPKI, or what the trusted root says */
    char *host;     /* of baseUrl, for names in checkpoints; NULL: not known */
    struct sl_validity valid;
};
/* A chain of CA certificates, or of a timestamp authority (its own certificate first). */
struct sl_trusted_chain {
    STACK_OF(X509) * certs; /* the last is the anchor */
    struct sl_validity valid;
};

struct sl_sigstore_trust {
    struct sl_public_key *keys; /* of keyPath and the like */
    size_t n_keys;
    struct sl_trusted_log *logs; /* Rekor */
    size_t n_logs;
    struct sl_trusted_log *ct_logs;
    size_t n_ct_logs;
    struct sl_trusted_chain *authorities; /* of Fulcio; each anchor alone when from caPath/caData */
    size_t n_authorities;
    struct sl_trusted_chain *timestampers;
    size_t n_timestampers;
    STACK_OF(X509) * pki_roots, *pki_intermediates; /* NULL without pki */
    bool has_trusted_root;
};
/* Parses all key material of the requirement; one bad piece fails it all. *ret_code tells which
 * kind of problem. */
SL_MUST_CHECK int sl_sigstore_trust_open(const struct sl_requirement *requirement,
                                         struct sl_sigstore_trust **ret,
                                         enum sl_signature_code *ret_code, struct sl_error *err);
struct sl_sigstore_trust *sl_sigstore_trust_free(struct sl_sigstore_trust *trust);

/* trusted_root.c: adds what a trusted_root.json says. */
SL_MUST_CHECK int sl_trusted_root_parse(struct sl_span json, struct sl_sigstore_trust *trust,
                                        struct sl_error *err);

/* ---- keys and signatures (sigstore_key.c) ---- */

/* Exactly one PEM block, PUBLIC KEY; RSA from 2048 bits, P-256/384/521, Ed25519, nothing else. */
SL_MUST_CHECK int sl_public_key_parse_pem(struct sl_span pem, struct sl_public_key *ret,
                                          struct sl_error *err);
SL_MUST_CHECK int sl_public_key_parse_der(struct sl_span spki, struct sl_public_key *ret,
                                          struct sl_error *err);
/* Takes a reference to key, of a certificate; the same kinds only. */
SL_MUST_CHECK int sl_public_key_from_evp(EVP_PKEY *key, struct sl_public_key *ret,
                                         struct sl_error *err);
void sl_public_key_done(struct sl_public_key *key);
/* True when signature is the key's over data, by one of the algorithms its kind may use:
 * P-256: SHA-256; P-384: SHA-256, SHA-384; P-521: SHA-256, SHA-512; RSA: PKCS#1 v1.5 with SHA-256,
 * PSS with SHA-256; Ed25519: pure, and with allow_ed25519ph also prehashed. */
bool sl_public_key_verify(const struct sl_public_key *key, struct sl_span data,
                          struct sl_span signature, bool allow_ed25519ph);
/* "sha256:…" of the SPKI. */
void sl_public_key_describe(const struct sl_public_key *key, char out[SL_FINDING_TEXT_MAX]);

/* ---- certificates (sigstore_certificate.c) ---- */

/* One certificate in DER, PEM, without a byte around it; PEM certificates in their order. */
SL_MUST_CHECK int sl_certificate_parse_der(struct sl_span der, X509 **ret, struct sl_error *err);
SL_MUST_CHECK int sl_certificate_parse_pem(struct sl_span pem, X509 **ret, struct sl_error *err);
SL_MUST_CHECK int sl_certificates_parse_pem(struct sl_span pem, STACK_OF(X509) * *ret,
                                            struct sl_error *err);
/* A leaf of Fulcio: chain, uses, identities and SCT, at each of these times (proved, at least one).
 * intermediates may be NULL. Fills finding->signed_name. */
struct sl_signature_finding;
SL_MUST_CHECK int sl_fulcio_check(const struct sl_requirement *requirement, X509 *leaf,
                                  STACK_OF(X509) * intermediates, const int64_t *times,
                                  size_t n_times, struct sl_signature_finding *finding);
/* A leaf of the operator's own PKI, now. */
SL_MUST_CHECK int sl_pki_check(const struct sl_requirement *requirement, X509 *leaf,
                               STACK_OF(X509) * intermediates,
                               struct sl_signature_finding *finding);
/* At least one SCT in the leaf by a log of trust (sct.c). issuer signed the leaf. */
SL_MUST_CHECK int sl_sct_check(const struct sl_sigstore_trust *trust, X509 *leaf, X509 *issuer,
                               struct sl_error *err);

/* ---- transparency log (rekor_entry.c, rekor_proof.c) ---- */

/* What an entry must be about. */
struct sl_logged_signature {
    struct sl_span signature;   /* raw bytes */
    struct sl_span payload;     /* what was signed: a payload; of DSSE the statement */
    struct sl_span pae;         /* of DSSE: the bytes under the signature; else empty */
    struct sl_span spki;        /* DER of the public key; empty when there is a certificate: */
    struct sl_span certificate; /* DER */
};
/* The body of an entry (hashedrekord 0.0.1, dsse 0.0.1, intoto 0.0.2, hashedrekord 0.0.2) is about
 * this signature. kind and version: what is said beside the body; NULL: not said. */
SL_MUST_CHECK int sl_rekor_body_check(struct sl_span body, const char *kind, const char *version,
                                      const struct sl_logged_signature *about,
                                      struct sl_error *err);
/* A signed entry timestamp over body, by a log that has the id (32 bytes). */
SL_MUST_CHECK int sl_rekor_set_check(const struct sl_sigstore_trust *trust, struct sl_span set,
                                     struct sl_span body, struct sl_span log_id,
                                     int64_t integrated_time, int64_t log_index,
                                     struct sl_error *err);
/* The annotation dev.sigstore.cosign/bundle: SET and body; *ret_time is proved. */
SL_MUST_CHECK int sl_rekor_annotation_check(const struct sl_sigstore_trust *trust,
                                            const char *annotation,
                                            const struct sl_logged_signature *about,
                                            int64_t *ret_time, struct sl_error *err);
struct sl_inclusion_proof {
    uint64_t index, size;
    struct sl_span root;          /* 32 bytes */
    const struct sl_span *hashes; /* 32 bytes each */
    size_t n_hashes;
    const char *checkpoint; /* a signed note */
};
/* RFC 6962 inclusion and the checkpoint's signature by this log. */
SL_MUST_CHECK int sl_rekor_proof_check(const struct sl_trusted_log *log, struct sl_span body,
                                       const struct sl_inclusion_proof *proof,
                                       struct sl_error *err);

/* ---- timestamps (timestamp_token.c) ---- */

/* An RFC 3161 response over these signature bytes by one of trust's authorities; *ret_time is
 * genTime. */
SL_MUST_CHECK int sl_timestamp_check(const struct sl_sigstore_trust *trust, struct sl_span response,
                                     struct sl_span signature, int64_t *ret_time,
                                     struct sl_error *err);
