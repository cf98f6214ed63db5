/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests that are no images (image-spec manifest.md, "Guidelines for Artifact Usage"): cosign's
 * signatures under their tag, sigstore bundles as referrers.
 */
#include "referrers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ARTIFACT_LAYERS_MAX = 128,
    ARTIFACT_TYPE_MAX = 255,            /* bytes; RFC 6838: two names of 127 and a slash */
    LAYER_ANNOTATIONS_MAX = 256 * 1024, /* bytes of names and values of one layer */
};

static const char oci_manifest[] = "application/vnd.oci.image.manifest.v1+json";

/* A registry must not choose where a guest connects to. */
static int check_no_urls(const struct sl_json *node, const char *what, struct sl_error *err)
{
    const struct sl_json *urls = sl_json_get(node, "urls");
    if (sl_json_type(urls) == SL_JSON_NULL ||
        (sl_json_type(urls) == SL_JSON_ARRAY && sl_json_count(urls) == 0))
        return 0;
    return sl_error_set(err, SL_E_FORMAT, EINVAL,
                        "%s: 'urls' are not followed: what belongs to a signature must be in the "
                        "repository",
                        what);
}

static int check_annotations(const struct sl_descriptor *d, const char *what, struct sl_error *err)
{
    size_t sum = 0; /* of at most 256 times what one may have: cannot wrap */
    for (size_t i = 0; i < d->n_annotations; i++)
        sum += strlen(d->annotations[i].name) + strlen(d->annotations[i].value);
    if (sum <= LAYER_ANNOTATIONS_MAX)
        return 0;
    return sl_error_set(err, SL_E_LIMIT, E2BIG, "%s: %zu bytes of annotations, the limit is %d",
                        what, sum, LAYER_ANNOTATIONS_MAX);
}

static int parse_layer(const struct sl_json *node, const char *what, struct sl_descriptor *ret,
                       struct sl_error *err)
{
    int r = sl_descriptor_parse(node, what, ret, err);
    if (r >= 0)
        r = check_no_urls(node, what, err);
    return r < 0 ? r : check_annotations(ret, what, err);
}

static int parse_layers(const struct sl_json *layers, struct sl_artifact *a, struct sl_error *err)
{
    size_t n = sl_json_count(layers);
    if (sl_json_type(layers) != SL_JSON_ARRAY)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "'layers' is missing or not an array");
    if (n > ARTIFACT_LAYERS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%zu layers, the limit is %d", n,
                            ARTIFACT_LAYERS_MAX);
    a->layers = calloc(n ? n : 1, sizeof(*a->layers));
    if (!a->layers)
        return sl_error_oom(err);
    a->n_layers = n;
    for (size_t i = 0; i < n; i++) {
        char what[40];
        (void)snprintf(what, sizeof(what), "layer %zu/%zu", i + 1, n);
        int r = parse_layer(sl_json_at(layers, i), what, &a->layers[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_subject(const struct sl_json *node, struct sl_artifact *a, struct sl_error *err)
{
    if (sl_json_type(node) == SL_JSON_NULL)
        return 0;
    struct sl_descriptor d = {0};
    int r = sl_descriptor_parse(node, "subject", &d, err);
    if (r < 0)
        return r;
    a->has_subject = true;
    a->subject = d.digest;
    sl_descriptor_done(&d);
    return 0;
}

int sl_artifact_type_parse(const struct sl_json *node, char **ret, struct sl_error *err)
{
    const char *text = sl_json_type(node) == SL_JSON_NULL ? "" : sl_json_string(node);
    if (!text)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "artifactType is not a string");
    if (strlen(text) > ARTIFACT_TYPE_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "artifactType is longer than %d bytes",
                            ARTIFACT_TYPE_MAX);
    *ret = strdup(text);
    return *ret ? 0 : sl_error_oom(err);
}

static int parse_type(const struct sl_json *root, struct sl_artifact *a, struct sl_error *err)
{
    struct sl_descriptor config = {0};
    int r = sl_descriptor_parse(sl_json_get(root, "config"), "config", &config, err);
    if (r >= 0)
        r = sl_artifact_type_parse(sl_json_get(root, "artifactType"), &a->artifact_type, err);
    if (r >= 0 && !*a->artifact_type) {
        free(a->artifact_type);
        a->artifact_type = sl_steal(&config.media_type);
    }
    sl_descriptor_done(&config);
    return r;
}

static int parse_members(const struct sl_document *doc, struct sl_artifact *a, struct sl_error *err)
{
    const struct sl_json *root = sl_json_root(doc->json);
    if (strcmp(doc->media_type, oci_manifest) != 0)
        return sl_error_set(err, SL_E_UNSUPPORTED, EOPNOTSUPP,
                            "a document of type '%s' where an OCI image manifest should be",
                            doc->media_type);
    int r = parse_type(root, a, err);
    if (r >= 0)
        r = parse_layers(sl_json_get(root, "layers"), a, err);
    return r < 0 ? r : parse_subject(sl_json_get(root, "subject"), a, err);
}

int sl_artifact_parse(struct sl_span json, struct sl_artifact **ret, struct sl_error *err)
{
    SL_AUTO(sl_document) doc = NULL;
    SL_AUTO(sl_artifact) a = calloc(1, sizeof(*a));
    if (!a)
        return sl_error_oom(err);
    int r = sl_document_open(json, /* media_type= */ NULL, &doc, err);
    if (r < 0)
        return r;
    r = parse_members(doc, a, err);
    if (r < 0)
        return sl_error_wrap(err, r, "attachment's manifest");
    *ret = sl_steal(&a);
    return 0;
}

struct sl_artifact *sl_artifact_free(struct sl_artifact *a)
{
    if (!a)
        return NULL;
    free(a->artifact_type);
    for (size_t i = 0; i < a->n_layers; i++)
        sl_descriptor_done(&a->layers[i]);
    free(a->layers);
    free(a);
    return NULL;
}
