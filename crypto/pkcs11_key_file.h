/* SPDX-License-Identifier: Apache-2.0 */
/* The key file of ocicrypt (YAML), which names a key on a token:
 *     pkcs11: {uri: "pkcs11:token=…;object=…?pin-value=…&module-name=…"}
 *     module: {env: {NAME: VALUE}}
 */
#pragma once

#include "sluice/core/bytes.h"

enum { SL_PKCS11_ENV_MAX = 32 };

struct sl_pkcs11_key_file {
    char *uri; /* secret: it may hold the PIN */
    struct sl_pair env[SL_PKCS11_ENV_MAX];
    size_t n_env;
};
void sl_pkcs11_key_file_done(struct sl_pkcs11_key_file *file);
SL_DEFINE_AUTO_DONE(sl_pkcs11_key_file, sl_pkcs11_key_file_done)

/* A guess, for telling formats of key files apart. */
bool sl_pkcs11_key_file_looks_like(struct sl_span text);
/* Errors never quote the text. */
SL_MUST_CHECK int sl_pkcs11_key_file_parse(struct sl_span text, struct sl_pkcs11_key_file *ret,
                                           struct sl_error *err);
