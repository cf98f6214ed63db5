/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy as a whole. There is no partial policy: whatever is not understood refuses the file.
 */
#include "policy_parse.h"

#include "image_scope.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    POLICY_DEPTH = 16,
    POLICY_SCOPES_MAX = 8192, /* of all transports */
};

static const char what[] = "signature policy";

/* ---- scopes ---- */

enum scope_syntax { SCOPE_ANY, SCOPE_PATH, SCOPE_NONE };

static enum scope_syntax syntax_of(const char *transport)
{
    static const char *const paths[] = {"dir", "oci", "oci-archive", "sif"};
    static const char *const none[] = {"docker-archive", "tarball"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        if (strcmp(transport, paths[i]) == 0)
            return SCOPE_PATH;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        if (strcmp(transport, none[i]) == 0)
            return SCOPE_NONE;
    return SCOPE_ANY;
}

static int check_scope(struct sl_policy_parser *p, const struct sl_json *node,
                       const char *transport, const char *scope)
{
    enum scope_syntax syntax = *scope ? syntax_of(transport) : SCOPE_ANY;
    if (syntax == SCOPE_NONE)
        return sl_policy_fail(p, node, "transport %s has only the scope \"\"", transport);
    if (syntax == SCOPE_PATH && !sl_scope_is_clean_path(sl_span_of(scope)))
        return sl_policy_fail(p, node,
                              "a scope of transport %s is an absolute path, other than \"/\", "
                              "without empty, \".\" and \"..\" parts",
                              transport);
    return 0;
}

static int parse_scope(struct sl_policy_parser *p, const struct sl_json *node,
                       const char *transport, const char *name, struct sl_policy_scope *scope)
{
    scope->transport = strdup(transport);
    scope->scope = strdup(name);
    if (!scope->transport || !scope->scope)
        return sl_error_oom(p->err);
    int r = check_scope(p, node, transport, name);
    return r < 0 ? r : sl_policy_requirements(p, node, &scope->requirements);
}

/* Members have different names, but an image could meet both: the order in the file would decide.
 */
static int check_other_scopes(struct sl_policy_parser *p, const struct sl_json *node,
                              const struct sl_policy_scope *others, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (sl_scope_is_same(others[i].scope, name))
            return sl_policy_fail(p, node, "there is \"%.100s\" already, and hosts have no case",
                                  others[i].scope);
    return 0;
}

static int parse_transport(struct sl_policy_parser *p, const struct sl_json *node,
                           const char *transport, struct sl_signature_policy *policy)
{
    size_t n = sl_json_count(node);
    if (sl_json_type(node) != SL_JSON_OBJECT)
        return sl_policy_fail(p, node, "must be an object");
    if (n == 0)
        return 0;
    if (n > POLICY_SCOPES_MAX - policy->n_scopes) {
        p->at = node;
        return sl_error_set(p->err, SL_E_LIMIT, E2BIG, "more than %d scopes", POLICY_SCOPES_MAX);
    }
    struct sl_policy_scope *scopes =
        realloc(policy->scopes, (policy->n_scopes + n) * sizeof(*scopes));
    if (!scopes)
        return sl_error_oom(p->err);
    policy->scopes = scopes;
    for (size_t i = 0; i < n; i++) {
        struct sl_policy_scope *scope = &scopes[policy->n_scopes++];
        *scope = (struct sl_policy_scope){0};
        const char *name = sl_json_name_at(node, i);
        int r = parse_scope(p, sl_json_at(node, i), transport, name, scope);
        if (r == 0 && strcmp(transport, "docker") == 0)
            r = check_other_scopes(p, sl_json_at(node, i), scope - i, i, name);
        if (r < 0)
            return sl_error_wrap(p->err, r, "scope \"%.100s\"", name);
    }
    return 0;
}

static int parse_transports(struct sl_policy_parser *p, const struct sl_json *node, void *field)
{
    if (sl_json_type(node) != SL_JSON_OBJECT)
        return sl_policy_fail(p, node, "must be an object");
    for (size_t i = 0; i < sl_json_count(node); i++) {
        const char *name = sl_json_name_at(node, i);
        int r = parse_transport(p, sl_json_at(node, i), name, field);
        if (r < 0)
            return sl_error_wrap(p->err, r, "\"%.100s\"", name);
    }
    return 0;
}

/* ---- the document ---- */

static int parse_document(struct sl_policy_parser *p, const struct sl_json *root,
                          struct sl_signature_policy *policy)
{
    static const struct sl_policy_member members[] = {
        {"default", sl_policy_requirements, offsetof(struct sl_signature_policy, fallback), true},
        {"transports", parse_transports, 0, false},
        {0},
    };
    int r = sl_policy_parse_object(p, root, members, policy);
    return r < 0 ? sl_json_wrap(p->at, p->err, r) : 0;
}

static int load(struct sl_span json, struct sl_signature_policy *policy, struct sl_error *err)
{
    const struct sl_json_limits limits = {.size = SL_SIGNATURE_POLICY_MAX, .depth = POLICY_DEPTH};
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = sl_json_parse(json, what, &limits, &doc, err);
    if (r < 0)
        return r;
    struct sl_policy_parser p = {.is_compat = policy->options.compat_image_rs, .err = err};
    r = sl_digest_of(SL_SHA256, json, &policy->digest, err);
    if (r == 0)
        r = parse_document(&p, sl_json_root(doc), policy);
    if (r == 0 && policy->options.require_signed && !sl_policy_verifies(policy))
        r = sl_error_set(err, SL_E_POLICY, EACCES,
                         "signatures are required, and every requirement is "
                         "insecureAcceptAnything: nothing would be verified");
    return r < 0 ? sl_error_wrap(err, r, "%s", what) : 0;
}

int sl_signature_policy_parse(struct sl_span json,
                              const struct sl_signature_policy_options *options,
                              struct sl_resources *resources, struct sl_signature_policy **ret,
                              struct sl_error *err)
{
    SL_AUTO(sl_signature_policy) policy = calloc(1, sizeof(*policy));
    if (!policy)
        return sl_error_oom(err);
    if (options)
        policy->options = *options;
    int r = load(json, policy, err);
    if (r < 0)
        return r;
    sl_policy_read_keys(policy, resources);
    sl_policy_warn(policy);
    *ret = sl_steal(&policy);
    return 0;
}
