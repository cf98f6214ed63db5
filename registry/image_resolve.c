/* SPDX-License-Identifier: Apache-2.0 */
#include "image_resolve.h"

#include "index.h"
#include "platform_match.h"
#include "sluice/core/limits.h"
#include "sluice/core/log.h"

#include <stdlib.h>
#include <string.h>

enum { INDEX_DEPTH_MAX = 4 }; /* indexes around a manifest */

/* What an index says about the document to fetch next. At the top, all of it is empty but,
 * perhaps, the digest. */
struct target {
    bool has_digest;
    struct sl_digest digest;
    const struct sl_descriptor *descriptor; /* borrowed from index, or NULL */
    const char *architecture;               /* the index promised this one, or NULL */
    struct sl_index *index;                 /* owned: keeps what is borrowed */
};

static void target_done(struct target *t)
{
    t->index = sl_index_free(t->index);
}

/* The platform to look for; members the caller left out are this machine's. */
static struct sl_platform complete_platform(const struct sl_platform *given)
{
    struct sl_platform want = given ? *given : (struct sl_platform){0};
    const struct sl_platform *machine = sl_platform_of_machine();
    if (!want.os)
        want.os = machine->os;
    /* A variant belongs to its architecture: never this machine's to another one. */
    if (!want.architecture) {
        want.architecture = machine->architecture;
        if (!want.variant)
            want.variant = machine->variant;
    }
    return want;
}

static int check_size(const struct sl_descriptor *d, size_t size, struct sl_error *err)
{
    if (!d || d->size == size)
        return 0;
    return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                        "manifest has %zu bytes, its descriptor says %llu", size,
                        (unsigned long long)d->size);
}

/* Holds the bytes against everything that was said about them, and settles their digest. */
static int verify_document(const struct target *t, const struct sl_source_document *doc,
                           struct sl_digest *ret, struct sl_error *err)
{
    struct sl_span bytes = sl_bytes_span(&doc->bytes);
    int r = check_size(t->descriptor, bytes.len, err);
    if (r >= 0 && t->has_digest)
        r = sl_digest_verify(&t->digest, bytes, err);
    if (r >= 0 && doc->has_promised)
        r = sl_digest_verify(&doc->promised, bytes, err);
    if (r < 0)
        return sl_error_wrap(err, r, "manifest");
    if (!t->has_digest && !doc->has_promised)
        return sl_digest_of(SL_SHA256, bytes, ret, err);
    *ret = t->has_digest ? t->digest : doc->promised;
    return 0;
}

static int open_document(const struct target *t, const struct sl_source_document *doc,
                         struct sl_document **ret, struct sl_error *err)
{
    const char *promised = t->descriptor ? t->descriptor->media_type : NULL;
    SL_AUTO(sl_document) opened = NULL;
    int r = sl_document_open(sl_bytes_span(&doc->bytes),
                             doc->media_type ? doc->media_type : promised, &opened, err);
    if (r < 0)
        return r;
    if (promised && strcmp(promised, opened->media_type) != 0)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "the index announces a document of type '%s', it is '%s'", promised,
                            opened->media_type);
    *ret = sl_steal(&opened);
    return 0;
}

/* Turns t to the entry of an index for the platform. */
static int descend(struct target *t, const struct sl_document *doc, const struct sl_platform *want,
                   struct sl_error *err)
{
    SL_AUTO(sl_index) index = NULL;
    const struct sl_index_entry *entry = NULL;
    int r = sl_index_from_document(doc, &index, err);
    if (r >= 0)
        r = sl_index_select(index, want, &entry, err);
    if (r < 0)
        return r;
    target_done(t);
    *t = (struct target){.has_digest = true,
                         .digest = entry->descriptor.digest,
                         .descriptor = &entry->descriptor,
                         .architecture = entry->platform.architecture,
                         .index = sl_steal(&index)};
    return 0;
}

/* ---- what is known ---- */

