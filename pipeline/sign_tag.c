/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cosign's first way to keep signatures (cosign SIGNATURE_SPEC.md): an image under the tag
 * sha256-HEX.sig whose layers are the signatures. What is there stays; one layer is added.
 */
#include "signing.h"

#include "sluice/attachments.h"
#include "sluice/core/limits.h"

#include <stdlib.h>
#include <string.h>

enum {
    LAYERS_MAX = 128, /* signatures under one tag; readers look at no more */
    TRIES = 3,        /* to be under it, beside others who write at the same time */
};

static const char manifest_type[] = "application/vnd.oci.image.manifest.v1+json";
static const char config_type[] = "application/vnd.oci.image.config.v1+json";
static const char layer_type[] = "application/vnd.dev.cosign.simplesigning.v1+json";
static const char signature_annotation[] = "dev.cosignproject.cosign/signature";

/* The layer to come, and what is under the tag already. */
struct tagged {
    char *tag;
    struct signing_blob layer;
    char *signature; /* base64 */
    struct sl_image_document doc;
    struct sl_json_doc *json; /* NULL: nothing is there */
    struct sl_artifact *artifact;
};

static void forget_found(struct tagged *t)
{
    sl_image_document_done(&t->doc);
    t->doc = (struct sl_image_document){0};
    t->json = sl_json_free(t->json);
    t->artifact = sl_artifact_free(t->artifact);
}

static void tagged_done(struct tagged *t)
{
    free(t->tag);
    free(t->signature);
    forget_found(t);
}
SL_DEFINE_AUTO_DONE(tagged, tagged_done)

/* ---- what is there ---- */

static int read_tagged(struct tagged *t, struct sl_error *err)
{
    static const struct sl_json_limits limits = {.size = SL_MANIFEST_MAX};
    struct sl_span bytes = sl_bytes_span(&t->doc.bytes);
    int r = sl_artifact_parse(bytes, &t->artifact, err);
    if (r == 0)
        r = sl_json_parse(bytes, "manifest", &limits, &t->json, err);
    return r < 0 ? sl_error_wrap(err, r, "what is under %.100s already", t->tag) : 0;
}

static int find_tagged(struct signing *s, struct tagged *t, struct sl_error *err)
{
    forget_found(t);
    int r = sl_image_sink_find_tag(s->sink, t->tag, &t->doc, err);
    return r > 0 ? read_tagged(t, err) : r;
}

/* Keys whose signatures are always the same may have signed before. */
static bool has_it(const struct tagged *t)
{
    for (size_t i = 0; t->artifact && i < t->artifact->n_layers; i++) {
        const struct sl_descriptor *layer = &t->artifact->layers[i];
        const char *signature = sl_descriptor_annotation(layer, signature_annotation);
        if (sl_digest_is_equal(&layer->digest, &t->layer.digest) && signature &&
            strcmp(signature, t->signature) == 0)
            return true;
    }
    return false;
}

static int check_room(const struct tagged *t, struct sl_error *err)
{
    if (!t->artifact || t->artifact->n_layers < LAYERS_MAX)
        return 0;
    return sl_error_set(err, SL_E_LIMIT, E2BIG,
                        "%.100s has %zu signatures already, and nobody reads more than %d", t->tag,
                        t->artifact->n_layers, LAYERS_MAX);
}

/* ---- what shall be there ---- */

/* The config that cosign's libraries make for an image that never ran, down to its members. */
static int write_config(const struct tagged *t, struct sl_bytes *ret, struct sl_error *err)
{
    static const char never[] = "0001-01-01T00:00:00Z";
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    size_t n = t->artifact ? t->artifact->n_layers : 0;
    sl_json_put_string(w, "architecture", "");
    sl_json_put_string(w, "created", never);
    sl_json_open_array(w, "history");
    for (size_t i = 0; i <= n; i++) {
        sl_json_open_object(w, NULL);
        sl_json_put_string(w, "created", never);
        sl_json_close_object(w);
    }
    sl_json_close_array(w);
    sl_json_put_string(w, "os", "");
    sl_json_open_object(w, "rootfs");
    sl_json_put_string(w, "type", "layers");
    sl_json_open_array(w, "diff_ids");
    for (size_t i = 0; i < n; i++)
        sl_json_put_digest(w, NULL, &t->artifact->layers[i].digest);
    sl_json_put_digest(w, NULL, &t->layer.digest);
    sl_json_close_array(w);
    sl_json_close_object(w);
    sl_json_open_object(w, "config");
    sl_json_close_object(w);
    return sl_json_end(w, ret, err);
}

