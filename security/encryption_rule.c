/* SPDX-License-Identifier: Apache-2.0 */
#include "encryption_rule.h"

#include "sluice/core/resource_uri.h"

#include <stdlib.h>
#include <string.h>

static void list_free(char **list)
{
    for (char **p = list; p && *p; p++)
        free(*p);
    free(list);
}

void sl_encryption_rule_done(struct sl_encryption_rule *rule)
{
    free(rule->scope);
    list_free(rule->kids);
    list_free(rule->protocols);
    list_free(rule->providers);
    list_free(rule->wrap_types);
    *rule = (struct sl_encryption_rule){0};
}

const char *sl_encryption_rule_scope(const struct sl_encryption_rule *rule)
{
    return rule->scope;
}

enum sl_encryption_demand sl_encryption_rule_demand(const struct sl_encryption_rule *rule)
{
    return rule->demand;
}

/* ---- refusals ---- */

static int refuse(const struct sl_encryption_rule *rule, struct sl_error *err, const char *why,
                  const char *what)
{
    bool is_default = !rule->scope[0];
    return sl_error_set(err, SL_E_POLICY, EACCES,
                        "%s%.200s; the encryption policy forbids it (%s%.100s)", why, what,
                        is_default ? "default" : "scope ", rule->scope);
}

int sl_encryption_rule_check_layer(const struct sl_encryption_rule *rule, bool is_encrypted,
                                   struct sl_error *err)
{
    if (rule->demand == SL_ENCRYPTION_REQUIRED && !is_encrypted)
        return refuse(rule, err, "the layer is not encrypted", "");
    if (rule->demand == SL_ENCRYPTION_FORBIDDEN && is_encrypted)
        return refuse(rule, err, "the layer is encrypted", "");
    return 0;
}

/* ---- what a wrapped key says of itself ---- */

static bool list_has(char *const *list, const char *value)
{
    for (; *list; list++)
        if (strcmp(*list, value) == 0)
            return true;
    return false;
}

static int check_value(const struct sl_encryption_rule *rule, char *const *list, const char *noun,
                       const char *value, struct sl_error *err)
{
    if (!list)
        return 0;
    if (!value || !value[0])
        return refuse(rule, err, "the wrapped key does not name its ", noun);
    if (list_has(list, value))
        return 0;
    SL_AUTO_FREE char *why = sl_strf("the wrapped key has %s ", noun);
    return why ? refuse(rule, err, why, value) : sl_error_oom(err);
}

/* Both are canonical, so that text decides: host and plugin stand before the path, and an entry
 * that ends at a '/' ends at the end of a segment. */
static bool kid_fits(const char *entry, const char *kid)
{
    size_t len = strlen(entry);
    return entry[len - 1] == '/' ? strncmp(kid, entry, len) == 0 : strcmp(kid, entry) == 0;
}

static int check_kid(const struct sl_encryption_rule *rule, const char *kid, struct sl_error *err)
{
    if (!rule->kids)
        return 0;
    if (!kid || !kid[0])
        return refuse(rule, err, "the wrapped key does not name its ", "kid");
    SL_AUTO_DONE(sl_resource_uri) uri = {0};
    int r = sl_resource_uri_parse_kid(kid, &uri, NULL);
    if (r == -ENOMEM)
        return sl_error_oom(err);
    if (r < 0)
        return refuse(rule, err, "the wrapped key has a malformed kid ", kid);
    SL_AUTO_FREE char *canonical = sl_resource_uri_format(&uri);
    if (!canonical)
        return sl_error_oom(err);
    for (char **entry = rule->kids; *entry; entry++)
        if (kid_fits(*entry, canonical))
            return 0;
    return refuse(rule, err, "the wrapped key has kid ", canonical);
}

int sl_encryption_rule_check_key(const struct sl_encryption_rule *rule,
                                 const struct sl_wrapped_key_facts *facts, struct sl_error *err)
{
    int r = check_value(rule, rule->protocols, "protocol", facts->protocol, err);
    if (r == 0)
        r = check_value(rule, rule->providers, "provider", facts->provider, err);
    if (r < 0 || (facts->protocol && strcmp(facts->protocol, "provider") != 0))
        return r;
    r = check_value(rule, rule->wrap_types, "wrap type", facts->wrap_type, err);
    return r < 0 ? r : check_kid(rule, facts->kid, err);
}

/* ---- kids in the policy ---- */

/* A prefix is the beginning of a key id: with one more segment it must be a whole one. */
int sl_kid_prefix_parse(const char *text, char **ret, struct sl_error *err)
{
    size_t len = strlen(text);
    bool is_prefix = len > 0 && text[len - 1] == '/';
    SL_AUTO_FREE char *whole = sl_strf("%s%s", text, is_prefix ? "x" : "");
    if (!whole)
        return sl_error_oom(err);
    SL_AUTO_DONE(sl_resource_uri) uri = {0};
    int r = sl_resource_uri_parse(whole, &uri, err);
    if (r < 0)
        return r;
    if (is_prefix && uri.query)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "a prefix of key ids cannot have a query");
    char *canonical = sl_resource_uri_format(&uri);
    if (!canonical)
        return sl_error_oom(err);
    if (is_prefix)
        canonical[strlen(canonical) - 1] = 0;
    *ret = canonical;
    return 0;
}
