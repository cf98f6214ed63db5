/* SPDX-License-Identifier: Apache-2.0 */
#include "draft.h"

#include "store.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WARNINGS_MAX = 100, /* a file may have a hundred thousand unknown keys */
    WARNING_MAX_LEN = 1024,
};

int sl_config_draft_init(struct sl_config_draft *draft, struct sl_error *err)
{
    *draft = (struct sl_config_draft){.loaded = calloc(1, sizeof(*draft->loaded))};
    if (!draft->loaded)
        return sl_error_oom(err);
    draft->loaded->warnings = calloc(WARNINGS_MAX + 2, sizeof(char *));
    return draft->loaded->warnings ? 0 : sl_error_oom(err);
}

static void values_done(struct sl_config *values)
{
    for (int i = 0; i < CONFIG_KEYS; i++) {
        const struct sl_config_key *key = sl_config_key_at((enum sl_config_id)i);
        void *slot = (char *)values + key->offset;
        if (key->kind == CONFIG_KIND_TEXT && key->flags & CONFIG_SECRET)
            sl_secret_free(*(char **)slot);
        else if (key->kind == CONFIG_KIND_TEXT || key->kind == CONFIG_KIND_JOINED ||
                 key->kind == CONFIG_KIND_TABLE)
            free(*(char **)slot);
        else if (key->kind == CONFIG_KIND_LIST)
            sl_config_list_free(*(char ***)slot);
    }
    for (size_t i = 0; i < values->n_credentials; i++) {
        free(values->credentials[i].path);
        free(values->credentials[i].resource_uri);
    }
    free(values->credentials);
}

struct sl_loaded_config *sl_config_free(struct sl_loaded_config *config)
{
    if (!config)
        return NULL;
    values_done(&config->values);
    for (size_t i = 0; i < config->n_lines; i++) {
        free(config->lines[i].key);
        free(config->lines[i].value);
        free(config->lines[i].origin);
    }
    free(config->lines);
    for (size_t i = 0; config->warnings && config->warnings[i]; i++)
        free(config->warnings[i]);
    free(config->warnings);
    free(config);
    return NULL;
}

void sl_config_draft_done(struct sl_config_draft *draft)
{
    for (size_t i = 0; i < draft->n_credentials; i++)
        free(draft->credentials[i].where);
    free(draft->credentials);
    for (int i = 0; i < CONFIG_KEYS; i++)
        free(draft->said[i].where);
    draft->loaded = sl_config_free(draft->loaded);
}

int sl_config_warn(struct sl_config_draft *draft, struct sl_error *err, const char *fmt, ...)
{
    char text[WARNING_MAX_LEN];
    if (draft->n_warnings == WARNINGS_MAX) {
        draft->n_untold++;
        return 0;
    }
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    char *copy = strdup(text);
    if (!copy)
        return sl_error_oom(err);
    draft->loaded->warnings[draft->n_warnings++] = copy;
    return 0;
}

bool sl_config_is_said(const struct sl_config_draft *draft, enum sl_config_id id)
{
    return draft->said[id].where && draft->said[id].from != SL_CONFIG_DEFAULT;
}

const char *sl_config_where(const struct sl_config_draft *draft, enum sl_config_id id)
{
    return draft->said[id].where ? draft->said[id].where : "default";
}

static int note(struct sl_config_draft *draft, enum sl_config_id id,
                const struct sl_config_source *source, struct sl_error *err)
{
    char *where = strdup(source->where);
    if (!where)
        return sl_error_oom(err);
    free(draft->said[id].where);
    draft->said[id] = (struct sl_config_said){source->from, where};
    return 0;
}

int sl_config_drop(struct sl_config_draft *draft, enum sl_config_id id, const char *why,
                   struct sl_error *err)
{
    char **slot = (char **)((char *)&draft->loaded->values + sl_config_key_at(id)->offset);
    const struct sl_config_source source = {draft->said[id].from, why};
    free(*slot);
    *slot = NULL;
    return note(draft, id, &source, err);
}

int sl_config_set_text(struct sl_config_draft *draft, enum sl_config_id id, const char *text,
                       const struct sl_config_source *source, struct sl_error *err)
{
    int r = sl_config_store_text(&draft->loaded->values, id, text, err);
    if (r < 0)
        return sl_error_wrap(err, r, "%s: %s", source->where, sl_config_key_at(id)->name);
    return note(draft, id, source, err);
}

/* A number that a peer of ours would take and we do not is no reason not to start. */
static int warn_of_clamp(struct sl_config_draft *draft, enum sl_config_id id,
                         const struct sl_json *node, const struct sl_config_source *source,
                         struct sl_error *err)
{
    const struct sl_config_key *key = sl_config_key_at(id);
    int64_t number = 0;
    if (!(key->flags & CONFIG_CLAMP) || !sl_json_int64(node, &number) || number <= key->max)
        return 0;
    return sl_config_warn(draft, err, "%s: %s: %lld is above the most there can be, %u is used",
                          source->where, key->name, (long long)number, key->max);
}

int sl_config_set_node(struct sl_config_draft *draft, enum sl_config_id id,
                       const struct sl_json *node, const struct sl_config_source *source,
                       struct sl_error *err)
{
    if (sl_json_type(node) == SL_JSON_NULL)
        return 0;
    int r = sl_config_store_node(&draft->loaded->values, id, node, err);
    if (r < 0)
        return sl_error_wrap(err, r, "%s: %s", source->where, sl_config_key_at(id)->name);
    r = note(draft, id, source, err);
    return r < 0 ? r : warn_of_clamp(draft, id, node, source, err);
}

int sl_config_set_defaults(struct sl_config_draft *draft, struct sl_error *err)
{
    const struct sl_config_source source = {SL_CONFIG_DEFAULT, "default"};
    int r = 0;
    for (int i = 0; r == 0 && i < CONFIG_KEYS; i++) {
        enum sl_config_id id = (enum sl_config_id)i;
        const char *fallback = sl_config_key_at(id)->fallback;
        if (!draft->said[i].where && fallback)
            r = sl_config_set_text(draft, id, fallback, &source, err);
    }
    return r;
}
