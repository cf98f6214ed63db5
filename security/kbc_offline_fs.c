/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/kbc_offline_fs.h"

#include "offline_keys.h"
#include "sluice/core/json.h"
#include "sluice/core/resource_uri.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEYS_FILE_MAX = 1024 * 1024,
    KEYS_MAX = 8192,
    KEK_SIZE = 32,
};

struct entry {
    char *name; /* repository/type/tag */
    struct sl_bytes key;
};

struct sl_kbc_offline_fs {
    struct entry *entries;
    size_t n;
};

/* The message names the entry and never quotes its value. */
static int add_entry(struct sl_kbc_offline_fs *kbc, const char *name, const char *value,
                     struct sl_error *err)
{
    struct entry *entry = &kbc->entries[kbc->n++];
    entry->name = strdup(name);
    if (!entry->name)
        return sl_error_oom(err);
    int r = value ? sl_base64_decode(sl_span_of(value), &entry->key, NULL) : -EINVAL;
    if (r == -ENOMEM)
        return sl_error_oom(err);
    if (r < 0)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "Failed to decode key %.100s: its value must be base64", name);
    return 0;
}

static int add_entries(struct sl_kbc_offline_fs *kbc, const struct sl_json *root,
                       struct sl_error *err)
{
    size_t n = sl_json_count(root);
    if (n > KEYS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d keys", KEYS_MAX);
    kbc->entries = calloc(n ? n : 1, sizeof(*kbc->entries));
    if (!kbc->entries)
        return sl_error_oom(err);
    for (size_t i = 0; i < n; i++) {
        int r = add_entry(kbc, sl_json_name_at(root, i), sl_json_string(sl_json_at(root, i)), err);
        if (r < 0)
            return r;
    }
    return 0;
}

int sl_offline_keys_parse(struct sl_span text, struct sl_kbc_offline_fs **ret, struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    const struct sl_json_limits limits = {.size = KEYS_FILE_MAX, .depth = 2};
    /* Without err: the reader's message may quote what it reads, and these are keys. */
    int r = sl_json_parse(text, "keys file", &limits, &doc, NULL);
    if (r == -ENOMEM)
        return sl_error_oom(err);
    if (r < 0 || sl_json_type(sl_json_root(doc)) != SL_JSON_OBJECT)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "Failed to parse keys JSON file: it must be one object of names and "
                            "base64 values");
    SL_AUTO(sl_kbc_offline_fs) kbc = calloc(1, sizeof(*kbc));
    if (!kbc)
        return sl_error_oom(err);
    r = add_entries(kbc, sl_json_root(doc), err);
    if (r == 0)
        *ret = sl_steal(&kbc);
    return r;
}

int sl_kbc_offline_fs_open(const char *path, struct sl_kbc_offline_fs **ret, struct sl_error *err)
{
    struct sl_bytes text = {0};
    int r = sl_read_file(AT_FDCWD, path, KEYS_FILE_MAX, &text, err);
    if (r < 0)
        return sl_error_wrap(err, r, "offline-fs-kbc");
    r = sl_offline_keys_parse(sl_bytes_span(&text), ret, err);
    sl_bytes_wipe(&text);
    return r < 0 ? sl_error_wrap(err, r, "offline-fs-kbc: %s", path) : 0;
}

struct sl_kbc_offline_fs *sl_kbc_offline_fs_close(struct sl_kbc_offline_fs *kbc)
{
    if (!kbc)
        return NULL;
    for (size_t i = 0; i < kbc->n; i++) {
        free(kbc->entries[i].name);
        sl_bytes_wipe(&kbc->entries[i].key);
    }
    free(kbc->entries);
    free(kbc);
    return NULL;
}

/* By path: host, plugin and query are ignored. NULL when there is none, or kid names nothing. */
static const struct entry *find(const struct sl_kbc_offline_fs *kbc, const char *kid)
{
    SL_AUTO_DONE(sl_resource_uri) uri = {0};
    if (sl_resource_uri_parse_kid(kid, &uri, NULL) < 0)
        return NULL;
    for (size_t i = 0; i < kbc->n; i++)
        if (strcmp(kbc->entries[i].name, uri.path) == 0)
            return &kbc->entries[i];
    return NULL;
}

int sl_kbc_offline_fs_lookup(void *kbc, const char *kid, uint8_t ret[32], struct sl_error *err)
{
    const struct entry *entry = find(kbc, kid);
    if (!entry)
        return sl_error_set(err, SL_E_AUTH, ENOKEY,
                            "offline-fs-kbc: Received unknown key ID: %.100s; add it to the keys "
                            "file",
                            kid);
    if (entry->key.len != KEK_SIZE)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "offline-fs-kbc: key %.100s has %zu bytes instead of %d", entry->name,
                            entry->key.len, KEK_SIZE);
    memcpy(ret, entry->key.data, KEK_SIZE);
    return 0;
}
