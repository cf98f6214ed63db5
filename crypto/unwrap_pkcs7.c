/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enc.keys.pkcs7: recipients are found by issuer and serial of a certificate in the ring. With
 * no certificate at all in the ring, every recipient is tried: that is harmless, and spares the
 * owner of a key from keeping the certificate too.
 *
 * Neither PKCS#1 v1.5 nor CBC tells right from wrong by itself. So every failure behind the
 * parser, including one of the decrypted text, is one and the same error.
 */
#include "aes_open.h"
#include "key_ring.h"
#include "pkcs7_message.h"
#include "plbco.h"
#include "rsa_open.h"

#include <openssl/crypto.h>
#include <string.h>

/* Compares a DER encoding from OpenSSL, of len bytes (below 0: failure), and frees it. */
static bool is_equal_der(uint8_t *der, int len, struct sl_span expected)
{
    bool equal =
        len >= 0 && (size_t)len == expected.len && memcmp(der, expected.data, expected.len) == 0;
    OPENSSL_free(der);
    return equal;
}

static bool is_named_by(const struct sl_pkcs7_recipient *recipient, const X509 *cert)
{
    uint8_t *issuer = NULL;
    uint8_t *serial = NULL;
    int issuer_len = i2d_X509_NAME(X509_get_issuer_name(cert), &issuer);
    int serial_len = i2d_ASN1_INTEGER(X509_get0_serialNumber(cert), &serial);
    bool same_issuer = is_equal_der(issuer, issuer_len, recipient->issuer);
    return is_equal_der(serial, serial_len, recipient->serial) && same_issuer;
}

static bool is_ours(const struct sl_key_ring *ring, const struct sl_pkcs7_recipient *recipient)
{
    for (size_t i = 0; i < ring->n_certs; i++)
        if (is_named_by(recipient, ring->certs[i]))
            return true;
    return ring->n_certs == 0;
}

static int open_content(const struct sl_pkcs7 *message, struct sl_span key, struct sl_bytes *ret)
{
    struct sl_bytes plbco = {0};
    struct sl_span content = sl_bytes_span(&message->content);
    int r = message->mode == SL_PKCS7_GCM
                ? sl_aes_gcm_open_appended(key, message->iv, content, &plbco, NULL)
                : sl_aes_cbc_open(key, message->iv, content, &plbco, NULL);
    if (r == 0)
        r = sl_plbco_check(sl_bytes_span(&plbco));
    if (r == 0)
        *ret = plbco;
    else
        sl_bytes_wipe(&plbco);
    return r;
}

static int try_key(const struct sl_pkcs7 *message, const struct sl_pkcs7_recipient *recipient,
                   EVP_PKEY *key, struct sl_bytes *ret, struct sl_error *err)
{
    struct sl_bytes cek = {0};
    int r = recipient->transport == SL_PKCS7_RSA_PKCS1
                ? sl_rsa_pkcs1_open(key, recipient->encrypted_key, message->key_size, &cek, NULL)
                : sl_rsa_oaep_open(key, recipient->digest, recipient->mgf_digest,
                                   recipient->encrypted_key, &cek, NULL);
    if (r == 0 && cek.len != message->key_size)
        r = -EBADMSG;
    if (r == 0)
        r = open_content(message, sl_bytes_span(&cek), ret);
    sl_bytes_wipe(&cek);
    if (r == -ENOMEM)
        return sl_error_oom(err);
    return r < 0 ? sl_open_failed(err) : 0;
}

static int try_all(const struct sl_key_ring *ring, const struct sl_pkcs7 *message,
                   struct sl_bytes *ret, struct sl_error *err)
{
    int failure = sl_unwrap_no_key(
        err, ring->n_certs ? "no recipient has issuer and serial of a certificate given"
                           : "no RSA private key");
    for (size_t i = 0; i < message->n_recipients; i++) {
        if (!is_ours(ring, &message->recipients[i]))
            continue;
        for (size_t k = 0; k < ring->n_keys; k++) {
            if (EVP_PKEY_is_a(ring->keys[k], "RSA") != 1)
                continue;
            failure = try_key(message, &message->recipients[i], ring->keys[k], ret, err);
            if (failure == 0 || failure == -ENOMEM)
                return failure;
        }
    }
    return failure;
}

int sl_unwrap_pkcs7(const struct sl_key_ring *ring, struct sl_span element,
                    struct sl_bytes *ret_plbco, struct sl_error *err)
{
    SL_AUTO_DONE(sl_pkcs7) message;
    int r = sl_pkcs7_parse(element, &message, err);
    if (r < 0)
        return r;
    if (ring->n_keys == 0)
        return sl_unwrap_no_key(err,
                                "missing private key needed for decryption (--decryption-key)");
    return try_all(ring, &message, ret_plbco, err);
}
