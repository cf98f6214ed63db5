/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of an image's encrypted layers, and whether the operator wants them encrypted at all.
 * All are unwrapped as soon as the manifest is known, side by side, because each may cost a round
 * trip to a key broker.
 */
#include "pull.h"

#include "sluice/core/secret.h"

#include <stdlib.h>

/* ---- one layer ---- */

struct unwrap {
    struct sl_task task;
    struct layer *layer;
    const struct sl_key_ring *ring;
    int result;
    struct sl_error error;
};

/* Which wrapped key it was, in the words of the image. */
static int report_key(struct layer *l, const struct sl_unwrapped *how, struct sl_error *err)
{
    int r = sl_enc_annotations_info(l->annotations, how->index, &l->opened_by, err);
    if (r < 0)
        return r;
    l->report->protocol = l->key->protocol;
    l->report->provider = l->opened_by.provider;
    l->report->kid = *l->opened_by.kid ? l->opened_by.kid : NULL;
    l->report->wrap_type = *l->opened_by.wrap_type ? l->opened_by.wrap_type : NULL;
    return 0;
}

static int unwrap_layer(struct layer *l, const struct sl_key_ring *ring, struct sl_error *err)
{
    struct sl_unwrapped how = {0};
    l->key = sl_secret_alloc(sizeof(*l->key));
    if (!l->key)
        return sl_error_oom(err);
    int r = sl_key_ring_unwrap(ring, l->annotations, l->key, &how, err);
    if (r < 0)
        return r;
    r = report_key(l, &how, err);
    return r < 0 ? r : sl_layer_key_check(l->key, &l->blob->digest, l->key_check, err);
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

/* ---- the operator's word ---- */

static int filter_key(void *arg, const struct sl_wrapped_key_info *info, struct sl_error *err)
{
    const struct sl_wrapped_key_facts facts = {.protocol = info->protocol,
                                               .provider = info->provider,
                                               .kid = info->kid,
                                               .wrap_type = info->wrap_type};
    return sl_encryption_rule_check_key(arg, &facts, err);
}

static int check_layers(struct pull *pull, const struct sl_encryption_rule *rule,
                        struct sl_error *err)
{
    for (size_t i = 0; i < pull->n_layers; i++) {
        struct layer *l = &pull->layers[i];
        int r = sl_encryption_rule_check_layer(rule, l->report->encrypted, err);
        if (r < 0)
            return sl_layer_error(l, r, err);
    }
    return 0;
}

/* The rule is the policy's, whose filter the ring then holds. */
static int ask_policy(struct pull *pull, struct sl_error *err)
{
    if (!pull->options->encryption_policy)
        return 0;
    int r =
        sl_encryption_policy_open(pull->options->encryption_policy, &pull->encryption_policy, err);
    if (r < 0)
        return r;
    const struct sl_encryption_rule *rule =
        sl_encryption_policy_find(pull->encryption_policy, pull->report.name);
    /* The ring hands the rule back as it is: nobody writes through this pointer. */
    sl_key_ring_set_filter(pull->keys.ring, filter_key, (void *)(uintptr_t)rule);
    return check_layers(pull, rule, err);
}

/* ---- all of them ---- */

static int read_all(struct pull *pull, bool *ret_any, struct sl_error *err)
{
    for (size_t i = 0; i < pull->n_layers; i++) {
        int r = read_annotations(&pull->layers[i], err);
        if (r < 0)
            return r;
        *ret_any |= pull->layers[i].annotations != NULL;
    }
    return 0;
}

int sl_pull_keys(struct pull *pull, struct sl_error *err)
{
    bool any = false;
    int r = read_all(pull, &any, err);
    if (r == 0)
        r = ask_policy(pull, err);
    if (r == 0 && any)
        r = sl_pull_await_verdict(pull, err);
    if (r == 0 && any)
        r = unwrap_all(pull, pull->keys.ring, err);
    sl_key_access_done(&pull->keys);
    return r;
}
