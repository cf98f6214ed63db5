/* SPDX-License-Identifier: Apache-2.0 */
/* A policy.json, parsed: its requirements and the key material they name. Inside security/ only. */
#pragma once

#include "sluice/signature_policy.h"

enum sl_requirement_type {
    SL_REQUIRE_NOTHING, /* insecureAcceptAnything */
    SL_REQUIRE_REJECT,
    SL_REQUIRE_SIGNED_BY,
    SL_REQUIRE_SIGNED_BASE_LAYER, /* parses, and rejects every image */
    SL_REQUIRE_SIGSTORE_SIGNED,
};
const char *sl_requirement_type_name(enum sl_requirement_type type); /* "signedBy" */

/* Which docker-reference a signature may carry. */
enum sl_identity_type {
    SL_MATCH_REPO_DIGEST_OR_EXACT, /* the default */
    SL_MATCH_EXACT,
    SL_MATCH_REPOSITORY,
    SL_EXACT_REFERENCE,
    SL_EXACT_REPOSITORY,
    SL_REMAP_IDENTITY,
};
struct sl_identity_rule {
    enum sl_identity_type type;
    struct sl_reference *reference; /* of the two exact ones */
    char *prefix, *signed_prefix;   /* of remapIdentity */
};

/* One piece of key material, and what came of reading it. */
struct sl_key_source {
    char *name;            /* path or URI; NULL: it stood in the policy itself */
    struct sl_bytes bytes; /* decoded */
    bool is_unreadable;
    struct sl_error problem;
};
struct sl_key_sources {
    struct sl_key_source *items;
    size_t n;
};

enum sl_pgp_key_type { SL_GPG_KEYS, SL_PGP_KEY_TYPE_UNSUPPORTED };

struct sl_sigstore_trust; /* sigstore_trust.h */

/* Sorted by size; the comments say whose members are whose. */
struct sl_requirement {
    struct sl_error trust_problem; /* why there is no trust */
    struct sl_identity_rule identity;

    /* signedBy and sigstoreSigned */
    struct sl_key_sources keys; /* keyPath, keyPaths, keyData, keyDatas */

    /* sigstoreSigned */
    struct sl_key_sources rekor_keys;
    struct sl_key_sources fulcio_ca; /* empty: those of the trusted root */
    struct sl_key_sources pki_roots, pki_intermediates;
    struct sl_key_sources trusted_root; /* x-trustedRootPath, x-trustedRootData: at most one */
    struct sl_key_sources ct_keys;      /* x-ctKeyPath, x-ctKeyPaths, x-ctKeyData(s) */
    char *oidc_issuer, *subject_email;
    char *subject_uri; /* x-subjectURI: exactly one of it and subject_email */
    char *pki_email, *pki_hostname;
    struct sl_sigstore_trust *trust; /* all of the above, parsed; or NULL */

    enum sl_requirement_type type;
    enum sl_pgp_key_type key_type;     /* signedBy */
    enum sl_signature_code trust_code; /* with trust_problem */
    bool is_compat;                    /* the policy is in the dialect of image-rs */
    bool allow_expired_key;            /* signedBy, x-allowExpiredKey: signed in time is enough */
    bool has_fulcio, has_pki;          /* sigstoreSigned, as the rest */
    bool accepts_bundles;              /* "x-bundles": "digest-only" */
    bool ignores_sct;                  /* "x-sct": "ignore" */
};

struct sl_requirements {
    struct sl_requirement *items;
    size_t n; /* at least 1 */
};
struct sl_policy_scope {
    char *transport, *scope;
    struct sl_requirements requirements;
};
struct sl_signature_policy {
    struct sl_signature_policy_options options;
    struct sl_digest digest;
    struct sl_requirements fallback; /* "default" */
    struct sl_policy_scope *scopes;
    size_t n_scopes;
};

/* The requirements for an image of this canonical name, and where they stand: *ret_scope is NULL
 * for the default of the policy. */
SL_MUST_CHECK int sl_policy_find(const struct sl_signature_policy *policy, const char *name,
                                 const struct sl_requirements **ret,
                                 const struct sl_policy_scope **ret_scope, struct sl_error *err);
