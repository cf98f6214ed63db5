/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is to be done with each layer of each image, decided before anything moves; and the keys
 * for it. Layers that are the same blob and get the same are one.
 */
#include "conversion.h"

#include "sluice/core/secret.h"

#include <stdlib.h>
#include <string.h>

enum { BLOBS_MAX = 4096 }; /* different layers of all images */

/* ---- one layer ---- */

static const struct sl_key_options *keys_of(const struct conversion *c)
{
    return &c->options->keys;
}

bool sl_convert_is_encrypted(const struct sl_descriptor *layer)
{
    struct sl_layer_media media;
    bool known = sl_layer_media_parse(layer->media_type, &media, /* err= */ NULL) == 0;
    return known && media.encrypted;
}

/* Whether the caller named anybody who could open a layer. */
static bool has_decryption_keys(const struct conversion *c)
{
    const struct sl_key_options *k = keys_of(c);
    return (k->decryption_keys && k->decryption_keys[0]) || k->kbc || k->pgp_home ||
           sl_providers_at(c->keys.providers, 0);
}

static int plan_encryption(const struct conversion *c, const struct sl_descriptor *blob,
                           enum sl_convert_action *ret, struct sl_error *err)
{
    struct sl_layer_media media;
    int r = sl_layer_media_parse(blob->media_type, &media, err);
    if (r < 0)
        return sl_error_wrap(err, r, "cannot be encrypted");
    if (!media.encrypted) {
        *ret = SL_LAYER_ENCRYPTED;
        return 0;
    }
    *ret = SL_LAYER_RECIPIENTS_ADDED;
    if (has_decryption_keys(c))
        return 0;
    return sl_error_set(err, SL_E_AUTH, EACCES,
                        "is encrypted already: to add recipients, name a key that opens it with "
                        "--decryption-key");
}

/* Annotations of encryption belong to encrypted media types and to no others. */
static int check_annotations(const struct sl_descriptor *blob, struct sl_error *err)
{
    if (sl_convert_is_encrypted(blob) ||
        !sl_enc_annotations_present(blob->annotations, blob->n_annotations))
        return 0;
    return sl_error_set(err, SL_E_FORMAT, EINVAL,
                        "has encryption annotations, but its media type '%.100s' is not encrypted",
                        blob->media_type);
}

static int plan_layer(const struct conversion *c, const struct sl_descriptor *blob, bool selected,
                      enum sl_convert_action *ret, struct sl_error *err)
{
    *ret = !c->encrypts && sl_convert_is_encrypted(blob) ? SL_LAYER_DECRYPTED : SL_LAYER_COPIED;
    int r = check_annotations(blob, err);
    return r == 0 && c->encrypts && selected ? plan_encryption(c, blob, ret, err) : r;
}

/* ---- layers that are one ---- */

static bool has_same_annotations(const struct sl_descriptor *a, const struct sl_descriptor *b)
{
    if (a->n_annotations != b->n_annotations)
        return false;
    for (size_t i = 0; i < a->n_annotations; i++) {
        const char *other = sl_descriptor_annotation(b, a->annotations[i].name);
        if (!other || strcmp(other, a->annotations[i].value) != 0)
            return false;
    }
    return true;
}

/* What an encrypted layer becomes depends on its annotations; a plain one's are only carried. If
 * two configs promise different things of one blob, each is held to its word. */
static bool is_same(const struct convert_layer *l, const struct convert_layer *what)
{
    enum sl_convert_action action = what->report.action;
    bool by_annotations = action == SL_LAYER_DECRYPTED || action == SL_LAYER_RECIPIENTS_ADDED;
    return l->report.action == action &&
           sl_digest_is_equal(&l->blob->digest, &what->blob->digest) &&
           l->blob->size == what->blob->size &&
           (!by_annotations || has_same_annotations(l->blob, what->blob)) &&
           (!what->diff_id || sl_digest_is_equal(l->diff_id, what->diff_id));
}

static struct convert_layer *find_layer(const struct conversion *c,
                                        const struct convert_layer *what)
{
    for (size_t i = 0; i < c->n_layers; i++)
        if (is_same(c->layers[i], what))
            return c->layers[i];
    return NULL;
}

