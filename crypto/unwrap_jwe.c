/* SPDX-License-Identifier: Apache-2.0 */
/* enc.keys.jwe: every recipient is tried with every private key of his kind. */
#include "jwe_content.h"
#include "jwe_key.h"
#include "key_ring.h"

static int open_content(const struct sl_jwe *jwe, const struct sl_jwe_enc *enc, struct sl_span cek,
                        struct sl_bytes *ret, struct sl_error *err)
{
    return sl_jwe_enc_open(enc, cek, sl_bytes_span(&jwe->iv), sl_bytes_span(&jwe->aad),
                           sl_bytes_span(&jwe->ciphertext), sl_bytes_span(&jwe->tag), ret, err);
}

/* -EAGAIN when the key is not of the recipient's kind. */
static int try_key(const struct sl_jwe *jwe, const struct sl_jwe_recipient *recipient,
                   EVP_PKEY *key, struct sl_bytes *ret, struct sl_error *err)
{
    const char *alg_name = sl_json_string(sl_jwe_param(jwe, recipient, "alg"));
    const char *enc_name = sl_json_string(sl_jwe_param(jwe, recipient, "enc"));
    const struct sl_jwe_alg *alg = sl_jwe_alg_find(alg_name);
    const struct sl_jwe_enc *enc = sl_jwe_enc_find(enc_name);
    if (!alg || !enc)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "JWE: %s %.40s is not supported",
                            alg ? "enc" : "alg", (alg ? enc_name : alg_name) ?: "(none)");
    if (!sl_jwe_alg_fits(alg, key))
        return -EAGAIN;
    struct sl_bytes cek = {0};
    int r = sl_jwe_alg_open(alg, jwe, recipient, key, &cek, err);
    if (r == 0)
        r = open_content(jwe, enc, sl_bytes_span(&cek), ret, err);
    sl_bytes_wipe(&cek);
    return r;
}

static int try_all(const struct sl_key_ring *ring, const struct sl_jwe *jwe, struct sl_bytes *ret,
                   struct sl_error *err)
{
    int failure = -EAGAIN;
    for (size_t i = 0; i < jwe->n_recipients; i++) {
        for (size_t k = 0; k < ring->n_keys; k++) {
            int r = try_key(jwe, &jwe->recipients[i], ring->keys[k], ret, err);
            if (r == 0 || r == -ENOMEM)
                return r;
            if (r != -EAGAIN)
                failure = r;
        }
    }
    return failure == -EAGAIN ? sl_unwrap_no_key(err, "no private key of the recipients' kind")
                              : failure;
}

int sl_unwrap_jwe(const struct sl_key_ring *ring, struct sl_span element,
                  struct sl_bytes *ret_plbco, struct sl_error *err)
{
    SL_AUTO_DONE(sl_jwe) jwe;
    int r = sl_jwe_parse(element, &jwe, err);
    if (r < 0)
        return r;
    if (ring->n_keys == 0)
        return sl_unwrap_no_key(err,
                                "missing private key needed for decryption (--decryption-key)");
    return try_all(ring, &jwe, ret_plbco, err);
}
