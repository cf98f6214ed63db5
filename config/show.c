/* SPDX-License-Identifier: Apache-2.0 */
/* Values for people: one line each, and no password. */
#include "check.h"
#include "sluice/core/digest.h"
#include "store.h"

#include <stdlib.h>
#include <string.h>

/* "http://user:password@host" without the password. Up to the last '@': a password that should have
 * been escaped may hold anything. */
static char *mask(const char *url)
{
    const char *at = strrchr(url, '@');
    const char *user = sl_config_address_tail(url);
    const char *colon = at && at > user ? memchr(user, ':', (size_t)(at - user)) : NULL;
    if (!colon)
        return strdup(url);
    return sl_strf("%.*s***%s", (int)(colon + 1 - url), url, at);
}

static char *show_document(const char *text)
{
    struct sl_digest digest;
    char sum[SL_DIGEST_TEXT_MAX];
    if (sl_digest_of(SL_SHA256, sl_span_of(text), &digest, NULL) < 0)
        return NULL;
    sl_digest_format(&digest, sum);
    return sl_strf("(%zu bytes, %s)", strlen(text), sum);
}

static char *show_certificates(const char *pem)
{
    size_t n = sl_config_count_certificates(pem);
    return sl_strf("(%zu certificate%s)", n, n == 1 ? "" : "s");
}

static char *show_text(const struct sl_config_key *key, const char *text)
{
    if (!text)
        return strdup("");
    if (key->flags & CONFIG_CERTIFICATE)
        return show_certificates(text);
    if (key->flags & CONFIG_DOCUMENT || sl_config_has_control(text)) /* the latter: a table's */
        return show_document(text);
    return key->flags & CONFIG_SECRET ? mask(text) : strdup(text);
}

static char *show_size(uint64_t size)
{
    static const char *const units[] = {"", "k", "M", "G"};
    size_t u = 0;
    for (; u < 3 && size && size % 1024 == 0; u++)
        size /= 1024;
    return sl_strf("%llu%s", (unsigned long long)size, units[u]);
}

static char *show_list(char *const *list)
{
    char *all = strdup("");
    for (size_t i = 0; all && list && list[i]; i++) {
        char *longer = sl_strf("%s%s%s", all, i ? ", " : "", list[i]);
        free(all);
        all = longer;
    }
    return all;
}

char *sl_config_show(const struct sl_config *config, enum sl_config_id id)
{
    const struct sl_config_key *key = sl_config_key_at(id);
    const void *slot = (const char *)config + key->offset;
    switch (key->kind) {
    case CONFIG_KIND_FLAG:
        return strdup(*(const bool *)slot ? "true" : "false");
    case CONFIG_KIND_CHOICE:
        return strdup(sl_config_choices(
            id)[id == CONFIG_KEEP ? (int)config->keep : (int)config->policy_dialect_image_rs]);
    case CONFIG_KIND_COUNT:
        return sl_strf("%u", *(const unsigned *)slot);
    case CONFIG_KIND_SIZE:
        return show_size(*(const uint64_t *)slot);
    case CONFIG_KIND_LIST:
        return show_list(*(char *const *const *)slot);
    default:
        return show_text(key, *(char *const *)slot);
    }
}
