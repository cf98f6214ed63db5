/* SPDX-License-Identifier: Apache-2.0 */
/* Image configs: image-spec config.md, which docker's container.image.v1 agrees with. Docker
 * writes null for every empty member, so null always means absent here. */
#include "image_document.h"

#include "sluice/core/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONFIG_LIST_MAX = 8192, /* entries of env, entrypoint, … */
    LABELS_MAX = 8192,
    LABEL_VALUE_MAX = 1024 * 1024,
};

/* A member that is copied as it is. */
struct text_member {
    const char *name;
    char **to;
};
struct list_member {
    const char *name;
    char ***to;
    enum sl_json_type type; /* of an object, the names are the list */
};

static void free_list(char **list)
{
    for (size_t i = 0; list && list[i]; i++)
        free(list[i]);
    free(list);
}

static int parse_text(const struct sl_json *object, const struct text_member *m,
                      struct sl_error *err)
{
    const struct sl_json *member = sl_json_get(object, m->name);
    if (sl_json_type(member) == SL_JSON_NULL)
        return 0;
    const char *text = sl_json_string(member);
    if (!text)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "'%s' is not a string", m->name);
    *m->to = strdup(text);
    return *m->to ? 0 : sl_error_oom(err);
}

static int fill_list(const struct sl_json *member, const struct list_member *m, char **list,
                     struct sl_error *err)
{
    size_t n = sl_json_count(member);
    for (size_t i = 0; i < n; i++) {
        const char *text = m->type == SL_JSON_OBJECT ? sl_json_name_at(member, i)
                                                     : sl_json_string(sl_json_at(member, i));
        if (!text)
            return sl_error_set(err, SL_E_FORMAT, EINVAL, "'%s' holds something not a string",
                                m->name);
        list[i] = strdup(text);
        if (!list[i])
            return sl_error_oom(err);
    }
    return 0;
}

static int parse_list(const struct sl_json *object, const struct list_member *m,
                      struct sl_error *err)
{
    const struct sl_json *member = sl_json_get(object, m->name);
    size_t n = sl_json_count(member);
    if (sl_json_type(member) == SL_JSON_NULL)
        return 0;
    if (sl_json_type(member) != m->type)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "'%s' is not an %s", m->name,
                            m->type == SL_JSON_OBJECT ? "object" : "array");
    if (n > CONFIG_LIST_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "'%s' has %zu entries, the limit is %d",
                            m->name, n, CONFIG_LIST_MAX);
    *m->to = calloc(n + 1, sizeof(**m->to));
    return *m->to ? fill_list(member, m, *m->to, err) : sl_error_oom(err);
}

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

static int parse_texts(const struct sl_json *object, const struct text_member *members, size_t n,
                       struct sl_error *err)
{
    int r = 0;
    for (size_t i = 0; r >= 0 && i < n; i++)
        r = parse_text(object, &members[i], err);
    return r;
}

static int parse_lists(const struct sl_json *object, const struct list_member *members, size_t n,
                       struct sl_error *err)
{
    int r = 0;
    for (size_t i = 0; r >= 0 && i < n; i++)
        r = parse_list(object, &members[i], err);
    return r;
}

static int parse_platform(const struct sl_json *root, struct sl_image_config *c,
                          struct sl_error *err)
{
    const struct text_member texts[] = {
        {"os", &c->os},           {"architecture", &c->architecture},
        {"variant", &c->variant}, {"os.version", &c->os_version},
        {"author", &c->author},   {"created", &c->created},
    };
    const struct list_member lists[] = {{"os.features", &c->os_features, SL_JSON_ARRAY}};
    int r = parse_texts(root, texts, N_OF(texts), err);
    return r < 0 ? r : parse_lists(root, lists, N_OF(lists), err);
}

