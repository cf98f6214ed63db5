/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enc.keys.pkcs7: EnvelopedData with AES-128-GCM and RSA PKCS#1 v1.5, as ocicrypt writes it, its
 * two deviations from the standards included: the Go reader insists on them. pkcs7_message.c
 * tells which they are.
 */
#include "aes_seal.h"
#include "der_writer.h"
#include "key_file.h"
#include "recipients.h"
#include "rsa_seal.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <fcntl.h>

enum {
    CERT_FILE_MAX = 64 * 1024,
    CEK_SIZE = 16, /* AES-128-GCM */
    ODD_SEQUENCE = SL_DER_SEQUENCE & ~SL_DER_CONSTRUCTED,
    ODD_NONCE = SL_DER_CONTEXT | 4,
    EXPLICIT = SL_DER_CONTEXT | SL_DER_CONSTRUCTED, /* [0] */
};

#define OID(text) ((struct sl_span){(const uint8_t *)(text), sizeof(text) - 1})
#define OID_DATA OID("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01")
#define OID_ENVELOPED_DATA OID("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03")
#define OID_RSA OID("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01")
#define OID_AES128_GCM OID("\x60\x86\x48\x01\x65\x03\x04\x01\x06")

/* ---- a recipient ---- */

static X509 *read_cert(struct sl_span bytes)
{
    const uint8_t *p = bytes.data;
    X509 *cert = d2i_X509(NULL, &p, (long)bytes.len);
    SL_AUTO(bio_st) bio = cert ? NULL : BIO_new_mem_buf(bytes.data, (int)bytes.len);
    if (bio)
        cert = PEM_read_bio_X509(bio, NULL, sl_refuse_passphrase, NULL);
    ERR_clear_error();
    return cert;
}

int sl_recipient_add_pkcs7(struct sl_recipients *recipients, const char *value,
                           struct sl_error *err)
{
    struct sl_bytes bytes = {0};
    int r = sl_read_file(AT_FDCWD, value, CERT_FILE_MAX, &bytes, err);
    if (r < 0)
        return r;
    SL_AUTO(x509_st) cert = read_cert(sl_bytes_span(&bytes));
    sl_bytes_wipe(&bytes); /* a private key may lie beside the certificate */
    if (!cert)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "%s: not a certificate (PEM, DER)", value);
    const EVP_PKEY *key = X509_get0_pubkey(cert);
    if (!key || EVP_PKEY_is_a(key, "RSA") != 1)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "%s: the certificate has no RSA key; pkcs7 recipients need one", value);
    recipients->pkcs7[recipients->n_pkcs7++] = sl_steal(&cert);
    return 0;
}

/* ---- a message ---- */

static void put_version_0(struct sl_der_writer *w)
{
    sl_der_put(w, SL_DER_INTEGER, (struct sl_span){(const uint8_t *)"\0", 1});
}

/* Puts a DER encoding from OpenSSL, of len bytes (below 0: failure), and frees it. */
static int put_encoded(struct sl_der_writer *w, uint8_t *der, int len, struct sl_error *err)
{
    if (len < 0) {
        ERR_clear_error();
        return sl_error_oom(err);
    }
    sl_der_put_encoded(w, (struct sl_span){der, (size_t)len});
    OPENSSL_free(der);
    return 0;
}

static int put_issuer_and_serial(struct sl_der_writer *w, const X509 *cert, struct sl_error *err)
{
    uint8_t *issuer = NULL;
    uint8_t *serial = NULL;
    size_t at = sl_der_open(w);
    int len = i2d_X509_NAME(X509_get_issuer_name(cert), &issuer);
    int r = put_encoded(w, issuer, len, err);
    if (r < 0)
        return r;
    len = i2d_ASN1_INTEGER(X509_get0_serialNumber(cert), &serial);
    r = put_encoded(w, serial, len, err);
    sl_der_close(w, SL_DER_SEQUENCE, at);
    return r;
}

