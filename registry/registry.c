/* SPDX-License-Identifier: Apache-2.0 */
#include "registry.h"

#include "certs_dir.h"
#include "sluice/core/clock.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_TIMEOUT_MS = 30 * 1000, /* name, TCP and TLS together */
    STALL_TIMEOUT_S = 60,
    /* What is small; a registry that needs longer, with all its pauses, is as good as gone. */
    DOCUMENT_TIMEOUT_MS = 2 * 60 * 1000,
    PACE_WINDOW_MS = 60 * 1000,  /* a blob's: */
    PACE_BYTES = 64 * 1024,      /* so many at least; modems were faster */
    FILE_TIMEOUT_MS = 60 * 1000, /* small files of servers that are nobody's registry */
    TOKEN_SPARE_S = 10,
    SCHEME_KEPT_MS = 2 * 60 * 1000, /* as long as its connections */
    ROOTS_MAX = 8 * 1024 * 1024,    /* bytes of PEM */
};

struct sl_registry_peer {
    struct sl_http_peer http;
    int64_t answered_ms; /* if insecure: when it was tried with success; 0: never */
    unsigned blob_requests;
    struct sl_registry_peer *next;
};

/* --- peers --- */

static struct sl_registry_peer *peer_free(struct sl_registry_peer *peer)
{
    if (!peer)
        return NULL;
    free(peer->http.origin);
    sl_bytes_done(&peer->http.roots);
    free(peer->http.client_cert);
    free(peer->http.client_key);
    free(peer);
    return NULL;
}
SL_DEFINE_AUTO(sl_registry_peer, peer_free)

/* Our roots are added to the platform's, but libcurl takes them instead: both go into one text. */
static int join_roots(const struct sl_registry *registry, struct sl_span of_host,
                      struct sl_bytes *ret, struct sl_error *err)
{
    if (!of_host.len && !registry->extra_roots)
        return 0;
    const char *bundle = curl_version_info(CURLVERSION_NOW)->cainfo;
    /* A guest may well have no bundle: then ours are all there are. */
    if (bundle && sl_read_file(AT_FDCWD, bundle, ROOTS_MAX, ret, NULL) < 0)
        sl_bytes_done(ret);
    struct sl_span newline = sl_span_of("\n");
    int r = sl_bytes_append(ret, newline, ROOTS_MAX, err);
    if (r == 0 && registry->extra_roots)
        r = sl_bytes_append(ret, sl_span_of(registry->extra_roots), ROOTS_MAX, err);
    if (r == 0)
        r = sl_bytes_append(ret, newline, ROOTS_MAX, err);
    return r < 0 ? r : sl_bytes_append(ret, of_host, ROOTS_MAX, err);
}

static int peer_new(const struct sl_registry *registry, const char *origin, const char *cert_host,
                    bool insecure, struct sl_registry_peer **ret, struct sl_error *err)
{
    SL_AUTO(sl_registry_peer) peer = calloc(1, sizeof(*peer));
    if (peer)
        peer->http.origin = strdup(origin);
    if (!peer || !peer->http.origin)
        return sl_error_oom(err);
    peer->http.insecure = insecure;
    peer->http.blob_requests = &peer->blob_requests;
    SL_AUTO_DONE(sl_registry_certs) certs = {0};
    int r = sl_registry_certs_load(registry->cert_dir, cert_host, &certs, err);
    if (r == 0)
        r = join_roots(registry, sl_bytes_span(&certs.roots), &peer->http.roots, err);
    if (r < 0)
        return r;
    peer->http.client_cert = sl_steal(&certs.client_cert);
    peer->http.client_key = sl_steal(&certs.client_key);
    *ret = sl_steal(&peer);
    return 0;
}

static int find_or_add_peer(struct sl_registry *registry, const char *origin, const char *cert_host,
                            bool insecure, const struct sl_http_peer **ret, struct sl_error *err)
{
    for (struct sl_registry_peer *p = registry->peers; p; p = p->next) {
        if (p->http.insecure == insecure && !strcmp(p->http.origin, origin)) {
            *ret = &p->http;
            return 0;
        }
    }
    struct sl_registry_peer *peer = NULL;
    int r = peer_new(registry, origin, cert_host, insecure, &peer, err);
    if (r < 0)
        return r;
    peer->next = registry->peers;
    registry->peers = peer;
    *ret = &peer->http;
    return 0;
}

int sl_registry_get_peer(struct sl_registry *registry, const char *origin, const char *cert_host,
                         bool insecure, const struct sl_http_peer **ret, struct sl_error *err)
{
    pthread_mutex_lock(&registry->lock);
    int r = find_or_add_peer(registry, origin, cert_host, insecure, ret, err);
    pthread_mutex_unlock(&registry->lock);
    return r;
}

static bool has_answered(const struct sl_registry_peer *peer, const char *scheme, const char *host)
{
    size_t len = strlen(scheme);
    return peer->http.insecure && peer->answered_ms &&
           sl_clock_ms() - peer->answered_ms < SCHEME_KEPT_MS &&
           !strncmp(peer->http.origin, scheme, len) &&
           !strncmp(peer->http.origin + len, "://", 3) &&
           !strcmp(peer->http.origin + len + 3, host);
}

const char *sl_registry_recall_scheme(struct sl_registry *registry, const char *host)
{
    const char *scheme = NULL;
    pthread_mutex_lock(&registry->lock);
    for (struct sl_registry_peer *p = registry->peers; p && !scheme; p = p->next) {
        if (has_answered(p, "https", host))
            scheme = "https";
        else if (has_answered(p, "http", host))
            scheme = "http";
    }
    pthread_mutex_unlock(&registry->lock);
    return scheme;
}