static int parse_execution(const struct sl_json *config, struct sl_image_config *c,
                           struct sl_error *err)
{
    const struct text_member texts[] = {
        {"User", &c->user},
        {"WorkingDir", &c->working_dir},
        {"StopSignal", &c->stop_signal},
    };
    const struct list_member lists[] = {
        {"Env", &c->env, SL_JSON_ARRAY},
        {"Entrypoint", &c->entrypoint, SL_JSON_ARRAY},
        {"Cmd", &c->cmd, SL_JSON_ARRAY},
        {"ExposedPorts", &c->exposed_ports, SL_JSON_OBJECT},
        {"Volumes", &c->volumes, SL_JSON_OBJECT},
    };
    if (sl_json_type(config) != SL_JSON_NULL && sl_json_type(config) != SL_JSON_OBJECT)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "'config' is not an object");
    int r = parse_texts(config, texts, N_OF(texts), err);
    if (r >= 0)
        r = parse_lists(config, lists, N_OF(lists), err);
    if (r < 0)
        return r;
    return sl_pairs_parse(sl_json_get(config, "Labels"), "'Labels'", LABELS_MAX, LABEL_VALUE_MAX,
                          &c->labels, &c->n_labels, err);
}

static int parse_diff_ids(const struct sl_json *ids, struct sl_image_config *c,
                          struct sl_error *err)
{
    size_t n = sl_json_count(ids);
    if (sl_json_type(ids) != SL_JSON_NULL && sl_json_type(ids) != SL_JSON_ARRAY)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "'diff_ids' is not an array");
    if (n > SL_LAYERS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%zu diff_ids, the limit is %d", n,
                            SL_LAYERS_MAX);
    c->diff_ids = calloc(n ? n : 1, sizeof(*c->diff_ids));
    if (!c->diff_ids)
        return sl_error_oom(err);
    c->n_diff_ids = n;
    for (size_t i = 0; i < n; i++) {
        int r = sl_digest_parse(sl_json_string(sl_json_at(ids, i)), &c->diff_ids[i], err);
        if (r < 0)
            return sl_error_wrap(err, r, "diff_id %zu/%zu", i + 1, n);
    }
    return 0;
}

static int parse_rootfs(const struct sl_json *rootfs, struct sl_image_config *c,
                        struct sl_error *err)
{
    const char *type = sl_json_string(sl_json_get(rootfs, "type"));
    if (sl_json_type(rootfs) != SL_JSON_OBJECT)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "'rootfs' is missing or not an object");
    if (!type || strcmp(type, "layers") != 0)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "the type of 'rootfs' is not \"layers\"");
    return parse_diff_ids(sl_json_get(rootfs, "diff_ids"), c, err);
}

static int parse_root(const struct sl_json *root, struct sl_image_config *c, struct sl_error *err)
{
    if (sl_json_type(root) != SL_JSON_OBJECT)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "not a JSON object");
    int r = parse_platform(root, c, err);
    if (r >= 0)
        r = parse_rootfs(sl_json_get(root, "rootfs"), c, err);
    return r < 0 ? r : parse_execution(sl_json_get(root, "config"), c, err);
}

int sl_image_config_parse(struct sl_span json, struct sl_image_config **ret, struct sl_error *err)
{
    SL_AUTO(sl_image_config) c = calloc(1, sizeof(*c));
    if (!c)
        return sl_error_oom(err);
    SL_AUTO(sl_json_doc) doc = NULL;
    const struct sl_json_limits limits = {.size = SL_CONFIG_MAX};
    int r = sl_json_parse(json, "image config", &limits, &doc, err);
    if (r < 0)
        return r;
    r = parse_root(sl_json_root(doc), c, err);
    if (r < 0)
        return sl_error_wrap(err, r, "image config");
    *ret = sl_steal(&c);
    return 0;
}

struct sl_image_config *sl_image_config_free(struct sl_image_config *c)
{
    if (!c)
        return NULL;
    char *const texts[] = {c->os,      c->architecture, c->variant,     c->os_version, c->author,
                           c->created, c->user,         c->working_dir, c->stop_signal};
    char **const lists[] = {c->os_features, c->env,           c->entrypoint,
                            c->cmd,         c->exposed_ports, c->volumes};
    for (size_t i = 0; i < N_OF(texts); i++)
        free(texts[i]);
    for (size_t i = 0; i < N_OF(lists); i++)
        free_list(lists[i]);
    free(c->diff_ids);
    sl_pairs_free(c->labels, c->n_labels);
    free(c);
    return NULL;
}
