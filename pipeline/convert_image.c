/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The story of a conversion, top to bottom: documents in, plan, keys, layers, documents out. The
 * name at the destination is the last thing that is written.
 */
#include "conversion.h"

#include "sluice/core/limits.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

/* ---- the parts ---- */

/* The registry engine for the destination: the common one unless it was given other options. */
static int open_own_registry(struct conversion *c, struct sl_error *err)
{
    if (!c->options->destination_registry)
        return 0;
    SL_AUTO(sl_registry) registry = NULL;
    int r = sl_registry_open(c->options->destination_registry, &c->options->keys, &registry, err);
    return r < 0 ? r : sl_engine_adopt(c->engine, &registry, &c->own_registry, err);
}

static int open_places(struct conversion *c, struct sl_error *err)
{
    int r = sl_visit_open_source(&c->visit, c->options->source, &c->source, err);
    if (r >= 0)
        r = open_own_registry(c, err);
    if (r < 0)
        return r;
    struct sl_registry *registry = c->own_registry ? c->own_registry->registry : c->visit.registry;
    return sl_visit_open_sink(&c->visit, registry, c->options->destination, &c->sink, err);
}

static void set_up_recipients(struct conversion *c)
{
    struct sl_recipients *r = c->recipients;
    sl_recipients_set_provider(r, sl_providers_wrap, sl_providers_has, c->keys.providers);
    if (c->keys.kbc)
        sl_recipients_set_kek_lookup(r, sl_kbc_lookup_kek, c->keys.kbc);
    sl_recipients_allow_sample(r, c->options->keys.unsafe_sample_key);
    sl_recipients_allow_a256ctr(r, c->options->allow_a256ctr);
}

static int open_recipients(struct conversion *c, struct sl_error *err)
{
    const char *const *spec = c->options->encryption_keys;
    int r = sl_recipients_new(&c->recipients, err);
    if (r < 0)
        return r;
    set_up_recipients(c);
    if (c->options->recipient_pgp_home)
        r = sl_recipients_set_pgp_home(c->recipients, c->options->recipient_pgp_home, err);
    for (; r >= 0 && spec && *spec; spec++)
        r = sl_recipients_add_spec(c->recipients, *spec, err);
    if (r >= 0 && sl_recipients_count(c->recipients) == 0)
        r = sl_error_set(err, SL_E_SYSTEM, EINVAL, "nobody to encrypt for: give --encryption-key");
    return r;
}

/* Wrong options are told before anybody is asked for anything. */
static int open_keys(struct conversion *c, struct sl_error *err)
{
    int r = sl_key_access_open(&c->options->keys, c->visit.cancel_fd, &c->keys, err);
    return r < 0 || !c->encrypts ? r : open_recipients(c, err);
}

/* ---- documents out ---- */

static bool changes_manifest(const struct conversion *c, const struct convert_document *doc)
{
    for (size_t i = 0; i < doc->manifest->n_layers; i++)
        if (doc->layers[i]->report.action != SL_LAYER_COPIED)
            return true;
    return c->encrypts;
}

static bool changes_index(const struct conversion *c, const struct convert_document *doc)
{
    for (size_t i = 0; i < doc->n_members; i++)
        if (!doc->members[i] || doc->members[i]->is_rewritten)
            return true;
    return c->encrypts;
}

static int keep_document(struct convert_document *doc, struct sl_error *err)
{
    doc->digest = doc->from.digest;
    doc->media_type = doc->from.media_type;
    return sl_bytes_append(&doc->bytes, sl_bytes_span(&doc->from.bytes), SL_MANIFEST_MAX, err);
}

static int write_document(struct conversion *c, struct convert_document *doc, struct sl_error *err)
{
    doc->is_rewritten = doc->from.is_index ? changes_index(c, doc) : changes_manifest(c, doc);
    int r = 0;
    if (!doc->is_rewritten)
        r = keep_document(doc, err);
    else if (doc->from.is_index)
        r = sl_convert_write_index(doc, /* to_oci= */ c->encrypts, err);
    else
        r = sl_convert_write_manifest(doc, /* to_oci= */ c->encrypts, err);
    if (r < 0 || doc->from.is_index)
        return r;
    return sl_convert_check_manifest(doc, c->options, c->encrypts, err);
}

static int copy_config(struct conversion *c, const struct sl_descriptor *config,
                       struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) bytes = {0};
    int r = sl_image_source_blob(c->source, config, SL_CONFIG_MAX, &bytes, err);
    if (r >= 0)
        r = sl_image_sink_put_blob(c->sink, sl_bytes_span(&bytes), &config->digest, err);
    return r < 0 ? sl_error_wrap(err, r, "config") : 0;
}

