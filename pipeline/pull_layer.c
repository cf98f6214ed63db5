/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data path of one layer: from the bytes of a blob to a verified tree in the store. Until
 * every stage has finished, all bytes are hostile; they touch nothing but the staging tree.
 */
#include "pull.h"

#include "sluice/core/flow.h"
#include "sluice/core/log.h"
#include "sluice/decompress.h"
#include "sluice/untar.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    /* Buffers in flight before and after decompression. Enough that a segment rarely waits for
     * its neighbour, few enough that they stay in the cache. */
    BLOB_LANE_BUFFERS = 8,
    PLAIN_LANE_BUFFERS = 6,
    /* A smaller layer is not worth the hand-overs: one segment does it all. */
    SMALL_LAYER = 1024 * 1024,
};

static int make_blob_side(struct layer *l, struct sl_stage **ret, struct sl_error *err)
{
    if (!l->annotations)
        return sl_stage_blob_digest_new(&l->blob->digest, l->blob->size, ret, err);
    return sl_stage_decrypt_new(l->key, sl_enc_annotations_hmac(l->annotations), &l->blob->digest,
                                l->blob->size, ret, err);
}

static int make_decompress(struct layer *l, struct sl_stage **ret, struct sl_error *err)
{
    return sl_stage_decompress_new(l->lanes[PLAIN_LANE], /* limits= */ NULL, ret, err);
}

static int make_diff_id(struct layer *l, struct sl_stage **ret, struct sl_error *err)
{
    return sl_stage_diff_id_new(l->diff_id, ret, err);
}

static int make_untar(struct layer *l, struct sl_stage **ret, struct sl_error *err)
{
    return sl_stage_untar_new(l->staged, /* options= */ NULL, ret, err);
}

static int make_spool(struct layer *l, struct sl_stage **ret, struct sl_error *err)
{
    return sl_stage_spool_new(l->spool, ret, err);
}

typedef int make_stage_fn(struct layer *l, struct sl_stage **ret, struct sl_error *err);

/* The way of a layer's bytes, top to bottom. Each row may run on a worker of its own. */
static make_stage_fn *const layer_path[] = {
    make_blob_side,  /* bytes as sent: size, digest; of an encrypted layer also MAC and CTR */
    make_decompress, /* by probed format; output limited */
    make_diff_id,    /* plain tar: the digest the image config lists */
    make_untar,      /* into the staging tree only */
};
enum { N_LAYER_PATH = sizeof(layer_path) / sizeof(layer_path[0]) };

/* With --verify-first the way is cut behind its first row: the blob waits until that row has
 * finished, and only then walks the rest. */
static make_stage_fn *const verify_path[] = {make_blob_side, make_spool};

static int build_path(struct layer *l, make_stage_fn *const path[], size_t n, struct sl_error *err)
{
    enum sl_flow_cut cut = l->blob->size < SMALL_LAYER ? SL_SAME_SEGMENT : SL_NEW_SEGMENT;
    for (size_t i = 0; i < n; i++) {
        SL_AUTO(sl_stage) stage = NULL;
        int r = path[i](l, &stage, err);
        if (r < 0)
            return r;
        r = sl_flow_add(l->flow, &stage, cut, err);
        if (r < 0)
            return r;
    }
    sl_flow_bind_lane(l->flow, l->lanes[PLAIN_LANE]);
    return 0;
}

/* ---- events of the flow; any thread ---- */

static void on_through(void *arg, int r, const struct sl_error *err)
{
    struct layer *l = arg;
    struct pull *pull = l->pull;
    const uint64_t one = 1;
    l->result = r;
    l->error = *err;
    l->ended_ns = sl_clock_ns();
    /* Once the lock is free again the layer belongs to the pulling thread; the report always does,
     * and somebody may be looking at it right now. */
    pthread_mutex_lock(&pull->lock);
    l->through = true;
    ssize_t n = write(pull->event_fd, &one, sizeof(one));
    (void)n;
    pthread_mutex_unlock(&pull->lock);
}

static void on_stop_source(void *arg)
{
    struct layer *l = arg;
    struct sl_blob_stream *stream = atomic_load(&l->stream);
    if (stream)
        sl_blob_stream_stop(stream);
    else if (l->spool)
        sl_spool_wake(l->spool);
}

/* ---- life ---- */

int sl_layer_reserve(struct layer *l, struct sl_error *err)
{
    static const size_t counts[LAYER_LANES] = {BLOB_LANE_BUFFERS, PLAIN_LANE_BUFFERS};
    return sl_memory_take(&l->pull->memory, counts, LAYER_LANES, l->lanes, err);
}

