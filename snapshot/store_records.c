/* SPDX-License-Identifier: Apache-2.0 */
#include "store_records.h"

#include "sluice/core/json.h"
#include "sluice/core/json_writer.h"
#include "sluice/core/limits.h"

#include <stdlib.h>
#include <string.h>

enum { PATH_LIST_FIRST = 16 };

/* The longest is layer.json: base64 of all paths, and quotes and comma for each. */
static const struct sl_json_limits limits = {
    .size = 4 * SL_NOTES_BYTES_MAX + 32 * SL_NOTES_COUNT_MAX,
    .depth = 8, /* a verdict may have some */
};

int sl_path_list_add(struct sl_path_list *list, struct sl_span path, struct sl_error *err)
{
    if (list->n >= SL_NOTES_COUNT_MAX || path.len > SL_NOTES_BYTES_MAX - list->bytes)
        return sl_error_set(err, SL_E_LIMIT, E2BIG,
                            "more than %d directories (or %d bytes of their paths) that no layer "
                            "describes",
                            SL_NOTES_COUNT_MAX, SL_NOTES_BYTES_MAX);
    if (path.len > 0 && memchr(path.data, '\0', path.len))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "a NUL in a path");
    if (list->n == 0 || (list->n >= PATH_LIST_FIRST && (list->n & (list->n - 1)) == 0)) {
        size_t cap = list->n ? 2 * list->n : PATH_LIST_FIRST;
        char **more = realloc(list->paths, cap * sizeof(*more));
        if (!more)
            return sl_error_oom(err);
        list->paths = more;
    }
    char *copy = path.len ? strndup((const char *)path.data, path.len) : strdup("");
    if (!copy)
        return sl_error_oom(err);
    list->paths[list->n++] = copy;
    list->bytes += path.len;
    return 0;
}

void sl_path_list_done(struct sl_path_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->paths[i]);
    free(list->paths);
    *list = (struct sl_path_list){0};
}

static int need_digest(const struct sl_json *object, const char *name, struct sl_digest *ret,
                       struct sl_error *err)
{
    const char *text = NULL;
    int r = sl_json_need_string(object, name, &text, err);
    return r < 0 ? r : sl_digest_parse(text, ret, err);
}

/* A record says itself which object it is about: one copied to another place is refused. */
static int need_same_digest(const struct sl_json *object, const char *name,
                            const struct sl_digest *expected, struct sl_error *err)
{
    struct sl_digest digest;
    int r = need_digest(object, name, &digest, err);
    if (r == 0 && !sl_digest_is_equal(&digest, expected))
        r = sl_error_set(err, SL_E_FORMAT, EINVAL, "\"%s\" is not the one of the file name", name);
    return r;
}

static int need_bool(const struct sl_json *object, const char *name, bool *ret,
                     struct sl_error *err)
{
    if (sl_json_bool(sl_json_get(object, name), ret))
        return 0;
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "\"%s\" is not a boolean", name);
}

static int need_int(const struct sl_json *object, const char *name, int64_t *ret,
                    struct sl_error *err)
{
    if (sl_json_int64(sl_json_get(object, name), ret) && *ret >= 0)
        return 0;
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "\"%s\" is not a number from 0", name);
}

static int need_array(const struct sl_json *object, const char *name, const struct sl_json **ret,
                      struct sl_error *err)
{
    *ret = sl_json_get(object, name);
    if (sl_json_type(*ret) == SL_JSON_ARRAY)
        return 0;
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "\"%s\" is not an array", name);
}

static int need_digests(const struct sl_json *object, const char *name, struct sl_digest **ret,
                        size_t *ret_n, struct sl_error *err)
{
    const struct sl_json *array = NULL;
    int r = need_array(object, name, &array, err);
    if (r < 0)
        return r;
    size_t n = sl_json_count(array);
    SL_AUTO_FREE struct sl_digest *digests = calloc(n ? n : 1, sizeof(*digests));
    if (!digests)
        return sl_error_oom(err);
    for (size_t i = 0; i < n; i++) {
        r = sl_digest_parse(sl_json_string(sl_json_at(array, i)), &digests[i], err);
        if (r < 0)
            return sl_error_wrap(err, r, "\"%s\"", name);
    }
    *ret = sl_steal(&digests);
    *ret_n = n;
    return 0;
}

