/* SPDX-License-Identifier: Apache-2.0 */
#include "docker_endpoint.h"

#include "http_url.h"
#include "link_header.h"
#include "registry_request.h"
#include "sluice/core/cancel.h"
#include "waiting.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum {
    PING_MAX = 64 * 1024,      /* bytes of the answer to GET /v2/, which nobody reads */
    LOOPBACK_WITHIN_MS = 1000, /* for a try that only saves time */
};

/* --- what is shown to it --- */

static const char *network_host_of(const struct sl_docker_endpoint *ep)
{
    return strcmp(ep->plan->host, "docker.io") != 0 ? ep->plan->host : "registry-1.docker.io";
}

static int set_peer(struct sl_docker_endpoint *ep, const char *scheme, struct sl_error *err)
{
    const struct sl_registry *registry = ep->registry;
    const char *host = ep->plan->host, *network_host = network_host_of(ep);
    bool insecure = (ep->plan->insecure || registry->insecure) && !registry->force_secure;
    SL_AUTO_FREE char *origin = sl_strf("%s://%s", scheme, network_host);
    if (!origin)
        return sl_error_oom(err);
    return sl_registry_get_peer(ep->registry, origin, host, insecure, &ep->peer, err);
}

static int set_credentials(struct sl_docker_endpoint *ep, struct sl_error *err)
{
    struct sl_registry *registry = ep->registry;
    const struct sl_registry_rules *rules = NULL;
    int r = sl_registry_get_rules(registry, &rules, err);
    if (r < 0)
        return r;
    const struct sl_auth_options where = {
        .creds = registry->creds,
        .auth_json = registry->auth_json ? sl_span_of(registry->auth_json) : (struct sl_span){0},
        .authfile = registry->authfile,
        .helpers = sl_registry_rules_helpers(rules),
        .cancel_fd = ep->group ? ep->group->cancel_fd : -1,
    };
    sl_registry_auth_done(&ep->auth); /* of an attempt that failed */
    ep->auth = (struct sl_registry_auth){.cache = &registry->tokens};
    ep->auth.scope = sl_strf("repository:%s:%s", ep->plan->repository, ep->actions);
    if (!ep->auth.scope)
        return sl_error_oom(err);
    return sl_auth_lookup(&where, ep->plan->host, ep->plan->repository, &ep->auth.credentials, err);
}

char *sl_docker_endpoint_url(const struct sl_docker_endpoint *ep, const char *kind, const char *id)
{
    return sl_strf("%s/v2/%s/%s/%s", ep->peer->origin, ep->plan->repository, kind, id);
}

/* --- documents --- */

struct document_request {
    struct sl_registry_request req;
    struct sl_docker_document *doc;
    struct sl_docker_endpoint *ep;
    struct sl_registry_auth apart; /* see start_document() */
    struct sl_waiting waiting;
};

static int document_body(struct sl_registry_request *req, struct sl_span bytes,
                         struct sl_error *err)
{
    struct document_request *dr = (struct document_request *)req;
    return sl_bytes_append(&dr->doc->bytes, bytes, dr->doc->limit, err);
}

static void document_restart(struct sl_registry_request *req)
{
    struct document_request *dr = (struct document_request *)req;
    sl_bytes_done(&dr->doc->bytes);
    dr->doc->bytes = (struct sl_bytes){0};
}

static void document_done(struct sl_registry_request *req, int r, const struct sl_error *err)
{
    struct document_request *dr = (struct document_request *)req;
    sl_docker_endpoint_note_rtt(dr->ep, &req->fetch.transfer);
    dr->doc->refused = r < 0 ? req->refused : 0;
    sl_auth_challenge_done(&dr->apart.challenge);
    sl_waiting_end(&dr->waiting, r, err);
}

static void forget_head(struct sl_docker_document *doc)
{
    free(doc->content_type);
    free(doc->content_digest);
    free(doc->location);
    free(doc->next);
    free(doc->subject);
    doc->content_type = doc->content_digest = doc->location = NULL;
    doc->next = doc->subject = NULL;
}

static bool copy_text(char **ret, const char *text)
{
    *ret = text ? strdup(text) : NULL;
    return *ret || !text;
}

static int document_head(struct sl_registry_request *req, struct sl_error *err)
{
    struct sl_docker_document *doc = ((struct document_request *)req)->doc;
    const struct sl_http_response *resp = &req->fetch.response;
    forget_head(doc);
    doc->status = resp->status;
    doc->offers_signatures = resp->offers_signatures;
    doc->location = resp->location ? sl_url_resolve(req->fetch.hop_url, resp->location) : NULL;
    if (!copy_text(&doc->content_type, resp->content_type) ||
        !copy_text(&doc->content_digest, resp->content_digest) ||
        !copy_text(&doc->subject, resp->subject))
        return sl_error_oom(err);
    if (!doc->is_page)
        return 0;
    return sl_link_next(sl_bytes_span(&resp->links), req->fetch.hop_url, &doc->next, err);
}

