/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of parsed encryption annotations, for those who unwrap them. */
#pragma once

#include "sluice/key_unwrap.h"

#define SL_ENC_PREFIX "org.opencontainers.image.enc."
#define SL_ENC_PUBOPTS SL_ENC_PREFIX "pubopts"
#define SL_ENC_KEYS_PREFIX SL_ENC_PREFIX "keys."
#define SL_LAYER_CIPHER "AES_256_CTR_HMAC_SHA256"
/* Of the name of a wrapped key; the provider's own name follows. */
#define SL_PROVIDER_PREFIX "provider."
/* Confidential Containers' provider, whose packets are also read and written here. */
#define SL_NATIVE_PROVIDER "attestation-agent"

/* In the order in which wrapped keys are tried. */
enum sl_wrap_protocol {
    SL_WRAP_PROVIDER,
    SL_WRAP_JWE,
    SL_WRAP_PKCS7,
    SL_WRAP_PGP,
    SL_WRAP_PKCS11,
};

/* One element of one enc.keys.* annotation. */
struct sl_wrapped_key {
    enum sl_wrap_protocol protocol;
    const char *name;    /* the annotation's, without "org.opencontainers.image.enc.keys." */
    size_t index;        /* among the elements of its annotation */
    struct sl_span text; /* base64, not yet decoded: a bad element must not spoil the others */
};

struct sl_enc_annotations {
    uint8_t hmac[SL_HMAC_SIZE];
    struct sl_wrapped_key *keys; /* in the order in which they are tried */
    size_t n_keys;
    struct sl_pair *owned; /* what keys[] points into */
    size_t n_owned;
};