static void put_layers(struct sl_json_writer *w, const struct sl_json *kept, const struct tagged *t)
{
    sl_json_open_array(w, "layers");
    for (size_t i = 0; i < sl_json_count(kept); i++)
        sl_json_put_node(w, NULL, sl_json_at(kept, i));
    sl_sign_open_descriptor(w, NULL, layer_type, &t->layer);
    sl_json_open_object(w, "annotations");
    sl_json_put_string(w, signature_annotation, t->signature);
    sl_json_close_object(w);
    sl_json_close_object(w);
    sl_json_close_array(w);
}

/* Members that others added stay too. */
static int write_manifest(const struct tagged *t, const struct signing_blob *config,
                          struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    const struct sl_json *root = t->json ? sl_json_root(t->json) : NULL;
    sl_json_put_int(w, "schemaVersion", 2);
    sl_json_put_string(w, "mediaType", manifest_type);
    sl_sign_open_descriptor(w, "config", config_type, config);
    sl_json_close_object(w);
    put_layers(w, sl_json_get(root, "layers"), t);
    for (size_t i = 0; i < sl_json_count(root); i++) {
        const char *name = sl_json_name_at(root, i);
        if (strcmp(name, "schemaVersion") != 0 && strcmp(name, "mediaType") != 0 &&
            strcmp(name, "config") != 0 && strcmp(name, "layers") != 0)
            sl_json_put_node(w, name, sl_json_at(root, i));
    }
    int r = sl_json_end(w, ret, err);
    if (r == 0 && ret->len > SL_MANIFEST_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%.100s would be larger than %d bytes", t->tag,
                            SL_MANIFEST_MAX);
    return r;
}

static int put(struct signing *s, const struct tagged *t, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) config = {0};
    SL_AUTO_DONE(sl_bytes) manifest = {0};
    struct signing_blob config_blob;
    struct signing_blob manifest_blob;
    int r = check_room(t, err);
    if (r == 0)
        r = write_config(t, &config, err);
    if (r == 0)
        r = sl_sign_put_blob(s, sl_bytes_span(&config), &config_blob, err);
    if (r == 0)
        r = write_manifest(t, &config_blob, &manifest, err);
    if (r == 0)
        r = sl_sign_describe(sl_bytes_span(&manifest), &manifest_blob, err);
    if (r < 0)
        return r;
    return sl_image_sink_put_tagged(s->sink, t->tag, sl_bytes_span(&manifest), manifest_type,
                                    &manifest_blob.digest, err);
}

/* A registry cannot be asked to write only if nobody else has: what was written is read again. */
static int put_beside_others(struct signing *s, struct tagged *t, struct sl_error *err)
{
    for (int i = 0; i <= TRIES; i++) {
        int r = find_tagged(s, t, err);
        if (r < 0 || has_it(t))
            return r;
        r = i < TRIES ? put(s, t, err) : 0;
        if (r < 0)
            return r;
    }
    return sl_error_set(err, SL_E_NETWORK, EBUSY,
                        "%.100s: others write it at the same time; try again", t->tag);
}

static int name_tag(const struct signing_work *work, struct tagged *t, struct sl_error *err)
{
    char hex[2 * SL_DIGEST_MAX + 1];
    sl_digest_hex(&work->target->digest, hex);
    t->tag = sl_strf("%s-%s.sig", sl_digest_alg_name(work->target->digest.alg), hex);
    t->signature = sl_base64_encode(sl_bytes_span(&work->made));
    return t->tag && t->signature ? 0 : sl_error_oom(err);
}

int sl_sign_put_tag(struct signing *s, const struct signing_work *work, char **ret_where,
                    struct sl_error *err)
{
    SL_AUTO_DONE(tagged) t = {0};
    int r = name_tag(work, &t, err);
    if (r == 0)
        r = sl_sign_put_blob(s, sl_bytes_span(&work->payload), &t.layer, err);
    if (r == 0)
        r = put_beside_others(s, &t, err);
    if (r < 0)
        return r;
    *ret_where = sl_steal(&t.tag);
    return 0;
}
