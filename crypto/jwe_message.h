/* SPDX-License-Identifier: Apache-2.0 */
/* A JWE taken apart (RFC 7516): compact, flattened or general serialisation. No cryptography. */
#pragma once

#include "sluice/core/json.h"

enum { SL_JWE_RECIPIENTS_MAX = 64 };

struct sl_jwe_recipient {
    const struct sl_json *header; /* NULL when it has none */
    struct sl_bytes encrypted_key;
};

struct sl_jwe {
    struct sl_json_doc *doc;           /* NULL for the compact form */
    struct sl_json_doc *protected_doc; /* the protected header */
    struct sl_bytes aad;               /* the protected header as received, in base64url */
    struct sl_bytes iv;
    struct sl_bytes ciphertext;
    struct sl_bytes tag;
    struct sl_jwe_recipient recipients[SL_JWE_RECIPIENTS_MAX];
    size_t n_recipients;
};
/* Refuses crit and zip wherever they stand, and an empty encrypted_key. *ret is zeroed first;
 * end it with sl_jwe_done() also on failure. */
SL_MUST_CHECK int sl_jwe_parse(struct sl_span text, struct sl_jwe *ret, struct sl_error *err);
void sl_jwe_done(struct sl_jwe *jwe);
SL_DEFINE_AUTO_DONE(sl_jwe, sl_jwe_done)

/* A header parameter for this recipient: protected, then shared, then his own. Or NULL. */
const struct sl_json *sl_jwe_param(const struct sl_jwe *jwe,
                                   const struct sl_jwe_recipient *recipient, const char *name);
