/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts together whom an image's keys can come from. The broker and the providers know no wire and
 * the wires know no keys; they meet here.
 */
#include "sluice/key_access.h"

#include "sluice/core/json_writer.h"
#include "sluice/key_wrap.h"
#include "sluice/rpc.h"
#include "upstream.h"

#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_DEFAULT_S = 50 };

/* ---- the wires to providers ---- */

/* As the hub's own clients call it. */
static const char hub_name[] = "attestation-agent";

static const char provider_service[] = "keyprovider.KeyProviderService";

struct wire {
    const struct sl_provider *provider;
    struct sl_rpc_client *client;
};

struct sl_provider_wires {
    struct wire *wires;
    size_t n;
};

static struct sl_rpc_client *find_client(const struct sl_provider_wires *wires,
                                         const struct sl_provider *provider)
{
    for (size_t i = 0; i < wires->n; i++)
        if (wires->wires[i].provider == provider)
            return wires->wires[i].client;
    return NULL;
}

static int call_packed(struct sl_rpc_client *client, bool unwrap, struct sl_span message,
                       int deadline_ms, struct sl_bytes *ret, struct sl_error *err)
{
    struct sl_bytes answer = {0};
    int r = sl_rpc_call(client, provider_service, unwrap ? "UnWrapKey" : "WrapKey", message,
                        deadline_ms, &answer, /* ret_status= */ NULL, err);
    if (r >= 0)
        r = sl_rpc_bytes_message_unpack(sl_bytes_span(&answer), ret, err);
    sl_bytes_wipe(&answer);
    return r;
}

/* Has the type of sl_provider_call_fn; arg is the wires. */
static int call_provider(void *arg, const struct sl_provider *provider, bool unwrap,
                         struct sl_span request, int deadline_ms, struct sl_bytes *ret,
                         struct sl_error *err)
{
    struct sl_bytes message = {0};
    struct sl_rpc_client *client = find_client(arg, provider);
    if (!client)
        return sl_error_set(err, SL_E_AUTH, ENOENT, "key provider '%.100s' has no wire",
                            provider->name);
    int r = sl_rpc_bytes_message_pack(request, &message, err);
    if (r >= 0)
        r = call_packed(client, unwrap, sl_bytes_span(&message), deadline_ms, ret, err);
    sl_bytes_wipe(&message);
    return r;
}

static int wire_open(const struct sl_provider *p, int cancel_fd, struct wire *ret,
                     struct sl_error *err)
{
    const struct sl_rpc_tls tls = {.enabled = p->tls.enabled,
                                   .root_ca_file = p->tls.root_ca_file,
                                   .cert_file = p->tls.cert_file,
                                   .key_file = p->tls.key_file,
                                   .server_name = p->tls.server_name,
                                   .insecure_skip_verify = p->tls.insecure_skip_verify};
    bool is_grpc = p->transport == SL_PROVIDER_GRPC;
    int r = sl_rpc_client_new(is_grpc ? SL_RPC_GRPC : SL_RPC_TTRPC, p->target,
                              is_grpc ? &tls : NULL, &ret->client, err);
    if (r < 0)
        return sl_error_wrap(err, r, "key provider '%.100s'", p->name);
    sl_rpc_client_set_cancel_fd(ret->client, cancel_fd);
    ret->provider = p;
    return 0;
}

static struct sl_provider_wires *wires_close(struct sl_provider_wires *w)
{
    for (size_t i = 0; w && i < w->n; i++)
        (void)sl_rpc_client_free(w->wires[i].client);
    if (w)
        free(w->wires);
    free(w);
    return NULL;
}

SL_DEFINE_AUTO(sl_provider_wires, wires_close)

static size_t count_providers(const struct sl_providers *providers)
{
    size_t n = 0;
    while (sl_providers_at(providers, n))
        n++;
    return n;
}

/* Contacts nobody: connections are opened by the first call. */
static int wires_open(const struct sl_providers *providers, int cancel_fd,
                      struct sl_provider_wires **ret, struct sl_error *err)
{
    SL_AUTO(sl_provider_wires) w = calloc(1, sizeof(*w));
    if (!w)
        return sl_error_oom(err);
    w->wires = calloc(count_providers(providers) + 1, sizeof(*w->wires));
    if (!w->wires)
        return sl_error_oom(err);
    const struct sl_provider *p;
    for (size_t i = 0; (p = sl_providers_at(providers, i)); i++) {
        if (p->transport == SL_PROVIDER_CMD)
            continue;
        int r = wire_open(p, cancel_fd, &w->wires[w->n], err);
        if (r < 0)
            return r;
        w->n++;
    }
    *ret = sl_steal(&w);
    return 0;
}

/* ---- the parts ---- */

static int connect_providers(const struct sl_key_options *o, int cancel_fd,
                             struct sl_providers *providers, struct sl_provider_wires **ret,
                             struct sl_error *err)
{
    unsigned timeout_s = o->timeout_s ? o->timeout_s : TIMEOUT_DEFAULT_S;
    int r = wires_open(providers, cancel_fd, ret, err);
    if (r < 0)
        return r;
    sl_providers_set_call(providers, call_provider, *ret, (int)timeout_s * 1000);
    sl_providers_set_cancel_fd(providers, cancel_fd);
    return 0;
}

