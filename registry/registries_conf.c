/* SPDX-License-Identifier: Apache-2.0 */
/* One document of registry rules: from TOML text, or from a table of a larger document. Which
 * files make up the configuration is the business of registries_files.c. */
#include "registry_rules.h"

#include "sluice/core/log.h"
#include "sluice/core/toml.h"

#include <stdlib.h>
#include <string.h>

enum {
    RULES_MAX = 4096,   /* [[registry]] tables in one document */
    ALIASES_MAX = 4096, /* entries of [aliases] */
    LIST_MAX = 64,      /* mirrors of a rule, search registries, helpers */
    NAME_MAX_LEN = 512, /* bytes of a prefix, a location, an alias */
};

/* A table with the words to say where it is: `FILE: [[registry]] 3`. */
struct place {
    const struct sl_json *table;
    const char *where;
};

#define BAD(err, p, ...)                                                                           \
    sl_error_wrap(err, sl_error_set(err, SL_E_FORMAT, EINVAL, __VA_ARGS__), "%s", (p)->where)

/* ---- values ---- */

/* Absent is NULL, and so is "". */
static int get_text(const struct place *p, const char *key, const char **ret, struct sl_error *err)
{
    const struct sl_json *node = sl_json_get(p->table, key);
    const char *text = sl_json_string(node);
    if (node && !text)
        return BAD(err, p, "%s must be a string", key);
    if (text && strlen(text) > NAME_MAX_LEN)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%s: %s is longer than %d bytes", p->where, key,
                            (int)NAME_MAX_LEN);
    *ret = text && *text ? text : NULL;
    return 0;
}

/* Absent is false. */
static int get_flag(const struct place *p, const char *key, bool *ret, struct sl_error *err)
{
    const struct sl_json *node = sl_json_get(p->table, key);
    bool value = false;
    if (node && !sl_json_bool(node, &value))
        return BAD(err, p, "%s must be true or false", key);
    *ret = value;
    return 0;
}

/* Absent is NULL. */
static int get_array(const struct place *p, const char *key, size_t limit,
                     const struct sl_json **ret, struct sl_error *err)
{
    const struct sl_json *node = sl_json_get(p->table, key);
    if (node && sl_json_type(node) != SL_JSON_ARRAY)
        return BAD(err, p, "%s must be an array", key);
    if (sl_json_count(node) > limit)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%s: more than %zu entries in %s", p->where,
                            limit, key);
    *ret = node;
    return 0;
}

static int get_names(const struct place *p, const char *key, char ***ret, struct sl_error *err)
{
    const struct sl_json *array = NULL;
    int r = get_array(p, key, LIST_MAX, &array, err);
    if (r < 0 || !array)
        return r;
    char **list = calloc(sl_json_count(array) + 1, sizeof(*list));
    if (!list)
        return sl_error_oom(err);
    for (size_t i = 0; r == 0 && i < sl_json_count(array); i++) {
        const char *name = sl_json_string(sl_json_at(array, i));
        if (name && *name)
            list[i] = strdup(name);
        if (!name || !*name)
            r = BAD(err, p, "%s must hold names only", key);
        else if (!list[i])
            r = sl_error_oom(err);
    }
    if (r < 0)
        sl_name_list_free(list);
    else
        *ret = list;
    return r;
}

/* A word out of a table that ends with NULL; its position. Absent is 0. */
static int get_word(const struct place *p, const char *key, const char *const *words, int *ret,
                    struct sl_error *err)
{
    const char *text = NULL;
    int r = get_text(p, key, &text, err);
    if (r < 0)
        return r;
    int i = 0;
    while (text && words[i] && strcmp(words[i], text) != 0)
        i++;
    if (!words[i])
        return BAD(err, p, "%s = \"%s\" is not known", key, text);
    *ret = i;
    return 0;
}

/* ---- names ---- */

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("._-:/@[]", c));
}

/* Components that a URL would swallow. */
static bool has_odd_component(const char *name)
{
    while (name) {
        size_t len = strcspn(name, "/");
        if (len == 0 || (len <= 2 && strspn(name, ".") >= len))
            return true;
        name = name[len] ? name + len + 1 : NULL;
    }
    return false;
}