static const struct sl_registry_request_ops document_ops = {
    .head = document_head,
    .body = document_body,
    .restart = document_restart,
    .done = document_done,
};

/* For what is not a GET: the answer is its head. */
static const struct sl_registry_request_ops change_ops = {
    .head = document_head,
    .done = document_done,
};

/* What is not about the repository may be answered with a challenge that is not either: some
 * registries name a scope of their own making for /v2/. It must not become that of the others. */
static void set_apart(struct document_request *dr)
{
    const struct sl_registry_auth *auth = &dr->ep->auth;
    dr->apart = (struct sl_registry_auth){
        .cache = auth->cache,
        .is_apart = true,
        .peer = auth->peer,
        .credentials = auth->credentials, /* borrowed */
        .scope = auth->scope,             /* likewise */
    };
    dr->req.auth = &dr->apart;
}

static void start_document(void *arg)
{
    struct document_request *dr = arg;
    if (dr->doc->is_apart)
        set_apart(dr);
    sl_registry_request_start(&dr->req);
}

void sl_docker_document_done(struct sl_docker_document *doc)
{
    sl_bytes_done(&doc->bytes);
    forget_head(doc);
    *doc = (struct sl_docker_document){0};
}

int sl_docker_endpoint_ask(struct sl_docker_endpoint *ep, struct sl_docker_document *doc,
                           struct sl_error *err)
{
    struct sl_registry *registry = ep->registry;
    struct document_request dr = {
        .req =
            {
                .fetch = {.loop = registry->loop,
                          .settings = &registry->settings,
                          .peer = ep->peer,
                          .group = ep->group,
                          .url = doc->url,
                          .accept = doc->accept,
                          .method = doc->method,
                          .content_type = doc->request_type,
                          .send_bytes = doc->request},
                .ops = doc->method ? &change_ops : &document_ops,
                .auth = &ep->auth,
                .has_size = doc->has_size,
                .size = doc->size,
            },
        .doc = doc,
        .ep = ep,
    };
    int r = sl_http_loop_start(registry->loop, err);
    if (r < 0)
        return r;
    /* A change may take a registry long. */
    if (sl_fetch_is_reading(&dr.req.fetch))
        dr.req.fetch.within_ms = registry->settings.document_timeout_ms;
    sl_waiting_init(&dr.waiting);
    sl_http_loop_call(registry->loop, start_document, &dr);
    return sl_waiting_join(&dr.waiting, err);
}

/* --- which scheme --- */

struct ping {
    struct sl_fetch fetch;
    struct sl_docker_endpoint *ep;
    size_t seen;
    long refusal; /* status other than 2xx; 0: none */
    struct sl_waiting waiting;
};

/* Whatever it answers, it speaks HTTP here. */
static int ping_refused(struct sl_fetch *f, struct sl_error *err)
{
    (void)err;
    ((struct ping *)f)->refusal = f->response.status;
    return f->response.status ? SL_FETCH_COMPLETE : SL_FETCH_DEFAULT;
}

static int ping_body(struct sl_fetch *f, struct sl_span bytes, struct sl_error *err)
{
    struct ping *ping = (struct ping *)f;
    ping->seen += bytes.len;
    if (ping->seen <= PING_MAX)
        return 0;
    return sl_error_set(err, SL_E_LIMIT, E2BIG, "the answer to GET /v2/ does not end");
}

static void ping_done(struct sl_fetch *f, int r, const struct sl_error *err)
{
    struct ping *ping = (struct ping *)f;
    ping->ep->ping = NULL;
    sl_waiting_end(&ping->waiting, r, err);
}

static const struct sl_fetch_ops ping_ops = {
    .refused = ping_refused,
    .body = ping_body,
    .done = ping_done,
};

static void start_ping(void *arg)
{
    struct ping *ping = arg;
    struct sl_error err;
    if (ping->ep->is_closing) {
        sl_waiting_end(&ping->waiting, sl_cancel_error(&err), &err);
        return;
    }
    ping->ep->ping = &ping->fetch;
    sl_fetch_start(&ping->fetch);
}

static int run_ping(struct ping *ping, struct sl_error *err)
{
    struct sl_docker_endpoint *ep = ping->ep;
    SL_AUTO_FREE char *url = sl_strf("%s/v2/", ep->peer->origin);
    if (!url)
        return sl_error_oom(err);
    int r = sl_http_loop_start(ep->registry->loop, err);
    if (r < 0)
        return r;
    ping->fetch.ops = &ping_ops;
    ping->fetch.loop = ep->registry->loop;
    ping->fetch.settings = &ep->registry->settings;
    ping->fetch.peer = ep->peer;
    ping->fetch.group = ep->group;
    ping->fetch.url = url;
    sl_waiting_init(&ping->waiting);
    sl_http_loop_call(ep->registry->loop, start_ping, ping);
    return sl_waiting_join(&ping->waiting, err);
}

