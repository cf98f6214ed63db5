/* SPDX-License-Identifier: Apache-2.0 */
/* The rules as registries_conf.c reads them and mirror.c applies them. */
#pragma once

#include "mirror.h"

enum sl_pull_from { SL_PULL_ALL, SL_PULL_DIGEST_ONLY, SL_PULL_TAG_ONLY };

enum sl_short_name_mode {
    SL_SHORT_NAMES_UNSET, /* permissive */
    SL_SHORT_NAMES_PERMISSIVE,
    SL_SHORT_NAMES_ENFORCING,
    SL_SHORT_NAMES_DISABLED,
};

struct sl_registry_mirror {
    char *location;
    bool insecure;
    enum sl_pull_from pull_from;
};

struct sl_registry_rule {
    char *prefix;   /* never NULL; "*.example.com" or the beginning of a reference */
    char *location; /* replaces the prefix; NULL: nothing is rewritten */
    bool insecure;
    bool blocked;
    bool mirror_by_digest_only;
    struct sl_registry_mirror *mirrors;
    size_t n_mirrors;
};

struct sl_registry_rules {
    struct sl_registry_rule *rules; /* each prefix once */
    size_t n_rules;
    struct sl_pair *aliases; /* each name once; value "" erases what an earlier file said */
    size_t n_aliases;
    char **search;  /* unqualified-search-registries, ends with NULL; NULL: not set */
    char **helpers; /* credential-helpers, likewise */
    enum sl_short_name_mode short_name_mode;
};

/* registry_rules.c: the object itself. All accept NULL and half-built objects. */
void sl_registry_mirror_done(struct sl_registry_mirror *mirror);
void sl_registry_rule_done(struct sl_registry_rule *rule);
/* Frees a list that ends with NULL; returns NULL. */
char **sl_name_list_free(char **list);
/* Moves what "from" sets into "into", where it replaces older settings; "from" is freed. */
SL_MUST_CHECK int sl_registry_rules_merge(struct sl_registry_rules *into,
                                          struct sl_registry_rules *from, struct sl_error *err);
