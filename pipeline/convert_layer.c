/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data path of one layer from place to place. A blob that has not passed every stage is never
 * given a name at the destination.
 */
#include "conversion.h"

#include "sluice/core/flow.h"
#include "sluice/core/log.h"
#include "sluice/core/secret.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    /* Buffers in flight: one set, since ciphers work in place. The upload keeps those that are on
     * their way to the network. */
    LANE_BUFFERS = 16,
    /* A smaller layer is not worth the hand-overs: one segment does it all. */
    SMALL_LAYER = 1024 * 1024,
    /* Times that a layer is begun when uploads fail; sources go on by themselves. */
    ATTEMPTS_MAX = 3,
};

/* ---- the way of the bytes ---- */

static int make_blob_digest(struct convert_layer *l, struct sl_stage **ret, struct sl_error *err)
{
    return sl_stage_blob_digest_new(&l->blob->digest, l->blob->size, ret, err);
}

static int make_encrypt(struct convert_layer *l, struct sl_stage **ret, struct sl_error *err)
{
    return sl_stage_encrypt_new(l->key, &l->summary, ret, err);
}

static int make_decrypt(struct convert_layer *l, struct sl_stage **ret, struct sl_error *err)
{
    return sl_stage_decrypt_new(l->key, sl_enc_annotations_hmac(l->encryption), &l->blob->digest,
                                l->blob->size, ret, err);
}

static int make_check(struct convert_layer *l, struct sl_stage **ret, struct sl_error *err)
{
    return sl_convert_check_stage_new(l->diff_id, l->lanes[CONVERT_CHECK_LANE], ret, err);
}

static int make_summary(struct convert_layer *l, struct sl_stage **ret, struct sl_error *err)
{
    return sl_stage_summary_new(&l->summary, ret, err);
}

static int make_upload(struct convert_layer *l, struct sl_stage **ret, struct sl_error *err)
{
    return sl_stage_upload_new(l->upload, ret, err);
}

typedef int make_stage_fn(struct convert_layer *l, struct sl_stage **ret, struct sl_error *err);

/* Top to bottom. Who encrypts, or copies, vouches for nothing: the blob is the one that the
 * manifest lists, and whether it unpacks to its diff_id is found out by whoever pulls it, as it
 * would have been before. Who decrypts makes a blob that no manifest has listed. */
static make_stage_fn *const encrypt_path[] = {
    make_blob_digest, /* the plain blob: size, digest */
    make_encrypt,     /* CTR in place; digest and MAC of what comes out */
    make_upload,      /* to the network or a file; nameless until all stages have finished */
    NULL,
};
static make_stage_fn *const decrypt_path[] = {
    make_decrypt, /* the encrypted blob: size, digest, MAC; CTR in place */
    make_check,   /* what comes out, unpacked on the side: diff_id */
    make_summary, /* its digest */
    make_upload,  NULL,
};
static make_stage_fn *const copy_path[] = {make_blob_digest, make_upload, NULL};

static make_stage_fn *const *path_of(const struct convert_layer *l)
{
    switch (l->report.action) {
    case SL_LAYER_ENCRYPTED:
        return encrypt_path;
    case SL_LAYER_DECRYPTED:
        return decrypt_path;
    default: /* the others leave the bytes as they are */
        return copy_path;
    }
}

