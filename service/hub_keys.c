/* SPDX-License-Identifier: Apache-2.0 */
#include "hub_keys.h"

#include "call_queue.h"
#include "key_provider_answers.h"
#include "sluice/api_error.h"
#include "sluice/core/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

enum { THREADS = 4 }; /* calls that wait for a broker side by side */

static const char key_service[] = "keyprovider.KeyProviderService";
static const char resource_service[] = "api.GetResourceService";
static const char *const all_key_methods[] = {"UnWrapKey", "WrapKey", NULL};
static const char *const own_key_methods[] = {"UnWrapKey", NULL};
static const char *const resource_methods[] = {"GetResource", NULL};

/* The texts of the hub's own errors, which its clients look for. */
static const struct {
    const char *method, *failure;
    sl_key_answer_fn *answer;
} table[] = {
    {"UnWrapKey", "decrypt image (unwrap key) failed", sl_answer_unwrap_key_for_any},
    {"GetResource", "get resource failed", sl_answer_get_resource},
};

/* Whom to ask, as one generation of the configuration has it. */
struct askers {
    struct sl_generation *generation; /* lends its strings */
    struct sluice_keys *keys;
    unsigned n_refs;
};

struct sl_hub_keys {
    struct sl_backend *backend;
    bool has_upstream;
    int cancel_fd; /* ends what brokers are asked for */
    struct sl_call_queue *queue;
    pthread_mutex_t lock;  /* guards newest, and the counts of all */
    struct askers *newest; /* or NULL */
};

/* ---- whom to ask ---- */

static struct askers *askers_free(struct sl_backend *backend, struct askers *a)
{
    if (!a)
        return NULL;
    (void)sluice_keys_close(a->keys);
    sl_backend_release_config(backend, a->generation);
    free(a);
    return NULL;
}

/* Locked. What is to be freed, or NULL. */
static struct askers *unref(struct askers *a)
{
    return a && --a->n_refs == 0 ? a : NULL;
}

static int askers_open(const struct sl_hub_keys *hub, struct askers **ret, struct sl_error *err)
{
    struct sluice_error why = {0};
    struct sl_backend *backend = hub->backend;
    struct askers *a = calloc(1, sizeof(*a));
    if (!a)
        return sl_error_oom(err);
    a->generation = sl_backend_hold_config(backend);
    a->n_refs = 1;
    struct sluice_key_options options = *a->generation->pull.keys;
    options.cancel_fd = hub->cancel_fd;
    int r = sl_error_from_api(sluice_keys_open(&options, &a->keys, &why), &why, err);
    if (r < 0)
        (void)askers_free(backend, a);
    else
        *ret = a;
    return r;
}

/* Opening contacts nobody, and so may be done under the lock. */
static int take(struct sl_hub_keys *hub, struct askers **ret, struct sl_error *err)
{
    struct askers *old = NULL;
    int r = 0;
    pthread_mutex_lock(&hub->lock);
    if (hub->newest && hub->newest->generation->number < sl_backend_number(hub->backend))
        old = unref(sl_steal(&hub->newest));
    if (!hub->newest)
        r = askers_open(hub, &hub->newest, err);
    if (r == 0) {
        hub->newest->n_refs++;
        *ret = hub->newest;
    }
    pthread_mutex_unlock(&hub->lock);
    (void)askers_free(hub->backend, old);
    return r;
}

static void give_back(struct sl_hub_keys *hub, struct askers *a)
{
    pthread_mutex_lock(&hub->lock);
    struct askers *old = unref(a);
    pthread_mutex_unlock(&hub->lock);
    (void)askers_free(hub->backend, old);
}

/* ---- one call ---- */

static int respond(struct sl_hub_keys *hub, const struct sl_rpc_call *call, size_t line,
                   struct sl_bytes *ret, struct sl_error *err)
{
    struct askers *askers = NULL;
    enum sl_rpc_status ignored;
    int r = take(hub, &askers, err);
    if (r != 0)
        return r;
    r = table[line].answer(askers->keys, sl_rpc_call_request(call), ret, &ignored, err);
    give_back(hub, askers);
    return r;
}

/* As the server of the hub says it, whose code comes from its generated skeleton. */
static void refuse_unknown(struct sl_rpc_call *call)
{
    SL_AUTO_FREE char *text =
        sl_strf("/%s/%s is not supported", sl_rpc_call_service(call), sl_rpc_call_method(call));
    sl_rpc_call_refuse(call, SL_RPC_NOT_FOUND, text ? text : "not supported");
}

static void refuse(struct sl_rpc_call *call, const char *failure, const struct sl_error *err)
{
    SL_AUTO_FREE char *text = sl_strf("[CDH] [ERROR]: %s: %s", failure, err->msg);
    sl_log_of(SL_LOG_WARN, &(struct sl_log_about){.code = sl_errc_name(err->code)}, "%s: %s",
              failure, err->msg);
    sl_rpc_call_refuse(call, SL_RPC_INTERNAL, text ? text : "[CDH] [ERROR]: out of memory");
}

static void answer(void *arg, struct sl_rpc_call *call)
{
    struct sl_hub_keys *hub = arg;
    struct sl_error err = {0};
    struct sl_bytes message = {0};
    size_t line = 0;
    const size_t n = sizeof(table) / sizeof(table[0]);
    while (line < n && strcmp(table[line].method, sl_rpc_call_method(call)) != 0)
        line++;
    if (line == n)
        refuse_unknown(call);
    else if (respond(hub, call, line, &message, &err) < 0)
        refuse(call, table[line].failure, &err);
    else
        sl_rpc_call_answer(call, sl_bytes_span(&message));
    sl_bytes_wipe(&message);
}

/* ---- life ---- */

int sl_hub_keys_new(struct sl_backend *backend, bool has_upstream, struct sl_hub_keys **ret,
                    struct sl_error *err)
{
    struct sl_hub_keys *alloc = calloc(1, sizeof(*alloc));
    if (!alloc)
        return sl_error_oom(err);
    pthread_mutex_init(&alloc->lock, NULL);
    SL_AUTO(sl_hub_keys) hub = alloc;
    hub->backend = backend;
    hub->has_upstream = has_upstream;
    hub->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (hub->cancel_fd < 0)
        return sl_error_system(err, errno, "eventfd");
    int r = sl_call_queue_new(THREADS, answer, hub, &hub->queue, err);
    if (r == 0)
        *ret = sl_steal(&hub);
    return r;
}

struct sl_hub_keys *sl_hub_keys_free(struct sl_hub_keys *hub)
{
    if (!hub)
        return NULL;
    (void)eventfd_write(hub->cancel_fd, 1);
    (void)sl_call_queue_free(hub->queue);
    (void)askers_free(hub->backend, hub->newest);
    sl_cleanup_fdp(&hub->cancel_fd);
    pthread_mutex_destroy(&hub->lock);
    free(hub);
    return NULL;
}

void sl_hub_keys_services(struct sl_hub_keys *hub, struct sl_rpc_service out[SL_HUB_KEYS_SERVICES])
{
    out[0] =
        (struct sl_rpc_service){key_service, hub->has_upstream ? own_key_methods : all_key_methods,
                                sl_call_queue_add, hub->queue};
    out[1] =
        (struct sl_rpc_service){resource_service, resource_methods, sl_call_queue_add, hub->queue};
}