void sl_registry_remember_scheme(struct sl_registry *registry, const struct sl_http_peer *peer)
{
    pthread_mutex_lock(&registry->lock);
    for (struct sl_registry_peer *p = registry->peers; p; p = p->next)
        if (&p->http == peer)
            p->answered_ms = sl_clock_ms();
    pthread_mutex_unlock(&registry->lock);
}

static int load_rules(struct sl_registry *registry, struct sl_error *err)
{
    const char *text = registry->registries_conf_text;
    if (text)
        return sl_registry_rules_parse(sl_span_of(text), "registries.conf", &registry->rules, err);
    return sl_registry_rules_load(registry->registries_conf, &registry->rules, err);
}

int sl_registry_check_rules(const char *registries_conf_text, struct sl_error *err)
{
    struct sl_registry_rules *rules = NULL;
    int r =
        sl_registry_rules_parse(sl_span_of(registries_conf_text), "registries.conf", &rules, err);
    (void)sl_registry_rules_free(rules);
    return r;
}

int sl_registry_get_rules(struct sl_registry *registry, const struct sl_registry_rules **ret,
                          struct sl_error *err)
{
    pthread_mutex_lock(&registry->lock);
    int r = 0;
    if (!registry->rules)
        r = load_rules(registry, err);
    if (r == 0)
        *ret = registry->rules;
    pthread_mutex_unlock(&registry->lock);
    return r;
}

/* --- the object --- */

static bool copy_text(char **slot, const char *text)
{
    *slot = text ? strdup(text) : NULL;
    return !text || *slot;
}

static int copy_options(struct sl_registry *registry, const struct sl_registry_options *o,
                        struct sl_error *err)
{
    registry->insecure = o->insecure;
    registry->force_secure = o->force_secure;
    registry->settings = (struct sl_http_settings){
        .max_attempts = o->max_attempts ? o->max_attempts : SL_RETRY_ATTEMPTS_DEFAULT,
        .retry_base_ms = SL_RETRY_BASE_MS_DEFAULT,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .stall_timeout_s = STALL_TIMEOUT_S,
        .document_timeout_ms = DOCUMENT_TIMEOUT_MS,
        .pace_window_ms = PACE_WINDOW_MS,
        .pace_bytes = PACE_BYTES,
        .file_timeout_ms = FILE_TIMEOUT_MS,
        .token_spare_s = TOKEN_SPARE_S,
        .ranges = sl_range_limits_default,
    };
    /* no_proxy alone does nothing. */
    const char *no_proxy = o->https_proxy || o->http_proxy ? o->no_proxy : NULL;
    const char *agent = o->user_agent ? o->user_agent : "sluice/" SL_VERSION;
    bool ok = copy_text(&registry->settings.user_agent, agent) &&
              copy_text(&registry->settings.https_proxy, o->https_proxy) &&
              copy_text(&registry->settings.http_proxy, o->http_proxy) &&
              copy_text(&registry->settings.no_proxy, no_proxy) &&
              copy_text(&registry->authfile, o->authfile) &&
              copy_text(&registry->auth_json, o->auth_json) &&
              copy_text(&registry->creds, o->creds) &&
              copy_text(&registry->cert_dir, o->cert_dir) &&
              copy_text(&registry->registries_conf, o->registries_conf) &&
              copy_text(&registry->registries_conf_text, o->registries_conf_text) &&
              copy_text(&registry->extra_roots, o->extra_root_certificates);
    return ok ? 0 : sl_error_oom(err);
}

int sl_registry_new(const struct sl_registry_options *options, struct sl_registry **ret,
                    struct sl_error *err)
{
    static const struct sl_registry_options defaults = {0};
    SL_AUTO(sl_registry) registry = calloc(1, sizeof(*registry));
    if (!registry)
        return sl_error_oom(err);
    pthread_mutex_init(&registry->lock, NULL);
    int r = copy_options(registry, options ? options : &defaults, err);
    if (r == 0)
        r = sl_http_loop_new(&registry->loop, err);
    if (r == 0 && registry->registries_conf_text)
        r = load_rules(registry, err);
    if (r < 0)
        return r;
    registry->tokens.loop = registry->loop;
    registry->tokens.settings = &registry->settings;
    *ret = sl_steal(&registry);
    return 0;
}

static void drop_tokens(void *arg)
{
    sl_token_cache_done(arg);
}

struct sl_registry *sl_registry_free(struct sl_registry *registry)
{
    if (!registry)
        return NULL;
    if (registry->loop)
        sl_http_loop_call(registry->loop, drop_tokens, &registry->tokens);
    sl_http_loop_free(registry->loop);
    while (registry->peers) {
        struct sl_registry_peer *peer = registry->peers;
        registry->peers = peer->next;
        peer_free(peer);
    }
    sl_registry_rules_free(registry->rules);
    pthread_mutex_destroy(&registry->lock);
    free(registry->settings.user_agent);
    sl_secret_free(registry->settings.https_proxy);
    sl_secret_free(registry->settings.http_proxy);
    free(registry->settings.no_proxy);
    free(registry->authfile);
    sl_secret_free(registry->auth_json);
    sl_secret_free(registry->creds);
    free(registry->cert_dir);
    free(registry->registries_conf);
    free(registry->registries_conf_text);
    free(registry->extra_roots);
    free(registry);
    return NULL;
}

void sl_registry_cancel(struct sl_registry *registry)
{
    sl_http_loop_cancel(registry->loop);
}
