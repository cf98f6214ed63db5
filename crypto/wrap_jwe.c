/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enc.keys.jwe: one message for all recipients, flattened for one and general for several, as
 * ocicrypt writes them. Its stray encrypted_key beside several recipients is left out: no reader
 * wants it.
 */
#include "aes_seal.h"
#include "jwe_key.h"
#include "jwk.h"
#include "key_file.h"
#include "recipients.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum {
    PUBLIC_KEY_MAX = 64 * 1024, /* bytes of a file */
    CEK_SIZE = 32,              /* A256GCM */
    MESSAGE_MAX = 1024 * 1024,
};

#define CONTENT_CIPHER "A256GCM"

/* ---- a recipient ---- */

/* SPKI, in DER or PEM. */
static EVP_PKEY *read_spki(struct sl_span bytes)
{
    const uint8_t *p = bytes.data;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)bytes.len);
    SL_AUTO(bio_st) bio = key ? NULL : BIO_new_mem_buf(bytes.data, (int)bytes.len);
    if (bio)
        key = PEM_read_bio_PUBKEY(bio, NULL, sl_refuse_passphrase, NULL);
    ERR_clear_error();
    return key;
}

static int copy_member(const struct sl_json *jwk, const char *name, char **ret,
                       struct sl_error *err)
{
    const char *text = sl_json_string(sl_json_get(jwk, name));
    *ret = text ? strdup(text) : NULL;
    return text && !*ret ? sl_error_oom(err) : 0;
}

static int read_jwk(struct sl_span bytes, struct sl_jwe_public_key *ret, struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = sl_key_bytes_parse_jwk(bytes, &doc, err);
    if (r < 0)
        return r;
    const struct sl_json *jwk = sl_json_root(doc);
    r = sl_jwk_parse(jwk, SL_JWK_PUBLIC, &ret->key, err);
    if (r == 0)
        r = copy_member(jwk, "kid", &ret->kid, err);
    if (r == 0)
        r = copy_member(jwk, "alg", &ret->alg, err);
    return r;
}

static int read_public_key(struct sl_span bytes, struct sl_jwe_public_key *ret,
                           struct sl_error *err)
{
    if (sl_key_bytes_is_json(bytes))
        return read_jwk(bytes, ret, err);
    ret->key = read_spki(bytes);
    if (!ret->key)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "not a public key (PEM, DER, JWK)");
    return 0;
}

static const struct sl_jwe_alg *alg_of(const struct sl_jwe_public_key *to)
{
    return to->alg ? sl_jwe_alg_find(to->alg) : sl_jwe_alg_for(to->key);
}

/* Whatever would fail for each layer fails here. */
static int check_recipient(const struct sl_jwe_public_key *to, struct sl_error *err)
{
    const struct sl_jwe_alg *alg = alg_of(to);
    if (to->alg && !alg)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "JWK: alg %.40s is not supported",
                            to->alg);
    if (!alg)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "a public key of type %s; only RSA and EC keys can be recipients",
                            EVP_PKEY_get0_type_name(to->key));
    if (!sl_jwe_alg_fits(alg, to->key))
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "JWK: alg %.40s does not fit a key of type %s", to->alg,
                            EVP_PKEY_get0_type_name(to->key));
    if (EVP_PKEY_is_a(to->key, "EC") != 1)
        return 0;
    SL_AUTO(sl_json_writer) scratch = sl_json_writer_new(/* pretty= */ false);
    return sl_jwk_put_ec(scratch, to->key, err);
}

int sl_recipient_add_jwe(struct sl_recipients *recipients, const char *value, struct sl_error *err)
{
    struct sl_bytes bytes = {0};
    struct sl_jwe_public_key to = {0};
    int r = sl_read_file(AT_FDCWD, value, PUBLIC_KEY_MAX, &bytes, err);
    if (r < 0)
        return r;
    r = read_public_key(sl_bytes_span(&bytes), &to, err);
    if (r == 0)
        r = check_recipient(&to, err);
    if (r == 0)
        recipients->jwe[recipients->n_jwe++] = to;
    else
        sl_jwe_public_key_done(&to);
    sl_bytes_wipe(&bytes); /* in case it was the private key after all */
    return r < 0 ? sl_error_wrap(err, r, "%s", value) : 0;
}

void sl_jwe_public_key_done(struct sl_jwe_public_key *to)
{
    EVP_PKEY_free(to->key);
    free(to->kid);
    free(to->alg);
    *to = (struct sl_jwe_public_key){0};
}

/* ---- a message ---- */

/* What one recipient gets. */
struct sealed_key {
    const struct sl_jwe_public_key *to;
    EVP_PKEY *epk; /* NULL for RSA */
    struct sl_bytes encrypted;
};

struct message {
    struct sealed_key keys[SL_RECIPIENTS_MAX];
    size_t n_keys;
    char *protected_header; /* base64url */
    uint8_t iv[SL_GCM_IV_SIZE];
    struct sl_bytes sealed; /* the tag at its end */
};

static void message_done(struct message *m)
{
    for (size_t i = 0; i < m->n_keys; i++) {
        EVP_PKEY_free(m->keys[i].epk);
        sl_bytes_done(&m->keys[i].encrypted);
    }
    free(m->protected_header);
    sl_bytes_done(&m->sealed);
}

