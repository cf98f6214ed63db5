/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who controls these bytes: whoever made the layer or serves it. The data path behind the
 * ciphers: inflate, diff_id, unpack. The last byte chooses the cuts.
 *
 * No check is off, not even the diff_id that no mutation could ever meet: the layer is inflated
 * once before, in other cuts, and the digest of what came out is the one the path must find.
 */
#include "decompress_drive.h"
#include "staged_root.h"

#include "sluice/core/digest.h"
#include "sluice/layer_crypto.h"

enum { PLAIN_BUFFERS = 2, PATH_STAGES = 3 };

struct path {
    struct sl_stage *stages[PATH_STAGES];
    struct sl_buf_pool *pool;
    struct sl_buf_lane *in, *out;
};

static void path_open(struct path *p, struct sl_staged_layer *staged,
                      const struct sl_digest *diff_id)
{
    const struct sl_decompress_limits limits = {.output = DRIVE_OUTPUT_MAX, .window = 1 << 20};
    const struct sl_untar_options options = {.limits = fuzz_limits};
    *p = (struct path){.pool = NULL};
    ROOT_DEMAND(sl_buf_pool_new((1 + PLAIN_BUFFERS) * (size_t)SL_BUF_SIZE, &p->pool, NULL) == 0);
    ROOT_DEMAND(sl_buf_lane_open(p->pool, 1, &p->in, NULL) == 0);
    ROOT_DEMAND(sl_buf_lane_open(p->pool, PLAIN_BUFFERS, &p->out, NULL) == 0);
    ROOT_DEMAND(sl_stage_decompress_new(p->out, &limits, &p->stages[0], NULL) == 0);
    ROOT_DEMAND(sl_stage_diff_id_new(diff_id, &p->stages[1], NULL) == 0);
    ROOT_DEMAND(sl_stage_untar_new(staged, &options, &p->stages[2], NULL) == 0);
    for (size_t i = 0; i + 1 < PATH_STAGES; i++)
        p->stages[i]->next = p->stages[i + 1];
}

static void path_close(struct path *p)
{
    for (size_t i = 0; i < PATH_STAGES; i++)
        (void)sl_stage_close(p->stages[i]);
    (void)sl_buf_lane_close(p->in); /* aborts when a buffer is missing */
    (void)sl_buf_lane_close(p->out);
    (void)sl_buf_pool_free(p->pool);
}

static int path_run(struct path *p, struct sl_span in, unsigned seed, struct sl_error *err)
{
    while (in.len) {
        struct sl_buf *buf = sl_buf_acquire(p->in);
        ROOT_DEMAND(buf);
        buf->len = drive_cut(&seed, in.len);
        memcpy(buf->data, in.data, buf->len);
        in = (struct sl_span){in.data + buf->len, in.len - buf->len};
        int r = sl_stage_push(p->stages[0], &buf, err);
        ROOT_DEMAND(r == 0 ? !buf : r != -EAGAIN); /* nobody keeps an output buffer */
        sl_buf_release(&buf);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < PATH_STAGES; i++) {
        int r = sl_stage_finish(p->stages[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

static void digest_of(struct sl_span plain, struct sl_digest *ret)
{
    struct sl_hash *hash = NULL;
    ROOT_DEMAND(sl_hash_new(SL_SHA256, &hash, NULL) == 0);
    sl_hash_update(hash, plain);
    sl_hash_final(hash, ret);
    (void)sl_hash_free(hash);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO_DONE(sl_bytes) plain = {0};
    const struct sl_span in = {data, size ? size - 1 : 0};
    struct sl_digest diff_id;
    struct staged_root root;
    struct sl_error err = {0};
    struct path path;
    int inflated = drive_decompress(in, &plain);
    digest_of(sl_bytes_span(&plain), &diff_id);

    staged_root_open(&root);
    path_open(&path, &root.staged, &diff_id);
    int r = path_run(&path, in, size ? data[size - 1] : 0, &err);
    ROOT_DEMAND(r == 0 || (err.errnum == -r && err.msg[0]));
    ROOT_DEMAND(inflated == 0 || r < 0);               /* what does not inflate is no layer */
    ROOT_DEMAND(r == 0 || err.code != SL_E_INTEGRITY); /* the same bytes in any cuts */
    path_close(&path);
    staged_root_close(&root);
    return 0;
}
