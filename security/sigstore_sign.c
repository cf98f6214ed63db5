/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/sigstore_sign.h"

#include "cosign_key_file.h"
#include "pem_block.h"
#include "sigstore_trust.h"

#include "sluice/core/openssl_auto.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h> /* PKCS8_decrypt() */
#include <openssl/rsa.h>

#include <stdlib.h>
#include <string.h>

enum { SIGNATURE_MAX = 4 * 1024, PUBLIC_KEY_MAX = 16 * 1024 };

struct sl_signing_key {
    struct sl_public_key key; /* its EVP_PKEY has the private half */
};

struct sl_signing_key *sl_signing_key_free(struct sl_signing_key *key)
{
    if (key)
        sl_public_key_done(&key->key); /* OpenSSL wipes private keys */
    free(key);
    return NULL;
}

/* ---- reading ---- */

static int not_a_key(struct sl_error *err)
{
    return sl_error_set(err, SL_E_FORMAT, EBADMSG, "not a private key (PKCS#8, DER)");
}

static int key_from_info(const PKCS8_PRIV_KEY_INFO *info, EVP_PKEY **ret, struct sl_error *err)
{
    EVP_PKEY *key = info ? EVP_PKCS82PKEY(info) : NULL;
    ERR_clear_error();
    if (!key)
        return not_a_key(err);
    *ret = key;
    return 0;
}

static int read_plain(struct sl_span der, EVP_PKEY **ret, struct sl_error *err)
{
    const uint8_t *p = der.data;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)der.len);
    int r = info && p == der.data + der.len ? key_from_info(info, ret, err) : not_a_key(err);
    PKCS8_PRIV_KEY_INFO_free(info);
    ERR_clear_error();
    return r;
}

static int need_passphrase(const char *passphrase, struct sl_error *err)
{
    return passphrase ? 0
                      : sl_error_set(err, SL_E_AUTH, ENOKEY, "the private key needs a passphrase");
}

static int read_encrypted(struct sl_span der, const char *passphrase, EVP_PKEY **ret,
                          struct sl_error *err)
{
    int r = need_passphrase(passphrase, err);
    if (r < 0)
        return r;
    const uint8_t *p = der.data;
    X509_SIG *sealed = d2i_X509_SIG(NULL, &p, (long)der.len);
    PKCS8_PRIV_KEY_INFO *info = NULL;
    if (!sealed || p != der.data + der.len)
        r = sl_error_set(err, SL_E_FORMAT, EBADMSG, "not an encrypted private key (PKCS#8, DER)");
    else
        info = PKCS8_decrypt(sealed, passphrase, (int)strlen(passphrase));
    if (r == 0)
        r = info ? key_from_info(info, ret, err)
                 : sl_error_set(err, SL_E_AUTH, EKEYREJECTED,
                                "wrong passphrase for the private key, or a damaged key file");
    PKCS8_PRIV_KEY_INFO_free(info);
    X509_SIG_free(sealed);
    ERR_clear_error();
    return r;
}

static int read_cosign(struct sl_span json, const char *passphrase, EVP_PKEY **ret,
                       struct sl_error *err)
{
    struct sl_bytes der = {0};
    int r = need_passphrase(passphrase, err);
    if (r == 0)
        r = sl_cosign_key_open(json, passphrase, &der, err);
    if (r == 0)
        r = read_plain(sl_bytes_span(&der), ret, err);
    sl_bytes_wipe(&der);
    return r;
}

static int read_block(const char *label, struct sl_span der, const char *passphrase, EVP_PKEY **ret,
                      struct sl_error *err)
{
    if (strcmp(label, "PRIVATE KEY") == 0)
        return read_plain(der, ret, err);
    if (strcmp(label, "ENCRYPTED PRIVATE KEY") == 0)
        return read_encrypted(der, passphrase, ret, err);
    if (strcmp(label, "ENCRYPTED SIGSTORE PRIVATE KEY") == 0 ||
        strcmp(label, "ENCRYPTED COSIGN PRIVATE KEY") == 0)
        return read_cosign(der, passphrase, ret, err);
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                        "a PEM block '%.40s'; PKCS#8 (openssl pkcs8 -topk8) or cosign's own is "
                        "wanted",
                        label);
}

