/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/key_provider_service.h"

#include "call_queue.h"
#include "key_provider_answers.h"
#include "sluice/api_error.h"
#include "sluice/core/log.h"

#include <stdlib.h>
#include <string.h>

enum { DRAIN_MS = 1000, ADDRESSES_MAX = 16 };

static const char key_service[] = "keyprovider.KeyProviderService";
static const char resource_service[] = "api.GetResourceService";

static const char *const key_methods[] = {"WrapKey", "UnWrapKey", NULL};
static const char *const resource_methods[] = {"GetResource", NULL};

static const struct {
    const char *service, *method;
    sl_key_answer_fn *answer;
} table[] = {
    {key_service, "WrapKey", sl_answer_wrap_key},
    {key_service, "UnWrapKey", sl_answer_unwrap_key},
    {resource_service, "GetResource", sl_answer_get_resource},
};

struct sl_key_service {
    struct sluice_keys *keys;
    struct sl_call_queue *queue;
    struct sl_rpc_service services[3];
    struct sl_rpc_server *server;
    char *addresses[ADDRESSES_MAX + 1];
};

/* ---- one call ---- */

static sl_key_answer_fn *find_answer(const struct sl_rpc_call *call)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (strcmp(table[i].service, sl_rpc_call_service(call)) == 0 &&
            strcmp(table[i].method, sl_rpc_call_method(call)) == 0)
            return table[i].answer;
    return NULL;
}

static void answer(void *arg, struct sl_rpc_call *call)
{
    struct sl_key_service *s = arg;
    sl_key_answer_fn *fn = find_answer(call);
    enum sl_rpc_status status = SL_RPC_UNIMPLEMENTED;
    struct sl_error err = {0};
    struct sl_bytes message = {0};
    int r = fn ? fn(s->keys, sl_rpc_call_request(call), &message, &status, &err)
               : sl_error_set(&err, SL_E_UNSUPPORTED, ENOSYS, "no such method");
    if (r == 0) {
        sl_rpc_call_answer(call, sl_bytes_span(&message));
    } else {
        sl_log(SL_LOG_WARN, "%s refused: %s", sl_rpc_call_method(call), err.msg);
        sl_rpc_call_refuse(call, status, err.msg);
    }
    sl_bytes_wipe(&message);
}

/* ---- life ---- */

static int open_keys(struct sl_key_service *s, const struct sl_key_service_options *o,
                     struct sl_error *err)
{
    struct sluice_error why = {0};
    struct sluice_key_options keys = o->keys;
    if (!keys.kbc)
        keys.kbc = "offline_fs_kbc::null";
    return sl_error_from_api(sluice_keys_open(&keys, &s->keys, &why), &why, err);
}

static int open_server(struct sl_key_service *s, const struct sl_key_service_options *o,
                       struct sl_error *err)
{
    int r = sl_call_queue_new(/* threads= */ 0, answer, s, &s->queue, err);
    if (r < 0)
        return r;
    s->services[0] = (struct sl_rpc_service){key_service, key_methods, sl_call_queue_add, s->queue};
    s->services[1] =
        (struct sl_rpc_service){resource_service, resource_methods, sl_call_queue_add, s->queue};
    const struct sl_rpc_server_options options = {.services = s->services,
                                                  .allow_any_address = o->allow_any_address};
    return sl_rpc_server_new(&options, &s->server, err);
}

static int listen_on_all(struct sl_key_service *s, const char *const *addresses,
                         struct sl_error *err)
{
    size_t n = 0;
    for (; addresses && addresses[n]; n++) {
        if (n == ADDRESSES_MAX)
            return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d addresses", ADDRESSES_MAX);
        int r = sl_rpc_server_listen(s->server, addresses[n], &s->addresses[n], err);
        if (r < 0)
            return sl_error_wrap(err, r,
                                 r == -EPERM ? "--listen without --listen-anywhere" : "--listen");
    }
    return n ? 0 : sl_error_set(err, SL_E_FORMAT, EINVAL, "no address to listen on (--listen)");
}

static int service_start(struct sl_key_service *s, const struct sl_key_service_options *o,
                         struct sl_error *err)
{
    int r = open_keys(s, o, err);
    if (r == 0)
        r = open_server(s, o, err);
    if (r == 0)
        r = listen_on_all(s, o->listen, err);
    if (r == 0)
        r = sl_rpc_server_start(s->server, err);
    if (r == 0 && o->ready)
        o->ready(o->ready_arg, (const char *const *)s->addresses);
    return r;
}

int sl_key_service_start(const struct sl_key_service_options *options, struct sl_key_service **ret,
                         struct sl_error *err)
{
    SL_AUTO(sl_key_service) s = calloc(1, sizeof(*s));
    if (!s)
        return sl_error_oom(err);
    int r = service_start(s, options, err);
    if (r == 0)
        *ret = sl_steal(&s);
    return r;
}

struct sl_key_service *sl_key_service_stop(struct sl_key_service *s)
{
    if (!s)
        return NULL;
    if (s->server)
        sl_rpc_server_stop(s->server, DRAIN_MS);
    /* Answers go through the server: it goes last. */
    (void)sl_call_queue_free(s->queue);
    (void)sl_rpc_server_free(s->server);
    (void)sluice_keys_close(s->keys);
    for (size_t i = 0; i < ADDRESSES_MAX; i++)
        free(s->addresses[i]);
    free(s);
    return NULL;
}
