/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include "check.h"
#include "sluice/core/json_writer.h"

#include <stdlib.h>
#include <string.h>

enum {
    TEXT_MAX = 4095,                 /* bytes of a value: a path may have that many */
    DOCUMENT_MAX = 1024 * 1024,      /* bytes of a policy, of certificates */
    LIST_MAX = 64,                   /* elements */
    SIZE_MAX_BYTES_LOG2 = 40,        /* buffers of a terabyte are a typing error */
    RULES_TEXT_MAX = 4 * 1024 * 1024 /* bytes of JSON; escapes make it longer than the file */
};

#define BAD(err, ...) sl_error_set(err, SL_E_FORMAT, EINVAL, __VA_ARGS__)

static void *slot_of(struct sl_config *config, const struct sl_config_key *key)
{
    return (char *)config + key->offset;
}

char **sl_config_list_free(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
    return NULL;
}

/* ---- texts ---- */

static int check_characters(const struct sl_config_key *key, const char *text, struct sl_error *err)
{
    bool is_document = key->flags & (CONFIG_DOCUMENT | CONFIG_CERTIFICATE);
    size_t len = strlen(text);
    size_t limit = is_document ? DOCUMENT_MAX : TEXT_MAX;
    if (len > limit)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%zu bytes, at most %zu are read", len, limit);
    if (!is_document && sl_config_has_control(text))
        return BAD(err, "holds a control character");
    return 0;
}

/* *ret, to be freed, is what text means. */
static int read_text(const struct sl_config_key *key, const char *text, char **ret,
                     struct sl_error *err)
{
    char *meant = NULL;
    int r = check_characters(key, text, err);
    if (r == 0 && !*text && !(key->flags & CONFIG_EMPTY_IS_KEPT))
        r = BAD(err, "must not be empty");
    if (r == 0 && key->check)
        r = key->check(text, &meant, err);
    if (r < 0)
        return r;
    if (!meant)
        meant = strdup(text);
    if (!meant)
        return sl_error_oom(err);
    *ret = meant;
    return 0;
}

static int store_text(struct sl_config *config, const struct sl_config_key *key, const char *text,
                      struct sl_error *err)
{
    char **slot = slot_of(config, key);
    char *meant = NULL;
    bool is_none = !*text && (key->flags & CONFIG_EMPTY_IS_NONE);
    int r = is_none ? 0 : read_text(key, text, &meant, err);
    if (r < 0)
        return r;
    free(*slot);
    *slot = meant;
    return 0;
}

/* ---- words and numbers ---- */

static int store_choice(struct sl_config *config, enum sl_config_id id, const char *word,
                        struct sl_error *err)
{
    const char *const *choices = sl_config_choices(id);
    int i = 0;
    while (choices[i] && strcmp(choices[i], word) != 0)
        i++;
    if (!choices[i])
        return BAD(err, "'%.100s' is neither \"%s\" nor \"%s\"", word, choices[0], choices[1]);
    if (id == CONFIG_KEEP)
        config->keep = (enum sl_keep)i;
    else
        config->policy_dialect_image_rs = i;
    return 0;
}

static int store_count(struct sl_config *config, const struct sl_config_key *key, int64_t number,
                       struct sl_error *err)
{
    if (number > key->max && (key->flags & CONFIG_CLAMP))
        number = key->max;
    if (number < key->min || number > key->max)
        return BAD(err, "%lld is not a number from %u to %u", (long long)number, key->min,
                   key->max);
    *(unsigned *)slot_of(config, key) = (unsigned)number;
    return 0;
}

static int store_size(struct sl_config *config, const struct sl_config_key *key, uint64_t size,
                      struct sl_error *err)
{
    if (size < key->min || size >> SIZE_MAX_BYTES_LOG2)
        return BAD(err, "%llu bytes are too few or too many: at least %uM, less than 1024G",
                   (unsigned long long)size, key->min >> 20);
    *(uint64_t *)slot_of(config, key) = size;
    return 0;
}

static int store_size_text(struct sl_config *config, const struct sl_config_key *key,
                           const char *text, struct sl_error *err)
{
    uint64_t size = 0;
    int r = sl_config_parse_size(text, &size, err);
    return r < 0 ? r : store_size(config, key, size, err);
}

/* ---- lists ---- */

static int check_array(const struct sl_config_key *key, const struct sl_json *node,
                       struct sl_error *err)
{
    size_t n = sl_json_count(node);
    if (sl_json_type(node) != SL_JSON_ARRAY)
        return BAD(err, "must be an array of strings");
    if (n > LIST_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "has %zu elements, at most %d are read", n,
                            (int)LIST_MAX);
    if (n == 0 && (key->flags & CONFIG_NOT_EMPTY))
        return BAD(err, "must not be empty");
    return 0;
}

static int read_element(const struct sl_config_key *key, const struct sl_json *array, size_t i,
                        char **ret, struct sl_error *err)
{
    const char *text = sl_json_string(sl_json_at(array, i));
    int r = text ? read_text(key, text, ret, err) : BAD(err, "must be a string");
    return r < 0 ? sl_error_wrap(err, r, "element %zu", i + 1) : 0;
}

