/* SPDX-License-Identifier: Apache-2.0 */
#include "policy_document.h"

#include "image_scope.h"
#include "sigstore_trust.h"

#include <stdlib.h>
#include <string.h>

const char *sl_requirement_type_name(enum sl_requirement_type type)
{
    static const char *const names[] = {
        [SL_REQUIRE_NOTHING] = "insecureAcceptAnything",
        [SL_REQUIRE_REJECT] = "reject",
        [SL_REQUIRE_SIGNED_BY] = "signedBy",
        [SL_REQUIRE_SIGNED_BASE_LAYER] = "signedBaseLayer",
        [SL_REQUIRE_SIGSTORE_SIGNED] = "sigstoreSigned",
    };
    return names[type];
}

/* ---- which requirements ---- */

static const struct sl_policy_scope *find_scope(const struct sl_signature_policy *policy,
                                                const char *transport, const char *text)
{
    for (size_t i = 0; i < policy->n_scopes; i++)
        if (strcmp(policy->scopes[i].transport, transport) == 0 &&
            strcmp(policy->scopes[i].scope, text) == 0)
            return &policy->scopes[i];
    return NULL;
}

static const struct sl_policy_scope *find_scope_at(const struct sl_signature_policy *policy,
                                                   const char *transport,
                                                   const struct sl_image_scopes_walk *walk)
{
    for (size_t i = 0; i < policy->n_scopes; i++)
        if (strcmp(policy->scopes[i].transport, transport) == 0 &&
            sl_image_scopes_is_at(walk, policy->scopes[i].scope))
            return &policy->scopes[i];
    return NULL;
}

static bool has_paths(const struct sl_signature_policy *policy, const char *transport)
{
    for (size_t i = 0; i < policy->n_scopes; i++)
        if (strcmp(policy->scopes[i].transport, transport) == 0 && *policy->scopes[i].scope)
            return true;
    return false;
}

/* A directory that is not written the one way could dodge the scope it lies in. */
static int check_layout(const struct sl_signature_policy *policy, const char *transport,
                        const char *name, struct sl_error *err)
{
    if (strcmp(transport, "oci") != 0 || !has_paths(policy, transport) ||
        sl_scope_is_clean_path(sl_image_layout_dir(name)))
        return 0;
    return sl_error_set(err, SL_E_POLICY, EACCES,
                        "%s: the signature policy has scopes for directories; name the layout by "
                        "its absolute path, without \".\" and \"..\"",
                        name);
}

int sl_policy_find(const struct sl_signature_policy *policy, const char *name,
                   const struct sl_requirements **ret, const struct sl_policy_scope **ret_scope,
                   struct sl_error *err)
{
    const char *transport = sl_image_transport(name);
    const struct sl_policy_scope *scope = NULL;
    struct sl_image_scopes_walk walk;
    int r = check_layout(policy, transport, name, err);
    if (r < 0)
        return r;
    sl_image_scopes_begin(&walk, name);
    while (!scope && sl_image_scopes_next(&walk))
        scope = find_scope_at(policy, transport, &walk);
    if (!scope)
        scope = find_scope(policy, transport, "");
    *ret = scope ? &scope->requirements : &policy->fallback;
    *ret_scope = scope;
    return 0;
}

int sl_signature_policy_needs(const struct sl_signature_policy *policy, const char *name,
                              struct sl_signature_needs *ret, struct sl_error *err)
{
    const struct sl_requirements *list;
    const struct sl_policy_scope *scope;
    int r = sl_policy_find(policy, name, &list, &scope, err);
    if (r < 0)
        return r;
    struct sl_signature_needs needs = {0};
    for (size_t i = 0; i < list->n; i++) {
        enum sl_requirement_type type = list->items[i].type;
        needs.simple |= type == SL_REQUIRE_SIGNED_BY;
        needs.sigstore |= type == SL_REQUIRE_SIGSTORE_SIGNED;
        if (type == SL_REQUIRE_REJECT || type == SL_REQUIRE_SIGNED_BASE_LAYER)
            break; /* nobody looks at what comes behind */
    }
    *ret = needs;
    return 0;
}

const struct sl_digest *sl_signature_policy_digest(const struct sl_signature_policy *policy)
{
    return &policy->digest;
}

/* ---- end ---- */

static void sources_done(struct sl_key_sources *sources)
{
    for (size_t i = 0; i < sources->n; i++) {
        free(sources->items[i].name);
        sl_bytes_done(&sources->items[i].bytes);
    }
    free(sources->items);
}

static void requirement_done(struct sl_requirement *req)
{
    (void)sl_reference_free(req->identity.reference);
    free(req->identity.prefix);
    free(req->identity.signed_prefix);
    sources_done(&req->keys);
    sources_done(&req->rekor_keys);
    sources_done(&req->fulcio_ca);
    free(req->oidc_issuer);
    free(req->subject_email);
    free(req->subject_uri);
    sources_done(&req->pki_roots);
    sources_done(&req->pki_intermediates);
    free(req->pki_email);
    free(req->pki_hostname);
    sources_done(&req->trusted_root);
    sources_done(&req->ct_keys);
    (void)sl_sigstore_trust_free(req->trust);
}

static void requirements_done(struct sl_requirements *list)
{
    for (size_t i = 0; i < list->n; i++)
        requirement_done(&list->items[i]);
    free(list->items);
}

struct sl_signature_policy *sl_signature_policy_free(struct sl_signature_policy *policy)
{
    if (!policy)
        return NULL;
    requirements_done(&policy->fallback);
    for (size_t i = 0; i < policy->n_scopes; i++) {
        free(policy->scopes[i].transport);
        free(policy->scopes[i].scope);
        requirements_done(&policy->scopes[i].requirements);
    }
    free(policy->scopes);
    free(policy);
    return NULL;
}
