/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The story of a pull, top to bottom: policy, name, manifest, judgement, keys, layers, commit,
 * mount. Signatures are looked for and judged beside config and layers; nothing is published, and
 * no key asked for, before the verdict.
 */
#include "pull.h"
#include "verdict_record.h"

#include "sluice/core/limits.h"
#include "sluice/core/log.h"
#include "sluice/core/secret.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

/* ---- the parts ---- */

/* All that the operator says is read before anybody is asked for anything. */
static int open_policies(struct pull *pull, struct sl_error *err)
{
    const struct sl_pull_options *o = pull->options;
    int r = sl_visit_open_source(&pull->visit, o->image, &pull->source, err);
    if (r == 0)
        sl_known_image_offer(&pull->known, pull->engine->store, pull->source);
    if (r == 0)
        r = sl_key_access_open(&o->keys, pull->visit.cancel_fd, &pull->keys, err);
    return r < 0 ? r
                 : sl_image_policy_open(&o->policy, pull->keys.kbc,
                                        sl_image_source_name(pull->source), &pull->policy, err);
}

static int find_manifest(struct pull *pull, struct sl_error *err)
{
    int r = sl_image_source_find(pull->source, &pull->options->platform, &pull->image, err);
    if (r < 0)
        return r;
    sl_known_image_look_up(&pull->known, &pull->image->manifest_digest);
    pull->name = strdup(sl_image_source_name(pull->source));
    if (!pull->name)
        return sl_error_oom(err);
    pull->report.name = pull->name;
    pull->report.manifest = pull->image->manifest_digest;
    pull->report.config = pull->image->manifest->config.digest;
    return 0;
}

/* Somebody may wait for the name only. */
static int tell_resolved(struct pull *pull, struct sl_error *err)
{
    const struct sl_pull_options *o = pull->options;
    if (o->resolved && o->resolved(o->progress_arg, pull->name, &pull->report.manifest) != 0)
        return sl_cancel_error(err);
    return 0;
}

static int fetch_config(struct pull *pull, struct sl_error *err)
{
    int r = sl_image_source_fetch_config(pull->source, pull->image, err);
    sl_known_image_done(&pull->known);
    return r;
}

static int describe_layers(struct pull *pull, struct sl_error *err)
{
    const struct sl_manifest *m = pull->image->manifest;
    const struct sl_image_config *c = pull->image->config;
    if (m->n_layers != c->n_diff_ids)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "manifest has %zu layers, its config %zu diff_ids", m->n_layers,
                            c->n_diff_ids);
    /* One more than needed: an image may have no layers, and calloc(0) may be NULL. */
    pull->layers = calloc(m->n_layers + 1, sizeof(*pull->layers));
    pull->layer_reports = calloc(m->n_layers + 1, sizeof(*pull->layer_reports));
    if (!pull->layers || !pull->layer_reports)
        return sl_error_oom(err);
    for (size_t i = 0; i < m->n_layers; i++) {
        pull->layers[i] = (struct layer){.pull = pull,
                                         .index = i,
                                         .blob = &m->layers[i],
                                         .diff_id = &c->diff_ids[i],
                                         .lock_fd = -1,
                                         .wait = {&pull->lock_watch_fd, -1},
                                         .hold_fd = -1,
                                         .report = &pull->layer_reports[i]};
        pull->layer_reports[i] = (struct sl_layer_report){
            .blob = m->layers[i].digest, .diff_id = c->diff_ids[i], .size = m->layers[i].size};
    }
    pull->n_layers = pull->report.n_layers = m->n_layers;
    pull->report.layers = pull->layer_reports;
    return 0;
}

/* Before any layer starts, for those who want that. */
static int await_verdict(struct pull *pull, struct sl_error *err)
{
    return pull->options->verify_first ? sl_pull_await_verdict(pull, err) : 0;
}

static int make_record(struct pull *pull, struct sl_image_record **ret, struct sl_error *err)
{
    SL_AUTO(sl_image_record) rec = calloc(1, sizeof(*rec));
    if (!rec)
        return sl_error_oom(err);
    rec->name = strdup(pull->report.name);
    rec->diff_ids = calloc(pull->n_layers + 1, sizeof(*rec->diff_ids));
    if (!rec->name || !rec->diff_ids)
        return sl_error_oom(err);
    rec->manifest = pull->report.manifest;
    rec->config = pull->report.config;
    rec->n_layers = pull->n_layers;
    rec->pulled = time(NULL);
    for (size_t i = 0; i < pull->n_layers; i++) {
        rec->diff_ids[i] = *pull->layers[i].diff_id;
        rec->size += pull->layers[i].blob->size;
        rec->encrypted |= pull->layers[i].report->encrypted;
    }
    int r = sl_bytes_append(&rec->config_json, sl_bytes_span(&pull->image->config_json),
                            SL_CONFIG_MAX, err);
    if (r == 0)
        r = sl_bytes_append(&rec->manifest_json, sl_bytes_span(&pull->image->manifest_json),
                            SL_MANIFEST_MAX, err);
    if (r == 0)
        r = sl_verdict_record_format(pull->verdict, &rec->verdict_json, err);
    if (r < 0)
        return r;
    *ret = sl_steal(&rec);
    return 0;
}

