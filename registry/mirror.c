/* SPDX-License-Identifier: Apache-2.0 */
/* From a reference to the places that may serve it. mirror.h says by which rules. */
#include "mirror.h"

#include "registry_rules.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DOCKER_HOST "docker.io"
#define DOCKER_DEFAULT_NAMESPACE "library/"

bool sl_reference_names_host(const char *text)
{
    size_t len = strcspn(text, "/");
    if (!text[len])
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] == '.' || text[i] == ':' || isupper((unsigned char)text[i]))
            return true;
    return len == strlen("localhost") && strncmp(text, "localhost", len) == 0;
}

/* ---- plans ---- */

struct sl_mirror_plan *sl_mirror_plan_free(struct sl_mirror_plan *plan)
{
    for (size_t i = 0; plan && i < plan->n_endpoints; i++) {
        struct sl_endpoint *e = &plan->endpoints[i];
        free(e->host);
        free(e->repository);
        free(e->name_host);
        free(e->name_repository);
    }
    if (plan)
        free(plan->endpoints);
    free(plan);
    return NULL;
}

/* What is being planned for: a logical name, and what follows it in the reference. */
struct subject {
    const char *host;
    const char *repository;
    const char *suffix; /* ":tag@digest" */
    const char *full;   /* all three, as in "host/repository:tag" */
};

/* One endpoint to be, borrowed. */
struct place {
    const char *host;
    const char *repository;
    bool insecure;
    bool is_mirror;
};

static int add_endpoint(struct sl_mirror_plan *plan, const struct subject *s,
                        const struct place *place, struct sl_error *err)
{
    struct sl_endpoint *larger =
        reallocarray(plan->endpoints, plan->n_endpoints + 1, sizeof(*larger));
    if (!larger)
        return sl_error_oom(err);
    plan->endpoints = larger;
    struct sl_endpoint *e = &larger[plan->n_endpoints++];
    bool has_namespace = strcmp(place->host, DOCKER_HOST) != 0 || strchr(place->repository, '/');
    *e = (struct sl_endpoint){
        .host = strdup(place->host),
        .repository =
            sl_strf("%s%s", has_namespace ? "" : DOCKER_DEFAULT_NAMESPACE, place->repository),
        .insecure = place->insecure,
        .is_mirror = place->is_mirror,
        .name_host = strdup(s->host),
        .name_repository = strdup(s->repository),
    };
    return e->host && e->repository && e->name_host && e->name_repository ? 0 : sl_error_oom(err);
}

/* ---- matching ---- */

static bool is_end_of_name(char c)
{
    return c == 0 || c == '/' || c == ':' || c == '@';
}

/* Bytes of name that the prefix covers, or 0. A host is compared without regard to case. */
static size_t match_plain(const char *prefix, const char *name)
{
    size_t len = strlen(prefix), host_len = strcspn(prefix, "/");
    if (strncasecmp(prefix, name, host_len) != 0 || strlen(name) < len ||
        strncmp(prefix + host_len, name + host_len, len - host_len) != 0)
        return 0;
    return is_end_of_name(name[len]) ? len : 0;
}

static size_t match_wildcard(const char *prefix, const char *name)
{
    const char *domain = prefix + 1; /* ".example.com" */
    size_t len = strlen(domain), host_len = strcspn(name, ":/@");
    if (host_len <= len || strncasecmp(name + host_len - len, domain, len) != 0)
        return 0;
    return host_len;
}

/* The rule with the longest prefix, or NULL. *ret_covered: how much of the name it replaces. */
static const struct sl_registry_rule *find_rule(const struct sl_registry_rules *rules,
                                                const char *name, size_t *ret_covered)
{
    const struct sl_registry_rule *best = NULL;
    for (size_t i = 0; rules && i < rules->n_rules; i++) {
        const struct sl_registry_rule *rule = &rules->rules[i];
        bool is_wildcard = rule->prefix[0] == '*';
        size_t covered =
            is_wildcard ? match_wildcard(rule->prefix, name) : match_plain(rule->prefix, name);
        if (covered > 0 && (!best || strlen(rule->prefix) > strlen(best->prefix))) {
            best = rule;
            *ret_covered = covered;
        }
    }
    return best;
}

