/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rewriting the manifest of an image whose layers became others. Members that nobody here knows
 * stay as they were, in their order; a second look at the result decides whether it may be put.
 */
#include "conversion.h"

#include "sluice/core/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEDIA_TYPE_ROOM = 320 }; /* bytes; the reader's limit is 255, and a suffix */

static const char encrypted_suffix[] = "+encrypted";
static const char keys_prefix[] = "org.opencontainers.image.enc.keys.";

/* ---- media types ---- */

static const struct {
    const char *docker, *oci;
} type_names[] = {
    {"application/vnd.docker.distribution.manifest.v2+json",
     "application/vnd.oci.image.manifest.v1+json"},
    {"application/vnd.docker.distribution.manifest.list.v2+json",
     "application/vnd.oci.image.index.v1+json"},
    {"application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json"},
    {"application/vnd.docker.image.rootfs.diff.tar", "application/vnd.oci.image.layer.v1.tar"},
    {"application/vnd.docker.image.rootfs.diff.tar.gzip",
     "application/vnd.oci.image.layer.v1.tar+gzip"},
    {"application/vnd.docker.image.rootfs.diff.tar.zstd",
     "application/vnd.oci.image.layer.v1.tar+zstd"},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar",
     "application/vnd.oci.image.layer.nondistributable.v1.tar"},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
     "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"},
    {"application/vnd.docker.image.rootfs.foreign.diff.tar.zstd",
     "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"},
};

const char *sl_convert_oci_type(const char *media_type)
{
    for (size_t i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++)
        if (strcmp(type_names[i].docker, media_type) == 0)
            return type_names[i].oci;
    return media_type;
}

/* What the layer's type will be. Encrypted types are OCI's only, so docker's are renamed even
 * under the suffix. */
static void layer_type(const struct convert_layer *l, const char *was, bool to_oci,
                       char ret[MEDIA_TYPE_ROOM])
{
    char plain[MEDIA_TYPE_ROOM];
    size_t len = strlen(was), suffix = sizeof(encrypted_suffix) - 1;
    bool encrypted = len >= suffix && strcmp(was + len - suffix, encrypted_suffix) == 0;
    (void)snprintf(plain, sizeof(plain), "%.*s", (int)(encrypted ? len - suffix : len), was);
    if (l->report.action == SL_LAYER_ENCRYPTED)
        encrypted = true;
    else if (l->report.action == SL_LAYER_DECRYPTED)
        encrypted = false;
    (void)snprintf(ret, MEDIA_TYPE_ROOM, "%s%s", to_oci ? sl_convert_oci_type(plain) : plain,
                   encrypted ? encrypted_suffix : "");
}

/* ---- descriptors ---- */

