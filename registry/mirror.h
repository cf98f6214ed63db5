/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where to fetch an image from: the rules of containers-registries.conf(5), version 2, which are
 * also those of image-rs ("registry_config", "registry_configuration_uri"), and the list of
 * places they give for one reference.
 *
 * Where containers/image and image-rs differ, this is what Sluice does:
 * - A prefix matches from the start of "host/repository:tag@digest" and must be followed by the
 *   end, '/', ':' or '@' (image-rs: anywhere in the text). The longest prefix wins.
 * - Unqualified search applies to names written without a host only (image-rs: also to
 *   docker.io/...). Without "unqualified-search-registries" the only one is docker.io.
 * - Tag and digest are kept through any rewriting; a rule that would change them is refused.
 * - A "*." prefix needs no location: nothing is rewritten, the other settings hold. Any other
 *   prefix may also go without; location is then the prefix.
 * - "insecure" means HTTPS without verification, then plain HTTP, or the other way round on a port
 *   of loopback (image-rs: HTTP only).
 * - Aliases, pull-from-mirror, mirror-by-digest-only, short-name-mode and credential-helpers are
 *   honoured; nobody is asked and no alias is recorded, so "enforcing" with several search
 *   registries is an error.
 * - Policy is about the logical name (name_host, name_repository), never about a mirror.
 * - Unknown keys are ignored; values of the wrong type and the version 1 format are errors.
 */
#pragma once

#include "sluice/core/json.h"
#include "sluice/core/reference.h"

struct sl_registry_rules;

/* path NULL: the file named by CONTAINERS_REGISTRIES_CONF, else
 * $HOME/.config/containers/registries.conf with its registries.conf.d, else
 * /etc/containers/registries.conf with its .d and the user's .d. A file chosen by path or
 * environment is read alone and must exist; without any file the rules are the defaults. */
SL_MUST_CHECK int sl_registry_rules_load(const char *path, struct sl_registry_rules **ret,
                                         struct sl_error *err);
/* One file, then all *.conf of each folder in the order of their names; later settings win. What
 * does not exist is skipped. folders ends with NULL. */
SL_MUST_CHECK int sl_registry_rules_load_chain(const char *file, const char *const *folders,
                                               struct sl_registry_rules **ret,
                                               struct sl_error *err);
/* TOML text, or a JSON object with the same members; name stands for it in errors. */
SL_MUST_CHECK int sl_registry_rules_parse(struct sl_span text, const char *name,
                                          struct sl_registry_rules **ret, struct sl_error *err);
/* The same table as part of another document. */
SL_MUST_CHECK int sl_registry_rules_from_table(const struct sl_json *table, const char *name,
                                               struct sl_registry_rules **ret,
                                               struct sl_error *err);
struct sl_registry_rules *sl_registry_rules_free(struct sl_registry_rules *rules);
SL_DEFINE_AUTO(sl_registry_rules, sl_registry_rules_free)

/* "credential-helpers", NULL-terminated, borrowed; NULL when not set. For sl_auth_options. */
const char *const *sl_registry_rules_helpers(const struct sl_registry_rules *rules);

/* One place to try. Tag and digest are those of the reference. */
struct sl_endpoint {
    char *host;            /* "mirror.example:5000"; "docker.io" stays as it is */
    char *repository;      /* "library/busybox" */
    bool insecure;         /* HTTPS without verification, then HTTP */
    bool is_mirror;        /* false: the primary location of the logical name */
    char *name_host;       /* the logical name this place serves: what policy is about. */
    char *name_repository; /* Differs from the reference for aliases and unqualified search. */
};

struct sl_mirror_plan {
    struct sl_endpoint *endpoints; /* to be tried in this order; at least one */
    size_t n_endpoints;
};

/* True if text ("quay.io/a/b:tag") names its registry, by the rule of docker: the part before the
 * first '/' holds '.' or ':' or an upper-case letter, or is "localhost". */
bool sl_reference_names_host(const char *text);

/* host_was_explicit: the user wrote the host. rules NULL: the defaults. SL_E_POLICY with "is
 * blocked by registry rule" when no place is left. */
SL_MUST_CHECK int sl_mirror_plan(const struct sl_registry_rules *rules,
                                 const struct sl_reference *ref, bool host_was_explicit,
                                 struct sl_mirror_plan **ret, struct sl_error *err);
struct sl_mirror_plan *sl_mirror_plan_free(struct sl_mirror_plan *plan);
SL_DEFINE_AUTO(sl_mirror_plan, sl_mirror_plan_free)