/* "host[:port][/path]", where the path may go on with a tag and digest. In a host, '@' would
 * make it the host of another URL. */
static bool is_name_ok(const char *name)
{
    size_t len = 0;
    while (is_name_char(name[len]))
        len++;
    return !name[len] && !has_odd_component(name) && !memchr(name, '@', strcspn(name, "/"));
}

/* The same without tag and digest. */
static bool is_plain_name_ok(const char *name)
{
    return is_name_ok(name) && !strpbrk(name + strcspn(name, "/"), ":@");
}

/* "*.example.com": a host without port. */
static bool is_wildcard_ok(const char *prefix)
{
    const char *host = prefix + 2;
    return *host && strspn(host, ".") == 0 && !strpbrk(host, "*/:@[]");
}

/* Checks a prefix or location and copies it without slashes at its end. */
static int copy_name(const struct place *p, const char *key, const char *text, char **ret,
                     struct sl_error *err)
{
    bool is_wildcard = strncmp(text, "*.", 2) == 0 && strcmp(key, "prefix") == 0;
    if (strstr(text, "://"))
        return BAD(err, p, "%s = \"%s\": leave out the scheme", key, text);
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '/')
        len--;
    char *name = strndup(text, len);
    if (!name)
        return sl_error_oom(err);
    if (!is_name_ok(is_wildcard ? name + 2 : name) || (is_wildcard && !is_wildcard_ok(name))) {
        free(name);
        return BAD(err, p, "%s = \"%s\" is not of the form host[:port][/path]%s", key, text,
                   strchr(text, '*') ? " or *.host" : "");
    }
    *ret = name;
    return 0;
}

static void log_unknown(const struct place *p, const char *const *known)
{
    for (size_t i = 0; i < sl_json_count(p->table); i++) {
        const char *name = sl_json_name_at(p->table, i);
        const char *const *k = known;
        while (*k && strcmp(*k, name) != 0)
            k++;
        if (!*k)
            sl_log(SL_LOG_DEBUG, "%s: unknown key \"%s\" is ignored", p->where, name);
    }
}

/* ---- tables ---- */

static int read_mirror(const struct place *p, struct sl_registry_mirror *mirror,
                       struct sl_error *err)
{
    static const char *const known[] = {"location", "insecure", "pull-from-mirror", NULL};
    static const char *const words[] = {"all", "digest-only", "tag-only", NULL};
    if (sl_json_type(p->table) != SL_JSON_OBJECT)
        return BAD(err, p, "must be a table");
    log_unknown(p, known);
    const char *location = NULL;
    int pull_from = SL_PULL_ALL;
    int r = get_text(p, "location", &location, err);
    if (r == 0 && !location)
        r = BAD(err, p, "a mirror needs a location");
    if (r == 0)
        r = copy_name(p, "location", location, &mirror->location, err);
    if (r == 0)
        r = get_flag(p, "insecure", &mirror->insecure, err);
    if (r == 0)
        r = get_word(p, "pull-from-mirror", words, &pull_from, err);
    mirror->pull_from = (enum sl_pull_from)pull_from;
    return r;
}

static int read_mirrors(const struct place *p, struct sl_registry_rule *rule, struct sl_error *err)
{
    const struct sl_json *array = NULL;
    int r = get_array(p, "mirror", LIST_MAX, &array, err);
    size_t n = sl_json_count(array);
    if (r < 0 || n == 0)
        return r;
    rule->mirrors = calloc(n, sizeof(*rule->mirrors));
    if (!rule->mirrors)
        return sl_error_oom(err);
    while (r == 0 && rule->n_mirrors < n) {
        struct sl_registry_mirror *mirror = &rule->mirrors[rule->n_mirrors];
        SL_AUTO_FREE char *where = sl_strf("%s: mirror %zu", p->where, rule->n_mirrors + 1);
        if (!where)
            return sl_error_oom(err);
        struct place q = {sl_json_at(array, rule->n_mirrors), where};
        rule->n_mirrors++;
        r = read_mirror(&q, mirror, err);
        if (r == 0 && rule->mirror_by_digest_only && mirror->pull_from != SL_PULL_ALL)
            r = BAD(err, &q, "pull-from-mirror excludes mirror-by-digest-only of the registry");
    }
    return r;
}

