/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of web servers that know nothing of registries: the signatures of a lookaside server
 * (containers-registries.d(5)). Nobody is told who we are.
 */
#include "http_url.h"
#include "registry.h"
#include "sluice/attachments.h"
#include "source_ops.h"
#include "waiting.h"

#include <stdlib.h>
#include <string.h>

struct web_file {
    struct sl_fetch fetch;
    size_t limit;
    struct sl_bytes bytes;
    bool is_missing;
    struct sl_waiting waiting;
};

static int file_prepare(struct sl_fetch *f, struct sl_error *err)
{
    (void)err;
    struct web_file *file = (struct web_file *)f;
    sl_bytes_done(&file->bytes);
    file->bytes = (struct sl_bytes){0};
    return 0;
}

static int file_refused(struct sl_fetch *f, struct sl_error *err)
{
    struct web_file *file = (struct web_file *)f;
    switch (f->response.status) {
    case 404:
    case 410:
        file->is_missing = true;
        return SL_FETCH_COMPLETE;
    case 401:
    case 403:
        return sl_error_set(err, SL_E_AUTH, EACCES,
                            "HTTP %ld: it must be readable for everybody, no credentials are shown",
                            f->response.status);
    default:
        return SL_FETCH_DEFAULT;
    }
}

static int file_begin(struct sl_fetch *f, struct sl_error *err)
{
    if (f->response.status == 200)
        return 0;
    return sl_error_set(err, SL_E_NETWORK, EPROTO, "unexpected answer HTTP %ld",
                        f->response.status);
}

static int file_body(struct sl_fetch *f, struct sl_span bytes, struct sl_error *err)
{
    struct web_file *file = (struct web_file *)f;
    return sl_bytes_append(&file->bytes, bytes, file->limit, err);
}

static void file_done(struct sl_fetch *f, int r, const struct sl_error *err)
{
    sl_waiting_end(&((struct web_file *)f)->waiting, r, err);
}

static const struct sl_fetch_ops file_ops = {
    .prepare = file_prepare,
    .refused = file_refused,
    .begin = file_begin,
    .body = file_body,
    .done = file_done,
};

static void start(void *arg)
{
    sl_fetch_start(&((struct web_file *)arg)->fetch);
}

/* As certs.d folders are named: "host", or "host:port" for a port that is not the usual one. */
static char *cert_host_of(const char *origin)
{
    const char *host = strstr(origin, "://") + 3;
    const char *usual = sl_url_is_https(origin) ? ":443" : ":80";
    size_t len = strlen(host), usual_len = strlen(usual);
    bool is_usual = len > usual_len && !strcmp(host + len - usual_len, usual);
    return strndup(host, is_usual ? len - usual_len : len);
}

/* The TLS settings for the server, but for the client's certificate: that is a credential too. */
static int get_peer(struct sl_registry *registry, const char *url, struct sl_http_peer *ret,
                    struct sl_error *err)
{
    const struct sl_http_peer *peer = NULL;
    SL_AUTO_FREE char *origin = sl_url_origin(url);
    SL_AUTO_FREE char *cert_host = origin ? cert_host_of(origin) : NULL;
    if (!cert_host)
        return sl_error_oom(err);
    bool insecure = registry->insecure && !registry->force_secure;
    int r = sl_registry_get_peer(registry, origin, cert_host, insecure, &peer, err);
    if (r < 0)
        return r;
    *ret = *peer; /* lives as long as the registry */
    ret->client_cert = ret->client_key = NULL;
    return 0;
}

static int get(struct sl_registry *registry, struct sl_http_group *group, const char *url,
               size_t limit, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO_FREE char *clean = sl_url_resolve(url, url);
    struct sl_http_peer peer;
    if (!clean)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "not a URL that begins with http:// or https:// and names no user");
    int r = get_peer(registry, clean, &peer, err);
    if (r == 0)
        r = sl_http_loop_start(registry->loop, err);
    if (r < 0)
        return r;
    struct web_file file = {
        .fetch = {.ops = &file_ops,
                  .loop = registry->loop,
                  .settings = &registry->settings,
                  .peer = &peer,
                  .group = group,
                  .url = clean,
                  .within_ms = registry->settings.file_timeout_ms,
                  .must_stay = true},
        .limit = limit,
    };
    sl_waiting_init(&file.waiting);
    sl_http_loop_call(registry->loop, start, &file);
    r = sl_waiting_join(&file.waiting, err);
    if (r == 0 && !file.is_missing) {
        *ret = file.bytes;
        return 1;
    }
    sl_bytes_done(&file.bytes);
    return r;
}

static int get_in_group(struct sl_registry *registry, struct sl_http_group *group, const char *url,
                        size_t limit, struct sl_bytes *ret, struct sl_error *err)
{
    int r = get(registry, group, url, limit, ret, err);
    if (r >= 0)
        return r;
    /* A query may hold a secret, and a user's name may too. */
    SL_AUTO_FREE char *origin = sl_url_origin(url);
    return sl_error_wrap(err, r, "%s", origin ? origin : "lookaside");
}

int sl_registry_get_url(struct sl_registry *registry, const char *url, size_t limit,
                        struct sl_bytes *ret, struct sl_error *err)
{
    return get_in_group(registry, /* group= */ NULL, url, limit, ret, err);
}

int sl_attachment_get_url(struct sl_image_source *src, const char *url, size_t limit,
                          struct sl_bytes *ret, struct sl_error *err)
{
    struct sl_registry *registry = sl_image_source_registry(src);
    if (!registry)
        return sl_error_set(err, SL_E_SYSTEM, EINVAL, "no registry engine to fetch a URL");
    return get_in_group(registry, sl_image_source_transport(src)->group, url, limit, ret, err);
}
