/* SPDX-License-Identifier: Apache-2.0 */
#include "jwe_content.h"

#include "aes_open.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

struct sl_jwe_enc {
    const char *name;
    size_t key_size;    /* bytes of the content key */
    const char *digest; /* of the HMAC beside AES-CBC; NULL for AES-GCM */
};

static const struct sl_jwe_enc encs[] = {
    {"A128GCM", 16, NULL},           {"A192GCM", 24, NULL},
    {"A256GCM", 32, NULL},           {"A128CBC-HS256", 32, "SHA256"},
    {"A192CBC-HS384", 48, "SHA384"}, {"A256CBC-HS512", 64, "SHA512"},
};

const struct sl_jwe_enc *sl_jwe_enc_find(const char *enc)
{
    for (size_t i = 0; enc && i < sizeof(encs) / sizeof(encs[0]); i++)
        if (strcmp(encs[i].name, enc) == 0)
            return &encs[i];
    return NULL;
}

size_t sl_jwe_enc_key_size(const struct sl_jwe_enc *enc)
{
    return enc->key_size;
}

/* aad, iv, text and the length of aad in bits, as RFC 7518 section 5.2.2.1 orders them. */
static int mac_input(struct sl_span aad, struct sl_span iv, struct sl_span text,
                     struct sl_bytes *ret, struct sl_error *err)
{
    uint8_t bits[8];
    for (size_t i = 0; i < sizeof(bits); i++)
        bits[i] = (uint8_t)((uint64_t)aad.len * 8 >> (56 - 8 * i));
    const struct sl_span parts[] = {aad, iv, text, {bits, sizeof(bits)}};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        int r = sl_bytes_append(ret, parts[i], /* limit= */ 1 << 20, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_mac(const char *digest, struct sl_span key, struct sl_span input,
                     struct sl_span tag, struct sl_error *err)
{
    uint8_t mac[EVP_MAX_MD_SIZE];
    size_t len = 0;
    bool ok = EVP_Q_mac(NULL, "HMAC", NULL, digest, NULL, key.data, key.len, input.data, input.len,
                        mac, sizeof(mac), &len) != NULL;
    /* The tag is the left half of the MAC, as long as the key. */
    ok = ok && tag.len == key.len && tag.len <= len && CRYPTO_memcmp(mac, tag.data, tag.len) == 0;
    sl_wipe(mac, sizeof(mac));
    return ok ? 0 : sl_open_failed(err);
}

static int open_cbc_hmac(const char *digest, struct sl_span cek, struct sl_span iv,
                         struct sl_span aad, struct sl_span text, struct sl_span tag,
                         struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) input = {0};
    struct sl_span mac_key = {cek.data, cek.len / 2};
    struct sl_span enc_key = {cek.data + cek.len / 2, cek.len / 2};
    int r = mac_input(aad, iv, text, &input, err);
    if (r == 0)
        r = check_mac(digest, mac_key, sl_bytes_span(&input), tag, err);
    if (r == 0)
        r = sl_aes_cbc_open(enc_key, iv, text, ret, err);
    return r;
}

int sl_jwe_enc_open(const struct sl_jwe_enc *enc, struct sl_span cek, struct sl_span iv,
                    struct sl_span aad, struct sl_span text, struct sl_span tag,
                    struct sl_bytes *ret, struct sl_error *err)
{
    if (cek.len != enc->key_size)
        return sl_open_failed(err);
    if (enc->digest)
        return open_cbc_hmac(enc->digest, cek, iv, aad, text, tag, ret, err);
    return sl_aes_gcm_open(cek, iv, aad, text, tag, ret, err);
}