/* True: *ret has the bytes with this digest. */
static bool find_known(const struct sl_known_documents *known, const struct sl_digest *digest,
                       size_t limit, struct sl_bytes *ret)
{
    struct sl_error err = {0};
    SL_AUTO_DONE(sl_bytes) bytes = {0};
    if (!known->find || !known->find(known->arg, digest, &bytes))
        return false;
    int r = bytes.len <= limit ? sl_digest_verify(digest, sl_bytes_span(&bytes), &err)
                               : sl_error_set(&err, SL_E_LIMIT, E2BIG, "%zu bytes", bytes.len);
    if (r < 0) {
        sl_log(SL_LOG_DEBUG, "a document that was kept is fetched anew: %s", err.msg);
        return false;
    }
    *ret = bytes;
    bytes = (struct sl_bytes){0};
    return true;
}

/* 1: nobody need be asked for the document. */
static int take_known(struct sl_source *source, const struct sl_known_documents *known,
                      const struct target *t, struct sl_source_document *ret, struct sl_error *err)
{
    bool is_first = !t->descriptor;
    if (!t->has_digest || (is_first && known->first_is_fetched) ||
        !find_known(known, &t->digest, SL_MANIFEST_MAX, &ret->bytes))
        return 0;
    int r = is_first && source->ops->presume ? source->ops->presume(source, err) : 1;
    if (r == 1)
        return 1;
    sl_source_document_done(ret);
    *ret = (struct sl_source_document){0};
    return r;
}

static int get_document(struct sl_source *source, const struct sl_known_documents *known,
                        const struct target *t, struct sl_source_document *ret,
                        struct sl_error *err)
{
    int r = take_known(source, known, t, ret, err);
    if (r != 0)
        return r < 0 ? r : 0;
    return source->ops->fetch_manifest(source, t->has_digest ? &t->digest : NULL, ret, err);
}

static int get_config(struct sl_source *source, const struct sl_known_documents *known,
                      const struct sl_descriptor *d, struct sl_bytes *ret, struct sl_error *err)
{
    if (find_known(known, &d->digest, (size_t)d->size, ret) && ret->len == d->size)
        return 0;
    sl_bytes_done(ret);
    *ret = (struct sl_bytes){0};
    int r = source->ops->fetch_blob(source, d, ret, err);
    return r < 0 ? r : sl_digest_verify(&d->digest, sl_bytes_span(ret), err);
}

/* One step: 0 when image has its manifest, 1 when t now points to the next document. */
static int step(struct sl_source *source, const struct sl_known_documents *known, struct target *t,
                const struct sl_platform *want, struct sl_resolved_image *image,
                struct sl_error *err)
{
    SL_AUTO_DONE(sl_source_document) fetched = {0};
    SL_AUTO(sl_document) doc = NULL;
    struct sl_digest digest;
    int r = get_document(source, known, t, &fetched, err);
    if (r >= 0)
        r = verify_document(t, &fetched, &digest, err);
    if (r >= 0)
        r = open_document(t, &fetched, &doc, err);
    if (r < 0)
        return r;
    if (doc->kind == SL_DOCUMENT_INDEX) {
        if (!image->has_index_digest) {
            image->has_index_digest = true;
            image->index_digest = digest;
            image->index_json = fetched.bytes;
            fetched.bytes = (struct sl_bytes){0};
        }
        r = descend(t, doc, want, err);
        return r < 0 ? r : 1;
    }
    r = sl_manifest_from_document(doc, &image->manifest, err);
    if (r < 0)
        return r;
    image->manifest_digest = digest;
    image->manifest_json = fetched.bytes;
    fetched.bytes = (struct sl_bytes){0};
    return 0;
}

static int find_manifest(struct sl_source *source, const struct sl_known_documents *known,
                         struct target *t, const struct sl_platform *want,
                         struct sl_resolved_image *image, struct sl_error *err)
{
    int r = 1;
    for (int n = 0; r == 1; n++) {
        if (n > INDEX_DEPTH_MAX)
            return sl_error_set(err, SL_E_LIMIT, ELOOP, "more than %d indexes inside one another",
                                INDEX_DEPTH_MAX);
        r = step(source, known, t, want, image, err);
    }
    return r;
}

