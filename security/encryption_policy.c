/* SPDX-License-Identifier: Apache-2.0 */
#include "encryption_rule.h"
#include "image_scope.h"

#include "sluice/core/json.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum {
    POLICY_MAX = 1024 * 1024, /* bytes */
    POLICY_DEPTH = 4,
    SCOPES_MAX = 1024,
    LIST_MAX = 256, /* entries of one list */
};

struct sl_encryption_policy {
    struct sl_encryption_rule *rules; /* the default first */
    size_t n;
};

struct sl_encryption_policy *sl_encryption_policy_free(struct sl_encryption_policy *policy)
{
    if (!policy)
        return NULL;
    for (size_t i = 0; i < policy->n; i++)
        sl_encryption_rule_done(&policy->rules[i]);
    free(policy->rules);
    free(policy);
    return NULL;
}

/* ---- members of a rule ---- */

/* What is being read: after a failure, what the message is about. */
struct reader {
    const struct sl_json *at;
    struct sl_error *err;
};

static int wrong(struct sl_error *err, const char *what, const char *value)
{
    return sl_error_set(err, SL_E_FORMAT, EBADMSG, "%s%.100s", what, value);
}

static int parse_demand(const struct sl_json *node, struct sl_encryption_rule *rule,
                        struct sl_error *err)
{
    static const char *const names[] = {[SL_ENCRYPTION_OPTIONAL] = "optional",
                                        [SL_ENCRYPTION_REQUIRED] = "required",
                                        [SL_ENCRYPTION_FORBIDDEN] = "forbidden"};
    const char *text = sl_json_string(node);
    for (size_t i = 0; text && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            rule->demand = (enum sl_encryption_demand)i;
            return 0;
        }
    }
    return wrong(err, "'encryption' must be optional, required or forbidden", "");
}

/* Turns an entry of a list into what the checks compare with, in new memory. */
typedef int parse_entry_fn(const char *text, char **ret, struct sl_error *err);

static int parse_text(const char *text, char **ret, struct sl_error *err)
{
    if (!text[0])
        return wrong(err, "an entry is empty", "");
    char *copy = strdup(text);
    if (!copy)
        return sl_error_oom(err);
    *ret = copy;
    return 0;
}

/* Of names that are known a wrong one is a typing mistake. */
static int parse_known(const char *const *known, const char *text, char **ret, struct sl_error *err)
{
    for (; *known; known++)
        if (strcmp(text, *known) == 0)
            return parse_text(text, ret, err);
    return wrong(err, "there is no such thing as ", text);
}

static int parse_protocol(const char *text, char **ret, struct sl_error *err)
{
    static const char *const known[] = {"provider", "jwe", "pkcs7", "pgp", "pkcs11", NULL};
    return parse_known(known, text, ret, err);
}

static int parse_wrap_type(const char *text, char **ret, struct sl_error *err)
{
    static const char *const known[] = {"A256GCM", "A256CTR", NULL};
    return parse_known(known, text, ret, err);
}

static int parse_list(struct reader *rd, const struct sl_json *node, parse_entry_fn *parse_entry,
                      char ***ret)
{
    struct sl_error *err = rd->err;
    size_t n = sl_json_count(node);
    if (sl_json_type(node) != SL_JSON_ARRAY || n == 0)
        return wrong(err, "must be a list with at least one entry", "");
    if (n > LIST_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d entries", LIST_MAX);
    /* Belongs to the rule at once, and so is freed with it. */
    char **list = *ret = calloc(n + 1, sizeof(*list));
    if (!list)
        return sl_error_oom(err);
    for (size_t i = 0; i < n; i++) {
        rd->at = sl_json_at(node, i);
        const char *text = sl_json_string(rd->at);
        int r = text ? parse_entry(text, &list[i], err) : wrong(err, "must be a string", "");
        if (r < 0)
            return sl_error_wrap(err, r, "entry %zu", i + 1);
    }
    return 0;
}

static int parse_member(struct reader *rd, const char *name, const struct sl_json *node,
                        struct sl_encryption_rule *rule)
{
    const struct {
        const char *name;
        parse_entry_fn *parse_entry;
        char ***list;
    } lists[] = {{"kids", sl_kid_prefix_parse, &rule->kids},
                 {"protocols", parse_protocol, &rule->protocols},
                 {"providers", parse_text, &rule->providers},
                 {"wrap_types", parse_wrap_type, &rule->wrap_types}};
    rd->at = node;
    if (strcmp(name, "encryption") == 0)
        return parse_demand(node, rule, rd->err);
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (strcmp(name, lists[i].name) == 0) {
            int r = parse_list(rd, node, lists[i].parse_entry, lists[i].list);
            return r < 0 ? sl_error_wrap(rd->err, r, "'%s'", name) : 0;
        }
    }
    return wrong(rd->err, "unknown member ", name);
}