static int commit_and_mount(struct pull *pull, struct sl_error *err)
{
    SL_AUTO(sl_image_record) record = NULL;
    int r = make_record(pull, &record, err);
    if (r < 0)
        return r;
    if (sl_visit_is_cancelled(&pull->visit))
        return sl_cancel_error(err);
    r = sl_gate_commit_image(pull->gate, record, err);
    if (r < 0 || !pull->options->bundle)
        return r;
    r = sl_bundle_mount(pull->engine->store, record, pull->options->bundle, err);
    return r < 0 ? r : 0;
}

/* ---- the story ---- */

static const struct {
    const char *name; /* in a trace */
    int (*part)(struct pull *pull, struct sl_error *err);
} story[] = {
    {"policies", open_policies},      {"manifest", find_manifest},
    {"tell the name", tell_resolved}, {"begin the judgement", sl_pull_judge},
    {"config", fetch_config},         {"layers of the image", describe_layers},
    {"keys", sl_pull_keys},           {"verdict", await_verdict},
    {"layers", sl_pull_layers},       {"commit and mount", commit_and_mount},
};

static int pull_image(struct pull *pull, struct sl_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(story) / sizeof(story[0]); i++) {
        uint64_t began = sl_trace_begin(pull->trace);
        r = story[i].part(pull, err);
        sl_trace_end(pull->trace, story[i].name, /* layer= */ 0, began);
    }
    return r;
}

/* An empty one is written at once: what cannot be written is said before anything is pulled. */
static int trace_open(struct pull *pull, struct sl_error *err)
{
    const char *path = pull->options->trace;
    int r = path ? sl_trace_new(&pull->trace, err) : 0;
    if (r == 0 && path)
        r = sl_trace_write(pull->trace, path, err);
    return r < 0 ? sl_error_wrap(err, r, "trace") : 0;
}

/* What the pull has come to does not change any more. */
static void trace_close(struct pull *pull)
{
    struct sl_error err;
    if (pull->trace && sl_trace_write(pull->trace, pull->options->trace, &err) < 0)
        sl_log(SL_LOG_WARN, "trace: %s", err.msg);
    pull->trace = sl_trace_free(pull->trace);
}

static int pull_open(struct pull *pull, struct sl_error *err)
{
    pthread_mutex_init(&pull->lock, NULL);
    pull->started_ns = sl_clock_ns();
    pull->event_fd = eventfd(0, EFD_CLOEXEC);
    if (pull->event_fd < 0)
        return sl_error_system(err, errno, "eventfd");
    sl_memory_join(pull->engine->memory, &pull->memory, pull->event_fd);
    return sl_visit_open(pull->engine, pull->options->cancel_fd, &pull->visit, err);
}

static void layer_done(struct layer *l)
{
    l->key = sl_secret_release(l->key);
    l->annotations = sl_enc_annotations_free(l->annotations);
    l->committed = sl_staged_layer_free(l->committed);
    sl_cleanup_fdp(&l->wait.fd);
    sl_cleanup_fdp(&l->hold_fd);
}

/* A pull that failed leaves no layers behind, also not those that had passed; except where the
 * network failed, or time, or patience: the next try can go on from them. */
static void drop_committed(struct pull *pull)
{
    SL_AUTO_FREE struct sl_digest *diff_ids = calloc(pull->n_layers + 1, sizeof(*diff_ids));
    struct sl_error err;
    size_t n = 0;
    for (size_t i = 0; i < pull->n_layers && diff_ids; i++) {
        struct layer *l = &pull->layers[i];
        if (l->committed)
            diff_ids[n++] = *l->diff_id;
        l->committed = sl_staged_layer_free(l->committed);
    }
    if (n && sl_store_drop_layers(pull->engine->store, diff_ids, n, &err) < 0)
        sl_log(SL_LOG_WARN, "layers of the failed pull stay until the next gc: %s", err.msg);
}