static int seal_keys(struct message *m, const struct sl_recipients *recipients, struct sl_span cek,
                     struct sl_error *err)
{
    for (size_t i = 0; i < recipients->n_jwe; i++) {
        const struct sl_jwe_public_key *to = &recipients->jwe[i];
        struct sealed_key *key = &m->keys[m->n_keys++];
        key->to = to;
        int r = sl_jwe_alg_seal(alg_of(to), to->key, cek, &key->epk, &key->encrypted, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Members of a header, in the order of go-jose; enc only where the header is the protected one. */
static int put_header(struct sl_json_writer *w, const struct sealed_key *key, bool with_enc,
                      struct sl_error *err)
{
    sl_json_put_string(w, "alg", sl_jwe_alg_name(alg_of(key->to)));
    if (with_enc)
        sl_json_put_string(w, "enc", CONTENT_CIPHER);
    if (key->epk) {
        sl_json_open_object(w, "epk");
        int r = sl_jwk_put_ec(w, key->epk, err);
        if (r < 0)
            return r;
        sl_json_close_object(w);
    }
    if (key->to->kid)
        sl_json_put_string(w, "kid", key->to->kid);
    return 0;
}

/* The text without the line end. */
static int end_compact(struct sl_json_writer *w, struct sl_bytes *ret, struct sl_error *err)
{
    int r = sl_json_end(w, ret, err);
    if (r == 0)
        ret->data[--ret->len] = 0;
    return r;
}

static int make_protected_header(struct message *m, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    SL_AUTO_DONE(sl_bytes) text = {0};
    int r = 0;
    if (m->n_keys == 1)
        r = put_header(w, &m->keys[0], /* with_enc= */ true, err);
    else
        sl_json_put_string(w, "enc", CONTENT_CIPHER);
    if (r == 0)
        r = end_compact(w, &text, err);
    if (r < 0)
        return r;
    m->protected_header = sl_base64url_encode(sl_bytes_span(&text));
    return m->protected_header ? 0 : sl_error_oom(err);
}

static int put_base64url(struct sl_json_writer *w, const char *name, struct sl_span bytes,
                         struct sl_error *err)
{
    SL_AUTO_FREE char *text = sl_base64url_encode(bytes);
    if (!text)
        return sl_error_oom(err);
    sl_json_put_string(w, name, text);
    return 0;
}

static int put_recipient(struct sl_json_writer *w, const struct sealed_key *key,
                         struct sl_error *err)
{
    sl_json_open_object(w, NULL);
    sl_json_open_object(w, "header");
    int r = put_header(w, key, /* with_enc= */ false, err);
    sl_json_close_object(w);
    if (r == 0)
        r = put_base64url(w, "encrypted_key", sl_bytes_span(&key->encrypted), err);
    sl_json_close_object(w);
    return r;
}

static int put_keys(struct sl_json_writer *w, const struct message *m, struct sl_error *err)
{
    if (m->n_keys == 1)
        return put_base64url(w, "encrypted_key", sl_bytes_span(&m->keys[0].encrypted), err);
    int r = 0;
    sl_json_open_array(w, "recipients");
    for (size_t i = 0; r == 0 && i < m->n_keys; i++)
        r = put_recipient(w, &m->keys[i], err);
    sl_json_close_array(w);
    return r;
}

static int write_message(const struct message *m, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    size_t len = m->sealed.len - SL_GCM_TAG_SIZE;
    sl_json_put_string(w, "protected", m->protected_header);
    int r = put_keys(w, m, err);
    if (r == 0)
        r = put_base64url(w, "iv", (struct sl_span){m->iv, sizeof(m->iv)}, err);
    if (r == 0)
        r = put_base64url(w, "ciphertext", (struct sl_span){m->sealed.data, len}, err);
    if (r == 0)
        r = put_base64url(w, "tag", (struct sl_span){m->sealed.data + len, SL_GCM_TAG_SIZE}, err);
    return r < 0 ? r : end_compact(w, ret, err);
}

static int seal_message(struct message *m, const struct sl_recipients *recipients,
                        struct sl_span plbco, struct sl_error *err)
{
    uint8_t cek[CEK_SIZE];
    const struct sl_span key = {cek, sizeof(cek)};
    int r = sl_random_key(cek, sizeof(cek), err);
    if (r == 0)
        r = sl_random_iv(m->iv, sizeof(m->iv), err);
    if (r == 0)
        r = seal_keys(m, recipients, key, err);
    if (r == 0)
        r = make_protected_header(m, err);
    if (r == 0)
        r = sl_aes_gcm_seal(key, (struct sl_span){m->iv, sizeof(m->iv)},
                            sl_span_of(m->protected_header), plbco, &m->sealed, err);
    sl_wipe(cek, sizeof(cek));
    return r;
}

int sl_wrap_jwe(const struct sl_recipients *recipients, struct sl_span plbco, struct sl_bytes *ret,
                struct sl_error *err)
{
    struct message m = {0};
    int r = seal_message(&m, recipients, plbco, err);
    if (r == 0)
        r = write_message(&m, ret, err);
    message_done(&m);
    return r;
}