static int read_file(struct sl_span pem, const char *passphrase, EVP_PKEY **ret,
                     struct sl_error *err)
{
    SL_AUTO_FREE char *label = NULL;
    struct sl_bytes der = {0};
    if (pem.len > SL_SIGNING_KEY_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "a key file of more than %d bytes",
                            SL_SIGNING_KEY_MAX);
    int r = sl_pem_next(&pem, /* allows_notes= */ true, &label, &der, err);
    if (r == 0)
        r = sl_error_set(err, SL_E_FORMAT, EBADMSG, "no private key (PEM)");
    else if (r > 0)
        r = read_block(label, sl_bytes_span(&der), passphrase, ret, err);
    sl_bytes_wipe(&der);
    return r;
}

int sl_signing_key_parse(struct sl_span pem, const char *passphrase, struct sl_signing_key **ret,
                         struct sl_error *err)
{
    SL_AUTO(evp_pkey_st) evp = NULL;
    SL_AUTO(sl_signing_key) key = calloc(1, sizeof(*key));
    int r = key ? read_file(pem, passphrase, &evp, err) : sl_error_oom(err);
    if (r == 0)
        r = sl_public_key_from_evp(evp, &key->key, err);
    if (r < 0)
        return sl_error_wrap(err, r, "signing key");
    *ret = sl_steal(&key);
    return 0;
}

/* ---- signing ---- */

static const char *digest_of(const EVP_PKEY *key)
{
    return EVP_PKEY_is_a(key, "ED25519") == 1 ? NULL : "SHA256";
}

static bool start(EVP_MD_CTX *ctx, EVP_PKEY *key)
{
    EVP_PKEY_CTX *params = NULL; /* belongs to ctx */
    if (EVP_DigestSignInit_ex(ctx, &params, digest_of(key), NULL, NULL, key, NULL) != 1)
        return false;
    return EVP_PKEY_is_a(key, "RSA") != 1 ||
           EVP_PKEY_CTX_set_rsa_padding(params, RSA_PKCS1_PADDING) == 1;
}

int sl_signing_key_sign(const struct sl_signing_key *key, struct sl_span data, struct sl_bytes *ret,
                        struct sl_error *err)
{
    uint8_t signature[SIGNATURE_MAX];
    size_t len = sizeof(signature);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx && start(ctx, key->key.key) &&
                EVP_DigestSign(ctx, signature, &len, data.data, data.len) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    const struct sl_span made = {signature, len};
    /* A fault while signing may give the key away (RFC 8032, section 8.10, and of RSA long known):
     * nothing goes out that does not verify. */
    if (!good || !sl_public_key_verify(&key->key, data, made, /* allow_ed25519ph= */ false))
        return sl_error_set(err, SL_E_SYSTEM, EIO, "signing failed");
    return sl_bytes_append(ret, made, SIGNATURE_MAX, err);
}

/* ---- the public half ---- */

int sl_signing_key_public_der(const struct sl_signing_key *key, struct sl_bytes *ret,
                              struct sl_error *err)
{
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(key->key.key, &der);
    int r = len > 0 ? sl_bytes_append(ret, (struct sl_span){der, (size_t)len}, PUBLIC_KEY_MAX, err)
                    : sl_error_oom(err);
    OPENSSL_free(der);
    ERR_clear_error();
    return r;
}

int sl_signing_key_public_pem(const struct sl_signing_key *key, char **ret, struct sl_error *err)
{
    SL_AUTO(bio_st) bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long len = 0;
    if (bio && PEM_write_bio_PUBKEY(bio, key->key.key) == 1)
        len = BIO_get_mem_data(bio, &text);
    char *copy = len > 0 ? strndup(text, (size_t)len) : NULL;
    ERR_clear_error();
    if (!copy)
        return sl_error_oom(err);
    *ret = copy;
    return 0;
}

void sl_signing_key_id(const struct sl_signing_key *key, uint8_t ret[32])
{
    memcpy(ret, key->key.spki_sha256, sizeof(key->key.spki_sha256));
}