/* KeyTransRecipientInfo. The algorithm has no parameters, not even a NULL. */
static int put_recipient(struct sl_der_writer *w, const X509 *cert, struct sl_span cek,
                         struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) encrypted = {0};
    int r = sl_rsa_pkcs1_seal(X509_get0_pubkey(cert), cek, &encrypted, err);
    if (r < 0)
        return r;
    size_t info = sl_der_open(w);
    put_version_0(w);
    r = put_issuer_and_serial(w, cert, err);
    size_t algorithm = sl_der_open(w);
    sl_der_put(w, SL_DER_OID, OID_RSA);
    sl_der_close(w, SL_DER_SEQUENCE, algorithm);
    sl_der_put(w, SL_DER_OCTETS, sl_bytes_span(&encrypted));
    sl_der_close(w, SL_DER_SEQUENCE, info);
    return r;
}

static int put_recipients(struct sl_der_writer *w, const struct sl_recipients *recipients,
                          struct sl_span cek, struct sl_error *err)
{
    int r = 0;
    size_t set = sl_der_open(w);
    for (size_t i = 0; r == 0 && i < recipients->n_pkcs7; i++)
        r = put_recipient(w, recipients->pkcs7[i], cek, err);
    sl_der_close(w, SL_DER_SET, set);
    return r;
}

/* 10 13 30 11 84 0c NONCE 02 01 10. */
static void put_cipher(struct sl_der_writer *w, struct sl_span iv)
{
    const uint8_t tag_size = SL_GCM_TAG_SIZE;
    size_t algorithm = sl_der_open(w);
    sl_der_put(w, SL_DER_OID, OID_AES128_GCM);
    size_t odd = sl_der_open(w);
    size_t params = sl_der_open(w);
    sl_der_put(w, ODD_NONCE, iv);
    sl_der_put(w, SL_DER_INTEGER, (struct sl_span){&tag_size, 1});
    sl_der_close(w, SL_DER_SEQUENCE, params);
    sl_der_close(w, ODD_SEQUENCE, odd);
    sl_der_close(w, SL_DER_SEQUENCE, algorithm);
}

static int put_content(struct sl_der_writer *w, struct sl_span cek, struct sl_span plbco,
                       struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) sealed = {0};
    uint8_t nonce[SL_GCM_IV_SIZE];
    const struct sl_span iv = {nonce, sizeof(nonce)};
    int r = sl_random_iv(nonce, sizeof(nonce), err);
    if (r == 0)
        r = sl_aes_gcm_seal(cek, iv, /* aad= */ (struct sl_span){0}, plbco, &sealed, err);
    if (r < 0)
        return r;
    size_t content = sl_der_open(w);
    sl_der_put(w, SL_DER_OID, OID_DATA);
    put_cipher(w, iv);
    sl_der_put(w, SL_DER_CONTEXT, sl_bytes_span(&sealed));
    sl_der_close(w, SL_DER_SEQUENCE, content);
    return 0;
}

static int put_message(struct sl_der_writer *w, const struct sl_recipients *recipients,
                       struct sl_span cek, struct sl_span plbco, struct sl_error *err)
{
    size_t info = sl_der_open(w);
    sl_der_put(w, SL_DER_OID, OID_ENVELOPED_DATA);
    size_t explicit = sl_der_open(w);
    size_t enveloped = sl_der_open(w);
    put_version_0(w);
    int r = put_recipients(w, recipients, cek, err);
    if (r == 0)
        r = put_content(w, cek, plbco, err);
    sl_der_close(w, SL_DER_SEQUENCE, enveloped);
    sl_der_close(w, EXPLICIT, explicit);
    sl_der_close(w, SL_DER_SEQUENCE, info);
    return r;
}

int sl_wrap_pkcs7(const struct sl_recipients *recipients, struct sl_span plbco,
                  struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_der_writer) w = {0};
    uint8_t cek[CEK_SIZE];
    int r = sl_random_key(cek, sizeof(cek), err);
    if (r == 0)
        r = put_message(&w, recipients, (struct sl_span){cek, sizeof(cek)}, plbco, err);
    sl_wipe(cek, sizeof(cek));
    return r < 0 ? r : sl_der_end(&w, ret, err);
}