void sl_layer_unreserve(struct layer *l)
{
    sl_memory_give(&l->pull->memory, l->lanes, LAYER_LANES);
}

static void flow_release(struct layer *l)
{
    atomic_store(&l->stream, sl_blob_stream_close(l->stream));
    l->flow = sl_flow_free(l->flow);
}

/* What a layer only needs while it runs: memory, foremost. */
static void running_release(struct layer *l)
{
    flow_release(l);
    l->spool = sl_spool_free(l->spool);
    sl_layer_unreserve(l);
}

static void layer_release(struct layer *l)
{
    running_release(l);
    l->passed = false;
    l->staged = sl_staged_layer_free(l->staged);
    sl_store_unlock_layer(l->pull->engine->store, l->diff_id, &l->lock_fd);
}

/* As people count, and errors. */
static uint32_t layer_number(const struct layer *l)
{
    return (uint32_t)l->index + 1;
}

static int new_flow(struct layer *l, make_stage_fn *const path[], size_t n, struct sl_error *err)
{
    const struct sl_flow_events events = {
        .done = on_through, .stop_source = on_stop_source, .arg = l};
    l->through = false;
    int r = sl_flow_new(l->pull->engine->workers, &events, &l->flow, err);
    if (r == 0)
        r = build_path(l, path, n, err);
    if (r == 0)
        sl_flow_set_trace(l->flow, l->pull->trace, layer_number(l));
    return r;
}

static int start_stream(struct layer *l, struct sl_error *err)
{
    struct sl_blob_stream *stream = NULL;
    sl_flow_start(l->flow);
    int r = sl_image_source_stream(l->pull->source, l->blob, l->lanes[BLOB_LANE], l->flow, &stream,
                                   err);
    if (r < 0)
        return r;
    atomic_store(&l->stream, stream);
    /* The flow may have failed before on_stop_source() could see the stream. */
    if (sl_flow_has_failed(l->flow))
        sl_blob_stream_stop(stream);
    return 0;
}

static int layer_start(struct layer *l, struct sl_error *err)
{
    int r = sl_staged_layer_new(l->pull->engine->store, &l->staged, err);
    if (r == 0 && l->pull->options->verify_first)
        r = sl_spool_new(sl_staged_layer_fd(l->staged), &l->spool, err);
    if (r == 0)
        r = l->spool ? new_flow(l, verify_path, 2, err)
                     : new_flow(l, layer_path, N_LAYER_PATH, err);
    return r < 0 ? r : start_stream(l, err);
}

/* The blob is what the manifest promised: now, and not before, something may parse it. */
static int start_unpacking(struct layer *l, struct sl_error *err)
{
    flow_release(l);
    int r = new_flow(l, layer_path + 1, N_LAYER_PATH - 1, err);
    if (r < 0)
        return r;
    l->is_verified = true;
    sl_flow_start(l->flow);
    sl_spool_feed(l->spool, l->pull->engine->workers, l->lanes[BLOB_LANE], l->flow);
    return 0;
}

int sl_layer_start(struct layer *l, struct sl_error *err)
{
    l->started_ns = sl_clock_ns();
    l->report->state = SL_LAYER_RUNNING;
    sl_buf_lane_set_trace(l->lanes[BLOB_LANE], l->pull->trace, "buffers of the blob",
                          layer_number(l));
    sl_buf_lane_set_trace(l->lanes[PLAIN_LANE], l->pull->trace, "buffers of the plain tar",
                          layer_number(l));
    int r = layer_start(l, err);
    sl_trace_end(l->pull->trace, "start layer", layer_number(l), l->started_ns);
    if (r == 0)
        return 0;
    layer_release(l);
    l->report->state = SL_LAYER_FAILED;
    return sl_layer_error(l, r, err);
}

void sl_layer_stop(struct layer *l)
{
    struct sl_error err;
    int r = sl_error_set(&err, SL_E_CANCELLED, ECANCELED, "stopped");
    sl_flow_fail(l->flow, r, &err);
}

static struct sl_blob_record blob_record(const struct layer *l)
{
    struct sl_blob_record record = {
        .blob = l->blob->digest, .diff_id = *l->diff_id, .encrypted = l->annotations != NULL};
    memcpy(record.key_check, l->key_check, sizeof(record.key_check));
    return record;
}

static void take_statistics(struct layer *l)
{
    struct sl_layer_report *report = l->report;
    const char *name;
    struct sl_stage_stats stats;
    report->seconds = (double)(l->ended_ns - l->started_ns) / 1e9;
    report->began = (double)(l->started_ns - l->pull->started_ns) / 1e9;
    for (size_t i = 0; (name = sl_flow_stats(l->flow, i, &stats)); i++) {
        if (report->n_stages == SL_LAYER_STAGES_MAX)
            break;
        report->stages[report->n_stages].name = name;
        report->stages[report->n_stages++].stats = stats;
    }
    struct sl_blob_stream *stream = atomic_load(&l->stream);
    if (stream)
        report->received = sl_blob_stream_bytes(stream);
}

