/* SPDX-License-Identifier: Apache-2.0 */
#include "image_document.h"

#include "sluice/core/limits.h"

#include <stdlib.h>
#include <string.h>

static const char oci_manifest[] = "application/vnd.oci.image.manifest.v1+json";
static const char oci_index[] = "application/vnd.oci.image.index.v1+json";

static const struct document_type {
    const char *name;
    enum sl_document_kind kind;
} document_types[] = {
    {oci_manifest, SL_DOCUMENT_MANIFEST},
    {oci_index, SL_DOCUMENT_INDEX},
    {"application/vnd.docker.distribution.manifest.v2+json", SL_DOCUMENT_MANIFEST},
    {"application/vnd.docker.distribution.manifest.list.v2+json", SL_DOCUMENT_INDEX},
};

/* What file servers say that know nothing of images: no statement at all. */
static const char *const vague_types[] = {
    "application/json",
    "application/octet-stream",
    "text/plain",
    "binary/octet-stream",
};

static const char *const schema1_types[] = {
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.docker.distribution.manifest.v1+json",
};

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

/* Compares a Content-Type, which may carry parameters, with a media type. */
static bool type_is(const char *content_type, const char *name)
{
    return strcspn(content_type, "; \t") == strlen(name) &&
           strncmp(content_type, name, strlen(name)) == 0;
}

static bool type_is_one_of(const char *content_type, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (type_is(content_type, names[i]))
            return true;
    return false;
}

static const struct document_type *find_type(const char *media_type)
{
    for (size_t i = 0; i < N_OF(document_types); i++)
        if (type_is(media_type, document_types[i].name))
            return &document_types[i];
    return NULL;
}

bool sl_document_kind_of(const char *media_type, enum sl_document_kind *ret)
{
    const struct document_type *type = find_type(media_type);
    if (type)
        *ret = type->kind;
    return type != NULL;
}

static int refuse_schema1(struct sl_error *err)
{
    return sl_error_set(err, SL_E_UNSUPPORTED, EOPNOTSUPP,
                        "docker schema 1 is not supported: it has no digests of the unpacked "
                        "layers; convert the image (skopeo copy --format oci) and push it again");
}

static int check_schema_version(const struct sl_json *root, struct sl_error *err)
{
    int64_t version;
    if (!sl_json_int64(sl_json_get(root, "schemaVersion"), &version))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "schemaVersion is missing or not a number");
    if (version == 1)
        return refuse_schema1(err);
    if (version != 2)
        return sl_error_set(err, SL_E_UNSUPPORTED, EOPNOTSUPP,
                            "schemaVersion %lld is not supported (only 2 is)", (long long)version);
    return 0;
}

/* A statement about the type: sets *type, or leaves NULL when it says nothing. */
static int read_type(const char *text, const char *where, const struct document_type **type,
                     struct sl_error *err)
{
    if (!text || !*text || type_is_one_of(text, vague_types, N_OF(vague_types)))
        return 0;
    if (type_is_one_of(text, schema1_types, N_OF(schema1_types)))
        return refuse_schema1(err);
    *type = find_type(text);
    if (!*type)
        return sl_error_set(err, SL_E_UNSUPPORTED, EOPNOTSUPP,
                            "%s '%.100s' is neither an image manifest nor an index", where, text);
    return 0;
}

static int check_members(const struct sl_json *root, enum sl_document_kind kind,
                         struct sl_error *err)
{
    static const char *const foreign_to_manifest[] = {"manifests", "fsLayers", "history"};
    static const char *const foreign_to_index[] = {"layers", "config", "fsLayers", "history"};
    bool is_index = kind == SL_DOCUMENT_INDEX;
    const char *const *foreign = is_index ? foreign_to_index : foreign_to_manifest;
    size_t n = is_index ? N_OF(foreign_to_index) : N_OF(foreign_to_manifest);
    for (size_t i = 0; i < n; i++)
        if (sl_json_get(root, foreign[i]))
            return sl_error_set(err, SL_E_FORMAT, EINVAL,
                                "ambiguous document: an %s must not have the member '%s'",
                                is_index ? "index" : "image manifest", foreign[i]);
    return 0;
}

static int classify(const struct sl_json *root, const char *content_type,
                    const struct document_type **ret, struct sl_error *err)
{
    const struct document_type *served = NULL, *own = NULL;
    const struct sl_json *member = sl_json_get(root, "mediaType");
    if (sl_json_type(root) != SL_JSON_OBJECT)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "not a JSON object");
    if (member && !sl_json_string(member))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "mediaType is not a string");
    int r = read_type(content_type, "Content-Type", &served, err);
    if (r >= 0)
        r = read_type(sl_json_string(member), "mediaType", &own, err);
    if (r >= 0)
        r = check_schema_version(root, err);
    if (r < 0)
        return r;
    if (served && own && served != own)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "mediaType '%s' was served as '%s'",
                            own->name, served->name);
    if (!own && !served)
        served = find_type(sl_json_get(root, "manifests") ? oci_index : oci_manifest);
    *ret = own ? own : served;
    return check_members(root, (*ret)->kind, err);
}

int sl_document_open(struct sl_span json, const char *media_type, struct sl_document **ret,
                     struct sl_error *err)
{
    SL_AUTO(sl_document) doc = calloc(1, sizeof(*doc));
    if (!doc)
        return sl_error_oom(err);
    const struct sl_json_limits limits = {.size = SL_MANIFEST_MAX};
    int r = sl_json_parse(json, "manifest", &limits, &doc->json, err);
    if (r < 0)
        return r;
    const struct document_type *type = NULL;
    r = classify(sl_json_root(doc->json), media_type, &type, err);
    if (r < 0)
        return sl_error_wrap(err, r, "manifest");
    doc->kind = type->kind;
    doc->media_type = strdup(type->name);
    if (!doc->media_type)
        return sl_error_oom(err);
    *ret = sl_steal(&doc);
    return 0;
}

struct sl_document *sl_document_close(struct sl_document *doc)
{
    if (doc) {
        (void)sl_json_free(doc->json);
        free(doc->media_type);
        free(doc);
    }
    return NULL;
}