static int add_layer(struct conversion *c, const struct convert_layer *what,
                     struct convert_layer **ret, struct sl_error *err)
{
    if (c->n_layers == BLOBS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d different layers", BLOBS_MAX);
    struct convert_layer **longer =
        realloc(c->layers, (c->n_layers + 1) * sizeof(struct convert_layer *));
    if (!longer)
        return sl_error_oom(err);
    c->layers = longer;
    struct convert_layer *l = calloc(1, sizeof(*l));
    if (!l)
        return sl_error_oom(err);
    *l = *what;
    *ret = c->layers[c->n_layers++] = l;
    return 0;
}

int sl_convert_layer_error(const struct convert_layer *l, int r, struct sl_error *err)
{
    char hex[2 * SL_DIGEST_MAX + 1];
    sl_digest_hex(&l->blob->digest, hex);
    return sl_error_wrap(err, r, "layer %zu/%zu %s:%.12s", l->number, l->of,
                         sl_digest_alg_name(l->blob->digest.alg), hex);
}

/* ---- an image ---- */

static int select_layers(const struct conversion *c, size_t n, bool *selected, struct sl_error *err)
{
    const struct sl_convert_options *o = c->options;
    for (size_t i = 0; !o->layers && i < n; i++)
        selected[i] = true;
    if (o->layers && o->n_layers && n == 0)
        return sl_error_set(err, SL_E_SYSTEM, EINVAL, "--encrypt-layer %d: the image has no layers",
                            o->layers[0]);
    for (size_t i = 0; o->layers && i < o->n_layers; i++) {
        long long at = o->layers[i] < 0 ? (long long)n + o->layers[i] : o->layers[i];
        if (at < 0 || at >= (long long)n)
            return sl_error_set(err, SL_E_SYSTEM, EINVAL,
                                "--encrypt-layer %d: the image has %zu layers, 0 to %lld",
                                o->layers[i], n, (long long)n - 1);
        selected[at] = true;
    }
    return 0;
}

static int plan_one(struct conversion *c, const struct convert_document *doc, size_t i,
                    bool selected, struct sl_error *err)
{
    const struct sl_descriptor *blob = &doc->manifest->layers[i];
    struct convert_layer what = {
        .conversion = c,
        .number = i + 1,
        .of = doc->manifest->n_layers,
        .blob = blob,
        .report = {.from = blob->digest, .to = blob->digest, .size = blob->size}};
    int r = plan_layer(c, blob, selected, &what.report.action, err);
    if (r < 0)
        return sl_convert_layer_error(&what, r, err);
    if (what.report.action == SL_LAYER_DECRYPTED)
        what.diff_id = &doc->diff_ids[i];
    doc->layers[i] = find_layer(c, &what);
    return doc->layers[i] ? 0 : add_layer(c, &what, &doc->layers[i], err);
}

static int plan_image(struct conversion *c, struct convert_document *doc, struct sl_error *err)
{
    size_t n = doc->manifest->n_layers;
    SL_AUTO_FREE bool *selected = calloc(n + 1, sizeof(*selected));
    if (!selected)
        return sl_error_oom(err);
    int r = select_layers(c, n, selected, err);
    for (size_t i = 0; r >= 0 && i < n; i++)
        r = plan_one(c, doc, i, selected[i], err);
    return r;
}

int sl_convert_plan(struct conversion *c, struct sl_error *err)
{
    for (size_t i = 0; i < c->n_documents; i++) {
        if (c->documents[i]->from.is_index)
            continue;
        int r = plan_image(c, c->documents[i], err);
        if (r < 0)
            return r;
    }
    c->layer_reports = calloc(c->n_layers + 1, sizeof(*c->layer_reports));
    if (!c->layer_reports)
        return sl_error_oom(err);
    c->report.layers = c->layer_reports;
    c->report.n_layers = c->n_layers;
    c->report.n_images = c->n_manifests;
    c->report.n_dropped = c->n_dropped;
    return 0;
}

/* ---- keys ---- */

struct opening {
    struct sl_task task;
    struct convert_layer *layer;
    int result;
    struct sl_error error;
};

static int unwrap_key(struct convert_layer *l, struct sl_error *err)
{
    l->key = sl_secret_alloc(sizeof(*l->key));
    if (!l->key)
        return sl_error_oom(err);
    return sl_key_ring_unwrap(l->conversion->keys.ring, l->encryption, l->key, /* how= */ NULL,
                              err);
}

/* The private options are wrapped again as they are: other bytes would be another key. */
static int add_recipients(struct convert_layer *l, struct sl_error *err)
{
    struct sl_bytes plbco = {0};
    int r = sl_key_ring_unwrap_plbco(l->conversion->keys.ring, l->encryption, &plbco,
                                     /* how= */ NULL, err);
    if (r >= 0)
        r = sl_recipients_append(l->conversion->recipients, sl_bytes_span(&plbco),
                                 l->blob->annotations, l->blob->n_annotations, &l->annotations,
                                 err);
    sl_bytes_wipe(&plbco);
    return r;
}

static void open_layer(struct sl_task *task)
{
    struct opening *o = (struct opening *)task;
    bool decrypts = o->layer->report.action == SL_LAYER_DECRYPTED;
    o->result = decrypts ? unwrap_key(o->layer, &o->error) : add_recipients(o->layer, &o->error);
}

static bool needs_opening(const struct convert_layer *l)
{
    return l->report.action == SL_LAYER_DECRYPTED || l->report.action == SL_LAYER_RECIPIENTS_ADDED;
}

static int read_encryption(struct conversion *c, struct sl_error *err)
{
    for (size_t i = 0; i < c->n_layers; i++) {
        struct convert_layer *l = c->layers[i];
        if (!needs_opening(l))
            continue;
        int r = sl_enc_annotations_parse(l->blob->annotations, l->blob->n_annotations,
                                         &l->encryption, err);
        if (r < 0)
            return sl_convert_layer_error(l, r, err);
    }
    return 0;
}

int sl_convert_open_keys(struct conversion *c, struct sl_error *err)
{
    int r = read_encryption(c, err);
    if (r < 0)
        return r;
    struct opening *jobs = calloc(c->n_layers + 1, sizeof(*jobs));
    if (!jobs)
        return sl_error_oom(err);
    for (size_t i = 0; i < c->n_layers; i++) {
        jobs[i].layer = c->layers[i];
        sl_task_init(&jobs[i].task, c->engine->workers, open_layer);
        if (needs_opening(c->layers[i]))
            sl_task_wake(&jobs[i].task);
    }
    /* The first failure in the order of layers, so that the same image gives the same message. */
    for (size_t i = 0; i < c->n_layers; i++) {
        sl_task_wait_idle(&jobs[i].task);
        if (r == 0 && jobs[i].result < 0) {
            if (err)
                *err = jobs[i].error;
            r = sl_convert_layer_error(jobs[i].layer, jobs[i].result, err);
        }
    }
    free(jobs);
    return r;
}
