/* SPDX-License-Identifier: Apache-2.0 */
#include "key_file.h"

#include "jwk.h"
#include "key_ring.h"
#include "pkcs11_key_file.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    KEY_FILE_MAX = 1024 * 1024,
    PASSWORD_MAX = 1024,
    PASSWORD_FD_MAX = 64, /* bytes read from fd=N, as other tools do */
    CERTS_PER_FILE_MAX = 64,
};

/* What the decoder asks for. */
struct passphrase {
    const char *text; /* or NULL */
    bool asked;
};

/* Never asks a terminal. */
static int give_passphrase(char *buf, size_t size, size_t *ret_len, const OSSL_PARAM params[],
                           void *arg)
{
    (void)params;
    struct passphrase *passphrase = arg;
    passphrase->asked = true;
    size_t len = passphrase->text ? strlen(passphrase->text) : 0;
    if (!passphrase->text || len > size)
        return 0;
    memcpy(buf, passphrase->text, len);
    *ret_len = len;
    return 1;
}

/* From where the first PEM block of a private key begins: the decoder would stop at a certificate
 * or at curve parameters in front of it. The whole if there is none, as in DER. */
static struct sl_span skip_to_private_key(struct sl_span bytes)
{
    static const char begin[] = "-----BEGIN ";
    static const char label[] = "PRIVATE KEY-----";
    const uint8_t *end = bytes.data + bytes.len;
    for (const uint8_t *p = bytes.data; p < end; p++) {
        p = memmem(p, (size_t)(end - p), begin, strlen(begin));
        if (!p)
            break;
        const uint8_t *eol = memchr(p, '\n', (size_t)(end - p));
        size_t line = eol ? (size_t)(eol - p) : (size_t)(end - p);
        if (memmem(p, line, label, strlen(label)))
            return (struct sl_span){p, (size_t)(end - p)};
    }
    return bytes;
}

/* PEM or DER, whichever it is; NULL when it is none we use. */
static EVP_PKEY *decode_private_key(struct sl_span bytes, struct passphrase *passphrase)
{
    bytes = skip_to_private_key(bytes);
    EVP_PKEY *key = NULL;
    const uint8_t *p = bytes.data;
    size_t len = bytes.len;
    SL_AUTO(ossl_decoder_ctx_st) ctx = OSSL_DECODER_CTX_new_for_pkey(
        &key, /* format= */ NULL, /* structure= */ NULL, /* type= */ NULL,
        OSSL_KEYMGMT_SELECT_PRIVATE_KEY, NULL, NULL);
    if (ctx)
        OSSL_DECODER_CTX_set_passphrase_cb(ctx, give_passphrase, passphrase);
    if (!ctx || OSSL_DECODER_from_data(ctx, &p, &len) != 1) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    ERR_clear_error();
    return key;
}

static int add_checked_key(struct sl_key_ring *ring, EVP_PKEY **keyp, struct sl_error *err)
{
    if (EVP_PKEY_is_a(*keyp, "RSA") != 1 && EVP_PKEY_is_a(*keyp, "EC") != 1)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "a private key of type %s; only RSA and EC keys can decrypt layers",
                            EVP_PKEY_get0_type_name(*keyp));
    return sl_key_ring_add_key(ring, keyp, err);
}

int sl_key_bytes_parse_jwk(struct sl_span bytes, struct sl_json_doc **ret, struct sl_error *err)
{
    const struct sl_json_limits limits = {.size = KEY_FILE_MAX, .depth = 16};
    /* Without err: the reader's message may quote what it reads. */
    int r = sl_json_parse(bytes, "JWK", &limits, ret, NULL);
    if (r == -ENOMEM)
        return sl_error_oom(err);
    return r < 0 ? sl_error_set(err, SL_E_FORMAT, EBADMSG, "JWK: not valid JSON") : 0;
}