static int flow_failure(struct layer *l, struct sl_error *err)
{
    if (err)
        *err = l->error;
    return sl_error_wrap(err, l->result, "%s", l->error.stage ? l->error.stage : "fetch");
}

static void trace_layer(const struct layer *l)
{
    sl_trace_add(l->pull->trace, &(struct sl_trace_event){.kind = SL_TRACE_SPAN,
                                                          .name = "layer",
                                                          .start_ns = l->started_ns,
                                                          .end_ns = l->ended_ns,
                                                          .layer = layer_number(l)});
}

int sl_layer_end(struct layer *l, struct sl_error *err)
{
    bool is_unpacked = !l->spool || l->is_verified;
    take_statistics(l);
    if (is_unpacked || l->result < 0)
        trace_layer(l);
    int r = l->result;
    if (r < 0)
        r = flow_failure(l, err);
    else if (!is_unpacked)
        r = start_unpacking(l, err);
    if (r < 0) {
        sl_layer_abandon(l);
        return sl_layer_error(l, r, err);
    }
    if (!is_unpacked)
        return 1;
    running_release(l);
    l->passed = true;
    if (!l->pull->gate)
        sl_log(SL_LOG_DEBUG, "layer %zu/%zu has passed, and waits for the signature policy",
               l->index + 1, l->pull->n_layers);
    return 0;
}

int sl_layer_publish(struct layer *l, struct sl_error *err)
{
    l->commit = (struct sl_layer_commit){
        .staged = l->staged, .record = blob_record(l), .result = l->result};
    l->commit_began_ns = sl_clock_ns();
    int r = sl_layer_commits_add(l, err);
    if (r < 0) {
        sl_layer_abandon(l);
        return sl_layer_error(l, sl_error_wrap(err, r, "commit"), err);
    }
    l->passed = false;
    l->is_committing = true;
    return 0;
}

int sl_layer_published(struct layer *l, struct sl_error *err)
{
    int r = l->commit.result;
    l->is_committing = false;
    if (r < 0) {
        sl_layer_abandon(l);
        if (err)
            *err = l->commit.error;
        return sl_layer_error(l, sl_error_wrap(err, r, "commit"), err);
    }
    l->committed = sl_steal(&l->staged);
    l->report->commit_seconds = (double)(l->commit_ended_ns - l->commit_began_ns) / 1e9;
    l->report->sync_seconds = l->commit.sync_seconds;
    l->report->state = SL_LAYER_DONE;
    layer_release(l);
    return 0;
}

void sl_layer_abandon(struct layer *l)
{
    l->report->state = SL_LAYER_FAILED;
    layer_release(l);
}

/* The very blob was verified here before: its tree may be reused if the config lists it, and if
 * the caller's key is the one that opened it. Otherwise the blob has to prove itself again. */
static bool is_same_record(const struct sl_blob_record *a, const struct sl_blob_record *b)
{
    return sl_digest_is_equal(&a->diff_id, &b->diff_id) && a->encrypted == b->encrypted &&
           memcmp(a->key_check, b->key_check, sizeof(a->key_check)) == 0;
}

int sl_layer_try_cache(struct layer *l, struct sl_error *err)
{
    struct sl_store *store = l->pull->engine->store;
    const struct sl_blob_record wanted = blob_record(l);
    struct sl_blob_record known;
    int r = sl_store_find_blob(store, &l->blob->digest, &known, err);
    if (r > 0)
        r = is_same_record(&known, &wanted);
    if (r > 0)
        r = sl_store_hold_layer(store, l->diff_id, &l->hold_fd, err);
    if (r > 0)
        l->report->state = SL_LAYER_CACHED;
    return r < 0 ? sl_layer_error(l, r, err) : r;
}

int sl_layer_error(const struct layer *l, int r, struct sl_error *err)
{
    char hex[2 * SL_DIGEST_MAX + 1];
    sl_digest_hex(&l->blob->digest, hex);
    r = sl_error_wrap(err, r, "layer %zu/%zu %s:%.12s", l->index + 1, l->pull->n_layers,
                      sl_digest_alg_name(l->blob->digest.alg), hex);
    if (r == -ENOSPC || r == -EDQUOT)
        r = sl_error_wrap(err, r, "the store %s is full: " SL_PULL_ROOM_ADVICE,
                          sl_store_root(l->pull->engine->store));
    return r;
}