/* All are written and checked before the first is put. */
static int write_documents(struct conversion *c, struct sl_error *err)
{
    for (size_t i = 0; i < c->n_documents; i++) {
        int r = write_document(c, c->documents[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int copy_configs(struct conversion *c, struct sl_error *err)
{
    for (size_t i = 0; i < c->n_documents; i++) {
        const struct sl_manifest *manifest = c->documents[i]->manifest;
        int r = manifest ? copy_config(c, &manifest->config, err) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

/* What an index lists comes before it, and the one with the name last. */
static int put_documents(struct conversion *c, struct sl_error *err)
{
    for (size_t i = 0; i < c->n_documents; i++) {
        const struct convert_document *doc = c->documents[i];
        bool is_last = i + 1 == c->n_documents;
        if (sl_visit_is_cancelled(&c->visit))
            return sl_cancel_error(err);
        int r = sl_image_sink_put_manifest(c->sink, sl_bytes_span(&doc->bytes), doc->media_type,
                                           &doc->digest, /* named= */ is_last, err);
        if (r < 0)
            return r;
        c->report.digest = doc->digest;
    }
    return 0;
}

/* ---- the story ---- */

/* From here on neither name changes. */
static int plan(struct conversion *c, struct sl_error *err)
{
    c->report.source = sl_image_source_name(c->source);
    c->report.destination = sl_image_sink_name(c->sink);
    return sl_convert_plan(c, err);
}

static int convert(struct conversion *c, struct sl_error *err)
{
    int r = open_places(c, err);
    if (r >= 0)
        r = open_keys(c, err);
    if (r >= 0)
        r = sl_convert_fetch(c, err);
    if (r >= 0)
        r = plan(c, err);
    if (r >= 0)
        r = sl_convert_open_keys(c, err);
    if (r >= 0)
        r = sl_convert_layers(c, err);
    if (r >= 0)
        r = write_documents(c, err);
    if (r >= 0)
        r = copy_configs(c, err);
    return r < 0 ? r : put_documents(c, err);
}

static int conversion_open(struct conversion *c, struct sl_error *err)
{
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->upload_lock, NULL);
    c->started_ns = sl_clock_ns();
    c->event_fd = eventfd(0, EFD_CLOEXEC);
    if (c->event_fd < 0)
        return sl_error_system(err, errno, "eventfd");
    sl_memory_join(c->engine->memory, &c->memory, c->event_fd);
    return sl_visit_open(c->engine, c->options->cancel_fd, &c->visit, err);
}

static void conversion_close(struct conversion *c)
{
    for (size_t i = 0; i < c->n_layers; i++)
        (void)sl_convert_layer_free(c->layers[i]);
    for (size_t i = 0; i < c->n_documents; i++)
        (void)sl_convert_document_free(c->documents[i]);
    free(c->layers);
    free(c->documents);
    free(c->layer_reports);
    (void)sl_visit_close_sink(&c->visit, c->sink);
    (void)sl_visit_close_source(&c->visit, c->source);
    sl_engine_release(c->engine, c->own_registry);
    /* The recipients hold addresses of the keys. */
    (void)sl_recipients_free(c->recipients);
    sl_key_access_done(&c->keys);
    sl_visit_close(&c->visit);
    sl_memory_leave(&c->memory);
    /* Whoever announced the last layer holds the lock while it uses the descriptor. */
    pthread_mutex_lock(&c->lock);
    sl_cleanup_fdp(&c->event_fd);
    pthread_mutex_unlock(&c->lock);
    pthread_mutex_destroy(&c->lock);
    pthread_mutex_destroy(&c->upload_lock);
}

/* ---- the report ---- */

/* The caller's copy: one allocation with the layers behind it and both names behind them. */
static int copy_report(struct conversion *c, struct sl_convert_report **ret, struct sl_error *err)
{
    const char *source = c->report.source, *destination = c->report.destination;
    size_t layers_size = c->n_layers * sizeof(*c->layer_reports);
    size_t source_size = strlen(source) + 1, destination_size = strlen(destination) + 1;
    struct sl_convert_report *to =
        malloc(sizeof(*to) + layers_size + source_size + destination_size);
    if (!to)
        return sl_error_oom(err);
    *to = c->report;
    struct sl_convert_layer_report *layers = (struct sl_convert_layer_report *)(to + 1);
    char *names = (char *)layers + layers_size;
    to->layers = memcpy(layers, c->layer_reports, layers_size);
    to->source = memcpy(names, source, source_size);
    to->destination = memcpy(names + source_size, destination, destination_size);
    to->peak_buffers_bytes = sl_buf_pool_peak(c->engine->buffers) * SL_BUF_SIZE;
    *ret = to;
    return 0;
}

struct sl_convert_report *sl_convert_report_free(struct sl_convert_report *report)
{
    free(report);
    return NULL;
}

static int convert_image(struct conversion *c, struct sl_convert_report **ret, struct sl_error *err)
{
    int r = conversion_open(c, err);
    if (r == 0)
        r = convert(c, err);
    if (r == 0)
        sl_convert_progress(c, /* now= */ true);
    if (r == 0 && ret)
        r = copy_report(c, ret, err);
    conversion_close(c);
    return r;
}

int sl_encrypt_image(struct sl_engine *engine, const struct sl_convert_options *options,
                     struct sl_convert_report **ret, struct sl_error *err)
{
    struct conversion c = {.engine = engine, .options = options, .encrypts = true, .event_fd = -1};
    return convert_image(&c, ret, err);
}

int sl_decrypt_image(struct sl_engine *engine, const struct sl_convert_options *options,
                     struct sl_convert_report **ret, struct sl_error *err)
{
    struct conversion c = {.engine = engine, .options = options, .event_fd = -1};
    return convert_image(&c, ret, err);
}