static int read_list(const struct sl_config_key *key, const struct sl_json *node, char ***ret,
                     struct sl_error *err)
{
    int r = check_array(key, node, err);
    if (r < 0)
        return r;
    char **list = calloc(sl_json_count(node) + 1, sizeof(*list));
    if (!list)
        return sl_error_oom(err);
    for (size_t i = 0; r == 0 && i < sl_json_count(node); i++)
        r = read_element(key, node, i, &list[i], err);
    if (r < 0)
        sl_config_list_free(list);
    else
        *ret = list;
    return r;
}

static int store_list(struct sl_config *config, const struct sl_config_key *key,
                      const struct sl_json *node, struct sl_error *err)
{
    char ***slot = slot_of(config, key);
    char **list = NULL;
    int r = read_list(key, node, &list, err);
    if (r < 0)
        return r;
    sl_config_list_free(*slot);
    *slot = list;
    return 0;
}

static int store_only_element(struct sl_config *config, const struct sl_config_key *key,
                              const char *text, struct sl_error *err)
{
    char ***slot = slot_of(config, key);
    char **list = calloc(2, sizeof(*list));
    if (!list)
        return sl_error_oom(err);
    int r = read_text(key, text, &list[0], err);
    if (r < 0) {
        free(list);
        return r;
    }
    sl_config_list_free(*slot);
    *slot = list;
    return 0;
}

/* Each with a line break behind it: PEM blocks must not run into one another. */
static int store_joined(struct sl_config *config, const struct sl_config_key *key,
                        const struct sl_json *node, struct sl_error *err)
{
    char **slot = slot_of(config, key);
    SL_AUTO_DONE(sl_bytes) all = {0};
    char **list = NULL;
    int r = read_list(key, node, &list, err);
    for (size_t i = 0; r == 0 && list[i]; i++) {
        r = sl_bytes_append(&all, sl_span_of(list[i]), DOCUMENT_MAX, err);
        if (r == 0)
            r = sl_bytes_append(&all, sl_span_of("\n"), DOCUMENT_MAX, err);
    }
    sl_config_list_free(list);
    if (r < 0)
        return r;
    free(*slot);
    *slot = all.len ? (char *)sl_steal(&all.data) : NULL;
    return 0;
}

/* ---- a table that is read elsewhere ---- */

static int store_table(struct sl_config *config, const struct sl_config_key *key,
                       const struct sl_json *node, struct sl_error *err)
{
    char **slot = slot_of(config, key);
    if (sl_json_type(node) != SL_JSON_OBJECT)
        return BAD(err, "must be a table");
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    SL_AUTO_DONE(sl_bytes) text = {0};
    for (size_t i = 0; i < sl_json_count(node); i++)
        sl_json_put_node(w, sl_json_name_at(node, i), sl_json_at(node, i));
    int r = sl_json_end(w, &text, err);
    if (r < 0)
        return r;
    if (text.len > RULES_TEXT_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "is larger than %d bytes", (int)RULES_TEXT_MAX);
    text.data[strcspn((const char *)text.data, "\n")] = 0;
    free(*slot);
    *slot = (char *)sl_steal(&text.data);
    return 0;
}

/* ---- both faces ---- */

int sl_config_store_text(struct sl_config *config, enum sl_config_id id, const char *text,
                         struct sl_error *err)
{
    const struct sl_config_key *key = sl_config_key_at(id);
    switch (key->kind) {
    case CONFIG_KIND_FLAG:
        *(bool *)slot_of(config, key) = strcmp(text, "true") == 0;
        return 0;
    case CONFIG_KIND_CHOICE:
        return store_choice(config, id, text, err);
    case CONFIG_KIND_COUNT:
        return store_count(config, key, strtoll(text, NULL, 10), err);
    case CONFIG_KIND_SIZE:
        return store_size_text(config, key, text, err);
    case CONFIG_KIND_LIST:
        return store_only_element(config, key, text, err);
    default:
        return store_text(config, key, text, err);
    }
}

static int store_number(struct sl_config *config, const struct sl_config_key *key,
                        const struct sl_json *node, struct sl_error *err)
{
    int64_t number = 0;
    if (!sl_json_int64(node, &number))
        return BAD(err, key->kind == CONFIG_KIND_SIZE ? "must be a size: a number, or as \"64M\""
                                                      : "must be a whole number");
    if (key->kind == CONFIG_KIND_COUNT)
        return store_count(config, key, number, err);
    return store_size(config, key, number < 0 ? 0 : (uint64_t)number, err);
}

int sl_config_store_node(struct sl_config *config, enum sl_config_id id, const struct sl_json *node,
                         struct sl_error *err)
{
    const struct sl_config_key *key = sl_config_key_at(id);
    const char *text = sl_json_string(node);
    switch (key->kind) {
    case CONFIG_KIND_FLAG:
        return sl_json_bool(node, slot_of(config, key)) ? 0 : BAD(err, "must be true or false");
    case CONFIG_KIND_COUNT:
        return store_number(config, key, node, err);
    case CONFIG_KIND_SIZE:
        return text ? store_size_text(config, key, text, err)
                    : store_number(config, key, node, err);
    case CONFIG_KIND_LIST:
        return store_list(config, key, node, err);
    case CONFIG_KIND_JOINED:
        return store_joined(config, key, node, err);
    case CONFIG_KIND_TABLE:
        return store_table(config, key, node, err);
    case CONFIG_KIND_IGNORED:
        return 0;
    default:
        return text ? sl_config_store_text(config, id, text, err) : BAD(err, "must be a string");
    }
}
