/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who controls these bytes: whoever made the layer or serves it; of an encrypted layer, too, since
 * the MAC is known only at the end. Unpacks them, in one piece with openat2 and in cuts that the
 * last byte chooses without; both must end alike, and nothing beside the root may change.
 */
#include "staged_root.h"

struct ending {
    int r;
    enum sl_errc code;
    size_t n_implicit;
};

static int push(struct sl_stage *stage, struct sl_buf_lane *lane, struct sl_span in, size_t width,
                struct sl_error *err)
{
    while (in.len) {
        struct sl_buf *buf = sl_buf_acquire(lane);
        ROOT_DEMAND(buf);
        size_t n = in.len < buf->cap ? in.len : buf->cap;
        buf->len = width && width < n ? width : n;
        memcpy(buf->data, in.data, buf->len);
        in = (struct sl_span){in.data + buf->len, in.len - buf->len};
        int r = sl_stage_push(stage, &buf, err);
        ROOT_DEMAND(r == 0 ? !buf : r != -EAGAIN);
        sl_buf_release(&buf);
        if (r < 0)
            return r;
    }
    return sl_stage_finish(stage, err);
}

static struct ending unpack(struct sl_buf_pool *pool, struct sl_span in, size_t width,
                            bool no_openat2)
{
    const struct sl_untar_options options = {.limits = fuzz_limits, .no_openat2 = no_openat2};
    struct staged_root root;
    struct sl_error err = {0};
    struct sl_buf_lane *lane = NULL;
    struct sl_stage *stage = NULL;
    staged_root_open(&root);
    ROOT_DEMAND(sl_buf_lane_open(pool, 1, &lane, NULL) == 0);
    ROOT_DEMAND(sl_stage_untar_new(&root.staged, &options, &stage, NULL) == 0);
    int r = push(stage, lane, in, width, &err);
    ROOT_DEMAND(r == 0 || (err.errnum == -r && err.msg[0]));
    struct ending end = {r, err.code, root.staged.n_implicit};
    (void)sl_stage_close(stage);
    (void)sl_buf_lane_close(lane); /* aborts when a buffer is missing */
    staged_root_close(&root);
    return end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_buf_pool *pool = NULL;
    ROOT_DEMAND(sl_buf_pool_new(SL_BUF_SIZE, &pool, NULL) == 0);
    const struct sl_span in = {data, size};
    struct ending whole = unpack(pool, in, 0, /* no_openat2= */ false);
    struct ending cut = unpack(pool, in, size ? 1u + data[size - 1] : 0, /* no_openat2= */ true);
    ROOT_DEMAND(whole.r == cut.r && whole.code == cut.code);
    ROOT_DEMAND(whole.r < 0 || whole.n_implicit == cut.n_implicit);
    (void)sl_buf_pool_free(pool);
    return 0;
}