static int read_prefix(const struct place *p, struct sl_registry_rule *rule, struct sl_error *err)
{
    const char *prefix = NULL, *location = NULL;
    int r = get_text(p, "prefix", &prefix, err);
    if (r == 0)
        r = get_text(p, "location", &location, err);
    if (r == 0 && !prefix && !location)
        r = BAD(err, p, "needs a prefix or a location");
    if (r == 0)
        r = copy_name(p, prefix ? "prefix" : "location", prefix ? prefix : location, &rule->prefix,
                      err);
    if (r == 0 && prefix && location)
        r = copy_name(p, "location", location, &rule->location, err);
    return r;
}

static int read_rule(const struct place *p, struct sl_registry_rule *rule, struct sl_error *err)
{
    static const char *const known[] = {
        "prefix", "location", "insecure", "blocked", "mirror", "mirror-by-digest-only", NULL};
    if (sl_json_type(p->table) != SL_JSON_OBJECT)
        return BAD(err, p, "must be a table");
    log_unknown(p, known);
    int r = read_prefix(p, rule, err);
    if (r == 0)
        r = get_flag(p, "insecure", &rule->insecure, err);
    if (r == 0)
        r = get_flag(p, "blocked", &rule->blocked, err);
    if (r == 0)
        r = get_flag(p, "mirror-by-digest-only", &rule->mirror_by_digest_only, err);
    if (r == 0)
        r = read_mirrors(p, rule, err);
    return r;
}

/* Of two tables with one prefix the first counts, unless they contradict each other in what
 * matters for security. */
static int check_twin(const struct place *p, const struct sl_registry_rules *rules,
                      const struct sl_registry_rule *rule, bool *ret_is_twin, struct sl_error *err)
{
    const struct sl_registry_rule *twin = NULL;
    for (size_t i = 0; i < rules->n_rules && !twin; i++)
        if (strcmp(rules->rules[i].prefix, rule->prefix) == 0)
            twin = &rules->rules[i];
    if (twin && (twin->insecure != rule->insecure || twin->blocked != rule->blocked))
        return BAD(err, p, "\"%s\" is defined twice, with different \"insecure\" or \"blocked\"",
                   rule->prefix);
    *ret_is_twin = twin != NULL;
    return 0;
}

static int read_rules(const struct place *p, struct sl_registry_rules *rules, struct sl_error *err)
{
    const struct sl_json *array = NULL;
    int r = get_array(p, "registry", RULES_MAX, &array, err);
    size_t n = sl_json_count(array);
    if (r < 0 || n == 0)
        return r;
    rules->n_rules = 0;
    rules->rules = calloc(n, sizeof(*rules->rules));
    if (!rules->rules)
        return sl_error_oom(err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        SL_AUTO_FREE char *where = sl_strf("%s: [[registry]] %zu", p->where, i + 1);
        if (!where)
            return sl_error_oom(err);
        struct place q = {sl_json_at(array, i), where};
        struct sl_registry_rule rule = {0};
        bool is_twin = false;
        r = read_rule(&q, &rule, err);
        if (r == 0)
            r = check_twin(&q, rules, &rule, &is_twin, err);
        if (r < 0 || is_twin)
            sl_registry_rule_done(&rule);
        else
            rules->rules[rules->n_rules++] = rule;
    }
    return r;
}

/* A full name without tag and digest, or "" to erase. */
static bool is_alias_value_ok(const char *value)
{
    return !*value || (sl_reference_names_host(value) && is_plain_name_ok(value) &&
                       strlen(value) <= NAME_MAX_LEN);
}

static int read_alias(const struct place *p, size_t i, struct sl_pair *alias, struct sl_error *err)
{
    const char *name = sl_json_name_at(p->table, i);
    const char *value = sl_json_string(sl_json_at(p->table, i));
    if (!*name || strlen(name) > NAME_MAX_LEN || strpbrk(name, ":@") ||
        sl_reference_names_host(name))
        return BAD(err, p, "[aliases]: \"%.64s\" is not a short name", name);
    if (!value || !is_alias_value_ok(value))
        return BAD(err, p, "[aliases]: \"%s\" must stand for host/name without tag or digest",
                   name);
    alias->name = strdup(name);
    alias->value = strdup(value);
    return alias->name && alias->value ? 0 : sl_error_oom(err);
}