static void put_annotations(struct sl_json_writer *w, const struct sl_annotations *list)
{
    sl_json_open_object(w, "annotations");
    for (size_t i = 0; i < list->n; i++)
        sl_json_put_string(w, list->pairs[i].name, list->pairs[i].value);
    sl_json_close_object(w);
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

void sl_convert_put_descriptor(struct sl_json_writer *w, const char *name,
                               const struct sl_json *from, const struct convert_edit *edit)
{
    static const char *const edited[] = {"mediaType", "digest", "size", NULL};
    /* A copy of the plain bytes in the manifest itself would be plain still. */
    static const char *const of_old_bytes[] = {"data", "urls", NULL};
    sl_json_open_object(w, name);
    sl_json_put_string(w, "mediaType", edit->media_type);
    sl_json_put_digest(w, "digest", edit->digest);
    sl_json_put_int(w, "size", (int64_t)edit->size);
    for (size_t i = 0; i < sl_json_count(from); i++) {
        const char *member = sl_json_name_at(from, i);
        bool replaced = is_one_of(member, edited) ||
                        (edit->annotations && strcmp(member, "annotations") == 0) ||
                        (edit->has_other_bytes && is_one_of(member, of_old_bytes));
        if (!replaced)
            sl_json_put_node(w, member, sl_json_at(from, i));
    }
    if (edit->annotations && edit->annotations->n)
        put_annotations(w, edit->annotations);
    sl_json_close_object(w);
}

/* What the layer had and what encryption adds; the strings stay their owners'. */
static int join_annotations(const struct sl_descriptor *had, const struct sl_annotations *added,
                            struct sl_annotations *ret, struct sl_error *err)
{
    struct sl_pair *pairs = calloc(had->n_annotations + added->n + 1, sizeof(*pairs));
    if (!pairs)
        return sl_error_oom(err);
    if (had->n_annotations)
        memcpy(pairs, had->annotations, had->n_annotations * sizeof(*pairs));
    if (added->n)
        memcpy(pairs + had->n_annotations, added->pairs, added->n * sizeof(*pairs));
    *ret = (struct sl_annotations){pairs, had->n_annotations + added->n};
    return 0;
}

static void put_edited_layer(struct sl_json_writer *w, const struct sl_json *from,
                             const struct sl_descriptor *was, const struct convert_layer *l,
                             bool to_oci, const struct sl_annotations *annotations)
{
    char type[MEDIA_TYPE_ROOM];
    layer_type(l, was->media_type, to_oci, type);
    const struct convert_edit edit = {
        .media_type = type,
        .digest = &l->report.to,
        .size = l->report.size,
        .has_other_bytes = !sl_digest_is_equal(&l->report.from, &l->report.to),
        .annotations = annotations,
    };
    sl_convert_put_descriptor(w, NULL, from, &edit);
}

static int put_layer(struct sl_json_writer *w, const struct sl_json *from,
                     const struct sl_descriptor *was, const struct convert_layer *l, bool to_oci,
                     struct sl_error *err)
{
    SL_AUTO_DONE(sl_annotations) owned = {0};
    SL_AUTO_FREE struct sl_pair *joined_pairs = NULL;
    struct sl_annotations joined = {0};
    const struct sl_annotations *annotations = NULL;
    int r = 0;
    switch (l->report.action) {
    case SL_LAYER_COPIED:
        break;
    case SL_LAYER_RECIPIENTS_ADDED:
        annotations = &l->annotations;
        break;
    case SL_LAYER_ENCRYPTED:
        r = join_annotations(was, &l->annotations, &joined, err);
        joined_pairs = joined.pairs;
        annotations = &joined;
        break;
    case SL_LAYER_DECRYPTED:
        r = sl_annotations_without_encryption(was->annotations, was->n_annotations, &owned, err);
        annotations = &owned;
        break;
    }
    if (r >= 0)
        put_edited_layer(w, from, was, l, to_oci, annotations);
    return r;
}

/* ---- the document ---- */

static int put_layers(struct sl_json_writer *w, const struct sl_json *layers,
                      const struct convert_document *doc, bool to_oci, struct sl_error *err)
{
    sl_json_open_array(w, "layers");
    for (size_t i = 0; i < doc->manifest->n_layers; i++) {
        int r = put_layer(w, sl_json_at(layers, i), &doc->manifest->layers[i], doc->layers[i],
                          to_oci, err);
        if (r < 0)
            return r;
    }
    sl_json_close_array(w);
    return 0;
}

static void put_config(struct sl_json_writer *w, const struct sl_json *from,
                       const struct sl_descriptor *config, bool to_oci)
{
    const struct convert_edit edit = {.media_type = to_oci ? sl_convert_oci_type(config->media_type)
                                                           : config->media_type,
                                      .digest = &config->digest,
                                      .size = config->size};
    sl_convert_put_descriptor(w, "config", from, &edit);
}

int sl_convert_end_document(struct convert_document *doc, struct sl_json_writer *w,
                            struct sl_error *err)
{
    int r = sl_json_end(w, &doc->bytes, err);
    if (r < 0)
        return r;
    if (doc->bytes.len > SL_MANIFEST_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG,
                            "the new manifest has %zu bytes, registries take %d: fewer recipients",
                            doc->bytes.len, SL_MANIFEST_MAX);
    return sl_digest_of(SL_SHA256, sl_bytes_span(&doc->bytes), &doc->digest, err);
}

int sl_convert_write_manifest(struct convert_document *doc, bool to_oci, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    const struct sl_json *root = sl_json_root(doc->json);
    doc->media_type = to_oci ? sl_convert_oci_type(doc->from.media_type) : doc->from.media_type;
    for (size_t i = 0; i < sl_json_count(root); i++) {
        const char *name = sl_json_name_at(root, i);
        const struct sl_json *member = sl_json_at(root, i);
        int r = 0;
        if (strcmp(name, "mediaType") == 0)
            sl_json_put_string(w, name, doc->media_type);
        else if (strcmp(name, "config") == 0)
            put_config(w, member, &doc->manifest->config, to_oci);
        else if (strcmp(name, "layers") == 0)
            r = put_layers(w, member, doc, to_oci, err);
        else
            sl_json_put_node(w, name, member);
        if (r < 0)
            return r;
    }
    return sl_convert_end_document(doc, w, err);
}

/* ---- the second look ---- */

/* Of "provider:NAME:…" the annotation "….provider.NAME", of "jwe:…" "….jwe". */
static int annotation_of(const char *spec, char ret[256], struct sl_error *err)
{
    static const char provider[] = "provider:";
    bool named = strncmp(spec, provider, sizeof(provider) - 1) == 0;
    const char *name = named ? spec + sizeof(provider) - 1 : spec;
    int n = snprintf(ret, 256, "%s%s%.*s", keys_prefix, named ? "provider." : "",
                     (int)strcspn(name, ":"), name);
    if (n < 0 || n >= 256)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "the name of a key provider is too long");
    return 0;
}

