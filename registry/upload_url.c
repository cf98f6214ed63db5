/* SPDX-License-Identifier: Apache-2.0 */
#include "upload_url.h"

#include "http_url.h"

#include <string.h>

/* A digest has one character that a query wants escaped. */
static char *query_digest(const struct sl_digest *digest)
{
    char hex[2 * SL_DIGEST_MAX + 1];
    sl_digest_hex(digest, hex);
    return sl_strf("%s%%3A%s", sl_digest_alg_name(digest->alg), hex);
}

char *sl_upload_url_begin(const struct sl_docker_endpoint *ep, const struct sl_digest *mount,
                          const char *from)
{
    SL_AUTO_FREE char *plain = sl_docker_endpoint_url(ep, "blobs", "uploads/");
    if (!plain || !from)
        return sl_steal(&plain);
    SL_AUTO_FREE char *digest = query_digest(mount);
    /* A repository's characters need no escapes; '/' may stand in a query. */
    return digest ? sl_strf("%s?mount=%s&from=%s", plain, digest, from) : NULL;
}

int sl_upload_url_next(const char *asked, const char *location, char **ret, struct sl_error *err)
{
    SL_AUTO_FREE char *next = location ? sl_url_resolve(asked, location) : NULL;
    if (!next)
        return sl_error_set(err, SL_E_NETWORK, EPROTO,
                            "the registry does not say where the upload goes on, or the URL it "
                            "gives makes no sense");
    if (sl_url_is_https(asked) && !sl_url_is_https(next))
        return sl_error_set(err, SL_E_NETWORK, EPROTO,
                            "the registry sends the upload from https to http: refused");
    *ret = sl_steal(&next);
    return 0;
}

char *sl_upload_url_end(const char *location, const struct sl_digest *digest)
{
    SL_AUTO_FREE char *text = query_digest(digest);
    return text ? sl_strf("%s%sdigest=%s", location, strchr(location, '?') ? "&" : "?", text)
                : NULL;
}

int sl_upload_check_digest(const char *content_digest, const struct sl_digest *digest,
                           struct sl_error *err)
{
    struct sl_digest stored;
    if (sl_digest_parse(content_digest, &stored, NULL) < 0 || stored.alg != digest->alg ||
        sl_digest_is_equal(&stored, digest))
        return 0;
    char ours[SL_DIGEST_TEXT_MAX], theirs[SL_DIGEST_TEXT_MAX];
    sl_digest_format(digest, ours);
    sl_digest_format(&stored, theirs);
    return sl_error_set(err, SL_E_INTEGRITY, EBADMSG, "we sent %s, the registry has stored %s",
                        ours, theirs);
}
