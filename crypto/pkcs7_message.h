/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS7 EnvelopedData as ocicrypt writes it, taken apart. No cryptography. */
#pragma once

#include "sluice/core/bytes.h"

enum { SL_PKCS7_RECIPIENTS_MAX = 64 };

enum sl_pkcs7_transport { SL_PKCS7_RSA_PKCS1, SL_PKCS7_RSA_OAEP };

struct sl_pkcs7_recipient {
    struct sl_span issuer; /* DER Name */
    struct sl_span serial; /* DER INTEGER */
    enum sl_pkcs7_transport transport;
    const char *digest;     /* of OAEP; static */
    const char *mgf_digest; /* of OAEP's mask; static */
    struct sl_span encrypted_key;
};

enum sl_pkcs7_mode { SL_PKCS7_GCM, SL_PKCS7_CBC };

/* All spans point into the message parsed. */
struct sl_pkcs7 {
    struct sl_pkcs7_recipient recipients[SL_PKCS7_RECIPIENTS_MAX];
    size_t n_recipients; /* those identified by issuer and serial */
    enum sl_pkcs7_mode mode;
    size_t key_size;
    struct sl_span iv;
    struct sl_bytes content; /* with GCM's tag at its end; owned */
};
SL_MUST_CHECK int sl_pkcs7_parse(struct sl_span der, struct sl_pkcs7 *ret, struct sl_error *err);
void sl_pkcs7_done(struct sl_pkcs7 *message);
SL_DEFINE_AUTO_DONE(sl_pkcs7, sl_pkcs7_done)
