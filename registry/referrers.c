/* SPDX-License-Identifier: Apache-2.0 */
#include "referrers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_ENTRIES_MAX = 16 * 1024 }; /* looked at: 4 MiB hold no more that can be read */

void sl_referrer_done(struct sl_referrer *referrer)
{
    sl_descriptor_done(&referrer->descriptor);
    free(referrer->artifact_type);
    referrer->artifact_type = NULL;
}

void sl_referrers_done(struct sl_referrers *list)
{
    for (size_t i = 0; i < list->n; i++)
        sl_referrer_done(&list->items[i]);
    free(list->items);
    *list = (struct sl_referrers){0};
}

static bool is_listed(const struct sl_referrers *list, const struct sl_digest *digest)
{
    for (size_t i = 0; i < list->n; i++)
        if (sl_digest_is_equal(&list->items[i].descriptor.digest, digest))
            return true;
    return false;
}

static int append(struct sl_referrers *list, struct sl_referrer *referrer, size_t max,
                  struct sl_error *err)
{
    if (list->n >= max)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %zu referrers", max);
    struct sl_referrer *larger = reallocarray(list->items, list->n + 1, sizeof(*larger));
    if (!larger)
        return sl_error_oom(err);
    list->items = larger;
    larger[list->n++] = *referrer;
    *referrer = (struct sl_referrer){0};
    return 0;
}

int sl_referrers_add(struct sl_referrers *list, struct sl_referrer *referrer, size_t max,
                     struct sl_error *err)
{
    int r = is_listed(list, &referrer->descriptor.digest) ? 0 : append(list, referrer, max, err);
    sl_referrer_done(referrer);
    return r;
}

static int parse_entry(const struct sl_json *node, struct sl_referrer *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_referrer) referrer = {0};
    int r = sl_descriptor_parse(node, "referrer", &referrer.descriptor, err);
    if (r >= 0)
        r = sl_artifact_type_parse(sl_json_get(node, "artifactType"), &referrer.artifact_type, err);
    if (r < 0)
        return r;
    *ret = referrer;
    referrer = (struct sl_referrer){0};
    return 0;
}

static int parse_page(const struct sl_json *manifests, size_t max, struct sl_referrers *list,
                      struct sl_error *err)
{
    size_t n = sl_json_count(manifests);
    if (sl_json_type(manifests) != SL_JSON_ARRAY)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "'manifests' is missing or not an array");
    if (n > PAGE_ENTRIES_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%zu entries, the limit is %d", n,
                            PAGE_ENTRIES_MAX);
    for (size_t i = 0; i < n; i++) {
        struct sl_referrer referrer = {0};
        struct sl_error why = {0};
        int r = parse_entry(sl_json_at(manifests, i), &referrer, &why);
        if (r == 0)
            r = sl_referrers_add(list, &referrer, max, err);
        else if (r != -ENOMEM)
            continue;
        else if (err)
            *err = why;
        if (r < 0)
            return r;
    }
    return 0;
}

int sl_referrers_parse(struct sl_span json, const char *media_type, size_t max,
                       struct sl_referrers *list, struct sl_error *err)
{
    SL_AUTO(sl_document) doc = NULL;
    int r = sl_document_open(json, media_type, &doc, err);
    if (r == 0 && doc->kind != SL_DOCUMENT_INDEX)
        r = sl_error_set(err, SL_E_FORMAT, EINVAL, "a manifest stands where an index should");
    if (r == 0)
        r = parse_page(sl_json_get(sl_json_root(doc->json), "manifests"), max, list, err);
    return r < 0 ? sl_error_wrap(err, r, "list of referrers") : 0;
}

char *sl_referrers_tag(const struct sl_digest *image)
{
    char hex[2 * SL_DIGEST_MAX + 1];
    sl_digest_hex(image, hex);
    return sl_strf("%s-%.64s", sl_digest_alg_name(image->alg), hex);
}
