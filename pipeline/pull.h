/* SPDX-License-Identifier: Apache-2.0 */
/* One pull, as the parts of the pipeline share it. Everything but a running flow belongs to the
 * thread that called sl_pull_image(). */
#pragma once

#include "commit_gate.h"
#include "image_judgement.h"
#include "known_image.h"
#include "schedule.h"
#include "sluice/encryption_policy.h"
#include "sluice/key_access.h"
#include "spool.h"

#include <pthread.h>
#include <stdatomic.h>

struct pull;

enum { BLOB_LANE, PLAIN_LANE, LAYER_LANES };

struct layer {
    struct pull *pull;
    size_t index;
    const struct sl_descriptor *blob;
    const struct sl_digest *diff_id;
    struct sl_layer_report *report;

    /* Of an encrypted layer. */
    struct sl_enc_annotations *annotations;
    struct sl_layer_key *key;             /* in locked memory */
    struct sl_wrapped_key_info opened_by; /* what the report points to */
    uint8_t key_check[SL_KEY_CHECK_SIZE];

    /* While it runs: see pull_layer.c. */
    int lock_fd;
    struct sl_layer_wait wait; /* for another one's lock */
    struct sl_staged_layer *staged;
    struct sl_buf_lane *lanes[LAYER_LANES]; /* one share of memory */
    struct sl_spool *spool;                 /* with verify_first */
    bool is_verified;                       /* the spooled blob is, and is being unpacked */
    struct sl_flow *flow;
    _Atomic(struct sl_blob_stream *) stream;
    uint64_t started_ns;
    uint64_t ended_ns; /* of the flow, as the next two; valid once through is set */
    int result;
    struct sl_error error;
    bool through; /* set by the flow's last participant, under the pull's lock */
    bool passed;  /* every check, and waits in staging for the gate; only lock_fd and staged are
                   * left of the above */

    /* From then on, while is_committing: the committing thread's until the commit is over. */
    bool is_committing;
    bool is_commit_over; /* under the pull's lock */
    struct sl_layer_commit commit;
    uint64_t commit_began_ns, commit_ended_ns;

    /* From its verdict until the image is committed: keeps gc away. */
    struct sl_staged_layer *committed;
    int hold_fd;
};

/* See layer_commits.c. */
struct layer_commits {
    struct sl_task task;
    struct pull *pull;
    struct sl_worker_pool *pool;   /* of one thread, made when it is needed */
    struct sl_layer_commit *first; /* that wait; under the pull's lock */
};

struct pull {
    struct sl_engine *engine;
    const struct sl_pull_options *options;
    struct sl_visit visit;
    struct sl_image_source *source;
    struct sl_known_image known; /* what the store has of the image; outlives the source */
    char *name;                  /* the source's, once it is found */
    struct sl_resolved_image *image;
    struct sl_encryption_policy *encryption_policy; /* the ring of keys holds addresses of it */
    struct sl_key_access keys;                      /* until all layers' keys are unwrapped */
    struct sl_image_policy policy;
    struct sl_judgement *judgement;
    struct sl_gate *gate; /* NULL: the policy has not allowed the image, or not yet */
    struct sl_policy_verdict *verdict;
    struct layer *layers;
    size_t n_layers;
    struct layer_commits commits;
    pthread_mutex_t lock;
    int event_fd; /* an eventfd: some layer is through, or its commit over, the judgement over, or
                   * memory come home */
    int lock_watch_fd; /* -1: nobody else's lock was waited for */
    struct sl_memory_guest memory;
    struct sl_pull_report report;
    struct sl_layer_report *layer_reports;
    uint64_t started_ns, reported_ns;
    struct sl_trace *trace; /* NULL: nobody looks */
};

/* What to do about a store that is full, wherever it is said. */
#define SL_PULL_ROOM_ADVICE "remove images (sluice rm, sluice gc) or give the store more room"

/* "layer 3/7 sha256:0123456789ab: " before the message. */
int sl_layer_error(const struct layer *layer, int r, struct sl_error *err);

/* pull_verdict.c: starts the judgement; 1 once the image is allowed and the gate open, 0 while that
 * is not known, and the denial; the same, and waits for it. */
SL_MUST_CHECK int sl_pull_judge(struct pull *pull, struct sl_error *err);
SL_MUST_CHECK int sl_pull_take_verdict(struct pull *pull, struct sl_error *err);
SL_MUST_CHECK int sl_pull_await_verdict(struct pull *pull, struct sl_error *err);

/* pull_keys.c: reads the annotations of all layers, asks the encryption policy about them, and
 * unwraps their keys, in parallel. No key is asked for before the image is allowed. */
SL_MUST_CHECK int sl_pull_keys(struct pull *pull, struct sl_error *err);

/* pull_layer.c: 1 when the store has the layer and the caller may have it; it is held then. */
SL_MUST_CHECK int sl_layer_try_cache(struct layer *layer, struct sl_error *err);
/* Memory for a layer, or -EAGAIN: the pull waits for its turn, which is an event. */
SL_MUST_CHECK int sl_layer_reserve(struct layer *layer, struct sl_error *err);
/* Gives back what does not run. */
void sl_layer_unreserve(struct layer *layer);
/* Starts the flow. The layer's lock and its memory are held, and gone when this fails. */
SL_MUST_CHECK int sl_layer_start(struct layer *layer, struct sl_error *err);
/* The layer's flow is through: the layer has passed, or its staging tree is removed; frees what
 * ran. 1 when another flow of the layer has begun instead. */
SL_MUST_CHECK int sl_layer_end(struct layer *layer, struct sl_error *err);
/* Of a layer that has passed: begins its commit, or removes its staging tree. The gate is open. */
SL_MUST_CHECK int sl_layer_publish(struct layer *layer, struct sl_error *err);
/* The layer's commit is over: it is in the store, or its staging tree is removed. */
SL_MUST_CHECK int sl_layer_published(struct layer *layer, struct sl_error *err);
/* Of a layer that has passed: removes its staging tree. */
void sl_layer_abandon(struct layer *layer);
/* Asks a running layer to stop; it will be through soon. */
void sl_layer_stop(struct layer *layer);

/* layer_commits.c: hands layer->commit to the committing thread; whether that is through with it;
 * takes one back that it has not begun with, NULL: there is none; waits for those it has; ends it.
 */
SL_MUST_CHECK int sl_layer_commits_add(struct layer *layer, struct sl_error *err);
bool sl_layer_commit_is_over(struct layer *layer);
struct layer *sl_layer_commits_withdraw(struct pull *pull);
void sl_layer_commits_wait(struct pull *pull);
void sl_layer_commits_done(struct pull *pull);

/* layer_schedule.c: brings every layer into the store, or none that is not verified. */
SL_MUST_CHECK int sl_pull_layers(struct pull *pull, struct sl_error *err);
/* Whether layers that passed stay although the pull failed: those of the next try, which is not
 * the image's fault. */
bool sl_pull_keeps_layers(enum sl_errc why);

/* disk_space.c: an image whose missing layers cannot fit, even as they are sent, is not begun. */
SL_MUST_CHECK int sl_pull_check_space(struct pull *pull, struct sl_error *err);

/* progress.c: calls the caller's progress function when it is time, or now. */
void sl_pull_progress(struct pull *pull, bool now);
