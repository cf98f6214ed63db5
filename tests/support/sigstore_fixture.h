/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, signatures and certificates as a signer, a CA and a log would make them, by OpenSSL.
 * Include after cmocka. */
#pragma once

#include "sluice/core/bytes.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#define VECTOR(name) SL_TEST_DATA "/vectors/" name
#define FIXTURE_ISSUER "https://issuer.example"
#define FIXTURE_EMAIL "signer@example.com"
#define OID_ISSUER_V1 "1.3.6.1.4.1.57264.1.1"
#define OID_ISSUER_V2 "1.3.6.1.4.1.57264.1.8"
#define OID_SCTS "1.3.6.1.4.1.11129.2.4.2"

static inline struct sl_bytes fixture_read(const char *path)
{
    struct sl_bytes b = {0};
    assert_int_equal(sl_read_file(AT_FDCWD, path, 1 << 20, &b, NULL), 0);
    return b;
}

/* RSA keys take their time: one of each size is made. */
static inline EVP_PKEY *fixture_rsa(unsigned bits)
{
    static struct {
        unsigned bits;
        EVP_PKEY *key;
    } made[4];
    size_t i = 0;
    while (made[i].bits && made[i].bits != bits)
        assert_true(++i < sizeof(made) / sizeof(made[0]));
    if (!made[i].bits) {
        made[i].bits = bits;
        made[i].key = EVP_RSA_gen(bits);
    }
    assert_int_equal(EVP_PKEY_up_ref(made[i].key), 1);
    return made[i].key;
}

/* "P-256", "secp256k1", "RSA2048", "ED25519": a new one, except of RSA. */
static inline EVP_PKEY *fixture_key(const char *kind)
{
    if (strncmp(kind, "RSA", 3) == 0)
        return fixture_rsa((unsigned)strtoul(kind + 3, NULL, 10));
    EVP_PKEY *key =
        strcmp(kind, "ED25519") == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_EC_gen(kind);
    assert_non_null(key);
    return key;
}

static inline struct sl_bytes fixture_take_bio(BIO *bio)
{
    char *text = NULL;
    struct sl_bytes b = {0};
    long len = BIO_get_mem_data(bio, &text);
    assert_int_equal(
        sl_bytes_append(&b, (struct sl_span){(uint8_t *)text, (size_t)len}, 1 << 20, NULL), 0);
    BIO_free(bio);
    return b;
}

static inline struct sl_bytes fixture_public_pem(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
    return fixture_take_bio(bio);
}

static inline struct sl_bytes fixture_private_pem(EVP_PKEY *key, const char *passphrase)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(
        PEM_write_bio_PKCS8PrivateKey(bio, key, passphrase ? EVP_aes_256_cbc() : NULL, passphrase,
                                      passphrase ? (int)strlen(passphrase) : 0, NULL, NULL),
        1);
    return fixture_take_bio(bio);
}

static inline struct sl_bytes fixture_cert_pem(X509 *cert)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
    return fixture_take_bio(bio);
}

static inline X509 *fixture_read_cert(const char *path)
{
    BIO *bio = BIO_new_file(path, "r");
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(cert);
    return cert;
}

/* digest: NULL for Ed25519; padding: 0, or of RSA. */
static inline struct sl_bytes fixture_sign(EVP_PKEY *key, const char *digest, int padding,
                                           struct sl_span data)
{
    uint8_t out[2048];
    size_t len = sizeof(out);
    EVP_PKEY_CTX *params = NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit_ex(ctx, &params, digest, NULL, NULL, key, NULL), 1);
    if (padding)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(params, padding), 1);
    if (padding == RSA_PKCS1_PSS_PADDING)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(params, RSA_PSS_SALTLEN_DIGEST), 1);
    assert_int_equal(EVP_DigestSign(ctx, out, &len, data.data, data.len), 1);
    EVP_MD_CTX_free(ctx);
    struct sl_bytes b = {0};
    assert_int_equal(sl_bytes_append(&b, (struct sl_span){out, len}, 1 << 20, NULL), 0);
    return b;
}

/* ---- certificates ---- */

struct fixture_extension {
    const char *name;  /* "keyUsage", or an OID */
    const char *value; /* as in openssl.cnf: "critical,digitalSignature", "DER:0c:01" */
};
struct fixture_ca {
    X509 *cert;
    EVP_PKEY *key;
};

static inline void fixture_extend(X509 *cert, X509 *issuer, const char *name, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&ctx);
    X509_EXTENSION *e = X509V3_EXT_nconf(NULL, &ctx, name, value);
    if (!e)
        fail_msg("extension %s = %s", name, value);
    assert_int_equal(X509_add_ext(cert, e, -1), 1);
    X509_EXTENSION_free(e);
}

/* "DER:…" of bytes, to be freed. */
static inline char *fixture_der(const void *bytes, size_t len)
{
    char *hex = malloc(5 + 2 * len);
    assert_non_null(hex);
    memcpy(hex, "DER:", 5);
    sl_hex_format((struct sl_span){bytes, len}, hex + 4);
    return hex;
}

/* Signed by ca, or by itself when ca is NULL. extensions ends with a name that is NULL. */
static inline X509 *fixture_cert(const char *cn, EVP_PKEY *key, const struct fixture_ca *ca,
                                 int64_t from, int64_t to,
                                 const struct fixture_extension *extensions)
{
    static long serial = 1;
    X509 *cert = X509_new();
    X509 *issuer = ca ? ca->cert : cert;
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                               (const uint8_t *)cn, -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer));
    ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)from);
    ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)to);
    X509_set_pubkey(cert, key);
    for (; extensions && extensions->name; extensions++)
        fixture_extend(cert, issuer, extensions->name, extensions->value);
    assert_true(X509_sign(cert, ca ? ca->key : key, EVP_sha256()) > 0);
    return cert;
}

static inline struct fixture_ca fixture_make_ca(const char *cn, const struct fixture_ca *by,
                                                int64_t from, int64_t to,
                                                const struct fixture_extension *extensions)
{
    static const struct fixture_extension usual[] = {{"basicConstraints", "critical,CA:TRUE"},
                                                     {"keyUsage", "critical,keyCertSign"},
                                                     {NULL, NULL}};
    struct fixture_ca ca = {.key = fixture_key("P-256")};
    ca.cert = fixture_cert(cn, ca.key, by, from, to, extensions ? extensions : usual);
    return ca;
}

static inline void fixture_ca_done(struct fixture_ca *ca)
{
    X509_free(ca->cert);
    EVP_PKEY_free(ca->key);
}