static int open_providers(const struct sl_key_options *o, int cancel_fd,
                          struct sl_key_access *access, struct sl_error *err)
{
    int r = sl_providers_open(o->key_providers, &access->providers, err);
    if (r == 0)
        r = connect_providers(o, cancel_fd, access->providers, &access->wires, err);
    if (r < 0)
        return r;
    sl_key_ring_set_provider(access->ring, sl_providers_unwrap, access->providers);
    return 0;
}

/* The broker that was named; or that of "provider:attestation-agent:NAME::URI", as other guests
 * are told theirs, unless a real provider goes by this name. */
static const char *broker_selection(const struct sl_key_options *o,
                                    const struct sl_key_access *access)
{
    if (o->kbc || sl_providers_find(access->providers, hub_name))
        return o->kbc;
    const char *params = sl_key_ring_provider(access->ring, hub_name);
    return params && strstr(params, "::") ? params : NULL;
}

static int open_kbc(const struct sl_key_options *o, const char *selection, int cancel_fd,
                    struct sl_kbc **ret, struct sl_error *err)
{
    struct sl_kbc_forward forward = {0};
    int timeout_ms = (int)(o->timeout_s ? o->timeout_s : TIMEOUT_DEFAULT_S) * 1000;
    int r = o->upstream ? sl_upstream_open(o->upstream, cancel_fd, timeout_ms, &forward, err) : 0;
    if (r < 0)
        return r;
    /* Whoever names a hub and no broker means the hub's. */
    if (!selection && o->upstream)
        selection = "upstream::";
    const struct sl_kbc_options options = {.selection = selection,
                                           .offline_keys = o->offline_keys,
                                           .offline_resources = o->offline_resources,
                                           .forward = o->upstream ? &forward : NULL,
                                           .sample_kek =
                                               o->unsafe_sample_key ? sl_sample_kek : NULL};
    r = selection ? sl_kbc_open(&options, ret, err) : 0;
    if (forward.close)
        forward.close(forward.arg);
    return r;
}

int sl_key_access_open_broker(const struct sl_key_options *options, struct sl_kbc **ret,
                              struct sl_error *err)
{
    return open_kbc(options, options->kbc, options->cancel_fd > 0 ? options->cancel_fd : -1, ret,
                    err);
}

static int open_broker(const struct sl_key_options *o, int cancel_fd, struct sl_key_access *access,
                       struct sl_error *err)
{
    int r = open_kbc(o, broker_selection(o, access), cancel_fd, &access->kbc, err);
    if (r == 0 && access->kbc)
        sl_key_ring_set_kek_lookup(access->ring, sl_kbc_lookup_kek, access->kbc);
    return r;
}

/* The configuration of a key provider that is the hub. */
static struct sl_bytes hub_config(const char *target, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    struct sl_bytes json = {0};
    sl_json_open_object(w, "key-providers");
    sl_json_open_object(w, hub_name);
    sl_json_put_string(w, "ttrpc", target);
    sl_json_close_object(w);
    sl_json_close_object(w);
    return sl_json_end(w, &json, err) == 0 ? json : (struct sl_bytes){0};
}

/* What its broker keeps does not come here, if nobody here speaks to that broker. */
static int open_hub(const struct sl_key_options *o, int cancel_fd, struct sl_key_access *access,
                    struct sl_error *err)
{
    if (!o->upstream)
        return 0;
    SL_AUTO_DONE(sl_bytes) json = hub_config(o->upstream, err);
    int r =
        json.data ? sl_providers_parse(sl_bytes_span(&json), &access->hub, err) : sl_error_oom(err);
    if (r == 0)
        r = connect_providers(o, cancel_fd, access->hub, &access->hub_wires, err);
    if (r == 0)
        sl_key_ring_set_hub(access->ring, sl_providers_unwrap, access->hub,
                            sl_kbc_is_forwarded(access->kbc));
    return r;
}

static int fill_ring(const struct sl_key_options *o, struct sl_key_ring *ring, struct sl_error *err)
{
    sl_key_ring_allow_a256ctr(ring, o->allow_a256ctr);
    if (o->pgp_home) {
        int r = sl_key_ring_set_pgp_home(ring, o->pgp_home, err);
        if (r < 0)
            return r;
    }
    for (const char *const *spec = o->decryption_keys; spec && *spec; spec++) {
        int r = sl_key_ring_add_spec(ring, *spec, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int open_all(const struct sl_key_options *o, int cancel_fd, struct sl_key_access *access,
                    struct sl_error *err)
{
    int r = sl_key_ring_new(&access->ring, err);
    if (r >= 0)
        r = fill_ring(o, access->ring, err);
    if (r >= 0)
        r = open_providers(o, cancel_fd, access, err);
    if (r >= 0)
        r = open_broker(o, cancel_fd, access, err);
    return r < 0 ? r : open_hub(o, cancel_fd, access, err);
}

int sl_key_access_open(const struct sl_key_options *options, int cancel_fd,
                       struct sl_key_access *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_key_access) access = {0};
    int r = open_all(options, cancel_fd, &access, err);
    if (r < 0)
        return r;
    *ret = access;
    access = (struct sl_key_access){0};
    return 0;
}

/* Whoever holds the address of another goes first. */
void sl_key_access_done(struct sl_key_access *access)
{
    access->ring = sl_key_ring_free(access->ring);
    access->kbc = sl_kbc_close(access->kbc);
    access->providers = sl_providers_close(access->providers);
    access->wires = wires_close(access->wires);
    access->hub = sl_providers_close(access->hub);
    access->hub_wires = wires_close(access->hub_wires);
}
