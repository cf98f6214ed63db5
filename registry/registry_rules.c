/* SPDX-License-Identifier: Apache-2.0 */
#include "registry_rules.h"

#include <stdlib.h>
#include <string.h>

void sl_registry_mirror_done(struct sl_registry_mirror *mirror)
{
    free(mirror->location);
    *mirror = (struct sl_registry_mirror){0};
}

void sl_registry_rule_done(struct sl_registry_rule *rule)
{
    for (size_t i = 0; i < rule->n_mirrors; i++)
        sl_registry_mirror_done(&rule->mirrors[i]);
    free(rule->mirrors);
    free(rule->prefix);
    free(rule->location);
    *rule = (struct sl_registry_rule){0};
}

char **sl_name_list_free(char **list)
{
    for (char **p = list; p && *p; p++)
        free(*p);
    free(list);
    return NULL;
}

static void pair_done(struct sl_pair *pair)
{
    free(pair->name);
    free(pair->value);
    *pair = (struct sl_pair){0};
}

struct sl_registry_rules *sl_registry_rules_free(struct sl_registry_rules *rules)
{
    if (!rules)
        return NULL;
    for (size_t i = 0; i < rules->n_rules; i++)
        sl_registry_rule_done(&rules->rules[i]);
    for (size_t i = 0; i < rules->n_aliases; i++)
        pair_done(&rules->aliases[i]);
    free(rules->rules);
    free(rules->aliases);
    sl_name_list_free(rules->search);
    sl_name_list_free(rules->helpers);
    free(rules);
    return NULL;
}

const char *const *sl_registry_rules_helpers(const struct sl_registry_rules *rules)
{
    return rules ? (const char *const *)rules->helpers : NULL;
}

/* Makes room for more elements behind the n of *listp; they are zero. */
static int grow(void *listp, size_t n, size_t more, size_t size, struct sl_error *err)
{
    void **list = listp;
    if (more == 0)
        return 0;
    void *larger = reallocarray(*list, n + more, size);
    if (!larger)
        return sl_error_oom(err);
    memset((char *)larger + n * size, 0, more * size);
    *list = larger;
    return 0;
}

static void put_rule(struct sl_registry_rules *into, struct sl_registry_rule *rule)
{
    size_t i = 0;
    while (i < into->n_rules && strcmp(into->rules[i].prefix, rule->prefix) != 0)
        i++;
    if (i == into->n_rules)
        into->n_rules++;
    else
        sl_registry_rule_done(&into->rules[i]);
    into->rules[i] = *rule;
    *rule = (struct sl_registry_rule){0};
}

static void put_alias(struct sl_registry_rules *into, struct sl_pair *alias)
{
    size_t i = 0;
    while (i < into->n_aliases && strcmp(into->aliases[i].name, alias->name) != 0)
        i++;
    if (i == into->n_aliases)
        into->n_aliases++;
    else
        pair_done(&into->aliases[i]);
    into->aliases[i] = *alias;
    *alias = (struct sl_pair){0};
}

static void put_list(char ***into, char ***from)
{
    if (!*from)
        return;
    sl_name_list_free(*into);
    *into = sl_steal(from);
}

int sl_registry_rules_merge(struct sl_registry_rules *into, struct sl_registry_rules *from,
                            struct sl_error *err)
{
    SL_AUTO(sl_registry_rules) old = from;
    int r = grow(&into->rules, into->n_rules, old->n_rules, sizeof(*into->rules), err);
    if (r == 0)
        r = grow(&into->aliases, into->n_aliases, old->n_aliases, sizeof(*into->aliases), err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < old->n_rules; i++)
        put_rule(into, &old->rules[i]);
    for (size_t i = 0; i < old->n_aliases; i++)
        put_alias(into, &old->aliases[i]);
    put_list(&into->search, &old->search);
    put_list(&into->helpers, &old->helpers);
    if (old->short_name_mode != SL_SHORT_NAMES_UNSET)
        into->short_name_mode = old->short_name_mode;
    return 0;
}