/* *ret_is_plain: it was greeted by TLS and does not speak it. */
static int ping(struct sl_docker_endpoint *ep, unsigned max_attempts, bool *ret_is_plain,
                struct sl_error *err)
{
    struct ping ping = {
        .fetch = {.within_ms = ep->registry->settings.document_timeout_ms,
                  .max_attempts = max_attempts},
        .ep = ep,
    };
    int r = run_ping(&ping, err);
    *ret_is_plain = ping.fetch.is_plain;
    return r;
}

/* By an address, which no resolver can lead elsewhere. With a port, where only one of the two is
 * spoken: without one, both may be, on ports 80 and 443. */
static bool is_port_of_loopback(const char *host)
{
    struct in_addr v4;
    const char *port = strrchr(host, ':');
    SL_AUTO_FREE char *address = port ? strndup(host, (size_t)(port - host)) : NULL;
    if (!address)
        return false;
    return strcmp(address, "[::1]") == 0 ||
           (inet_pton(AF_INET, address, &v4) == 1 && ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET);
}

/* Whoever has answered already need not be asked again: what wants an answer next will see whether
 * it was HTTP. */
static int probe_plain_http(struct sl_docker_endpoint *ep, bool has_answered,
                            const struct sl_error *https_err, struct sl_error *err)
{
    bool is_plain;
    int r = set_peer(ep, "http", err);
    if (r == 0 && !has_answered)
        r = ping(ep, /* max_attempts= */ 0, &is_plain, err);
    if (r < 0)
        r = sl_error_wrap(err, r, "neither https (%.150s) nor http", https_err->msg);
    return r;
}

/* On one port of this machine plain HTTP betrays nothing, shows nothing but its own address, and
 * spares a registry without TLS the start of OpenSSL and a connection. A server that speaks TLS
 * answers it with 400, or hangs up. */
static bool is_plain_on_loopback(struct sl_docker_endpoint *ep)
{
    if (!is_port_of_loopback(network_host_of(ep)) || set_peer(ep, "http", NULL) < 0)
        return false;
    struct ping ping = {
        .fetch = {.within_ms = LOOPBACK_WITHIN_MS, .max_attempts = 1, .must_stay = true}, .ep = ep};
    return run_ping(&ping, NULL) == 0 && (ping.refusal == 0 || ping.refusal == 401);
}

static int probe_both(struct sl_docker_endpoint *ep, struct sl_error *err)
{
    if (is_plain_on_loopback(ep))
        return 0;
    struct sl_error https_err;
    bool is_plain = false;
    int r = set_peer(ep, "https", &https_err);
    if (r == 0)
        r = ping(ep, /* max_attempts= */ 1, &is_plain, &https_err);
    if (r < 0 && https_err.code == SL_E_NETWORK)
        r = probe_plain_http(ep, is_plain, &https_err, err);
    else if (r < 0 && err)
        *err = https_err;
    return r;
}

static int probe(struct sl_docker_endpoint *ep, struct sl_error *err)
{
    const char *scheme = sl_registry_recall_scheme(ep->registry, network_host_of(ep));
    if (scheme)
        return set_peer(ep, scheme, err);
    int r = probe_both(ep, err);
    if (r == 0)
        sl_registry_remember_scheme(ep->registry, ep->peer);
    return r;
}

/* --- opening and closing --- */

void sl_docker_endpoint_init(struct sl_docker_endpoint *ep, struct sl_registry *registry,
                             const struct sl_endpoint *plan)
{
    *ep = (struct sl_docker_endpoint){.registry = registry, .plan = plan, .actions = "pull"};
    pthread_mutex_init(&ep->lock, NULL);
}

static int open_locked(struct sl_docker_endpoint *ep, struct sl_error *err)
{
    int r = set_credentials(ep, err);
    if (r == 0)
        r = set_peer(ep, "https", err);
    if (r == 0 && ep->peer->insecure)
        r = probe(ep, err);
    if (r < 0)
        return r;
    ep->auth.peer = ep->peer;
    atomic_store_explicit(&ep->is_ready, true, memory_order_release);
    return 0;
}

int sl_docker_endpoint_open(struct sl_docker_endpoint *ep, struct sl_error *err)
{
    pthread_mutex_lock(&ep->lock);
    int r = sl_docker_endpoint_is_ready(ep) ? 0 : open_locked(ep, err);
    pthread_mutex_unlock(&ep->lock);
    return r;
}

static void cut_short(void *arg)
{
    struct sl_docker_endpoint *ep = arg;
    struct sl_error err;
    ep->is_closing = true;
    if (ep->ping)
        sl_fetch_abort(ep->ping, sl_cancel_error(&err), &err);
}

void sl_docker_endpoint_abort(struct sl_docker_endpoint *ep)
{
    sl_http_loop_call(ep->registry->loop, cut_short, ep);
}

void sl_docker_endpoint_done(struct sl_docker_endpoint *ep)
{
    sl_registry_auth_done(&ep->auth);
    pthread_mutex_destroy(&ep->lock);
}
