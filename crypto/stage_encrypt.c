/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encrypts a layer (layer_cipher.h says how). Encrypt, then MAC: both sums are those of the
 * ciphertext, so the digest is that of the blob to be stored.
 */
#include "stage_encrypt.h"

#include <stdlib.h>

struct encrypt {
    struct sl_stage stage;
    struct sl_layer_cipher *cipher;
    uint64_t size;
    struct sl_blob_summary *summary;
};

static int encrypt_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    struct encrypt *e = (struct encrypt *)stage;
    struct sl_buf *buf = *bufp;
    int r = sl_layer_cipher_encrypt(e->cipher, buf->data + buf->off, buf->len, err);
    if (r < 0)
        return r;
    e->size += buf->len;
    return sl_stage_push(stage->next, bufp, err);
}

static int encrypt_finish(struct sl_stage *stage, struct sl_error *err)
{
    struct encrypt *e = (struct encrypt *)stage;
    struct sl_blob_summary summary = {.size = e->size};
    int r = sl_layer_cipher_final(e->cipher, &summary.digest, summary.hmac, err);
    if (r == 0)
        *e->summary = summary;
    return r;
}

static void encrypt_close(struct sl_stage *stage)
{
    struct encrypt *e = (struct encrypt *)stage;
    (void)sl_layer_cipher_free(e->cipher);
    free(e);
}

static const struct sl_stage_ops encrypt_ops = {
    .name = "encrypt",
    .phase = SL_PHASE_CIPHER,
    .push = encrypt_push,
    .finish = encrypt_finish,
    .close = encrypt_close,
};

int sl_stage_encrypt_new_with(enum sl_layer_cipher_kind kind, const struct sl_layer_key *key,
                              struct sl_blob_summary *summary, struct sl_stage **ret,
                              struct sl_error *err)
{
    struct encrypt *e = calloc(1, sizeof(*e));
    if (!e)
        return sl_error_oom(err);
    e->stage.ops = &encrypt_ops;
    e->summary = summary;
    int r = sl_layer_cipher_new(kind, SL_SHA256, key, &e->cipher, err);
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
    return sl_stage_encrypt_new_with(SL_CIPHER_BEST, key, summary, ret, err);
}