/* ---- rewriting ---- */

static bool is_split_ok(const char *name)
{
    const char *path = strchr(name, '/');
    return path && path > name && path[1] && !strpbrk(path, ":@");
}

/* Puts location in place of what the rule covers and adds the result to the plan. */
static int add_rewritten(struct sl_mirror_plan *plan, const struct subject *s, const char *location,
                         size_t covered, struct place place, struct sl_error *err)
{
    SL_AUTO_FREE char *text = sl_strf("%s%s", location, s->full + covered);
    if (!text)
        return sl_error_oom(err);
    size_t len = strlen(text), suffix_len = strlen(s->suffix);
    bool keeps_suffix = len > suffix_len && strcmp(text + len - suffix_len, s->suffix) == 0;
    if (keeps_suffix)
        text[len - suffix_len] = 0;
    if (!keeps_suffix || !is_split_ok(text))
        return sl_error_set(err, SL_E_UNSUPPORTED, EINVAL,
                            "the registry rule that turns %s into %s%s gives no name with the "
                            "same tag and digest",
                            s->full, text, keeps_suffix ? s->suffix : "");
    char *path = strchr(text, '/');
    *path = 0;
    place.host = text;
    place.repository = path + 1;
    return add_endpoint(plan, s, &place, err);
}

static bool is_mirror_for(const struct sl_registry_rule *rule,
                          const struct sl_registry_mirror *mirror, bool has_digest)
{
    if (rule->mirror_by_digest_only)
        return has_digest;
    switch (mirror->pull_from) {
    case SL_PULL_DIGEST_ONLY:
        return has_digest;
    case SL_PULL_TAG_ONLY:
        return !has_digest;
    case SL_PULL_ALL:
        break;
    }
    return true;
}

static int add_by_rule(struct sl_mirror_plan *plan, const struct subject *s,
                       const struct sl_registry_rule *rule, size_t covered, struct sl_error *err)
{
    bool has_digest = strchr(s->suffix, '@') != NULL;
    for (size_t i = 0; i < rule->n_mirrors; i++) {
        const struct sl_registry_mirror *mirror = &rule->mirrors[i];
        if (!is_mirror_for(rule, mirror, has_digest))
            continue;
        struct place place = {.insecure = mirror->insecure, .is_mirror = true};
        int r = add_rewritten(plan, s, mirror->location, covered, place, err);
        if (r < 0)
            return r;
    }
    struct place primary = {s->host, s->repository, rule->insecure, false};
    if (rule->location)
        return add_rewritten(plan, s, rule->location, covered, primary, err);
    return add_endpoint(plan, s, &primary, err);
}

/* ---- names ---- */

/* The rules and the reference, and what has come of them so far. */
struct planner {
    const struct sl_registry_rules *rules;
    const struct sl_reference *ref;
    const char *suffix;
    struct sl_mirror_plan *plan;
    const char *blocked_by; /* prefix of the last rule that blocked a candidate */
};

/* Adds the places of one logical name; a blocked name adds none. */
static int plan_name(struct planner *pl, const char *host, const char *repository,
                     struct sl_error *err)
{
    SL_AUTO_FREE char *full = sl_strf("%s/%s%s", host, repository, pl->suffix);
    if (!full)
        return sl_error_oom(err);
    struct subject s = {host, repository, pl->suffix, full};
    size_t covered = 0;
    const struct sl_registry_rule *rule = find_rule(pl->rules, full, &covered);
    if (!rule) {
        struct place plain = {host, repository, false, false};
        return add_endpoint(pl->plan, &s, &plain, err);
    }
    if (rule->blocked) {
        pl->blocked_by = rule->prefix;
        return 0;
    }
    return add_by_rule(pl->plan, &s, rule, covered, err);
}

