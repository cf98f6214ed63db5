/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file. Keys of the confidential data hub and our table [sluice], in TOML, or in JSON when the
 * name ends in .json. Unknown keys are ignored, as the hub does, but told: a misspelt policy is no
 * policy.
 */
#include "sluice/core/toml.h"
#include "sources.h"

#include <stdlib.h>
#include <string.h>

enum {
    NAME_SHOWN_MAX = 100, /* bytes of an unknown name that are shown */
};

struct file {
    struct sl_config_draft *draft;
    const char *name;
    bool has_image;
};

static char *place_text(const struct file *file, const struct sl_json *node)
{
    uint32_t line = sl_json_place_of(node).line;
    return line ? sl_strf("%s: line %u", file->name, line) : strdup(file->name);
}

static int bad_at(const struct file *file, const struct sl_json *node, const char *key,
                  const char *why, struct sl_error *err)
{
    SL_AUTO_FREE char *where = place_text(file, node);
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "%s: %s: %s", where ? where : file->name, key,
                        why);
}

static int warn_unknown(const struct file *file, const struct sl_json *node, const char *name,
                        const char *suggestion, struct sl_error *err)
{
    SL_AUTO_FREE char *where = place_text(file, node);
    if (!where)
        return sl_error_oom(err);
    return sl_config_warn(file->draft, err, "%s: %.*s: unknown key, ignored%s%s%s", where,
                          NAME_SHOWN_MAX, name, suggestion ? "; did you mean " : "",
                          suggestion ? suggestion : "", suggestion ? "?" : "");
}

/* ---- [[credentials]] ---- */

static int read_credential(const struct file *file, const struct sl_json *entry,
                           struct sl_error *err)
{
    const char *path = NULL;
    const char *uri = NULL;
    SL_AUTO_FREE char *where = place_text(file, entry);
    if (!where)
        return sl_error_oom(err);
    if (sl_json_type(entry) != SL_JSON_OBJECT)
        return bad_at(file, entry, "credentials", "must be an array of tables", err);
    int r = sl_json_need_string(entry, "path", &path, err);
    if (r == 0)
        r = sl_json_need_string(entry, "resource_uri", &uri, err);
    if (r < 0)
        return sl_error_wrap(err, r, "%s: credentials", where);
    for (size_t i = 0; r == 0 && i < sl_json_count(entry); i++) {
        const char *name = sl_json_name_at(entry, i);
        if (strcmp(name, "path") != 0 && strcmp(name, "resource_uri") != 0)
            r = warn_unknown(file, sl_json_at(entry, i), name, /* suggestion= */ NULL, err);
    }
    const struct sl_config_source source = {SL_CONFIG_FILE, where};
    return r < 0 ? r : sl_config_add_credential(file->draft, path, uri, &source, err);
}

static int read_credentials(const struct file *file, const struct sl_json *array,
                            struct sl_error *err)
{
    if (sl_json_type(array) != SL_JSON_ARRAY)
        return bad_at(file, array, "credentials", "must be an array of tables", err);
    int r = 0;
    for (size_t i = 0; r == 0 && i < sl_json_count(array); i++)
        r = read_credential(file, sl_json_at(array, i), err);
    return r;
}

/* ---- tables ---- */

static int read_key(const struct file *file, enum sl_config_id id, const struct sl_json *node,
                    struct sl_error *err)
{
    const struct sl_config_key *key = sl_config_key_at(id);
    SL_AUTO_FREE char *where = place_text(file, node);
    if (!where)
        return sl_error_oom(err);
    if (key->kind == CONFIG_KIND_CREDENTIALS)
        return read_credentials(file, node, err);
    if (key->flags & CONFIG_TOLD && sl_json_type(node) != SL_JSON_NULL)
        return sl_config_warn(file->draft, err, "%s: %s: the hub's, without effect here", where,
                              key->name);
    const struct sl_config_source source = {SL_CONFIG_FILE, where};
    return sl_config_set_node(file->draft, id, node, &source, err);
}

static int read_table(struct file *file, const struct sl_json *table, const char *prefix,
                      struct sl_error *err);

static int read_member(struct file *file, const struct sl_json *node, const char *name,
                       struct sl_error *err)
{
    enum sl_config_id id;
    if (sl_config_key_find(name, &id))
        return read_key(file, id, node, err);
    if (!sl_config_is_table(name)) {
        SL_AUTO_FREE char *suggestion = sl_config_suggest(name);
        return warn_unknown(file, node, name, suggestion, err);
    }
    if (strcmp(name, "image") == 0)
        file->has_image = true;
    else if (sl_json_type(node) == SL_JSON_NULL)
        return 0;
    if (sl_json_type(node) != SL_JSON_OBJECT)
        return bad_at(file, node, name, "must be a table", err);
    SL_AUTO_FREE char *prefix = sl_strf("%s.", name);
    return prefix ? read_table(file, node, prefix, err) : sl_error_oom(err);
}

/* As deep as known tables lie in one another. */
static int read_table(struct file *file, const struct sl_json *table, const char *prefix,
                      struct sl_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < sl_json_count(table); i++) {
        SL_AUTO_FREE char *name = sl_strf("%s%s", prefix, sl_json_name_at(table, i));
        r = name ? read_member(file, sl_json_at(table, i), name, err) : sl_error_oom(err);
    }
    return r;
}

static int parse(struct sl_span text, const char *name, struct sl_json_doc **ret,
                 struct sl_error *err)
{
    static const char suffix[] = ".json";
    size_t len = strlen(name);
    const struct sl_json_limits limits = {.size = SL_CONFIG_FILE_MAX};
    if (text.len > SL_CONFIG_FILE_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%s: larger than %d bytes", name,
                            (int)SL_CONFIG_FILE_MAX);
    bool is_json = len >= strlen(suffix) && strcmp(name + len - strlen(suffix), suffix) == 0;
    return is_json ? sl_json_parse(text, name, &limits, ret, err)
                   : sl_toml_parse(text, name, ret, err);
}

/* With the warning that may tell why. */
static int kbc_is_missing(const struct file *file, struct sl_error *err)
{
    const char *why = NULL;
    for (char **w = file->draft->loaded->warnings; *w && !why; w++)
        if (strstr(*w, ": kbc.")) /* unknown: the others are read */
            why = *w;
    return sl_error_set(err, SL_E_FORMAT, EINVAL,
                        "%s: kbc.name is missing: say which key broker client is meant, as in "
                        "[kbc] name = \"offline_fs_kbc\"%s%s",
                        file->name, why ? "; " : "", why ? why : "");
}

int sl_config_read_file(struct sl_config_draft *draft, struct sl_span text, const char *name,
                        bool *ret_has_image, struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    struct file file = {.draft = draft, .name = name};
    int r = parse(text, name, &doc, err);
    if (r < 0)
        return r;
    if (sl_json_type(sl_json_root(doc)) != SL_JSON_OBJECT)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "%s: must be an object", name);
    r = read_table(&file, sl_json_root(doc), "", err);
    if (r < 0)
        return r;
    if (!sl_config_is_said(draft, CONFIG_KBC_NAME))
        return kbc_is_missing(&file, err);
    *ret_has_image = file.has_image;
    return 0;
}
