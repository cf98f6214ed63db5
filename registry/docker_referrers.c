/* SPDX-License-Identifier: Apache-2.0 */
#include "docker_referrers.h"

#include "http_url.h"
#include "sluice/core/limits.h"

#include <stdlib.h>

enum { REFERRER_PAGES_MAX = 128 };

static const char index_type[] = "application/vnd.oci.image.index.v1+json";

/* How registries say that they do not know the API: 404 by the specification; 405 by routers that
 * know the path for other methods; 400 and 406 by those that take "referrers" for something else.
 * All of these are about the request, none about us or the moment. */
static bool is_without_api(long status)
{
    return status == 404 || status == 405 || status == 400 || status == 406;
}

/* *url: of this page; then of the next, or NULL. *room: bytes left for all pages. */
static int read_page(struct sl_docker_endpoint *ep, char **url, size_t *room, bool *ret_is_without,
                     struct sl_referrers *list, struct sl_error *err)
{
    SL_AUTO_DONE(sl_docker_document) doc = {
        .url = *url, .accept = index_type, .limit = *room, .is_page = true};
    struct sl_error why = {0};
    int r = sl_docker_endpoint_ask(ep, &doc, &why);
    *ret_is_without = r < 0 && is_without_api(doc.refused);
    if (r < 0 && err)
        *err = why;
    if (r == 0)
        r = sl_referrers_parse(sl_bytes_span(&doc.bytes), doc.content_type, SL_REFERRERS_MAX, list,
                               err);
    if (r == 0 && doc.next && !sl_url_is_same_origin(ep->peer->origin, doc.next))
        r = sl_error_set(err, SL_E_NETWORK, EPROTO,
                         "the next page is said to be on another server: refused");
    if (r < 0)
        return r;
    *room -= doc.bytes.len;
    free(*url);
    *url = sl_steal(&doc.next);
    return 0;
}

int sl_docker_referrers(struct sl_docker_endpoint *ep, const struct sl_digest *subject,
                        struct sl_referrers *list, struct sl_error *err)
{
    size_t room = SL_MANIFEST_MAX;
    char digest[SL_DIGEST_TEXT_MAX];
    sl_digest_format(subject, digest);
    SL_AUTO_FREE char *url = sl_docker_endpoint_url(ep, "referrers", digest);
    if (!url)
        return sl_error_oom(err);
    for (int page = 0; url; page++) {
        bool is_without = false;
        if (page == REFERRER_PAGES_MAX)
            return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d pages", REFERRER_PAGES_MAX);
        int r = read_page(ep, &url, &room, &is_without, list, err);
        if (is_without && page == 0)
            return 0;
        if (r < 0)
            return r;
    }
    return 1;
}
