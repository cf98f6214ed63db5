/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key material is read when the policy is, so that a mistake shows at the start and nothing is
 * fetched while an image waits. A key that fails makes its requirement reject, and no other.
 */
#include "policy_parse.h"

#include "sigstore_trust.h"
#include "sluice/core/log.h"

#include <stdlib.h>
#include <string.h>

enum { POLICY_KEY_BYTES_MAX = 64 * 1024 * 1024 }; /* of all keys of a policy, in sum */

struct reading {
    const struct sl_resources *resources;
    const struct sl_signature_policy *policy;
    size_t bytes;
};

/* A key is often named in many scopes, and a broker asked once. */
static const struct sl_key_source *find_read(const struct sl_key_sources *sources,
                                             const struct sl_key_source *wanted)
{
    for (size_t i = 0; i < sources->n; i++) {
        const struct sl_key_source *source = &sources->items[i];
        bool was_read = source->bytes.len || source->is_unreadable;
        if (source != wanted && was_read && source->name && strcmp(source->name, wanted->name) == 0)
            return source;
    }
    return NULL;
}

enum { KEY_GROUPS = 7 };

static void list_groups(const struct sl_requirement *req,
                        const struct sl_key_sources *ret[KEY_GROUPS])
{
    const struct sl_key_sources *groups[KEY_GROUPS] = {
        &req->keys,      &req->rekor_keys,        &req->fulcio_ca,
        &req->pki_roots, &req->pki_intermediates, &req->trusted_root,
        &req->ct_keys,
    };
    memcpy(ret, groups, sizeof(groups));
}

static const struct sl_key_source *find_in_list(const struct sl_requirements *list,
                                                const struct sl_key_source *wanted)
{
    const struct sl_key_source *found = NULL;
    for (size_t i = 0; !found && i < list->n; i++) {
        const struct sl_key_sources *groups[KEY_GROUPS];
        list_groups(&list->items[i], groups);
        for (size_t g = 0; !found && g < KEY_GROUPS; g++)
            found = find_read(groups[g], wanted);
    }
    return found;
}

static const struct sl_key_source *find_same(const struct reading *reading,
                                             const struct sl_key_source *wanted)
{
    const struct sl_signature_policy *policy = reading->policy;
    const struct sl_key_source *found = find_in_list(&policy->fallback, wanted);
    for (size_t i = 0; !found && i < policy->n_scopes; i++)
        found = find_in_list(&policy->scopes[i].requirements, wanted);
    return found;
}

static int get(const struct reading *reading, struct sl_key_source *source)
{
    struct sl_error *err = &source->problem;
    const struct sl_key_source *same = find_same(reading, source);
    if (same && same->is_unreadable) {
        *err = same->problem;
        return -err->errnum;
    }
    if (same)
        return sl_bytes_append(&source->bytes, sl_bytes_span(&same->bytes), SL_RESOURCE_MAX, err);
    if (!reading->resources)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "%s: there is nothing to read it with",
                            source->name);
    return sl_resource_get(reading->resources, source->name, SL_RESOURCE_MAX, &source->bytes, err);
}

static void read_source(struct reading *reading, struct sl_key_source *source)
{
    int r = source->name ? get(reading, source) : 0;
    if (r == 0 && source->bytes.len > POLICY_KEY_BYTES_MAX - reading->bytes)
        r = sl_error_set(&source->problem, SL_E_LIMIT, E2BIG,
                         "the keys of the policy have more than %d bytes", POLICY_KEY_BYTES_MAX);
    if (r < 0) {
        source->is_unreadable = true;
        sl_bytes_wipe(&source->bytes);
        return;
    }
    reading->bytes += source->bytes.len;
}

/* Where a requirement stands, for the log. */
struct place {
    const struct sl_policy_scope *scope;
    size_t number;
};

static void warn(const struct place *place, const struct sl_requirement *req, const char *why)
{
    sl_log(SL_LOG_WARN, "signature policy: %s%s%s%srequirement %zu (%s) rejects every image: %s",
           place->scope ? place->scope->transport : "default: ", place->scope ? " scope \"" : "",
           place->scope ? place->scope->scope : "", place->scope ? "\": " : "", place->number,
           sl_requirement_type_name(req->type), why);
}

static void open_trust(struct sl_requirement *req)
{
    int r = sl_sigstore_trust_open(req, &req->trust, &req->trust_code, &req->trust_problem);
    if (r == 0 && req->trust)
        return;
    req->trust = sl_sigstore_trust_free(req->trust);
    if (req->trust_code == SL_SIG_OK)
        req->trust_code = SL_SIG_KEY_PARSE;
}

static void read_requirement(struct reading *reading, const struct place *place,
                             struct sl_requirement *req)
{
    const struct sl_key_sources *groups[KEY_GROUPS];
    const struct sl_key_source *unreadable = NULL;
    list_groups(req, groups);
    for (size_t g = 0; g < KEY_GROUPS; g++) {
        for (size_t i = 0; i < groups[g]->n; i++) {
            struct sl_key_source *source = &groups[g]->items[i];
            read_source(reading, source);
            if (source->is_unreadable && !unreadable)
                unreadable = source;
        }
    }
    if (unreadable) {
        req->trust_code = SL_SIG_KEY_FETCH;
        req->trust_problem = unreadable->problem;
    } else if (req->type == SL_REQUIRE_SIGSTORE_SIGNED) {
        open_trust(req);
    }
    if (unreadable || (req->type == SL_REQUIRE_SIGSTORE_SIGNED && !req->trust))
        warn(place, req, req->trust_problem.msg);
}

void sl_policy_read_keys(struct sl_signature_policy *policy, const struct sl_resources *resources)
{
    struct reading reading = {.resources = resources, .policy = policy};
    for (size_t i = 0; i < policy->fallback.n; i++)
        read_requirement(&reading, &(struct place){NULL, i + 1}, &policy->fallback.items[i]);
    for (size_t s = 0; s < policy->n_scopes; s++) {
        struct sl_policy_scope *scope = &policy->scopes[s];
        for (size_t i = 0; i < scope->requirements.n; i++)
            read_requirement(&reading, &(struct place){scope, i + 1},
                             &scope->requirements.items[i]);
    }
}
