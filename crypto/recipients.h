/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a list of recipients, and the one function each wrapping protocol offers. */
#pragma once

#include "sluice/core/openssl_auto.h"
#include "sluice/core/secret.h"
#include "sluice/key_wrap.h"

enum { SL_RECIPIENTS_MAX = 64 }; /* of all protocols together */

/* A public key for JWE; kid and alg only when a JWK says so. */
struct sl_jwe_public_key {
    EVP_PKEY *key;
    char *kid, *alg;
};

/* provider:NAME:PARAMS. A native one is wrapped here. */
struct sl_provider_recipient {
    char *name, *params;
    bool is_native;
    struct sl_packet_params packet; /* of a native one */
    uint8_t *kek;                   /* of a native one: SL_KEK_SIZE bytes from sl_secret_alloc() */
};

struct sl_pkcs11_recipients; /* wrap_pkcs11.c's */

struct sl_recipients {
    struct sl_jwe_public_key jwe[SL_RECIPIENTS_MAX];
    size_t n_jwe;
    X509 *pkcs7[SL_RECIPIENTS_MAX];
    size_t n_pkcs7;
    char *pgp[SL_RECIPIENTS_MAX]; /* names or addresses, as given */
    size_t n_pgp;
    char *pgp_home;      /* NULL: the user's */
    int pgp_deadline_ms; /* 0: SL_PGP_DEADLINE_MS */
    struct sl_pkcs11_recipients *pkcs11;
    size_t n_pkcs11;
    struct sl_provider_recipient providers[SL_RECIPIENTS_MAX];
    size_t n_providers;

    sl_provider_wrap_fn *provider_wrap;
    bool (*provider_has)(void *arg, const char *name);
    void *provider_arg;
    sl_kek_lookup_fn *kek_lookup;
    void *kek_arg;
    bool allow_sample, allow_a256ctr;
};

/* One element for all recipients of the protocol together, not yet base64. */
typedef int sl_wrap_fn(const struct sl_recipients *recipients, struct sl_span plbco,
                       struct sl_bytes *ret, struct sl_error *err);
sl_wrap_fn sl_wrap_jwe, sl_wrap_pkcs7, sl_wrap_pgp, sl_wrap_pkcs11;

/* What follows "jwe:", "pkcs7:", "pgp:" or "pkcs11:". */
typedef int sl_recipient_add_fn(struct sl_recipients *recipients, const char *value,
                                struct sl_error *err);
sl_recipient_add_fn sl_recipient_add_jwe, sl_recipient_add_pkcs7, sl_recipient_add_pgp,
    sl_recipient_add_pkcs11, sl_recipient_add_provider;

/* One element for one recipient of enc.keys.provider.NAME, not yet base64. May block. */
SL_MUST_CHECK int sl_wrap_provider(const struct sl_recipients *recipients,
                                   const struct sl_provider_recipient *to, struct sl_span plbco,
                                   struct sl_bytes *ret, struct sl_error *err);
void sl_jwe_public_key_done(struct sl_jwe_public_key *to);
void sl_provider_recipient_done(struct sl_provider_recipient *recipient);

/* Frees; accepts NULL. */
struct sl_pkcs11_recipients *sl_pkcs11_recipients_free(struct sl_pkcs11_recipients *list);