static int check_recipients(const struct sl_descriptor *layer, const char *const *specs,
                            struct sl_error *err)
{
    for (; specs && *specs; specs++) {
        char name[256];
        int r = annotation_of(*specs, name, err);
        if (r < 0)
            return r;
        const char *value = sl_descriptor_annotation(layer, name);
        if (!value || !*value)
            return sl_error_set(err, SL_E_INTEGRITY, EBADMSG, "the result has no annotation %s",
                                name);
    }
    return 0;
}

static int check_encrypted(const struct sl_descriptor *layer, const char *const *specs,
                           struct sl_error *err)
{
    SL_AUTO(sl_enc_annotations) annotations = NULL;
    struct sl_layer_media media;
    int r = sl_layer_media_parse(layer->media_type, &media, err);
    if (r < 0)
        return r;
    if (!media.encrypted)
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                            "the result should be encrypted and is of type '%.100s'",
                            layer->media_type);
    r = sl_enc_annotations_parse(layer->annotations, layer->n_annotations, &annotations, err);
    return r < 0 ? r : check_recipients(layer, specs, err);
}

static int check_decrypted(const struct sl_descriptor *layer, struct sl_error *err)
{
    if (!sl_convert_is_encrypted(layer) &&
        !sl_enc_annotations_present(layer->annotations, layer->n_annotations))
        return 0;
    return sl_error_set(err, SL_E_INTEGRITY, EBADMSG, "the result is still called encrypted");
}

static int check_layer(const struct convert_layer *l, const struct sl_descriptor *is,
                       const struct sl_convert_options *options, bool encrypts,
                       struct sl_error *err)
{
    if (!sl_digest_is_equal(&is->digest, &l->report.to) || is->size != l->report.size)
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG, "the result has another blob");
    if (!encrypts)
        return check_decrypted(is, err);
    return l->report.action == SL_LAYER_COPIED ? 0
                                               : check_encrypted(is, options->encryption_keys, err);
}

int sl_convert_check_manifest(const struct convert_document *doc,
                              const struct sl_convert_options *options, bool encrypts,
                              struct sl_error *err)
{
    SL_AUTO(sl_manifest) is = NULL;
    int r = sl_manifest_parse(sl_bytes_span(&doc->bytes), doc->media_type, &is, err);
    if (r < 0)
        return r;
    if (is->n_layers != doc->manifest->n_layers)
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG, "the result has other layers");
    for (size_t i = 0; i < is->n_layers; i++) {
        r = check_layer(doc->layers[i], &is->layers[i], options, encrypts, err);
        if (r < 0)
            return sl_convert_layer_error(doc->layers[i], r, err);
    }
    return 0;
}
