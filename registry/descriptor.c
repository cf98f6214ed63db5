/* SPDX-License-Identifier: Apache-2.0 */
/* Content descriptors (image-spec descriptor.md): where a document says what another must be. */
#include "image_document.h"

#include <stdlib.h>
#include <string.h>

enum {
    MEDIA_TYPE_MAX = 255, /* RFC 6838: two names of 127 and a slash */
    ANNOTATIONS_MAX = 256,
    ANNOTATION_NAME_MAX = 1024,
    ANNOTATION_VALUE_MAX = 256 * 1024, /* wrapped keys of many recipients are long */
};

void sl_pairs_free(struct sl_pair *pairs, size_t n)
{
    for (size_t i = 0; pairs && i < n; i++) {
        free(pairs[i].name);
        free(pairs[i].value);
    }
    free(pairs);
}

static int pair_parse(const struct sl_json *object, size_t i, const char *what, size_t value_max,
                      struct sl_pair *ret, struct sl_error *err)
{
    const char *name = sl_json_name_at(object, i);
    const char *value = sl_json_string(sl_json_at(object, i));
    if (!value)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "%s: '%.80s' is not a string", what, name);
    if (strlen(name) > ANNOTATION_NAME_MAX || strlen(value) > value_max)
        return sl_error_set(err, SL_E_LIMIT, E2BIG,
                            "%s: '%.80s' is too long (names up to %d bytes, values up to %zu)",
                            what, name, ANNOTATION_NAME_MAX, value_max);
    ret->name = strdup(name);
    ret->value = strdup(value);
    return ret->name && ret->value ? 0 : sl_error_oom(err);
}

int sl_pairs_parse(const struct sl_json *node, const char *what, size_t max, size_t value_max,
                   struct sl_pair **ret, size_t *ret_n, struct sl_error *err)
{
    size_t n = sl_json_count(node);
    if (sl_json_type(node) == SL_JSON_NULL || (sl_json_type(node) == SL_JSON_OBJECT && n == 0)) {
        *ret = NULL;
        *ret_n = 0;
        return 0;
    }
    if (sl_json_type(node) != SL_JSON_OBJECT)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "%s is not an object", what);
    if (n > max)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%s has %zu members, the limit is %zu", what, n,
                            max);
    struct sl_pair *pairs = calloc(n, sizeof(*pairs));
    int r = pairs ? 0 : sl_error_oom(err);
    for (size_t i = 0; r >= 0 && i < n; i++)
        r = pair_parse(node, i, what, value_max, &pairs[i], err);
    if (r < 0) {
        sl_pairs_free(pairs, n);
        return r;
    }
    *ret = pairs;
    *ret_n = n;
    return 0;
}

void sl_descriptor_done(struct sl_descriptor *d)
{
    free(d->media_type);
    sl_pairs_free(d->annotations, d->n_annotations);
    *d = (struct sl_descriptor){0};
}

static int parse_media_type(const struct sl_json *node, struct sl_descriptor *d,
                            struct sl_error *err)
{
    const struct sl_json *member = sl_json_get(node, "mediaType");
    const char *text = member ? sl_json_string(member) : "";
    if (!text)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "mediaType is not a string");
    if (strlen(text) > MEDIA_TYPE_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "mediaType is longer than %d bytes",
                            MEDIA_TYPE_MAX);
    d->media_type = strdup(text);
    return d->media_type ? 0 : sl_error_oom(err);
}

static int parse_size(const struct sl_json *node, struct sl_descriptor *d, struct sl_error *err)
{
    int64_t size;
    if (!sl_json_int64(sl_json_get(node, "size"), &size) || size < 0)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "size is missing or not a non-negative integer");
    d->size = (uint64_t)size;
    return 0;
}

/* Whoever trusts embedded content instead of the blob must not see something else. */
static int check_data(const struct sl_json *node, const struct sl_descriptor *d,
                      struct sl_error *err)
{
    const struct sl_json *member = sl_json_get(node, "data");
    const char *text = sl_json_string(member);
    if (!member)
        return 0;
    if (!text)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "data is not a string");
    SL_AUTO_DONE(sl_bytes) data = {0};
    int r = sl_base64_decode(sl_span_of(text), &data, err);
    if (r < 0)
        return sl_error_wrap(err, r, "data");
    if (data.len != d->size)
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG, "data has %zu bytes, size says %llu",
                            data.len, (unsigned long long)d->size);
    r = sl_digest_verify(&d->digest, sl_bytes_span(&data), err);
    return r < 0 ? sl_error_wrap(err, r, "data") : 0;
}

static int parse_members(const struct sl_json *node, struct sl_descriptor *d, struct sl_error *err)
{
    const char *digest;
    if (sl_json_type(node) != SL_JSON_OBJECT)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "not an object");
    int r = parse_media_type(node, d, err);
    if (r >= 0)
        r = sl_json_need_string(node, "digest", &digest, err);
    if (r >= 0)
        r = sl_digest_parse(digest, &d->digest, err);
    if (r >= 0)
        r = parse_size(node, d, err);
    if (r >= 0)
        r = sl_pairs_parse(sl_json_get(node, "annotations"), "annotations", ANNOTATIONS_MAX,
                           ANNOTATION_VALUE_MAX, &d->annotations, &d->n_annotations, err);
    return r < 0 ? r : check_data(node, d, err);
}

int sl_descriptor_parse(const struct sl_json *node, const char *what, struct sl_descriptor *ret,
                        struct sl_error *err)
{
    int r = parse_members(node, ret, err);
    if (r < 0) {
        sl_descriptor_done(ret);
        return sl_error_wrap(err, r, "%s", what);
    }
    return 0;
}

const char *sl_descriptor_annotation(const struct sl_descriptor *d, const char *name)
{
    for (size_t i = 0; i < d->n_annotations; i++)
        if (strcmp(d->annotations[i].name, name) == 0)
            return d->annotations[i].value;
    return NULL;
}
