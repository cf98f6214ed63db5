/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of an image's encrypted layers. All are unwrapped as soon as the manifest is known,
 * side by side, because each may cost a round trip to a key broker.
 */
#include "pull.h"

#include "sluice/core/secret.h"
#include "sluice/kbc.h"

#include <stdlib.h>

/* Where KEKs come from. The broker must live as long as the ring. */
static int open_broker(const struct sl_pull_options *o, struct sl_key_ring *ring,
                       struct sl_kbc **ret, struct sl_error *err)
{
    if (!o->keys.kbc)
        return 0;
    const struct sl_kbc_options options = {.selection = o->keys.kbc,
                                           .offline_keys = o->keys.offline_keys,
                                           .offline_resources = o->keys.offline_resources};
    int r = sl_kbc_open(&options, ret, err);
    if (r < 0)
        return r;
    sl_key_ring_set_kek_lookup(ring, sl_kbc_lookup_kek, *ret);
    return 0;
}

static int fill_ring(const struct sl_pull_options *o, struct sl_key_ring *ring,
                     struct sl_error *err)
{
    for (const char *const *spec = o->keys.decryption_keys; spec && *spec; spec++) {
        int r = sl_key_ring_add_spec(ring, *spec, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- one layer ---- */

struct unwrap {
    struct sl_task task;
    struct layer *layer;
    const struct sl_key_ring *ring;
    int result;
    struct sl_error error;
};

static int unwrap_layer(struct layer *l, const struct sl_key_ring *ring, struct sl_error *err)
{
    l->key = sl_secret_alloc(sizeof(*l->key));
    if (!l->key)
        return sl_error_oom(err);
    int r = sl_key_ring_unwrap(ring, l->annotations, l->key, /* how= */ NULL, err);
    if (r < 0)
        return r;
    l->report->protocol = l->key->protocol;
    return sl_layer_key_check(l->key, &l->blob->digest, l->key_check, err);
}

static void unwrap_run(struct sl_task *task)
{
    struct unwrap *u = (struct unwrap *)task;
    u->result = unwrap_layer(u->layer, u->ring, &u->error);
}

/* A layer is encrypted if its media type says so; then, and only then, it has annotations. */
static int read_annotations(struct layer *l, struct sl_error *err)
{
    struct sl_layer_media media;
    int r = sl_layer_media_parse(l->blob->media_type, &media, err);
    if (r < 0)
        return sl_layer_error(l, r, err);
    l->report->encrypted = media.encrypted;
    const struct sl_pair *a = l->blob->annotations;
    if (media.encrypted) {
        r = sl_enc_annotations_parse(a, l->blob->n_annotations, &l->annotations, err);
        return r < 0 ? sl_layer_error(l, r, err) : 0;
    }
    if (!sl_enc_annotations_present(a, l->blob->n_annotations))
        return 0;
    r = sl_error_set(err, SL_E_FORMAT, EINVAL,
                     "has encryption annotations, but its media type '%.100s' is not encrypted",
                     l->blob->media_type);
    return sl_layer_error(l, r, err);
}

/* The first failure in the order of layers, so that the same image gives the same message. */
static int unwrap_all(struct pull *pull, const struct sl_key_ring *ring, struct sl_error *err)
{
    struct unwrap *jobs = calloc(pull->n_layers, sizeof(*jobs));
    if (!jobs)
        return sl_error_oom(err);
    for (size_t i = 0; i < pull->n_layers; i++) {
        jobs[i] = (struct unwrap){.layer = &pull->layers[i], .ring = ring};
        sl_task_init(&jobs[i].task, pull->engine->workers, unwrap_run);
        if (pull->layers[i].annotations)
            sl_task_wake(&jobs[i].task);
    }
    int r = 0;
    for (size_t i = 0; i < pull->n_layers; i++) {
        sl_task_wait_idle(&jobs[i].task);
        if (r == 0 && jobs[i].result < 0) {
            if (err)
                *err = jobs[i].error;
            r = sl_layer_error(jobs[i].layer, jobs[i].result, err);
        }
    }
    free(jobs);
    return r;
}

int sl_pull_keys(struct pull *pull, struct sl_error *err)
{
    bool any = false;
    for (size_t i = 0; i < pull->n_layers; i++) {
        int r = read_annotations(&pull->layers[i], err);
        if (r < 0)
            return r;
        any |= pull->layers[i].annotations != NULL;
    }
    /* The ring holds the broker's address: it is freed first. */
    SL_AUTO(sl_kbc) broker = NULL;
    SL_AUTO(sl_key_ring) ring = NULL;
    int r = sl_key_ring_new(&ring, err);
    if (r < 0)
        return r;
    /* Wrong options are told even when this image would not need them. */
    r = fill_ring(pull->options, ring, err);
    if (r < 0)
        return r;
    r = open_broker(pull->options, ring, &broker, err);
    return r < 0 || !any ? r : unwrap_all(pull, ring, err);
}