static int pull_or_drop(struct pull *pull, struct sl_error *err)
{
    struct sl_error why = {0};
    int r = pull_image(pull, &why);
    if (r == 0)
        return 0;
    /* Signatures that are still looked for do not matter any more. */
    if (pull->source)
        sl_image_source_cancel(pull->source);
    if (!sl_pull_keeps_layers(why.code))
        drop_committed(pull);
    if (err)
        *err = why;
    return r;
}

static void pull_close(struct pull *pull)
{
    sl_layer_commits_done(pull);
    for (size_t i = 0; i < pull->n_layers; i++)
        layer_done(&pull->layers[i]);
    free(pull->layers);
    free(pull->layer_reports);
    /* It uses the source and the image until it is over. */
    (void)sl_judgement_free(pull->judgement);
    (void)sl_gate_close(pull->gate);
    (void)sl_policy_verdict_free(pull->verdict);
    sl_image_policy_done(&pull->policy);
    sl_key_access_done(&pull->keys);
    (void)sl_encryption_policy_free(pull->encryption_policy);
    (void)sl_resolved_image_free(pull->image);
    (void)sl_visit_close_source(&pull->visit, pull->source);
    sl_known_image_done(&pull->known);
    sl_visit_close(&pull->visit);
    free(pull->name);
    sl_memory_leave(&pull->memory);
    sl_cleanup_fdp(&pull->lock_watch_fd);
    /* Whoever announced the last layer holds the lock while it uses the descriptor. */
    pthread_mutex_lock(&pull->lock);
    sl_cleanup_fdp(&pull->event_fd);
    pthread_mutex_unlock(&pull->lock);
    pthread_mutex_destroy(&pull->lock);
}

/* ---- the report ---- */

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static size_t report_texts_size(const struct sl_pull_report *report)
{
    size_t size = text_size(report->name);
    for (size_t i = 0; i < report->n_layers; i++) {
        const struct sl_layer_report *l = &report->layers[i];
        size += text_size(l->provider) + text_size(l->kid) + text_size(l->wrap_type);
    }
    return size;
}

/* Copies to *place, moves it behind the copy, and gives the copy. */
static const char *place_text(char **place, const char *text)
{
    size_t size = text_size(text);
    if (!text)
        return NULL;
    const char *copy = memcpy(*place, text, size);
    *place += size;
    return copy;
}

/* The caller's copy: one allocation with the layers behind it and all texts behind them. */
static int copy_report(const struct pull *pull, struct sl_pull_report **ret, struct sl_error *err)
{
    const struct sl_pull_report *from = &pull->report;
    size_t layers_size = from->n_layers * sizeof(*from->layers);
    struct sl_pull_report *to = malloc(sizeof(*to) + layers_size + report_texts_size(from));
    if (!to)
        return sl_error_oom(err);
    *to = *from;
    struct sl_layer_report *layers = (struct sl_layer_report *)(to + 1);
    char *place = (char *)layers + layers_size;
    memcpy(layers, from->layers, layers_size);
    for (size_t i = 0; i < from->n_layers; i++) {
        layers[i].provider = place_text(&place, layers[i].provider);
        layers[i].kid = place_text(&place, layers[i].kid);
        layers[i].wrap_type = place_text(&place, layers[i].wrap_type);
    }
    to->layers = layers;
    to->name = place_text(&place, from->name);
    to->peak_buffers_bytes = sl_buf_pool_peak(pull->engine->buffers) * SL_BUF_SIZE;
    *ret = to;
    return 0;
}

struct sl_pull_report *sl_pull_report_free(struct sl_pull_report *report)
{
    free(report);
    return NULL;
}

int sl_pull_image(struct sl_engine *engine, const struct sl_pull_options *options,
                  struct sl_pull_report **ret, struct sl_error *err)
{
    struct pull pull = {.engine = engine, .options = options, .event_fd = -1, .lock_watch_fd = -1};
    if (!engine->store)
        return sl_error_set(err, SL_E_SYSTEM, EINVAL, "cannot pull: there is no store");
    int r = trace_open(&pull, err);
    if (r < 0) {
        (void)sl_trace_free(pull.trace);
        return r;
    }
    r = pull_open(&pull, err);
    if (r == 0)
        r = pull_or_drop(&pull, err);
    if (r == 0)
        sl_pull_progress(&pull, /* now= */ true);
    if (r == 0 && ret)
        r = copy_report(&pull, ret, err);
    uint64_t began = sl_trace_begin(pull.trace);
    pull_close(&pull);
    sl_trace_end(pull.trace, "close", /* layer= */ 0, began);
    trace_close(&pull);
    return r;
}
