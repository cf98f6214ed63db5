/* SPDX-License-Identifier: Apache-2.0 */
#include "cosign_key_file.h"

#include "sluice/core/json.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <sodium.h>

#include <stdlib.h>
#include <string.h>

enum {
    KEY_JSON_MAX = 64 * 1024,
    KEY_JSON_DEPTH = 4,
    SALT_SIZE_MAX = 64,
    PLAIN_MAX = 32 * 1024,
    /* The costs cosign knows: N of 2^15 (legacy), 2^16 (standard), 2^17; 128 MiB at most. */
    SCRYPT_N_MIN = 1 << 15,
    SCRYPT_N_MAX = 1 << 17,
    SCRYPT_R = 8,
    SCRYPT_P = 1,
    SCRYPT_MEMORY_MAX = 160 * 1024 * 1024, /* bytes */
};

struct key_file {
    int64_t n;
    struct sl_bytes salt, nonce, sealed;
};

static void key_file_done(struct key_file *file)
{
    sl_bytes_done(&file->salt);
    sl_bytes_done(&file->nonce);
    sl_bytes_done(&file->sealed);
}

static int need_name(const struct sl_json *object, const char *want, struct sl_error *err)
{
    const char *name = NULL;
    int r = sl_json_need_string(object, "name", &name, err);
    if (r < 0)
        return r;
    return strcmp(name, want) == 0 ? 0
                                   : sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                                                  "encrypted by '%.40s', not '%s'", name, want);
}

static int read_costs(const struct sl_json *params, int64_t *ret_n, struct sl_error *err)
{
    int64_t n = 0;
    int64_t r = 0;
    int64_t p = 0;
    bool ok = sl_json_int64(sl_json_get(params, "N"), &n) &&
              sl_json_int64(sl_json_get(params, "r"), &r) &&
              sl_json_int64(sl_json_get(params, "p"), &p) && n >= SCRYPT_N_MIN &&
              n <= SCRYPT_N_MAX && (n & (n - 1)) == 0 && r == SCRYPT_R && p == SCRYPT_P;
    if (!ok)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "scrypt with other costs than N 32768 to 131072, r 8, p 1");
    *ret_n = n;
    return 0;
}

static int read_key_file(const struct sl_json *root, struct key_file *file, struct sl_error *err)
{
    const struct sl_json *kdf = sl_json_get(root, "kdf");
    const struct sl_json *cipher = sl_json_get(root, "cipher");
    int r = need_name(kdf, "scrypt", err);
    if (r == 0)
        r = need_name(cipher, "nacl/secretbox", err);
    if (r == 0)
        r = read_costs(sl_json_get(kdf, "params"), &file->n, err);
    if (r == 0)
        r = sl_json_need_base64(kdf, "salt", &file->salt, err);
    if (r == 0)
        r = sl_json_need_base64(cipher, "nonce", &file->nonce, err);
    if (r == 0)
        r = sl_json_need_base64(root, "ciphertext", &file->sealed, err);
    if (r == 0 && (!file->salt.len || file->salt.len > SALT_SIZE_MAX ||
                   file->nonce.len != crypto_secretbox_NONCEBYTES ||
                   file->sealed.len <= crypto_secretbox_MACBYTES || file->sealed.len > PLAIN_MAX))
        r = sl_error_set(err, SL_E_FORMAT, EBADMSG, "salt, nonce or ciphertext of a wrong size");
    return r;
}

static int open_box(const struct key_file *file, const uint8_t *kek, struct sl_bytes *ret,
                    struct sl_error *err)
{
    size_t len = file->sealed.len - crypto_secretbox_MACBYTES;
    struct sl_bytes plain = {0};
    /* Copied first for its room, then opened over itself. */
    int r = sl_bytes_append(&plain, sl_bytes_span(&file->sealed), PLAIN_MAX, err);
    if (r < 0)
        return r;
    if (crypto_secretbox_open_easy(plain.data, file->sealed.data, file->sealed.len,
                                   file->nonce.data, kek) != 0) {
        sl_bytes_wipe(&plain);
        return sl_error_set(err, SL_E_AUTH, EKEYREJECTED,
                            "wrong passphrase for the private key, or a damaged key file");
    }
    memset(plain.data + len, 0, plain.len - len);
    plain.len = len;
    *ret = plain;
    return 0;
}

static int derive_and_open(const struct key_file *file, const char *passphrase,
                           struct sl_bytes *ret, struct sl_error *err)
{
    uint8_t kek[crypto_secretbox_KEYBYTES];
    int r = 0;
    if (EVP_PBE_scrypt(passphrase, strlen(passphrase), file->salt.data, file->salt.len,
                       (uint64_t)file->n, SCRYPT_R, SCRYPT_P, SCRYPT_MEMORY_MAX, kek,
                       sizeof(kek)) != 1)
        r = sl_error_set(err, SL_E_SYSTEM, ENOMEM, "scrypt failed; it needs up to 160 MiB");
    ERR_clear_error();
    if (r == 0)
        r = open_box(file, kek, ret, err);
    sl_wipe(kek, sizeof(kek));
    return r;
}

int sl_cosign_key_open(struct sl_span json, const char *passphrase, struct sl_bytes *ret,
                       struct sl_error *err)
{
    const struct sl_json_limits limits = {.size = KEY_JSON_MAX, .depth = KEY_JSON_DEPTH};
    SL_AUTO(sl_json_doc) doc = NULL;
    struct key_file file = {0};
    if (sodium_init() < 0)
        return sl_error_set(err, SL_E_SYSTEM, EIO, "libsodium cannot start");
    /* Without err: the reader's message may quote what it reads. */
    int r = sl_json_parse(json, "cosign's private key", &limits, &doc, NULL);
    if (r < 0)
        r = r == -ENOMEM
                ? sl_error_oom(err)
                : sl_error_set(err, SL_E_FORMAT, EBADMSG, "cosign's private key: not valid JSON");
    if (r == 0)
        r = read_key_file(sl_json_root(doc), &file, err);
    if (r == 0)
        r = derive_and_open(&file, passphrase, ret, err);
    key_file_done(&file);
    return r;
}