static int read_aliases(const struct place *p, struct sl_registry_rules *rules,
                        struct sl_error *err)
{
    struct place q = {sl_json_get(p->table, "aliases"), p->where};
    if (!q.table)
        return 0;
    if (sl_json_type(q.table) != SL_JSON_OBJECT)
        return BAD(err, p, "aliases must be a table");
    size_t n = sl_json_count(q.table);
    if (n > ALIASES_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%s: more than %d aliases", p->where,
                            (int)ALIASES_MAX);
    rules->aliases = calloc(n + 1, sizeof(*rules->aliases));
    if (!rules->aliases)
        return sl_error_oom(err);
    int r = 0;
    while (r == 0 && rules->n_aliases < n) {
        size_t i = rules->n_aliases++;
        r = read_alias(&q, i, &rules->aliases[i], err);
    }
    return r;
}

static int read_short_name_mode(const struct place *p, struct sl_registry_rules *rules,
                                struct sl_error *err)
{
    static const char *const words[] = {
        [SL_SHORT_NAMES_UNSET] = "",
        [SL_SHORT_NAMES_PERMISSIVE] = "permissive",
        [SL_SHORT_NAMES_ENFORCING] = "enforcing",
        [SL_SHORT_NAMES_DISABLED] = "disabled",
        NULL,
    };
    int mode = SL_SHORT_NAMES_UNSET;
    int r = get_word(p, "short-name-mode", words, &mode, err);
    rules->short_name_mode = (enum sl_short_name_mode)mode;
    return r;
}

static int read_search(const struct place *p, struct sl_registry_rules *rules, struct sl_error *err)
{
    static const char key[] = "unqualified-search-registries";
    int r = get_names(p, key, &rules->search, err);
    for (char **name = rules->search; r == 0 && name && *name; name++) {
        char *checked = NULL;
        r = copy_name(p, key, *name, &checked, err);
        if (r < 0)
            break;
        free(*name);
        *name = checked;
        if (!is_plain_name_ok(checked))
            r = BAD(err, p, "%s holds \"%s\", which has a tag or digest", key, checked);
    }
    return r;
}

/* ---- documents ---- */

int sl_registry_rules_from_table(const struct sl_json *table, const char *name,
                                 struct sl_registry_rules **ret, struct sl_error *err)
{
    static const char *const known[] = {"unqualified-search-registries",
                                        "registry",
                                        "aliases",
                                        "short-name-mode",
                                        "credential-helpers",
                                        NULL};
    struct place p = {table, name};
    if (sl_json_type(table) != SL_JSON_OBJECT)
        return BAD(err, &p, "registry rules must be a table");
    if (sl_json_get(table, "registries"))
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "%s: [registries.*] is version 1 of the format: write "
                            "unqualified-search-registries and [[registry]] instead",
                            name);
    SL_AUTO(sl_registry_rules) rules = calloc(1, sizeof(*rules));
    if (!rules)
        return sl_error_oom(err);
    log_unknown(&p, known);
    int r = read_search(&p, rules, err);
    if (r == 0)
        r = get_names(&p, "credential-helpers", &rules->helpers, err);
    if (r == 0)
        r = read_short_name_mode(&p, rules, err);
    if (r == 0)
        r = read_rules(&p, rules, err);
    if (r == 0)
        r = read_aliases(&p, rules, err);
    if (r == 0)
        *ret = sl_steal(&rules);
    return r;
}

/* A TOML document cannot begin like that. */
static bool is_json(struct sl_span text)
{
    size_t i = 0;
    while (i < text.len && text.data[i] && strchr(" \t\r\n", text.data[i]))
        i++;
    return i < text.len && text.data[i] == '{';
}

int sl_registry_rules_parse(struct sl_span text, const char *name, struct sl_registry_rules **ret,
                            struct sl_error *err)
{
    static const struct sl_json_limits limits = {.size = SL_TOML_MAX};
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = is_json(text) ? sl_json_parse(text, name, &limits, &doc, err)
                          : sl_toml_parse(text, name, &doc, err);
    if (r < 0)
        return r;
    return sl_registry_rules_from_table(sl_json_root(doc), name, ret, err);
}
