/* SPDX-License-Identifier: Apache-2.0 */
#include "sigstore_trust.h"

int sl_public_key_parse_pem(struct sl_span pem, struct sl_public_key *ret, struct sl_error *err)
{
    (void)pem;
    (void)ret;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}

int sl_public_key_parse_der(struct sl_span spki, struct sl_public_key *ret, struct sl_error *err)
{
    (void)spki;
    (void)ret;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}

int sl_public_key_from_evp(EVP_PKEY *key, struct sl_public_key *ret, struct sl_error *err)
{
    (void)key;
    (void)ret;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}

void sl_public_key_done(struct sl_public_key *key)
{
    (void)key;
}

bool sl_public_key_verify(const struct sl_public_key *key, struct sl_span data,
                          struct sl_span signature, bool allow_ed25519ph)
{
    (void)key;
    (void)data;
    (void)signature;
    (void)allow_ed25519ph;
    return false;
}

void sl_public_key_describe(const struct sl_public_key *key, char out[SL_FINDING_TEXT_MAX])
{
    (void)key;
    (void)out;
}