/* ---- layer ---- */

void sl_layer_notes_done(struct sl_layer_notes *notes)
{
    sl_path_list_done(&notes->implicit);
    sl_path_list_done(&notes->whiteout_dirs);
}

static void put_paths(struct sl_json_writer *w, const char *name, const struct sl_path_list *list)
{
    sl_json_open_array(w, name);
    for (size_t i = 0; i < list->n; i++)
        sl_json_put_base64(w, NULL, sl_span_of(list->paths[i]));
    sl_json_close_array(w);
}

int sl_layer_record_format(const struct sl_digest *diff_id, const struct sl_layer_notes *notes,
                           int64_t created, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    sl_json_put_digest(w, "diffId", diff_id);
    put_paths(w, "implicit", &notes->implicit);
    put_paths(w, "whiteoutDirs", &notes->whiteout_dirs);
    sl_json_put_int(w, "created", created);
    return sl_json_end(w, ret, err);
}

static int add_base64_path(struct sl_path_list *list, const struct sl_json *node, const char *name,
                           struct sl_error *err)
{
    const char *text = sl_json_string(node);
    if (!text)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "\"%s\" holds other than strings", name);
    SL_AUTO_DONE(sl_bytes) path = {0};
    int r = sl_base64_decode(sl_span_of(text), &path, err);
    return r < 0 ? r : sl_path_list_add(list, sl_bytes_span(&path), err);
}

static int get_paths(const struct sl_json *root, const char *name, struct sl_path_list *list,
                     struct sl_error *err)
{
    const struct sl_json *array = NULL;
    int r = need_array(root, name, &array, err);
    for (size_t i = 0; r == 0 && i < sl_json_count(array); i++)
        r = add_base64_path(list, sl_json_at(array, i), name, err);
    return r;
}

int sl_layer_record_parse(struct sl_span text, const struct sl_digest *diff_id,
                          struct sl_layer_notes *ret, struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = sl_json_parse(text, "layer record", &limits, &doc, err);
    if (r < 0)
        return r;
    const struct sl_json *root = sl_json_root(doc);
    SL_AUTO_DONE(sl_layer_notes) notes = {0};
    r = need_same_digest(root, "diffId", diff_id, err);
    if (r == 0)
        r = get_paths(root, "implicit", &notes.implicit, err);
    if (r == 0)
        r = get_paths(root, "whiteoutDirs", &notes.whiteout_dirs, err);
    if (r < 0)
        return r;
    *ret = notes;
    notes = (struct sl_layer_notes){0};
    return 0;
}

/* ---- blob ---- */

int sl_blob_record_format(const struct sl_blob_record *record, struct sl_bytes *ret,
                          struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    sl_json_put_digest(w, "blob", &record->blob);
    sl_json_put_digest(w, "diffId", &record->diff_id);
    sl_json_put_bool(w, "encrypted", record->encrypted);
    sl_json_put_base64(w, "keyCheck",
                       (struct sl_span){record->key_check, sizeof(record->key_check)});
    return sl_json_end(w, ret, err);
}

int sl_blob_record_parse(struct sl_span text, const struct sl_digest *blob,
                         struct sl_blob_record *ret, struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    SL_AUTO_DONE(sl_bytes) key_check = {0};
    struct sl_blob_record record = {.blob = *blob};
    int r = sl_json_parse(text, "blob record", &limits, &doc, err);
    const struct sl_json *root = r == 0 ? sl_json_root(doc) : NULL;
    if (r == 0)
        r = need_same_digest(root, "blob", blob, err);
    if (r == 0)
        r = need_digest(root, "diffId", &record.diff_id, err);
    if (r == 0)
        r = need_bool(root, "encrypted", &record.encrypted, err);
    if (r >= 0)
        r = sl_json_need_base64(root, "keyCheck", &key_check, err);
    if (r >= 0 && key_check.len != sizeof(record.key_check))
        r = sl_error_set(err, SL_E_FORMAT, EINVAL, "\"keyCheck\" is not of %zu bytes",
                         sizeof(record.key_check));
    if (r < 0)
        return r;
    memcpy(record.key_check, key_check.data, sizeof(record.key_check));
    *ret = record;
    return 0;
}

