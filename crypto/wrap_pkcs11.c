/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enc.keys.pkcs11, the way back: RSA-OAEP of the private options with the public key of each
 * recipient, from a file or from a token. Only the reading of a token's key needs the token.
 */
#include "pkcs11_blob.h"
#include "pkcs11_key_file.h"
#include "pkcs11_token.h"
#include "recipients.h"
#include "rsa_seal.h"

#include "sluice/core/environment.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

enum {
    FILE_MAX = 64 * 1024,
    PLBCO_SIZE = 193, /* bytes of private options as they are written with a sha256 digest */
};

struct sl_pkcs11_recipients {
    EVP_PKEY *keys[SL_RECIPIENTS_MAX];
    size_t n;
};

struct sl_pkcs11_recipients *sl_pkcs11_recipients_free(struct sl_pkcs11_recipients *list)
{
    if (!list)
        return NULL;
    int saved = errno;
    for (size_t i = 0; i < list->n; i++)
        EVP_PKEY_free(list->keys[i]);
    free(list);
    errno = saved;
    return NULL;
}

/* As the environment wants it, for tokens that know no other. */
static int choose_digest(const char **ret, struct sl_error *err)
{
    const char *wanted = sl_environment_get("OCICRYPT_OAEP_HASHALG");
    const char *digest = wanted ? sl_pkcs11_digest(wanted) : "sha256";
    if (!digest)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "OCICRYPT_OAEP_HASHALG=%.40s: neither sha1 nor sha256", wanted);
    *ret = digest;
    return 0;
}

/* OAEP has no room but what the modulus leaves (RFC 8017 section 7.1.1). */
static int check_room(EVP_PKEY *key, const char *digest, size_t len, struct sl_error *err)
{
    int overhead = 2 * EVP_MD_get_size(EVP_get_digestbyname(digest)) + 2;
    int room = EVP_PKEY_get_size(key) - overhead;
    if (room >= 0 && (size_t)room >= len)
        return 0;
    return sl_error_set(err, SL_E_LIMIT, EMSGSIZE,
                        "an RSA key of %d bits holds %d bytes with %s, and a layer key has %zu: "
                        "use one of 3072 bits%s",
                        EVP_PKEY_get_bits(key), room < 0 ? 0 : room, digest, len,
                        strcmp(digest, "sha1") == 0 ? "" : ", or OCICRYPT_OAEP_HASHALG=sha1");
}

static EVP_PKEY *decode_public_key(struct sl_span text)
{
    EVP_PKEY *key = NULL;
    const uint8_t *p = text.data;
    size_t len = text.len;
    SL_AUTO(ossl_decoder_ctx_st) ctx =
        OSSL_DECODER_CTX_new_for_pkey(&key, /* format= */ NULL, /* structure= */ NULL, "RSA",
                                      OSSL_KEYMGMT_SELECT_PUBLIC_KEY, NULL, NULL);
    if (!ctx || OSSL_DECODER_from_data(ctx, &p, &len) != 1) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    ERR_clear_error();
    return key;
}

static int read_public_key(struct sl_span text, EVP_PKEY **ret, struct sl_error *err)
{
    if (sl_pkcs11_key_file_looks_like(text)) {
        SL_AUTO(sl_pkcs11_key) key = NULL;
        int r = sl_pkcs11_key_new(text, &key, err);
        return r < 0 ? r : sl_pkcs11_read_public(key, ret, err);
    }
    *ret = decode_public_key(text);
    return *ret ? 0
                : sl_error_set(err, SL_E_FORMAT, EBADMSG,
                               "neither a PKCS11 key file (YAML) nor an RSA public key (PEM, DER)");
}

static int add_key(struct sl_recipients *recipients, EVP_PKEY **keyp, struct sl_error *err)
{
    if (!recipients->pkcs11)
        recipients->pkcs11 = calloc(1, sizeof(*recipients->pkcs11));
    if (!recipients->pkcs11)
        return sl_error_oom(err);
    recipients->pkcs11->keys[recipients->pkcs11->n++] = sl_steal(keyp);
    recipients->n_pkcs11 = recipients->pkcs11->n;
    return 0;
}

static int add_file(struct sl_recipients *recipients, const char *path, struct sl_error *err)
{
    SL_AUTO(evp_pkey_st) key = NULL;
    struct sl_bytes text = {0};
    const char *digest = NULL;
    int r = sl_read_file(AT_FDCWD, path, FILE_MAX, &text, err);
    if (r < 0)
        return r;
    r = read_public_key(sl_bytes_span(&text), &key, err);
    sl_bytes_wipe(&text);
    if (r == 0)
        r = choose_digest(&digest, err);
    if (r == 0)
        r = check_room(key, digest, PLBCO_SIZE, err);
    return r < 0 ? r : add_key(recipients, &key, err);
}

int sl_recipient_add_pkcs11(struct sl_recipients *recipients, const char *value,
                            struct sl_error *err)
{
    int r = add_file(recipients, value, err);
    return r < 0 ? sl_error_wrap(err, r, "pkcs11:%s", value) : 0;
}

int sl_wrap_pkcs11(const struct sl_recipients *recipients, struct sl_span plbco,
                   struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_pkcs11_blob) blob = {.n = 0};
    const char *digest = NULL;
    int r = choose_digest(&digest, err);
    for (size_t i = 0; r == 0 && i < recipients->n_pkcs11; i++) {
        EVP_PKEY *key = recipients->pkcs11->keys[i];
        blob.recipients[i] = (struct sl_pkcs11_recipient){.digest = digest};
        r = check_room(key, digest, plbco.len, err);
        if (r == 0)
            r = sl_rsa_oaep_seal(key, digest, plbco, &blob.recipients[i].text, err);
        blob.n += r == 0;
    }
    return r < 0 ? r : sl_pkcs11_blob_write(&blob, ret, err);
}
