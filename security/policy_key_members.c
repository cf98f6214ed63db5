/* SPDX-License-Identifier: Apache-2.0 */
/* keyPath, keyPaths, keyData, keyDatas, and all members that are built like them. */
#include "policy_parse.h"

#include <stdlib.h>
#include <string.h>

enum { POLICY_KEYS_MAX = 4096 }; /* in a whole policy */

static const char pem_begin[] = "-----BEGIN ";

/* Room for n more, all empty. */
static int make_room(struct sl_policy_parser *p, const struct sl_json *node,
                     struct sl_key_sources *sources, size_t n)
{
    if (sources->n)
        return sl_policy_fail(p, node, "another member says the same: only one of them may stand");
    if (n > POLICY_KEYS_MAX - p->n_keys) {
        p->at = node;
        return sl_error_set(p->err, SL_E_LIMIT, E2BIG, "more than %d keys", POLICY_KEYS_MAX);
    }
    sources->items = calloc(n, sizeof(*sources->items));
    if (!sources->items)
        return sl_error_oom(p->err);
    sources->n = n;
    p->n_keys += n;
    return 0;
}

/* Fills one source from a string. */
typedef int fill_fn(struct sl_policy_parser *p, const struct sl_json *node, const char *text,
                    struct sl_key_source *source);

static int fill_path(struct sl_policy_parser *p, const struct sl_json *node, const char *text,
                     struct sl_key_source *source)
{
    (void)node;
    source->name = strdup(text);
    return source->name ? 0 : sl_error_oom(p->err);
}

static int fill_data(struct sl_policy_parser *p, const struct sl_json *node, const char *text,
                     struct sl_key_source *source)
{
    p->at = node;
    return sl_base64_decode(sl_span_of(text), &source->bytes, p->err);
}

static int fill_data_or_pem(struct sl_policy_parser *p, const struct sl_json *node,
                            const char *text, struct sl_key_source *source)
{
    /* '-' is no base64, so the two cannot be taken for each other. */
    if (!p->is_compat || strncmp(text, pem_begin, strlen(pem_begin)) != 0)
        return fill_data(p, node, text, source);
    return sl_bytes_append(&source->bytes, sl_span_of(text), SL_RESOURCE_MAX, p->err);
}

static int parse_one(struct sl_policy_parser *p, const struct sl_json *node, fill_fn *fill,
                     struct sl_key_sources *sources)
{
    const char *text = sl_json_string(node);
    if (!text)
        return sl_policy_fail(p, node, "must be a string");
    int r = make_room(p, node, sources, 1);
    return r < 0 ? r : fill(p, node, text, &sources->items[0]);
}

static int parse_list(struct sl_policy_parser *p, const struct sl_json *node, fill_fn *fill,
                      struct sl_key_sources *sources)
{
    size_t n = sl_json_count(node);
    if (sl_json_type(node) != SL_JSON_ARRAY || n == 0)
        return sl_policy_fail(p, node, "must be a list with at least one entry");
    int r = make_room(p, node, sources, n);
    for (size_t i = 0; r == 0 && i < n; i++) {
        const struct sl_json *entry = sl_json_at(node, i);
        const char *text = sl_json_string(entry);
        r = text ? fill(p, entry, text, &sources->items[i])
                 : sl_policy_fail(p, entry, "must be a string");
        if (r < 0)
            return sl_error_wrap(p->err, r, "entry %zu", i + 1);
    }
    return r;
}

int sl_policy_key_path(struct sl_policy_parser *p, const struct sl_json *node, void *field)
{
    const char *text = sl_json_string(node);
    return text && !*text ? 0 : parse_one(p, node, fill_path, field);
}

int sl_policy_demanded_path(struct sl_policy_parser *p, const struct sl_json *node, void *field)
{
    const char *text = sl_json_string(node);
    if (!text || !*text)
        return sl_policy_fail(p, node, "must be a string with something in it");
    return parse_one(p, node, fill_path, field);
}

int sl_policy_key_paths(struct sl_policy_parser *p, const struct sl_json *node, void *field)
{
    return parse_list(p, node, fill_path, field);
}

int sl_policy_key_data(struct sl_policy_parser *p, const struct sl_json *node, void *field)
{
    return parse_one(p, node, fill_data, field);
}

int sl_policy_key_datas(struct sl_policy_parser *p, const struct sl_json *node, void *field)
{
    return parse_list(p, node, fill_data, field);
}

int sl_policy_key_data_or_pem(struct sl_policy_parser *p, const struct sl_json *node, void *field)
{
    return parse_one(p, node, fill_data_or_pem, field);
}
