/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy may say, and hardly anybody means. */
#include "policy_parse.h"

#include "image_scope.h"
#include "signed_identity.h"
#include "sluice/core/log.h"

#include <string.h>

static bool list_verifies(const struct sl_requirements *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i].type != SL_REQUIRE_NOTHING)
            return true;
    return false;
}

bool sl_policy_verifies(const struct sl_signature_policy *policy)
{
    if (list_verifies(&policy->fallback))
        return true;
    for (size_t i = 0; i < policy->n_scopes; i++)
        if (list_verifies(&policy->scopes[i].requirements))
            return true;
    return false;
}

/* ---- docker scopes that fit nothing ---- */

/* As the first part of a name: anything else is a folder of docker.io. */
static bool is_host(const char *text, size_t len)
{
    static const char legacy[] = "index.docker.io"; /* written docker.io in every canonical name */
    bool is_local = len == strlen("localhost") && memcmp(text, "localhost", len) == 0;
    bool is_legacy = len == strlen(legacy) && memcmp(text, legacy, len) == 0;
    return (is_local || memchr(text, '.', len) || memchr(text, ':', len)) && !is_legacy;
}

static bool is_canonical(const char *scope)
{
    SL_AUTO(sl_reference) ref = NULL;
    if (sl_reference_parse_as_written(scope, &ref, /* err= */ NULL) < 0)
        return false;
    SL_AUTO_FREE char *text = sl_reference_format(ref);
    return text && strcmp(text, scope) == 0 && !(ref->tag && ref->has_digest);
}

static bool can_match(const char *scope)
{
    if (scope[0] == '*')
        return scope[1] == '.' && !strpbrk(scope, ":/") && sl_identity_prefix_is_valid(scope + 2);
    if (!is_host(scope, strcspn(scope, "/")))
        return false;
    return sl_identity_prefix_is_valid(scope) || is_canonical(scope);
}

/* ---- tags that are stricter than what surrounds them ---- */

/* How much is asked for: the number of requirements that verify, or more when nothing can pass. */
static size_t strictness(const struct sl_requirements *list)
{
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        enum sl_requirement_type type = list->items[i].type;
        if (type == SL_REQUIRE_REJECT || type == SL_REQUIRE_SIGNED_BASE_LAYER)
            return SIZE_MAX;
        n += type != SL_REQUIRE_NOTHING;
    }
    return n;
}

static bool can_be_dodged(const struct sl_signature_policy *policy,
                          const struct sl_policy_scope *scope)
{
    SL_AUTO(sl_reference) ref = NULL;
    const struct sl_requirements *others;
    const struct sl_policy_scope *others_scope;
    /* "host:5000" is a host with its port, although it could be read as a name and its tag. */
    if (!strchr(scope->scope, '/'))
        return false;
    /* A name without tag selects what a digest that has no scope of its own does. */
    if (sl_reference_parse_as_written(scope->scope, &ref, /* err= */ NULL) < 0 || !ref->tag)
        return false;
    SL_AUTO_FREE char *name = sl_strf("%s/%s", ref->host, ref->repository);
    return name && sl_policy_find(policy, name, &others, &others_scope, /* err= */ NULL) == 0 &&
           strictness(&scope->requirements) > strictness(others);
}

static void warn_of_scope(const struct sl_signature_policy *policy,
                          const struct sl_policy_scope *scope)
{
    if (strcmp(scope->transport, "docker") != 0 || !*scope->scope)
        return;
    if (!can_match(scope->scope))
        sl_log(SL_LOG_WARN,
               "signature policy: scope \"%s\" fits no image: write HOST[:PORT], "
               "HOST/REPOSITORY[:TAG], HOST/REPOSITORY@DIGEST or *.DOMAIN",
               scope->scope);
    else if (can_be_dodged(policy, scope))
        sl_log(SL_LOG_WARN,
               "signature policy: scope \"%s\" is stricter than what the same image by digest "
               "has to meet: give the repository a scope of its own",
               scope->scope);
}

/* ---- requirements nothing meets ---- */

static void warn_of_requirements(const struct sl_requirements *list)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct sl_requirement *req = &list->items[i];
        if (req->has_fulcio && !req->ct_keys.n && !req->trusted_root.n && !req->ignores_sct)
            sl_log(SL_LOG_WARN, "signature policy: fulcio has no key of a certificate transparency "
                                "log, so that no certificate passes: give x-ctKeyPath, or say "
                                "\"x-sct\": \"ignore\"");
    }
}

void sl_policy_warn(const struct sl_signature_policy *policy)
{
    if (!sl_policy_verifies(policy))
        sl_log(SL_LOG_WARN, "signature policy: verification is disabled: every requirement is "
                            "insecureAcceptAnything");
    warn_of_requirements(&policy->fallback);
    for (size_t i = 0; i < policy->n_scopes; i++) {
        warn_of_scope(policy, &policy->scopes[i]);
        warn_of_requirements(&policy->scopes[i].requirements);
    }
}
