/* SPDX-License-Identifier: Apache-2.0 */
#include "limit_parts.h"

#include "sluice/core/reference.h"
#include "sluice/core/secret.h"
#include "sluice/key_access.h"

#include <stdlib.h>
#include <string.h>

enum { POOL_BUFFERS = 32 };

static int resolve(struct limit_image *image, const char *text, struct sl_error *err)
{
    int r = sl_image_source_open(image->registry, text, &image->source, err);
    if (r == 0)
        r = sl_image_source_resolve(image->source, &(struct sl_platform){0}, &image->resolved, err);
    if (r < 0)
        return r;
    image->name = strdup(sl_image_source_name(image->source));
    return image->name ? 0 : sl_error_oom(err);
}

static int describe_layers(struct limit_image *image, struct sl_error *err)
{
    const struct sl_manifest *m = image->resolved->manifest;
    const struct sl_image_config *c = image->resolved->config;
    if (m->n_layers != c->n_diff_ids || m->n_layers == 0)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "%s: the manifest has %zu layers, its config %zu diff_ids: nothing to "
                            "measure",
                            image->name, m->n_layers, c->n_diff_ids);
    image->layers = calloc(m->n_layers, sizeof(*image->layers));
    if (!image->layers)
        return sl_error_oom(err);
    image->n_layers = m->n_layers;
    for (size_t i = 0; i < m->n_layers; i++) {
        image->layers[i].blob = &m->layers[i];
        image->layers[i].diff_id = &c->diff_ids[i];
    }
    return 0;
}

static int open_key(struct limit_layer *l, const struct sl_key_ring *ring, struct sl_error *err)
{
    struct sl_layer_media media;
    int r = sl_layer_media_parse(l->blob->media_type, &media, err);
    if (r < 0 || !media.encrypted)
        return r;
    r = sl_enc_annotations_parse(l->blob->annotations, l->blob->n_annotations, &l->annotations,
                                 err);
    if (r < 0)
        return r;
    l->key = sl_secret_alloc(sizeof(*l->key));
    if (!l->key)
        return sl_error_oom(err);
    return sl_key_ring_unwrap(ring, l->annotations, l->key, /* how= */ NULL, err);
}

static int open_keys(struct limit_image *image, const struct limit_options *o, struct sl_error *err)
{
    SL_AUTO_DONE(sl_key_access) access = {0};
    const struct sl_key_options keys = {.decryption_keys = o->decryption_keys};
    int r = sl_key_access_open(&keys, /* cancel_fd= */ -1, &access, err);
    for (size_t i = 0; i < image->n_layers && r >= 0; i++) {
        r = open_key(&image->layers[i], access.ring, err);
        if (r < 0)
            (void)sl_error_wrap(err, r, "layer %zu/%zu", i + 1, image->n_layers);
    }
    return r < 0 ? r : 0;
}

static void find_server(struct limit_image *image, pid_t given)
{
    SL_AUTO(sl_reference) ref = NULL;
    image->server = given;
    if (!given && sl_reference_parse(image->name, &ref, NULL) == 0)
        image->server = limit_find_listener(ref->host);
}

int limit_image_open(const struct limit_options *o, struct limit_image *image, struct sl_error *err)
{
    const struct sl_registry_options registry = {.insecure = o->insecure};
    *image = (struct limit_image){.insecure = o->insecure};
    int r = sl_registry_open(&registry, /* broker= */ NULL, &image->registry, err);
    if (r == 0)
        r = resolve(image, o->image, err);
    if (r == 0)
        r = describe_layers(image, err);
    if (r == 0)
        r = open_keys(image, o, err);
    if (r == 0)
        r = sl_buf_pool_new((size_t)POOL_BUFFERS * SL_BUF_SIZE, &image->buffers, err);
    if (r == 0)
        r = sl_worker_pool_new(1, &image->worker, err);
    if (r == 0)
        find_server(image, o->server);
    return r;
}

void limit_image_done(struct limit_image *image)
{
    for (size_t i = 0; i < image->n_layers; i++) {
        image->layers[i].annotations = sl_enc_annotations_free(image->layers[i].annotations);
        image->layers[i].key = sl_secret_release(image->layers[i].key);
    }
    free(image->layers);
    (void)sl_resolved_image_free(image->resolved);
    (void)sl_image_source_close(image->source);
    (void)sl_registry_free(image->registry);
    (void)sl_worker_pool_free(image->worker);
    (void)sl_buf_pool_free(image->buffers);
    free(image->name);
    *image = (struct limit_image){0};
}
