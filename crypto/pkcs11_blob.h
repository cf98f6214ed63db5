/* SPDX-License-Identifier: Apache-2.0 */
/* The element of enc.keys.pkcs11, JSON of ocicrypt:
 * {"version":0,"recipients":[{"version":0,"blob":BASE64,"hash":"sha256"}]} */
#pragma once

#include "sluice/core/bytes.h"

enum { SL_PKCS11_RECIPIENTS_MAX = 64 };

/* The private options, encrypted as they are with RSA-OAEP. */
struct sl_pkcs11_recipient {
    struct sl_bytes text;
    const char *digest; /* "sha1" or "sha256", static; of label and mask */
};

struct sl_pkcs11_blob {
    struct sl_pkcs11_recipient recipients[SL_PKCS11_RECIPIENTS_MAX];
    size_t n;
};
void sl_pkcs11_blob_done(struct sl_pkcs11_blob *blob);
SL_DEFINE_AUTO_DONE(sl_pkcs11_blob, sl_pkcs11_blob_done)

/* hash: NULL or "" means sha1, as in old images. NULL: there is no such digest here. */
const char *sl_pkcs11_digest(const char *hash);
SL_MUST_CHECK int sl_pkcs11_blob_parse(struct sl_span text, struct sl_pkcs11_blob *ret,
                                       struct sl_error *err);
SL_MUST_CHECK int sl_pkcs11_blob_write(const struct sl_pkcs11_blob *blob, struct sl_bytes *ret,
                                       struct sl_error *err);