static int check_config(const struct sl_resolved_image *image, const struct sl_image_config *c,
                        struct sl_error *err)
{
    if (!c->os || strcmp(c->os, "linux") != 0)
        return sl_error_set(err, SL_E_UNSUPPORTED, EOPNOTSUPP,
                            "image config: the image is for '%.40s', only linux is supported",
                            c->os ? c->os : "");
    if (c->n_diff_ids != image->manifest->n_layers)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "image config: %zu diff_ids for %zu layers of the manifest",
                            c->n_diff_ids, image->manifest->n_layers);
    const char *announced = image->index_architecture;
    if (announced && c->architecture &&
        strcmp(sl_architecture_name(announced), sl_architecture_name(c->architecture)) != 0)
        /* Badly built, but the user chose the index and its digests hold. */
        sl_log(SL_LOG_DEBUG, "the index announces an image for %.40s, its config is for %.40s",
               announced, c->architecture);
    return 0;
}

int sl_image_fetch_config(struct sl_source *source, const struct sl_known_documents *known,
                          struct sl_resolved_image *image, struct sl_error *err)
{
    const struct sl_descriptor *d = &image->manifest->config;
    SL_AUTO_DONE(sl_bytes) json = {0};
    SL_AUTO(sl_image_config) config = NULL;
    if (d->size > SL_CONFIG_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "image config of %llu bytes, the limit is %d",
                            (unsigned long long)d->size, SL_CONFIG_MAX);
    int r = get_config(source, known, d, &json, err);
    if (r < 0)
        return sl_error_wrap(err, r, "image config");
    r = sl_image_config_parse(sl_bytes_span(&json), &config, err);
    if (r >= 0)
        r = check_config(image, config, err);
    if (r < 0)
        return r;
    image->config_json = json;
    json = (struct sl_bytes){0};
    image->config = sl_steal(&config);
    return 0;
}

static int keep_architecture(const struct target *t, struct sl_resolved_image *image,
                             struct sl_error *err)
{
    if (!t->architecture)
        return 0;
    image->index_architecture = strdup(t->architecture);
    return image->index_architecture ? 0 : sl_error_oom(err);
}

int sl_image_find(struct sl_source *source, const struct sl_known_documents *known,
                  const struct sl_digest *digest, const struct sl_platform *platform,
                  struct sl_resolved_image **ret, struct sl_error *err)
{
    SL_AUTO(sl_resolved_image) image = calloc(1, sizeof(*image));
    if (!image)
        return sl_error_oom(err);
    const struct sl_platform want = complete_platform(platform);
    struct target t = {.has_digest = digest != NULL};
    if (digest)
        t.digest = *digest;
    int r = find_manifest(source, known, &t, &want, image, err);
    if (r >= 0)
        r = keep_architecture(&t, image, err);
    target_done(&t);
    if (r < 0)
        return r;
    *ret = sl_steal(&image);
    return 0;
}

int sl_image_check_document(struct sl_source_document *fetched, const struct sl_digest *digest,
                            struct sl_image_document *ret, struct sl_error *err)
{
    struct target t = {.has_digest = digest != NULL};
    if (digest)
        t.digest = *digest;
    SL_AUTO(sl_document) doc = NULL;
    struct sl_digest found;
    int r = verify_document(&t, fetched, &found, err);
    if (r >= 0)
        r = open_document(&t, fetched, &doc, err);
    if (r < 0)
        return r;
    *ret = (struct sl_image_document){.bytes = fetched->bytes,
                                      .media_type = sl_steal(&doc->media_type),
                                      .digest = found,
                                      .is_index = doc->kind == SL_DOCUMENT_INDEX};
    fetched->bytes = (struct sl_bytes){0};
    return 0;
}

int sl_image_fetch_document(struct sl_source *source, const struct sl_digest *digest,
                            struct sl_image_document *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_source_document) fetched = {0};
    int r = source->ops->fetch_manifest(source, digest, &fetched, err);
    return r < 0 ? r : sl_image_check_document(&fetched, digest, ret, err);
}

void sl_image_document_done(struct sl_image_document *doc)
{
    sl_bytes_done(&doc->bytes);
    free(doc->media_type);
    doc->media_type = NULL;
}

struct sl_resolved_image *sl_resolved_image_free(struct sl_resolved_image *image)
{
    if (!image)
        return NULL;
    sl_bytes_done(&image->index_json);
    free(image->index_architecture);
    sl_bytes_done(&image->manifest_json);
    sl_bytes_done(&image->config_json);
    (void)sl_manifest_free(image->manifest);
    (void)sl_image_config_free(image->config);
    free(image);
    return NULL;
}
