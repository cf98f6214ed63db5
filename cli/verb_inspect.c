/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "sluice/manifest.h"

#include <stdio.h>

int cli_inspect(const struct cli_options *o, const char *image, struct sluice_documents **ret,
                struct sl_error *err)
{
    SL_AUTO(sluice) s = NULL;
    struct sluice_error why = {0};
    const struct sluice_options options =
        SLUICE_OPTIONS(sluice_options, .parts = SLUICE_NO_STORE, .threads = 1,
                       .registry = &o->registry, .broker = &o->keys);
    int r = sluice_open(&options, &s, &why);
    if (r == 0)
        r = sluice_inspect(
            s, &SLUICE_OPTIONS(sluice_inspect_options, .image = image, .platform = o->platform),
            ret, &why);
    return sl_error_from_api(r, &why, err);
}

int cli_parse_manifest(const struct sluice_documents *image, struct sl_manifest **ret,
                       struct sl_error *err)
{
    const struct sl_span json = {(const uint8_t *)image->manifest, image->manifest_size};
    return sl_manifest_parse(json, /* media_type= */ NULL, ret, err);
}

static int print_raw(const char *json, size_t size, struct sl_error *err)
{
    if (fwrite(json, 1, size, stdout) != size || fflush(stdout) != 0)
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
static int print_summary(const struct sluice_documents *image, const struct sl_manifest *manifest,
                         const struct sl_image_config *config, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ true);
    sl_json_put_string(w, "Name", image->name);
    sl_json_put_string(w, "Digest", image->manifest_digest);
    if (image->index_digest)
        sl_json_put_string(w, "IndexDigest", image->index_digest);
    sl_json_put_digest(w, "ConfigDigest", &manifest->config.digest);
    put_config(w, config);
    sl_json_open_array(w, "LayersData");
    for (size_t i = 0; i < manifest->n_layers; i++)
        put_layer(w, &manifest->layers[i]);
    sl_json_close_array(w);
    sl_json_put_digests(w, "DiffIDs", config->diff_ids, config->n_diff_ids);
    return cli_print_json(w, err);
}

static int parse_and_print(const struct sluice_documents *image, struct sl_error *err)
{
    const struct sl_span json = {(const uint8_t *)image->config, image->config_size};
    SL_AUTO(sl_manifest) manifest = NULL;
    SL_AUTO(sl_image_config) config = NULL;
    int r = cli_parse_manifest(image, &manifest, err);
    if (r == 0)
        r = sl_image_config_parse(json, &config, err);
    return r == 0 ? print_summary(image, manifest, config, err) : r;
}

int verb_inspect(const struct cli_options *o, struct sl_error *err)
{
    SL_AUTO(sluice_documents) image = NULL;
    int r = cli_inspect(o, o->args[0], &image, err);
    if (r != 0)
        return r;
    if (o->raw)
        return print_raw(image->manifest, image->manifest_size, err);
    if (o->config)
        return print_raw(image->config, image->config_size, err);
    return parse_and_print(image, err);
}