static int add_jwk(struct sl_key_ring *ring, struct sl_span bytes, struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    SL_AUTO(evp_pkey_st) key = NULL;
    int r = sl_key_bytes_parse_jwk(bytes, &doc, err);
    if (r < 0)
        return r;
    r = sl_jwk_parse(sl_json_root(doc), SL_JWK_PRIVATE, &key, err);
    return r < 0 ? r : sl_key_ring_add_key(ring, &key, err);
}

int sl_refuse_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)arg;
    return -1;
}

static X509 *read_der_cert(struct sl_span bytes)
{
    const uint8_t *p = bytes.data;
    return d2i_X509(NULL, &p, (long)bytes.len);
}

/* Adds all certificates of a PEM file, or the one of a DER file. Returns how many. */
static int add_certs(struct sl_key_ring *ring, struct sl_span bytes, struct sl_error *err)
{
    SL_AUTO(bio_st) bio = BIO_new_mem_buf(bytes.data, (int)bytes.len);
    if (!bio)
        return sl_error_oom(err);
    int n = 0;
    SL_AUTO(x509_st) cert = read_der_cert(bytes);
    if (!cert)
        cert = PEM_read_bio_X509(bio, NULL, sl_refuse_passphrase, NULL);
    while (cert && n < CERTS_PER_FILE_MAX) {
        int r = sl_key_ring_add_cert(ring, &cert, err);
        if (r < 0)
            return r;
        n++;
        cert = PEM_read_bio_X509(bio, NULL, sl_refuse_passphrase, NULL);
    }
    ERR_clear_error();
    return n;
}

static bool contains(struct sl_span bytes, const char *text)
{
    return memmem(bytes.data, bytes.len, text, strlen(text)) != NULL;
}

/* OpenPGP packets with old or new format tags of secret keys (RFC 4880), or their armor. */
static bool is_openpgp_secret(struct sl_span bytes)
{
    static const uint8_t tags[] = {0x94, 0x95, 0x96, 0x97, 0xc5};
    return contains(bytes, "-----BEGIN PGP PRIVATE KEY BLOCK-----") ||
           (bytes.len && memchr(tags, bytes.data[0], sizeof(tags)));
}

static bool is_openpgp_public(struct sl_span bytes)
{
    static const uint8_t tags[] = {0x98, 0x99, 0x9a, 0x9b, 0xc6};
    return contains(bytes, "-----BEGIN PGP ") ||
           (bytes.len && memchr(tags, bytes.data[0], sizeof(tags)));
}

static int add_openpgp(struct sl_key_ring *ring, struct sl_span bytes, const char *passphrase,
                       struct sl_error *err)
{
    SL_AUTO(sl_pgp_keys) keys = NULL;
    int r = sl_pgp_keys_new(bytes, passphrase, &keys, err);
    return r < 0 ? r : sl_key_ring_add_pgp(ring, &keys, err);
}

/* The password is of no use: a token has a PIN, which the key file tells. */
static int add_pkcs11(struct sl_key_ring *ring, struct sl_span bytes, struct sl_error *err)
{
    SL_AUTO(sl_pkcs11_key) key = NULL;
    int r = sl_pkcs11_key_new(bytes, &key, err);
    return r < 0 ? r : sl_key_ring_add_pkcs11(ring, &key, err);
}

static int unrecognised(struct sl_span bytes, const struct passphrase *passphrase,
                        struct sl_error *err)
{
    if (passphrase->asked && passphrase->text)
        return sl_error_set(err, SL_E_AUTH, EKEYREJECTED, "wrong password for the private key");
    if (passphrase->asked)
        return sl_error_set(err, SL_E_AUTH, ENOKEY,
                            "the private key needs a password: FILE:pass=…, FILE:file=… or "
                            "FILE:fd=…");
    if (is_openpgp_public(bytes))
        return sl_error_set(err, SL_E_AUTH, ENOKEY,
                            "an OpenPGP public key; decryption needs the secret key "
                            "(gpg --export-secret-keys)");
    return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                        "neither a private key (PEM, DER, JWK) nor a certificate");
}