static int build_path(struct convert_layer *l, struct sl_error *err)
{
    make_stage_fn *const *path = path_of(l);
    enum sl_flow_cut cut = l->blob->size < SMALL_LAYER ? SL_SAME_SEGMENT : SL_NEW_SEGMENT;
    for (; *path; path++) {
        SL_AUTO(sl_stage) stage = NULL;
        int r = (*path)(l, &stage, err);
        if (r < 0)
            return r;
        /* Handing over to the upload is no work for a worker of its own. */
        r = sl_flow_add(l->flow, &stage, path[1] ? cut : SL_SAME_SEGMENT, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- events; any thread ---- */

/* Once the lock is free again the layer belongs to the converting thread. */
static void announce(struct convert_layer *l, int r, const struct sl_error *err)
{
    struct conversion *c = l->conversion;
    const uint64_t one = 1;
    l->result = r;
    if (r < 0 && err)
        l->error = *err;
    pthread_mutex_lock(&c->lock);
    l->through = true;
    ssize_t n = write(c->event_fd, &one, sizeof(one));
    (void)n;
    pthread_mutex_unlock(&c->lock);
}

static void on_flow_done(void *arg, int r, const struct sl_error *err)
{
    announce(arg, r, err);
}

static void on_stop_source(void *arg)
{
    struct convert_layer *l = arg;
    struct sl_blob_stream *stream = atomic_load(&l->stream);
    if (stream)
        sl_blob_stream_stop(stream);
}

static void on_upload_done(void *arg, int r, const struct sl_error *err)
{
    announce(arg, r, err);
}

/* The lock keeps the flow alive: it is freed only after may_fail_flow was taken back. */
static void on_upload_failed(void *arg, int r, const struct sl_error *err)
{
    struct convert_layer *l = arg;
    pthread_mutex_lock(&l->conversion->upload_lock);
    l->upload_result = r;
    l->upload_error = *err;
    if (l->may_fail_flow)
        sl_flow_fail(l->flow, r, err);
    pthread_mutex_unlock(&l->conversion->upload_lock);
}

/* ---- life ---- */

static void drop_key(struct convert_layer *l)
{
    if (l->key)
        sl_layer_key_done(l->key);
    l->key = sl_secret_release(l->key);
}

static void flow_release(struct convert_layer *l)
{
    pthread_mutex_lock(&l->conversion->upload_lock);
    l->may_fail_flow = false;
    pthread_mutex_unlock(&l->conversion->upload_lock);
    atomic_store(&l->stream, sl_blob_stream_close(l->stream));
    l->flow = sl_flow_free(l->flow);
}

/* Buffers go home from the stages, then from the upload; only then the lane may go. */
static void layer_release(struct convert_layer *l)
{
    flow_release(l);
    l->upload = sl_blob_upload_close(l->upload);
    sl_memory_give(&l->conversion->memory, l->lanes, CONVERT_LANES);
    if (l->report.action == SL_LAYER_ENCRYPTED)
        drop_key(l);
}

struct convert_layer *sl_convert_layer_free(struct convert_layer *l)
{
    if (!l)
        return NULL;
    layer_release(l);
    drop_key(l);
    (void)sl_enc_annotations_free(l->encryption);
    sl_annotations_done(&l->annotations);
    free(l);
    return NULL;
}

/* Each time the layer is begun: no two streams under one key. */
static int make_fresh_key(struct convert_layer *l, struct sl_error *err)
{
    if (l->report.action != SL_LAYER_ENCRYPTED)
        return 0;
    l->key = sl_secret_alloc(sizeof(*l->key));
    return l->key ? sl_layer_key_generate(l->key, err) : sl_error_oom(err);
}

static int open_upload(struct convert_layer *l, struct sl_error *err)
{
    const struct sl_upload_events events = {
        .done = on_upload_done, .failed = on_upload_failed, .arg = l};
    return sl_image_sink_upload(l->conversion->sink, l->blob->size, &events, &l->upload, err);
}

/* From here on a failing upload stops the flow; one that failed before does so now. */
static void let_upload_fail(struct convert_layer *l)
{
    pthread_mutex_lock(&l->conversion->upload_lock);
    l->may_fail_flow = true;
    if (l->upload_result < 0)
        sl_flow_fail(l->flow, l->upload_result, &l->upload_error);
    pthread_mutex_unlock(&l->conversion->upload_lock);
}

static int start_stream(struct convert_layer *l, struct sl_error *err)
{
    struct sl_blob_stream *stream = NULL;
    sl_flow_start(l->flow);
    int r = sl_image_source_stream(l->conversion->source, l->blob, l->lanes[CONVERT_LANE], l->flow,
                                   &stream, err);
    if (r < 0)
        return r;
    atomic_store(&l->stream, stream);
    let_upload_fail(l);
    return 0;
}

static int layer_start(struct convert_layer *l, struct sl_error *err)
{
    const struct sl_flow_events events = {
        .done = on_flow_done, .stop_source = on_stop_source, .arg = l};
    int r = make_fresh_key(l, err);
    if (r == 0)
        r = sl_flow_new(l->conversion->engine->workers, &events, &l->flow, err);
    if (r == 0)
        r = open_upload(l, err);
    if (r == 0)
        r = build_path(l, err);
    return r < 0 ? r : start_stream(l, err);
}

/* ---- steps of their own, on a worker: a registry and a key provider may take their time ---- */

static struct convert_layer *layer_of(struct sl_task *step)
{
    return (struct convert_layer *)((char *)step - offsetof(struct convert_layer, step));
}

static void start_step(struct convert_layer *l, enum convert_state state,
                       void (*run)(struct sl_task *))
{
    l->state = state;
    l->through = false;
    sl_task_init(&l->step, l->conversion->engine->workers, run);
    sl_task_wake(&l->step);
}

static void run_asking(struct sl_task *step)
{
    struct convert_layer *l = layer_of(step);
    struct conversion *c = l->conversion;
    struct sl_error err = {0};
    int r = sl_image_sink_has_blob(c->sink, c->source, l->blob, &err);
    announce(l, r, &err);
}

static int wrap_key(struct convert_layer *l, struct sl_error *err)
{
    struct sl_bytes plbco = {0};
    int r = sl_plbco_write(l->key, &l->blob->digest, &plbco, err);
    if (r >= 0)
        r = sl_recipients_annotate(l->conversion->recipients, sl_bytes_span(&plbco),
                                   l->summary.hmac, /* others= */ NULL, 0, &l->annotations, err);
    sl_bytes_wipe(&plbco);
    return r;
}

static void run_wrapping(struct sl_task *step)
{
    struct convert_layer *l = layer_of(step);
    struct sl_error err = {0};
    int r = wrap_key(l, &err);
    announce(l, r, &err);
}

/* ---- the flow ---- */

static int start_flow(struct convert_layer *l, struct sl_error *err)
{
    l->state = CONVERT_MOVING;
    l->through = false;
    l->upload_result = 0;
    l->attempts++;
    l->started_ns = sl_clock_ns();
    return layer_start(l, err);
}

static int open_lanes(struct convert_layer *l, struct sl_error *err)
{
    static const size_t counts[CONVERT_LANES] = {LANE_BUFFERS, SL_CONVERT_CHECK_BUFFERS};
    size_t n = l->report.action == SL_LAYER_DECRYPTED ? CONVERT_LANES : 1;
    return sl_memory_take(&l->conversion->memory, counts, n, l->lanes, err);
}

int sl_convert_layer_start(struct convert_layer *l, struct sl_error *err)
{
    /* A blob that stays as it is need not move when the destination has it. */
    if (path_of(l) == copy_path && !l->is_missing) {
        start_step(l, CONVERT_ASKING, run_asking);
        return 0;
    }
    int r = open_lanes(l, err);
    if (r == -EAGAIN)
        return r;
    if (r == 0)
        r = start_flow(l, err);
    if (r == 0)
        return 0;
    layer_release(l);
    l->state = CONVERT_FAILED;
    return sl_convert_layer_error(l, r, err);
}

void sl_convert_layer_stop(struct convert_layer *l)
{
    struct sl_error err;
    int r = sl_error_set(&err, SL_E_CANCELLED, ECANCELED, "stopped");
    if (l->state == CONVERT_MOVING)
        sl_flow_fail(l->flow, r, &err);
}

/* ---- what comes next ---- */

static void start_naming(struct convert_layer *l)
{
    bool is_same_blob = path_of(l) == copy_path;
    if (!is_same_blob)
        l->report.to = l->summary.digest;
    l->state = CONVERT_NAMING;
    l->through = false;
    sl_blob_upload_commit(l->upload, &l->report.to);
}

/* Only what the destination did is worth another try, and only if the network was to blame. */
static bool may_try_again(struct convert_layer *l)
{
    pthread_mutex_lock(&l->conversion->upload_lock);
    bool by_upload = l->state == CONVERT_NAMING || l->upload_result < 0;
    pthread_mutex_unlock(&l->conversion->upload_lock);
    return by_upload && l->error.code == SL_E_NETWORK && l->attempts < ATTEMPTS_MAX &&
           !sl_visit_is_cancelled(&l->conversion->visit);
}

static int fail_or_wait(struct convert_layer *l, struct sl_error *err)
{
    bool again = may_try_again(l);
    int r = l->result;
    if (err)
        *err = l->error;
    layer_release(l);
    l->state = again ? CONVERT_WAITING : CONVERT_FAILED;
    if (again) {
        sl_log(SL_LOG_WARN, "layer %zu/%zu is begun again: %s", l->number, l->of, l->error.msg);
        if (l->report.action == SL_LAYER_ENCRYPTED)
            sl_annotations_done(&l->annotations);
        return 0;
    }
    r = l->error.stage ? sl_error_wrap(err, r, "%s", l->error.stage) : r;
    return sl_convert_layer_error(l, r, err);
}

static void layer_done(struct convert_layer *l)
{
    l->report.done = l->report.size;
    l->report.seconds = (double)(sl_clock_ns() - l->started_ns) / 1e9;
    l->state = CONVERT_DONE;
    layer_release(l);
}

/* The layer gives up its turn even if it has to move: there may be no memory for it now. */
static void end_asking(struct convert_layer *l)
{
    l->is_missing = l->result == 0;
    l->report.skipped = !l->is_missing;
    l->state = l->is_missing ? CONVERT_WAITING : CONVERT_DONE;
}

int sl_convert_layer_next(struct convert_layer *l, struct sl_error *err)
{
    if (l->state == CONVERT_WRAPPING || l->state == CONVERT_ASKING)
        sl_task_wait_idle(&l->step);
    if (l->result < 0)
        return fail_or_wait(l, err);
    if (l->state == CONVERT_ASKING) {
        end_asking(l);
        return 0;
    }
    if (l->state == CONVERT_NAMING) {
        layer_done(l);
        return 0;
    }
    if (l->state == CONVERT_MOVING && l->report.action == SL_LAYER_ENCRYPTED)
        start_step(l, CONVERT_WRAPPING, run_wrapping);
    else
        start_naming(l);
    return 1;
}
