/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <stdio.h>

static int print_raw(const struct sl_bytes *json, struct sl_error *err)
{
    if (fwrite(json->data, 1, json->len, stdout) != json->len || fflush(stdout) != 0)
        return sl_error_system(err, errno, "standard output");
    return 0;
}

static void put_layer(struct sl_json_writer *w, const struct sl_descriptor *layer)
{
    struct sl_layer_media media = {0};
    bool known = sl_layer_media_parse(layer->media_type, &media, /* err= */ NULL) == 0;
    sl_json_open_object(w, NULL);
    sl_json_put_string(w, "MIMEType", layer->media_type);
    sl_json_put_digest(w, "Digest", &layer->digest);
    sl_json_put_int(w, "Size", (int64_t)layer->size);
    sl_json_put_bool(w, "Encrypted", known && media.encrypted);
    sl_json_open_object(w, "Annotations");
    for (size_t i = 0; i < layer->n_annotations; i++)
        sl_json_put_string(w, layer->annotations[i].name, layer->annotations[i].value);
    sl_json_close_object(w);
    sl_json_close_object(w);
}

static void put_config(struct sl_json_writer *w, const struct sl_image_config *c)
{
    const struct {
        const char *name, *value;
    } words[] = {{"Created", c->created}, {"Architecture", c->architecture},
                 {"Variant", c->variant}, {"Os", c->os},
                 {"User", c->user},       {"WorkingDir", c->working_dir}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (words[i].value)
            sl_json_put_string(w, words[i].name, words[i].value);
    sl_json_put_strings(w, "Env", c->env);
    sl_json_put_strings(w, "Entrypoint", c->entrypoint);
    sl_json_put_strings(w, "Cmd", c->cmd);
    sl_json_open_object(w, "Labels");
    for (size_t i = 0; i < c->n_labels; i++)
        sl_json_put_string(w, c->labels[i].name, c->labels[i].value);
    sl_json_close_object(w);
}

/* Members are named as skopeo inspect names them. */
static int print_summary(const char *name, const struct sl_resolved_image *image,
                         struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ true);
    sl_json_put_string(w, "Name", name);
    sl_json_put_digest(w, "Digest", &image->manifest_digest);
    if (image->has_index_digest)
        sl_json_put_digest(w, "IndexDigest", &image->index_digest);
    sl_json_put_digest(w, "ConfigDigest", &image->manifest->config.digest);
    put_config(w, image->config);
    sl_json_open_array(w, "LayersData");
    for (size_t i = 0; i < image->manifest->n_layers; i++)
        put_layer(w, &image->manifest->layers[i]);
    sl_json_close_array(w);
    sl_json_put_digests(w, "DiffIDs", image->config->diff_ids, image->config->n_diff_ids);
    return cli_print_json(w, err);
}

static int inspect(const struct cli_options *o, struct sl_registry *registry, struct sl_error *err)
{
    SL_AUTO(sl_image_source) source = NULL;
    SL_AUTO(sl_resolved_image) image = NULL;
    int r = sl_image_source_open(registry, o->args[0], &source, err);
    if (r < 0)
        return r;
    r = sl_image_source_resolve(source, &o->platform, &image, err);
    if (r < 0)
        return r;
    if (o->raw)
        return print_raw(&image->manifest_json, err);
    if (o->config)
        return print_raw(&image->config_json, err);
    return print_summary(sl_image_source_name(source), image, err);
}

int verb_inspect(const struct cli_options *o, struct sl_error *err)
{
    SL_AUTO(sl_registry) registry = NULL;
    int r = sl_registry_open(&o->registry, &o->keys, &registry, err);
    return r < 0 ? r : inspect(o, registry, err);
}
