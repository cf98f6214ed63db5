/* SPDX-License-Identifier: Apache-2.0 */
#include "offline_table.h"

#include "sluice/core/json.h"
#include "sluice/core/log.h"
#include "sluice/core/secret.h"

#include <stdlib.h>
#include <string.h>

enum {
    ENTRIES_MAX = 8192, /* of one table */
    KEK_SIZE = 32,
};

struct entry {
    char *name;     /* repository/type/tag */
    uint8_t *value; /* of sl_secret_alloc */
    size_t len;
};

struct sl_offline_table {
    const char *noun;
    struct entry *entries; /* those of later files behind */
    size_t n;
};

int sl_offline_table_new(const char *noun, struct sl_offline_table **ret, struct sl_error *err)
{
    struct sl_offline_table *table = calloc(1, sizeof(*table));
    if (!table)
        return sl_error_oom(err);
    table->noun = noun;
    *ret = table;
    return 0;
}

struct sl_offline_table *sl_offline_table_free(struct sl_offline_table *table)
{
    if (!table)
        return NULL;
    for (size_t i = 0; i < table->n; i++) {
        free(table->entries[i].name);
        (void)sl_secret_release(table->entries[i].value);
    }
    free(table->entries);
    free(table);
    return NULL;
}

static const struct entry *find(const struct sl_offline_table *table, size_t n, const char *name)
{
    while (n-- > 0)
        if (strcmp(table->entries[n].name, name) == 0)
            return &table->entries[n];
    return NULL;
}

/* ---- filling ---- */

/* The message names the entry and never quotes its value. */
static int decode(const struct sl_offline_table *table, const char *name, const char *base64,
                  struct sl_bytes *ret, struct sl_error *err)
{
    int r = base64 ? sl_base64_decode(sl_span_of(base64), ret, /* err= */ NULL) : -EINVAL;
    if (r == -ENOMEM)
        return sl_error_oom(err);
    if (r < 0)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "Failed to decode %s %.100s: its value must be base64", table->noun,
                            name);
    return 0;
}

static int keep(struct sl_offline_table *table, const char *name, struct sl_span value,
                struct sl_error *err)
{
    struct entry *entry = &table->entries[table->n++];
    *entry = (struct entry){strdup(name), sl_secret_alloc(value.len ? value.len : 1), value.len};
    if (!entry->name || !entry->value)
        return sl_error_oom(err);
    if (value.len)
        memcpy(entry->value, value.data, value.len);
    return 0;
}

static bool is_picked(enum sl_offline_pick pick, size_t len)
{
    return pick == SL_OFFLINE_ALL || (pick == SL_OFFLINE_KEKS) == (len == KEK_SIZE);
}

static int reserve(struct sl_offline_table *table, size_t more, struct sl_error *err)
{
    if (more > ENTRIES_MAX - table->n)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d entries", ENTRIES_MAX);
    struct entry *entries =
        reallocarray(table->entries, table->n + more + 1, sizeof(*table->entries));
    if (!entries)
        return sl_error_oom(err);
    table->entries = entries;
    return 0;
}

static int add_entries(struct sl_offline_table *table, const struct sl_json *root,
                       enum sl_offline_pick pick, struct sl_error *err)
{
    size_t n_before = table->n;
    int r = reserve(table, sl_json_count(root), err);
    for (size_t i = 0; r == 0 && i < sl_json_count(root); i++) {
        const char *name = sl_json_name_at(root, i);
        struct sl_bytes value = {0};
        r = decode(table, name, sl_json_string(sl_json_at(root, i)), &value, err);
        if (r == 0 && is_picked(pick, value.len)) {
            if (find(table, n_before, name))
                sl_log(SL_LOG_WARN,
                       "offline-fs-kbc: %s %.100s is defined twice; the later file wins",
                       table->noun, name);
            r = keep(table, name, sl_bytes_span(&value), err);
        }
        sl_bytes_wipe(&value);
    }
    return r;
}

int sl_offline_table_add(struct sl_offline_table *table, struct sl_span json,
                         enum sl_offline_pick pick, struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    const struct sl_json_limits limits = {.size = SL_OFFLINE_FILE_MAX, .depth = 2};
    /* Without err: the reader's message may quote what it reads, and these may be keys. */
    int r = sl_json_parse(json, "table", &limits, &doc, /* err= */ NULL);
    if (r == -ENOMEM)
        return sl_error_oom(err);
    if (r < 0 || sl_json_type(sl_json_root(doc)) != SL_JSON_OBJECT)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "Failed to parse %ss JSON file: it must be one object of names and "
                            "base64 values",
                            table->noun);
    return add_entries(table, sl_json_root(doc), pick, err);
}

/* ---- asking ---- */

int sl_offline_table_get(const struct sl_offline_table *table, const char *name,
                         struct sl_bytes *ret, struct sl_error *err)
{
    const struct entry *entry = find(table, table->n, name);
    if (!entry)
        return sl_error_set(err, SL_E_AUTH, ENOENT, "there is no %s %.100s", table->noun, name);
    return sl_bytes_append(ret, (struct sl_span){entry->value, entry->len}, SL_OFFLINE_FILE_MAX,
                           err);
}
