/* SPDX-License-Identifier: Apache-2.0 */
/* Image manifests: image-spec manifest.md and docker manifest v2 schema 2. */
#include "image_document.h"

#include "sluice/core/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const config_types[] = {
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
};

/* Signatures, charts, attestations and the like travel as manifests too; what the config is tells
 * an image from them. */
static int check_is_image(const struct sl_json *root, const struct sl_descriptor *config,
                          struct sl_error *err)
{
    for (size_t i = 0; i < sizeof(config_types) / sizeof(config_types[0]); i++)
        if (strcmp(config->media_type, config_types[i]) == 0)
            return 0;
    const char *artifact = sl_json_string(sl_json_get(root, "artifactType"));
    return sl_error_set(err, SL_E_UNSUPPORTED, EOPNOTSUPP,
                        "not a container image: its config is of type '%s'%s%.100s%s",
                        config->media_type, artifact ? " (artifact '" : "",
                        artifact ? artifact : "", artifact ? "')" : "");
}

static int parse_layers(const struct sl_json *layers, struct sl_manifest *m, struct sl_error *err)
{
    size_t n = sl_json_count(layers);
    if (sl_json_type(layers) != SL_JSON_ARRAY)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "'layers' is missing or not an array");
    if (n > SL_LAYERS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%zu layers, the limit is %d", n,
                            SL_LAYERS_MAX);
    m->layers = calloc(n ? n : 1, sizeof(*m->layers));
    if (!m->layers)
        return sl_error_oom(err);
    m->n_layers = n;
    for (size_t i = 0; i < n; i++) {
        char what[40];
        (void)snprintf(what, sizeof(what), "layer %zu/%zu", i + 1, n);
        int r = sl_descriptor_parse(sl_json_at(layers, i), what, &m->layers[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_members(const struct sl_document *doc, struct sl_manifest *m, struct sl_error *err)
{
    const struct sl_json *root = sl_json_root(doc->json);
    if (doc->kind != SL_DOCUMENT_MANIFEST)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "an index stands where an image should");
    int r = sl_descriptor_parse(sl_json_get(root, "config"), "config", &m->config, err);
    if (r >= 0)
        r = check_is_image(root, &m->config, err);
    return r < 0 ? r : parse_layers(sl_json_get(root, "layers"), m, err);
}

int sl_manifest_from_document(const struct sl_document *doc, struct sl_manifest **ret,
                              struct sl_error *err)
{
    SL_AUTO(sl_manifest) m = calloc(1, sizeof(*m));
    if (!m)
        return sl_error_oom(err);
    m->media_type = strdup(doc->media_type);
    if (!m->media_type)
        return sl_error_oom(err);
    int r = parse_members(doc, m, err);
    if (r < 0)
        return sl_error_wrap(err, r, "manifest");
    *ret = sl_steal(&m);
    return 0;
}

int sl_manifest_parse(struct sl_span json, const char *media_type, struct sl_manifest **ret,
                      struct sl_error *err)
{
    SL_AUTO(sl_document) doc = NULL;
    int r = sl_document_open(json, media_type, &doc, err);
    return r < 0 ? r : sl_manifest_from_document(doc, ret, err);
}

struct sl_manifest *sl_manifest_free(struct sl_manifest *m)
{
    if (!m)
        return NULL;
    free(m->media_type);
    sl_descriptor_done(&m->config);
    for (size_t i = 0; i < m->n_layers; i++)
        sl_descriptor_done(&m->layers[i]);
    free(m->layers);
    free(m);
    return NULL;
}