bool sl_key_bytes_is_json(struct sl_span bytes)
{
    size_t i = 0;
    while (i < bytes.len && isspace(bytes.data[i]))
        i++;
    return i < bytes.len && bytes.data[i] == '{';
}

int sl_key_bytes_add(struct sl_key_ring *ring, struct sl_span bytes, const char *password,
                     struct sl_error *err)
{
    if (sl_key_bytes_is_json(bytes))
        return add_jwk(ring, bytes, err);
    if (is_openpgp_secret(bytes))
        return add_openpgp(ring, bytes, password, err);
    if (sl_pkcs11_key_file_looks_like(bytes))
        return add_pkcs11(ring, bytes, err);
    struct passphrase passphrase = {.text = password};
    SL_AUTO(evp_pkey_st) key = decode_private_key(bytes, &passphrase);
    bool has_key = key != NULL;
    int r = has_key ? add_checked_key(ring, &key, err) : 0;
    if (r < 0)
        return r;
    bool locked = !has_key && passphrase.asked;
    int n_certs = locked ? 0 : add_certs(ring, bytes, err);
    if (n_certs < 0)
        return n_certs;
    return has_key || n_certs ? 0 : unrecognised(bytes, &passphrase, err);
}

/* Drops the line end that editors and echo leave behind. */
static int password_of(const struct sl_bytes *raw, char **ret, struct sl_error *err)
{
    size_t len = raw->len;
    while (len && (raw->data[len - 1] == '\n' || raw->data[len - 1] == '\r'))
        len--;
    *ret = strndup((const char *)raw->data, len);
    return *ret ? 0 : sl_error_oom(err);
}

static int password_from_file(const char *path, char **ret, struct sl_error *err)
{
    struct sl_bytes raw = {0};
    int r = sl_read_file(AT_FDCWD, path, PASSWORD_MAX, &raw, err);
    if (r == 0)
        r = password_of(&raw, ret, err);
    sl_bytes_wipe(&raw);
    return r;
}

static int password_from_fd(const char *number, char **ret, struct sl_error *err)
{
    char *end = NULL;
    errno = 0;
    long fd = strtol(number, &end, 10);
    if (errno || end == number || *end || fd < 0 || fd > INT_MAX)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "fd= wants a number");
    uint8_t buf[PASSWORD_FD_MAX];
    ssize_t n = TEMP_FAILURE_RETRY(read((int)fd, buf, sizeof(buf)));
    if (n < 0)
        return sl_error_system(err, errno, "password from descriptor %ld", fd);
    const struct sl_bytes raw = {.data = buf, .len = (size_t)n};
    int r = password_of(&raw, ret, err);
    sl_wipe(buf, sizeof(buf));
    return r;
}

static int read_password(const char *how, char **ret, struct sl_error *err)
{
    if (strncmp(how, "file=", 5) == 0)
        return password_from_file(how + 5, ret, err);
    if (strncmp(how, "fd=", 3) == 0)
        return password_from_fd(how + 3, ret, err);
    *ret = strdup(strncmp(how, "pass=", 5) == 0 ? how + 5 : how);
    return *ret ? 0 : sl_error_oom(err);
}

int sl_key_file_add(struct sl_key_ring *ring, const char *spec, struct sl_error *err)
{
    const char *colon = strchr(spec, ':');
    SL_AUTO_FREE char *path = colon ? strndup(spec, (size_t)(colon - spec)) : strdup(spec);
    SL_AUTO_SECRET password = NULL;
    if (!path)
        return sl_error_oom(err);
    int r = colon ? read_password(colon + 1, &password, err) : 0;
    if (r < 0)
        return sl_error_wrap(err, r, "decryption key %s", path);
    struct sl_bytes bytes = {0};
    r = sl_read_file(AT_FDCWD, path, KEY_FILE_MAX, &bytes, err);
    if (r == 0)
        r = sl_key_bytes_add(ring, sl_bytes_span(&bytes), password, err);
    sl_bytes_wipe(&bytes);
    return r < 0 ? sl_error_wrap(err, r, "decryption key %s", path) : 0;
}
