/* SPDX-License-Identifier: Apache-2.0 */
/* What others would write over OpenSSL: one pass for each sum, contexts made once. */
#pragma once

#include "sluice/core/bytes.h"

#include <openssl/evp.h>

struct openssl_rival {
    EVP_MD_CTX *digest;
    EVP_MAC_CTX *hmac;
    EVP_CIPHER_CTX *ctr, *gcm;
};
SL_MUST_CHECK int openssl_rival_init(struct openssl_rival *o, struct sl_error *err);
void openssl_rival_done(struct openssl_rival *o);

/* All: a message begins with …_begin, except that the whole of it is given to gcm_open. 0 or -EIO.
 */
int openssl_rival_digest_begin(struct openssl_rival *o);
int openssl_rival_digest(struct openssl_rival *o, struct sl_span bytes);
int openssl_rival_digest_end(struct openssl_rival *o, uint8_t ret[32]);
int openssl_rival_hmac_begin(struct openssl_rival *o, const uint8_t key[32]);
int openssl_rival_hmac(struct openssl_rival *o, struct sl_span bytes);
int openssl_rival_hmac_end(struct openssl_rival *o, uint8_t ret[32]);
int openssl_rival_ctr_begin(struct openssl_rival *o, const uint8_t key[32], const uint8_t iv[16]);
/* to may be bytes.data. */
int openssl_rival_ctr(struct openssl_rival *o, struct sl_span bytes, uint8_t *to);
/* text ends with the tag of 16 bytes. */
int openssl_rival_gcm_open(struct openssl_rival *o, const uint8_t key[32], const uint8_t iv[12],
                           struct sl_span text, uint8_t *to);