/* ---- image ---- */

struct sl_image_record *sl_image_record_free(struct sl_image_record *record)
{
    if (!record)
        return NULL;
    free(record->name);
    free(record->diff_ids);
    sl_bytes_done(&record->config_json);
    sl_bytes_done(&record->manifest_json);
    sl_bytes_done(&record->verdict_json);
    free(record);
    return NULL;
}

/* A verdict that does not parse would make the record unreadable: it is refused. */
static int put_verdict(struct sl_json_writer *w, const struct sl_bytes *verdict,
                       struct sl_error *err)
{
    /* One container less than the record around it may have. */
    static const struct sl_json_limits verdict_limits = {.size = SL_VERDICT_RECORD_MAX, .depth = 7};
    SL_AUTO(sl_json_doc) doc = NULL;
    if (!verdict->len)
        return 0;
    int r = sl_json_parse(sl_bytes_span(verdict), "verdict", &verdict_limits, &doc, err);
    if (r < 0)
        return r;
    if (sl_json_type(sl_json_root(doc)) != SL_JSON_OBJECT)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "the verdict is not an object");
    sl_json_put_node(w, "verdict", sl_json_root(doc));
    return 0;
}

static int get_verdict(const struct sl_json *root, struct sl_bytes *ret, struct sl_error *err)
{
    const struct sl_json *verdict = sl_json_get(root, "verdict");
    if (!verdict)
        return 0;
    if (sl_json_type(verdict) != SL_JSON_OBJECT)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "\"verdict\" is not an object");
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    for (size_t i = 0; i < sl_json_count(verdict); i++)
        sl_json_put_node(w, sl_json_name_at(verdict, i), sl_json_at(verdict, i));
    int r = sl_json_end(w, ret, err);
    if (r == 0 && ret->len > SL_VERDICT_RECORD_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "\"verdict\" has more than %d bytes",
                            SL_VERDICT_RECORD_MAX);
    return r;
}

int sl_image_record_format(const struct sl_image_record *record, struct sl_bytes *ret,
                           struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    sl_json_put_digest(w, "manifest", &record->manifest);
    sl_json_put_digest(w, "config", &record->config);
    sl_json_put_digests(w, "diffIds", record->diff_ids, record->n_layers);
    sl_json_put_bool(w, "encrypted", record->encrypted);
    sl_json_put_int(w, "size", (int64_t)record->size);
    sl_json_put_int(w, "pulled", record->pulled);
    sl_json_put_base64(w, "configJson", sl_bytes_span(&record->config_json));
    if (record->manifest_json.len)
        sl_json_put_base64(w, "manifestJson", sl_bytes_span(&record->manifest_json));
    int r = put_verdict(w, &record->verdict_json, err);
    return r < 0 ? r : sl_json_end(w, ret, err);
}

/* Records of the first version have none. */
static int get_manifest(const struct sl_json *root, struct sl_bytes *ret, struct sl_error *err)
{
    if (!sl_json_get(root, "manifestJson"))
        return 0;
    int r = sl_json_need_base64(root, "manifestJson", ret, err);
    if (r >= 0 && ret->len > SL_MANIFEST_MAX)
        r = sl_error_set(err, SL_E_LIMIT, E2BIG, "\"manifestJson\" has more than %d bytes",
                         SL_MANIFEST_MAX);
    return r < 0 ? r : 0;
}

int sl_image_record_parse(struct sl_span text, const struct sl_digest *manifest,
                          struct sl_image_record **ret, struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = sl_json_parse(text, "image record", &limits, &doc, err);
    if (r < 0)
        return r;
    SL_AUTO(sl_image_record) record = calloc(1, sizeof(*record));
    if (!record)
        return sl_error_oom(err);
    const struct sl_json *root = sl_json_root(doc);
    int64_t size = 0;
    record->manifest = *manifest;
    r = need_same_digest(root, "manifest", manifest, err);
    if (r == 0)
        r = need_digest(root, "config", &record->config, err);
    if (r == 0)
        r = need_digests(root, "diffIds", &record->diff_ids, &record->n_layers, err);
    if (r == 0)
        r = need_bool(root, "encrypted", &record->encrypted, err);
    if (r == 0)
        r = need_int(root, "size", &size, err);
    if (r == 0)
        r = need_int(root, "pulled", &record->pulled, err);
    if (r == 0)
        r = sl_json_need_base64(root, "configJson", &record->config_json, err);
    if (r == 0)
        r = get_manifest(root, &record->manifest_json, err);
    if (r == 0)
        r = get_verdict(root, &record->verdict_json, err);
    if (r < 0)
        return r;
    record->size = (uint64_t)size;
    *ret = sl_steal(&record);
    return 0;
}