static int parse_rule(struct reader *rd, const char *scope, const struct sl_json *node,
                      struct sl_encryption_rule *rule)
{
    rd->at = node;
    rule->scope = strdup(scope);
    if (!rule->scope)
        return sl_error_oom(rd->err);
    if (sl_json_type(node) != SL_JSON_OBJECT)
        return wrong(rd->err, "must be an object", "");
    if (!sl_json_get(node, "encryption"))
        return wrong(rd->err, "member 'encryption' is missing", "");
    for (size_t i = 0; i < sl_json_count(node); i++) {
        int r = parse_member(rd, sl_json_name_at(node, i), sl_json_at(node, i), rule);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- the document ---- */

/* A scope that can never fit would be a rule that never holds: better told than lost. */
static int check_scope(const char *scope, struct sl_error *err)
{
    bool is_wildcard = scope[0] == '*' && scope[1] == '.' && scope[2];
    const char *plain = is_wildcard ? scope + 1 : scope;
    size_t len = strlen(scope);
    if (len == 0)
        return wrong(err, "is empty; what fits nothing else is for 'default'", "");
    if (strpbrk(plain, "* \t\r\n"))
        return wrong(err, "a '*' stands only in front, as in *.example.org; blanks nowhere", "");
    if (is_wildcard && strpbrk(scope, "/:@"))
        return wrong(err, "a scope with '*' is a domain, without port and path", "");
    if (scope[len - 1] == '/' || scope[0] == '/')
        return wrong(err, "a scope neither begins nor ends with '/'", "");
    return 0;
}

static int parse_scopes(struct reader *rd, const struct sl_json *scopes,
                        struct sl_encryption_policy *policy)
{
    for (size_t i = 0; i < sl_json_count(scopes); i++) {
        const char *scope = sl_json_name_at(scopes, i);
        rd->at = sl_json_at(scopes, i);
        int r = check_scope(scope, rd->err);
        if (r == 0)
            r = parse_rule(rd, scope, sl_json_at(scopes, i), &policy->rules[policy->n++]);
        if (r < 0)
            return sl_error_wrap(rd->err, r, "scope '%.100s'", scope);
    }
    return 0;
}

static int check_members(struct reader *rd, const struct sl_json *root)
{
    struct sl_error *err = rd->err;
    rd->at = root;
    if (sl_json_type(root) != SL_JSON_OBJECT)
        return wrong(err, "must be an object", "");
    for (size_t i = 0; i < sl_json_count(root); i++) {
        const char *name = sl_json_name_at(root, i);
        if (strcmp(name, "default") != 0 && strcmp(name, "scopes") != 0) {
            rd->at = sl_json_at(root, i);
            return wrong(err, "unknown member ", name);
        }
    }
    if (!sl_json_get(root, "default"))
        return wrong(err, "member 'default' is missing", "");
    const struct sl_json *scopes = sl_json_get(root, "scopes");
    rd->at = scopes;
    if (scopes && sl_json_type(scopes) != SL_JSON_OBJECT)
        return wrong(err, "'scopes' must be an object", "");
    if (sl_json_count(scopes) > SCOPES_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d scopes", SCOPES_MAX);
    return 0;
}

static int parse_root(struct reader *rd, const struct sl_json *root,
                      struct sl_encryption_policy *policy)
{
    int r = check_members(rd, root);
    if (r < 0)
        return r;
    const struct sl_json *scopes = sl_json_get(root, "scopes");
    policy->rules = calloc(sl_json_count(scopes) + 1, sizeof(*policy->rules));
    if (!policy->rules)
        return sl_error_oom(rd->err);
    r = parse_rule(rd, "", sl_json_get(root, "default"), &policy->rules[policy->n++]);
    if (r < 0)
        return sl_error_wrap(rd->err, r, "'default'");
    return parse_scopes(rd, scopes, policy);
}

int sl_encryption_policy_parse(struct sl_span json, struct sl_encryption_policy **ret,
                               struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    const struct sl_json_limits limits = {.size = POLICY_MAX, .depth = POLICY_DEPTH};
    int r = sl_json_parse(json, "encryption policy", &limits, &doc, err);
    if (r < 0)
        return r;
    SL_AUTO(sl_encryption_policy) policy = calloc(1, sizeof(*policy));
    if (!policy)
        return sl_error_oom(err);
    struct reader rd = {.err = err};
    r = parse_root(&rd, sl_json_root(doc), policy);
    if (r < 0)
        return sl_error_wrap(err, sl_json_wrap(rd.at, err, r), "encryption policy");
    *ret = sl_steal(&policy);
    return 0;
}

int sl_encryption_policy_open(const char *path, struct sl_encryption_policy **ret,
                              struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    int r = sl_read_file(AT_FDCWD, path, POLICY_MAX, &text, err);
    if (r < 0)
        return sl_error_wrap(err, r, "encryption policy");
    r = sl_encryption_policy_parse(sl_bytes_span(&text), ret, err);
    return r < 0 ? sl_error_wrap(err, r, "%.200s", path) : 0;
}

/* ---- which rule ---- */

/* The rule whose scope is this prefix and then the scope the walk is at; NULL: none. */
static const struct sl_encryption_rule *rule_at(const struct sl_encryption_policy *policy,
                                                const char *prefix,
                                                const struct sl_image_scopes_walk *walk)
{
    size_t skip = strlen(prefix);
    for (size_t i = 1; i < policy->n; i++) {
        const char *scope = policy->rules[i].scope;
        if (strncmp(scope, prefix, skip) == 0 && sl_image_scopes_is_at(walk, scope + skip))
            return &policy->rules[i];
    }
    return NULL;
}

static const struct sl_encryption_rule *rule_of(const struct sl_encryption_policy *policy,
                                                const char *text)
{
    for (size_t i = 1; i < policy->n; i++)
        if (strcmp(policy->rules[i].scope, text) == 0)
            return &policy->rules[i];
    return NULL;
}

/* All transports share one table, so what is a layout's has its prefix. */
const struct sl_encryption_rule *
sl_encryption_policy_find(const struct sl_encryption_policy *policy, const char *name)
{
    const char *prefix = strcmp(sl_image_transport(name), "oci") == 0 ? "oci:" : "";
    const struct sl_encryption_rule *rule = rule_of(policy, name);
    struct sl_image_scopes_walk walk;
    sl_image_scopes_begin(&walk, name);
    while (!rule && sl_image_scopes_next(&walk))
        rule = rule_at(policy, prefix, &walk);
    if (!rule && *prefix)
        rule = rule_of(policy, prefix);
    return rule ? rule : &policy->rules[0];
}
