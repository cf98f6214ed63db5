/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES_256_CTR_HMAC_SHA256 the other way round: stage_decrypt.c tells what it is. Encrypt, then
 * MAC: both sums are those of the ciphertext, so the digest is that of the blob to be stored.
 */
#include "stage_encrypt.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { SLICE = 16 * 1024 }; /* encrypt a slice, hash it while it is in the first-level cache */

struct encrypt {
    struct sl_stage stage;
    struct sl_blob_sums *sums;
    EVP_CIPHER_CTX *ctr;
    uint64_t size;
    struct sl_blob_summary *summary;
};

static int encrypt_slice(struct encrypt *e, uint8_t *data, size_t len, struct sl_error *err)
{
    int n;
    if (!EVP_EncryptUpdate(e->ctr, data, &n, data, (int)len) || (size_t)n != len)
        return sl_error_set(err, SL_E_SYSTEM, EIO, "OpenSSL failed in AES-256-CTR");
    return sl_blob_sums_update(e->sums, (struct sl_span){data, len}, err);
}

static int encrypt_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    struct encrypt *e = (struct encrypt *)stage;
    struct sl_buf *buf = *bufp;
    for (size_t at = 0; at < buf->len; at += SLICE) {
        size_t left = buf->len - at;
        int r = encrypt_slice(e, buf->data + buf->off + at, left < SLICE ? left : SLICE, err);
        if (r < 0)
            return r;
    }
    e->size += buf->len;
    return sl_stage_push(stage->next, bufp, err);
}

static int encrypt_finish(struct sl_stage *stage, struct sl_error *err)
{
    struct encrypt *e = (struct encrypt *)stage;
    struct sl_blob_summary summary = {.size = e->size};
    int r = sl_blob_sums_final(e->sums, &summary.digest, summary.hmac, err);
    if (r == 0)
        *e->summary = summary;
    return r;
}

static void encrypt_close(struct sl_stage *stage)
{
    struct encrypt *e = (struct encrypt *)stage;
    (void)sl_blob_sums_free(e->sums);
    EVP_CIPHER_CTX_free(e->ctr); /* wipes its key schedule */
    free(e);
}

static const struct sl_stage_ops encrypt_ops = {
    .name = "encrypt",
    .phase = SL_PHASE_CIPHER,
    .push = encrypt_push,
    .finish = encrypt_finish,
    .close = encrypt_close,
};

static int set_up(struct encrypt *e, enum sl_blob_sums_kind kind, const struct sl_layer_key *key,
                  struct sl_error *err)
{
    int r = sl_blob_sums_new(kind, SL_SHA256, key->lek, &e->sums, err);
    if (r < 0)
        return r;
    e->ctr = EVP_CIPHER_CTX_new();
    if (!e->ctr || !EVP_EncryptInit_ex2(e->ctr, EVP_aes_256_ctr(), key->lek, key->nonce,
                                        /* params= */ NULL))
        return sl_error_set(err, SL_E_SYSTEM, ENOMEM, "OpenSSL cannot set up AES-256-CTR");
    return 0;
}

int sl_stage_encrypt_new_with(enum sl_blob_sums_kind kind, const struct sl_layer_key *key,
                              struct sl_blob_summary *summary, struct sl_stage **ret,
                              struct sl_error *err)
{
    struct encrypt *e = calloc(1, sizeof(*e));
    if (!e)
        return sl_error_oom(err);
    e->stage.ops = &encrypt_ops;
    e->summary = summary;
    int r = set_up(e, kind, key, err);
    if (r < 0) {
        encrypt_close(&e->stage);
        return r;
    }
    *ret = &e->stage;
    return 0;
}

int sl_stage_encrypt_new(const struct sl_layer_key *key, struct sl_blob_summary *summary,
                         struct sl_stage **ret, struct sl_error *err)
{
    return sl_stage_encrypt_new_with(SL_SUMS_BEST, key, summary, ret, err);
}