/* "registry.example/team" as a search registry has a path of its own. */
static int plan_under(struct planner *pl, const char *base, const char *path, struct sl_error *err)
{
    SL_AUTO_FREE char *name = sl_strf("%s/%s", base, path);
    if (!name)
        return sl_error_oom(err);
    char *slash = strchr(name, '/');
    *slash = 0;
    bool needs_namespace = strcmp(name, DOCKER_HOST) == 0 && !strchr(slash + 1, '/');
    SL_AUTO_FREE char *repository =
        sl_strf("%s%s", needs_namespace ? DOCKER_DEFAULT_NAMESPACE : "", slash + 1);
    return repository ? plan_name(pl, name, repository, err) : sl_error_oom(err);
}

/* What the user wrote, before docker's normalisation. */
static const char *short_name(const struct sl_reference *ref)
{
    size_t len = strlen(DOCKER_DEFAULT_NAMESPACE);
    bool is_default = strncmp(ref->repository, DOCKER_DEFAULT_NAMESPACE, len) == 0;
    return ref->repository + (is_default ? len : 0);
}

static const char *find_alias(const struct sl_registry_rules *rules, const char *name)
{
    for (size_t i = 0; i < rules->n_aliases; i++)
        if (strcmp(rules->aliases[i].name, name) == 0 && *rules->aliases[i].value)
            return rules->aliases[i].value;
    return NULL;
}

static int plan_alias(struct planner *pl, const char *value, struct sl_error *err)
{
    size_t host_len = strcspn(value, "/");
    SL_AUTO_FREE char *host = strndup(value, host_len);
    return host ? plan_under(pl, host, value + host_len + 1, err) : sl_error_oom(err);
}

static int plan_search(struct planner *pl, const char *name, struct sl_error *err)
{
    char **search = pl->rules->search;
    if (!search[0])
        return sl_error_set(err, SL_E_POLICY, EPERM,
                            "\"%s\" names no registry and unqualified-search-registries is empty: "
                            "write host/%s",
                            name, name);
    if (search[1] && pl->rules->short_name_mode == SL_SHORT_NAMES_ENFORCING)
        return sl_error_set(err, SL_E_POLICY, EPERM,
                            "\"%s\" may come from several registries and short-name-mode is "
                            "\"enforcing\": write host/%s",
                            name, name);
    int r = 0;
    for (; r == 0 && *search; search++)
        r = plan_under(pl, *search, name, err);
    return r;
}

static int plan_reference(struct planner *pl, bool host_was_explicit, struct sl_error *err)
{
    const struct sl_reference *ref = pl->ref;
    if (host_was_explicit || !pl->rules || strcmp(ref->host, DOCKER_HOST) != 0)
        return plan_name(pl, ref->host, ref->repository, err);
    const char *name = short_name(ref);
    const char *alias = find_alias(pl->rules, name);
    if (alias)
        return plan_alias(pl, alias, err);
    if (!pl->rules->search)
        return plan_name(pl, ref->host, ref->repository, err);
    return plan_search(pl, name, err);
}

static char *format_suffix(const struct sl_reference *ref)
{
    char digest[SL_DIGEST_TEXT_MAX] = "";
    if (ref->has_digest)
        sl_digest_format(&ref->digest, digest);
    return sl_strf("%s%s%s%s", ref->tag ? ":" : "", ref->tag ? ref->tag : "",
                   ref->has_digest ? "@" : "", digest);
}

int sl_mirror_plan(const struct sl_registry_rules *rules, const struct sl_reference *ref,
                   bool host_was_explicit, struct sl_mirror_plan **ret, struct sl_error *err)
{
    SL_AUTO(sl_mirror_plan) plan = calloc(1, sizeof(*plan));
    SL_AUTO_FREE char *suffix = format_suffix(ref);
    if (!plan || !suffix)
        return sl_error_oom(err);
    struct planner pl = {.rules = rules, .ref = ref, .suffix = suffix, .plan = plan};
    int r = plan_reference(&pl, host_was_explicit, err);
    if (r < 0)
        return r;
    if (plan->n_endpoints == 0)
        return sl_error_set(err, SL_E_POLICY, EPERM,
                            "image %s/%s%s is blocked by registry rule \"%s\"", ref->host,
                            ref->repository, suffix, pl.blocked_by);
    *ret = sl_steal(&plan);
    return 0;
}
