/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enc.keys.pkcs11: the private options are the message of RSA-OAEP itself. A recipient does not
 * say whose it is, so every key is tried: those on tokens, and RSA keys of plain files, which fit
 * where somebody wrapped for a plain public key.
 */
#include "aes_open.h"
#include "key_ring.h"
#include "pkcs11_blob.h"
#include "pkcs11_token.h"
#include "rsa_open.h"

static int try_tokens(const struct sl_key_ring *ring, const struct sl_pkcs11_recipient *recipient,
                      struct sl_bytes *ret, struct sl_error *err)
{
    int r = -ENOKEY;
    for (size_t i = 0; r != 0 && i < ring->n_pkcs11; i++)
        r = sl_pkcs11_oaep_open(ring->pkcs11[i], recipient->digest, sl_bytes_span(&recipient->text),
                                ret, err);
    return r;
}

static int try_files(const struct sl_key_ring *ring, const struct sl_pkcs11_recipient *recipient,
                     struct sl_bytes *ret)
{
    int r = -ENOKEY;
    for (size_t i = 0; r != 0 && i < ring->n_keys; i++)
        if (EVP_PKEY_is_a(ring->keys[i], "RSA") == 1)
            r = sl_rsa_oaep_open(ring->keys[i], recipient->digest, recipient->digest,
                                 sl_bytes_span(&recipient->text), ret, NULL);
    return r;
}

int sl_unwrap_pkcs11(const struct sl_key_ring *ring, struct sl_span element,
                     struct sl_bytes *ret_plbco, struct sl_error *err)
{
    SL_AUTO_DONE(sl_pkcs11_blob) blob = {.n = 0};
    int r = sl_pkcs11_blob_parse(element, &blob, err);
    if (r < 0)
        return r;
    if (ring->n_pkcs11 == 0 && ring->n_keys == 0)
        return sl_unwrap_no_key(err,
                                "missing PKCS11 key file needed for decryption (--decryption-key)");
    /* Why a token could not be asked says more than that a key does not fit. */
    struct sl_error reason = {0};
    (void)sl_open_failed(&reason);
    for (size_t i = 0; i < blob.n; i++) {
        struct sl_error one = {0};
        if (try_files(ring, &blob.recipients[i], ret_plbco) == 0 ||
            try_tokens(ring, &blob.recipients[i], ret_plbco, &one) == 0)
            return 0;
        if (one.code != SL_OK && reason.errnum == EBADMSG)
            reason = one;
    }
    return sl_error_set(err, reason.code, reason.errnum, "%s", reason.msg);
}
