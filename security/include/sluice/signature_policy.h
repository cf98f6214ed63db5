/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.json (containers-policy.json(5)): which signatures an image needs before it may be used.
 * Strict: anything unknown, doubled, empty or of the wrong type refuses the whole file, with line
 * and column. Judging is pure: images and signatures come as bytes, the answer is a verdict.
 */
#pragma once

#include "sluice/core/reference.h"
#include "sluice/resource.h"
#include "sluice/signature.h"

#define SL_SIGNATURE_POLICY_PATH "/etc/containers/policy.json"
enum { SL_SIGNATURE_POLICY_MAX = 1024 * 1024 }; /* bytes */

struct sl_signature_policy_options {
    bool compat_image_rs; /* the dialect of image-rs; docs/policy.md has the table */
    bool require_signed;  /* refuse a policy, and a verdict, in which nothing is verified */
};

struct sl_signature_policy;
/* Parses, and reads all keys the policy names through resources (borrowed for the call). A key
 * that cannot be read fails its requirement, not the policy. */
SL_MUST_CHECK int sl_signature_policy_parse(struct sl_span json,
                                            const struct sl_signature_policy_options *options,
                                            struct sl_resources *resources,
                                            struct sl_signature_policy **ret, struct sl_error *err);
struct sl_signature_policy *sl_signature_policy_free(struct sl_signature_policy *policy);
SL_DEFINE_AUTO(sl_signature_policy, sl_signature_policy_free)
/* Of the bytes it was parsed from. */
const struct sl_digest *sl_signature_policy_digest(const struct sl_signature_policy *policy);

/* The image a verdict is about. Everything borrowed, and longer-lived than the verdict's making. */
struct sl_judged_image {
    const char *name; /* what the caller asked for, canonical: never a mirror's */
    struct sl_span manifest;
    struct sl_digest manifest_digest;
    bool has_index; /* the manifest was chosen from this index */
    struct sl_span index;
    struct sl_digest index_digest;
};

/* Which kinds of signatures the requirements for an image of this name look at. */
struct sl_signature_needs {
    bool simple, sigstore;
};
SL_MUST_CHECK int sl_signature_policy_needs(const struct sl_signature_policy *policy,
                                            const char *name, struct sl_signature_needs *ret,
                                            struct sl_error *err);

/* ---- verdicts ---- */

enum sl_signature_code {
    SL_SIG_OK,
    SL_SIG_FETCH,       /* E_FETCH: a place could not be read; worth a retry */
    SL_SIG_KEY_FETCH,   /* E_KEY_FETCH: key material of the policy could not be read */
    SL_SIG_KEY_PARSE,   /* E_KEY_PARSE */
    SL_SIG_NONE,        /* E_NOSIG: a signature was required, none exists */
    SL_SIG_FORMAT,      /* E_SIG_FORMAT */
    SL_SIG_CRYPTO,      /* E_SIG_CRYPTO: does not verify */
    SL_SIG_KEY,         /* E_SIG_KEY: signer not trusted, expired, revoked */
    SL_SIG_PAYLOAD,     /* E_SIG_PAYLOAD */
    SL_SIG_DIGEST,      /* E_SIG_DIGEST: names another manifest */
    SL_SIG_IDENTITY,    /* E_SIG_IDENTITY: names another image or signer */
    SL_SIG_TLOG,        /* E_SIG_TLOG: transparency log evidence */
    SL_SIG_TIME,        /* E_SIG_TIME */
    SL_SIG_CERT,        /* E_SIG_CERT: certificate chain */
    SL_SIG_REJECT,      /* E_REJECT: the policy says so */
    SL_SIG_UNSUPPORTED, /* E_UNSUPPORTED */
    SL_SIG_LIMIT,       /* E_LIMIT */
};
const char *sl_signature_code_name(enum sl_signature_code code); /* "E_NOSIG" */

enum { SL_FINDING_TEXT_MAX = 256 };

/* What one requirement found in one signature. */
struct sl_signature_finding {
    enum sl_signature_code code;      /* SL_SIG_OK: it satisfies the requirement */
    char reason[SL_FINDING_TEXT_MAX]; /* one clean line; "" when accepted */
    enum sl_signature_kind kind;
    char where[SL_FINDING_TEXT_MAX];
    char key[SL_FINDING_TEXT_MAX]; /* who signed, once that is proved: an OpenPGP fingerprint of
                                      the primary key, "sha256:…" of a public key; or "" */
    char signed_name[SL_FINDING_TEXT_MAX]; /* verified docker-reference, or certificate subject */
    bool names_index;                      /* it signs the index, not the manifest */
    int64_t signed_at;                     /* seconds since 1970, proved; 0: not known */
};

struct sl_requirement_verdict {
    const char *type; /* "signedBy": static */
    bool is_satisfied;
    enum sl_signature_code code;
    char reason[SL_FINDING_TEXT_MAX];
    struct sl_signature_finding *findings; /* one for each signature that was looked at */
    size_t n_findings;
};

struct sl_policy_verdict {
    bool is_allowed;
    char *name;      /* the image's */
    char *transport; /* "docker", "oci" */
    char *scope; /* the scope whose requirements these are; "" of a transport; NULL: the default */
    struct sl_digest policy, manifest, index;
    bool has_index, compat_image_rs;
    struct sl_requirement_verdict *requirements; /* those that were looked at, in order */
    size_t n_requirements, n_demanded;           /* of so many */
};
struct sl_policy_verdict *sl_policy_verdict_free(struct sl_policy_verdict *verdict);
SL_DEFINE_AUTO(sl_policy_verdict, sl_policy_verdict_free)

/* Proof that a policy has allowed one manifest under one name. Only sl_signature_policy_judge()
 * and sl_approve_insecurely() make it. */
struct sl_approval;
struct sl_approval *sl_approval_free(struct sl_approval *approval);
SL_DEFINE_AUTO(sl_approval, sl_approval_free)
const struct sl_digest *sl_approval_manifest(const struct sl_approval *approval);
const char *sl_approval_name(const struct sl_approval *approval);

/* 0: allowed, *ret_approval is set. SL_E_POLICY: denied; SL_E_NETWORK: denied, but worth a retry
 * since signatures could not be read. The message is the whole line for people, "Image policy
 * rejected: Denied by policy: SCOPE: requirement N (TYPE): CODE: …". *ret_verdict (not NULL) is set
 * in all these cases; not when memory is out. */
SL_MUST_CHECK int sl_signature_policy_judge(const struct sl_signature_policy *policy,
                                            const struct sl_judged_image *image,
                                            const struct sl_signatures *signatures,
                                            struct sl_approval **ret_approval,
                                            struct sl_policy_verdict **ret_verdict,
                                            struct sl_error *err);
/* The caller said --insecure-policy. */
SL_MUST_CHECK int sl_approve_insecurely(const struct sl_judged_image *image,
                                        struct sl_approval **ret, struct sl_error *err);