/* ---- reference ---- */

int sl_ref_record_format(const char *name, const struct sl_digest *manifest, struct sl_bytes *ret,
                         struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    sl_json_put_string(w, "name", name);
    sl_json_put_digest(w, "manifest", manifest);
    return sl_json_end(w, ret, err);
}

int sl_ref_record_parse(struct sl_span text, char **ret_name, struct sl_digest *ret_manifest,
                        struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    const char *name = NULL;
    struct sl_digest manifest;
    int r = sl_json_parse(text, "reference", &limits, &doc, err);
    if (r >= 0)
        r = sl_json_need_string(sl_json_root(doc), "name", &name, err);
    if (r >= 0)
        r = need_digest(sl_json_root(doc), "manifest", &manifest, err);
    if (r < 0)
        return r;
    char *copy = strdup(name);
    if (!copy)
        return sl_error_oom(err);
    *ret_name = copy;
    *ret_manifest = manifest;
    return 0;
}

/* ---- mount ---- */

struct sl_mount_record *sl_mount_record_free(struct sl_mount_record *record)
{
    if (!record)
        return NULL;
    free(record->id);
    free(record->target);
    free(record->diff_ids);
    free(record);
    return NULL;
}

int sl_mount_record_format(const struct sl_mount_record *record,
                           const struct sl_mount_origin *origin, struct sl_bytes *ret,
                           struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    sl_json_put_base64(w, "target", sl_span_of(record->target));
    sl_json_put_digest(w, "manifest", &record->manifest);
    sl_json_put_digests(w, "diffIds", record->diff_ids, record->n_layers);
    sl_json_put_string(w, "bootId", origin->boot_id);
    sl_json_put_int(w, "namespace", origin->namespace_id);
    return sl_json_end(w, ret, err);
}

static int need_target(const struct sl_json *root, char **ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) target = {0};
    int r = sl_json_need_base64(root, "target", &target, err);
    if (r < 0)
        return r;
    if (target.len == 0 || target.data[0] != '/' || memchr(target.data, '\0', target.len))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "\"target\" is not an absolute path");
    *ret = strndup((const char *)target.data, target.len);
    return *ret ? 0 : sl_error_oom(err);
}

static int need_origin(const struct sl_json *root, struct sl_mount_origin *ret,
                       struct sl_error *err)
{
    const char *boot_id = NULL;
    int r = sl_json_need_string(root, "bootId", &boot_id, err);
    if (r == 0)
        r = need_int(root, "namespace", &ret->namespace_id, err);
    if (r < 0)
        return r;
    if (strlen(boot_id) >= sizeof(ret->boot_id))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "\"bootId\" is too long");
    memcpy(ret->boot_id, boot_id, strlen(boot_id) + 1);
    return 0;
}

int sl_mount_record_parse(struct sl_span text, const char *id, struct sl_mount_record **ret,
                          struct sl_mount_origin *ret_origin, struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = sl_json_parse(text, "mount record", &limits, &doc, err);
    if (r < 0)
        return r;
    SL_AUTO(sl_mount_record) record = calloc(1, sizeof(*record));
    if (record)
        record->id = strdup(id);
    if (!record || !record->id)
        return sl_error_oom(err);
    const struct sl_json *root = sl_json_root(doc);
    struct sl_mount_origin origin = {.namespace_id = 0};
    r = need_target(root, &record->target, err);
    if (r == 0)
        r = need_digest(root, "manifest", &record->manifest, err);
    if (r == 0)
        r = need_digests(root, "diffIds", &record->diff_ids, &record->n_layers, err);
    if (r == 0)
        r = need_origin(root, &origin, err);
    if (r < 0)
        return r;
    *ret = sl_steal(&record);
    *ret_origin = origin;
    return 0;
}
