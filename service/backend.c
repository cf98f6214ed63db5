/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One engine, and generations of the configuration over it. Two locks: whoever opens the engine or
 * replaces the configuration holds `change`, for as long as brokers and disks take; `lock` guards
 * what is looked at, for a moment. `change` is taken first.
 */
#include "backend.h"

#include "sluice/api_error.h"
#include "sluice/core/log.h"
#include "sluice/image_source.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

/* Borrows from its configuration. */
struct generation {
    struct sl_generation face;
    struct sl_loaded_config *config;
    char *kbc;
    struct sluice_key_options keys;
    struct sluice_policy_options policy;
    struct sluice_registry_options registry;
    bool has_no_policy;
    unsigned n_refs; /* the backend's is one while it is the newest */
};

/* What does not change before the next start. */
struct fixed {
    char *root;
    size_t memory;
    unsigned threads;
};

struct sl_backend {
    struct fixed fixed;
    int cancel_fd; /* readable once all is cancelled: ends the wait for a broker */
    pthread_mutex_t change;
    pthread_mutex_t lock; /* guards all below, but sluice is opened and closed under both */
    struct generation *newest;
    struct sluice *sluice; /* NULL: not open */
    unsigned n_users;      /* of sluice */
    dev_t root_dev;
    ino_t root_ino;
    bool is_cancelled;
};

/* ---- a generation ---- */

static struct generation *generation_free(struct generation *g)
{
    if (!g)
        return NULL;
    (void)sl_config_free(g->config);
    free(g->kbc);
    free(g);
    return NULL;
}
SL_DEFINE_AUTO(generation, generation_free)

/* Brokers that are spoken here. For another one the upstream hub answers; where there is none,
 * images that need no broker can be pulled all the same. */
static bool is_kbc_of_use(const struct sl_config *c)
{
    return c->kbc_name && (c->upstream || strcmp(c->kbc_name, "offline_fs_kbc") == 0 ||
                           (c->unsafe_sample_key && strcmp(c->kbc_name, "sample_kbc") == 0));
}

static int set_keys(struct generation *g, const struct sl_config *c, struct sl_error *err)
{
    if (is_kbc_of_use(c)) {
        bool has_url = c->kbc_url && *c->kbc_url;
        g->kbc = sl_strf("%s::%s", c->kbc_name, has_url ? c->kbc_url : "null");
        if (!g->kbc)
            return sl_error_oom(err);
    }
    g->keys = SLUICE_OPTIONS(sluice_key_options, .kbc = g->kbc, .offline_keys = c->offline_keys,
                             .offline_resources = c->offline_resources, .upstream = c->upstream,
                             .key_providers = c->key_providers, .pgp_home = c->pgp_home,
                             .unsafe_sample_key = c->unsafe_sample_key,
                             .allow_a256ctr = c->allow_a256ctr, .timeout_s = c->key_timeout_s);
    return 0;
}

/* As the hub has it: a URI beats what stands in the file, and without any policy every image is
 * allowed; unless the operator has said in another way that images are to be judged. The machine's
 * own policy is read then. */
static void set_policy(struct generation *g, const struct sl_config *c)
{
    const char *uri = c->image_security_policy_uri;
    const char *sigstore_uri = c->sigstore_config_uri;
    g->has_no_policy = !uri && !c->image_security_policy;
    g->policy = SLUICE_OPTIONS(
        sluice_policy_options, .policy = uri, .policy_text = uri ? NULL : c->image_security_policy,
        .policy_digest = c->policy_digest, .registries_d = sigstore_uri,
        .registries_d_text = sigstore_uri ? NULL : c->sigstore_config,
        .compat_image_rs = c->policy_dialect_image_rs, .require_signed = c->require_signed);
    if (g->has_no_policy && !c->policy_digest && !c->require_signed)
        g->policy = SLUICE_OPTIONS(sluice_policy_options, .insecure = true);
}

/* Here the table in the file beats the URI. */
static void set_registry(struct generation *g, const struct sl_config *c)
{
    g->registry = SLUICE_OPTIONS(
        sluice_registry_options, .authfile = c->authenticated_registry_credentials_uri,
        .registries_conf = c->registry_config ? NULL : c->registry_configuration_uri,
        .registries_conf_text = c->registry_config,
        .extra_root_certificates = c->extra_root_certificates, .https_proxy = c->https_proxy,
        .http_proxy = c->http_proxy, .no_proxy = c->no_proxy);
}

static void warn_of_policy(const struct generation *g)
{
    if (g->policy.insecure && !g->face.config->require_policy)
        sl_log(SL_LOG_WARN,
               "NO IMAGE POLICY IS CONFIGURED: every image is accepted, whoever has made it (set "
               "image.image_security_policy_uri, or sluice.require_policy)");
}

/* The engine may be opened much later, by the first pull: a table that is wrong is told now. */
static int check_registries(const struct sl_config *c, struct sl_error *err)
{
    int r = c->registry_config ? sl_registry_check_rules(c->registry_config, err) : 0;
    return r < 0 ? sl_error_wrap(err, r, "image.registry_config") : 0;
}

/* Takes the configuration when it succeeds. */
static int generation_new(struct sl_loaded_config **config, uint64_t number, int cancel_fd,
                          struct generation **ret, struct sl_error *err)
{
    SL_AUTO(generation) g = calloc(1, sizeof(*g));
    if (!g)
        return sl_error_oom(err);
    const struct sl_config *c = &(*config)->values;
    int r = set_keys(g, c, err);
    if (r == 0)
        r = check_registries(c, err);
    if (r < 0)
        return r;
    g->keys.cancel_fd = cancel_fd;
    set_policy(g, c);
    set_registry(g, c);
    g->face = (struct sl_generation){
        .config = c,
        .number = number,
        .pull = SLUICE_OPTIONS(sluice_pull_options, .keys = &g->keys, .policy = &g->policy,
                               .encryption_policy = c->encryption_policy,
                               .verify_first = c->verify_first,
                               .jobs = c->max_concurrent_layer_downloads_per_image)};
    g->config = sl_steal(config);
    g->n_refs = 1;
    warn_of_policy(g);
    *ret = sl_steal(&g);
    return 0;
}

/* Locked. What the caller has to free, or NULL. */
static struct generation *unref(struct generation *g)
{
    return --g->n_refs == 0 ? g : NULL;
}

/* ---- the engine ---- */

static int refuse_without_policy(const struct generation *g, struct sl_error *err)
{
    if (!g->has_no_policy || !g->face.config->require_policy)
        return 0;
    return sl_error_set(err, SL_E_POLICY, EPERM,
                        "sluice.require_policy is set and no policy is configured (set "
                        "image.image_security_policy_uri or image.image_security_policy)");
}

static bool is_root_replaced(const struct sl_backend *b)
{
    struct stat st;
    return stat(b->fixed.root, &st) < 0 || st.st_dev != b->root_dev || st.st_ino != b->root_ino;
}

static void remember_root(struct sl_backend *b)
{
    struct stat st = {0};
    if (stat(b->fixed.root, &st) < 0)
        st = (struct stat){0}; /* gone again: the next pull sees that it is another one */
    b->root_dev = st.st_dev;
    b->root_ino = st.st_ino;
}

static int open_engine(struct sl_backend *b, const struct generation *g, struct sluice **ret,
                       struct sl_error *err)
{
    const struct sluice_options options =
        SLUICE_OPTIONS(sluice_options, .root = b->fixed.root, .threads = b->fixed.threads,
                       .memory = b->fixed.memory, .registry = &g->registry, .broker = &g->keys);
    struct sluice_error open_err = {0};
    return sl_error_from_api(sluice_open(&options, ret, &open_err), &open_err, err);
}

/* What is open and not of use any more, to be closed; with change held nobody opens another. */
static struct sluice *take_stale(struct sl_backend *b)
{
    struct sluice *stale = NULL;
    bool is_stale = is_root_replaced(b);
    pthread_mutex_lock(&b->lock);
    if (b->sluice && b->n_users == 0 && is_stale)
        stale = sl_steal(&b->sluice);
    pthread_mutex_unlock(&b->lock);
    if (stale)
        sl_log(SL_LOG_INFO, "another file system has been mounted at %s: the store is opened anew",
               b->fixed.root);
    return stale;
}

static bool is_cancelled(struct sl_backend *b)
{
    pthread_mutex_lock(&b->lock);
    bool is_cancelled = b->is_cancelled;
    pthread_mutex_unlock(&b->lock);
    return is_cancelled;
}

/* With change held. Many may have waited for it, behind a broker that is silent: at the end they do
 * not ask it one after the other. */
static int ensure_open(struct sl_backend *b, struct sl_error *err)
{
    struct sluice *opened = NULL;
    (void)sluice_close(take_stale(b));
    /* Only who holds change writes these two. */
    if (b->sluice)
        return 0;
    if (is_cancelled(b))
        return sl_error_set(err, SL_E_CANCELLED, ESHUTDOWN, "the service is shutting down");
    int r = open_engine(b, b->newest, &opened, err);
    if (r < 0)
        return r;
    pthread_mutex_lock(&b->lock);
    b->sluice = opened;
    remember_root(b);
    pthread_mutex_unlock(&b->lock);
    if (is_cancelled(b))
        sluice_cancel(opened);
    return 0;
}

/* ---- holding ---- */

/* Locked. */
static struct sl_generation *hold_newest(struct sl_backend *b)
{
    b->newest->n_refs++;
    /* Another one is opened only while nobody reads this. */
    if (b->newest->face.sluice != b->sluice)
        b->newest->face.sluice = b->sluice;
    b->n_users++;
    return &b->newest->face;
}

int sl_backend_hold(struct sl_backend *b, struct sl_generation **ret, struct sl_error *err)
{
    pthread_mutex_lock(&b->change);
    int r = refuse_without_policy(b->newest, err);
    if (r == 0)
        r = ensure_open(b, err);
    if (r == 0) {
        pthread_mutex_lock(&b->lock);
        *ret = hold_newest(b);
        pthread_mutex_unlock(&b->lock);
    }
    pthread_mutex_unlock(&b->change);
    return r;
}

struct sl_generation *sl_backend_peek(struct sl_backend *b)
{
    pthread_mutex_lock(&b->lock);
    struct sl_generation *g = b->sluice ? hold_newest(b) : NULL;
    pthread_mutex_unlock(&b->lock);
    return g;
}

void sl_backend_release(struct sl_backend *b, struct sl_generation *face)
{
    if (!face)
        return;
    pthread_mutex_lock(&b->lock);
    b->n_users--;
    struct generation *last = unref((struct generation *)face);
    pthread_mutex_unlock(&b->lock);
    (void)generation_free(last);
}

void sl_backend_trim(struct sl_backend *b)
{
    /* Held as long, it is not closed; and is not counted as used, which would keep it open. */
    pthread_mutex_lock(&b->change);
    if (b->sluice)
        sluice_trim(b->sluice);
    pthread_mutex_unlock(&b->change);
}

struct sl_generation *sl_backend_hold_config(struct sl_backend *b)
{
    pthread_mutex_lock(&b->lock);
    struct generation *g = b->newest;
    g->n_refs++;
    pthread_mutex_unlock(&b->lock);
    return &g->face;
}

void sl_backend_release_config(struct sl_backend *b, struct sl_generation *face)
{
    if (!face)
        return;
    pthread_mutex_lock(&b->lock);
    struct generation *last = unref((struct generation *)face);
    pthread_mutex_unlock(&b->lock);
    (void)generation_free(last);
}

uint64_t sl_backend_number(struct sl_backend *b)
{
    pthread_mutex_lock(&b->lock);
    uint64_t number = b->newest->face.number;
    pthread_mutex_unlock(&b->lock);
    return number;
}

const struct sl_config *sl_backend_config(struct sl_backend *b)
{
    pthread_mutex_lock(&b->lock);
    const struct sl_config *config = b->newest->face.config;
    pthread_mutex_unlock(&b->lock);
    return config;
}

void sl_backend_cancel(struct sl_backend *b)
{
    pthread_mutex_lock(&b->lock);
    b->is_cancelled = true;
    (void)eventfd_write(b->cancel_fd, 1);
    if (b->sluice)
        sluice_cancel(b->sluice);
    pthread_mutex_unlock(&b->lock);
}

/* ---- another configuration ---- */

static bool is_same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool is_same_list(char *const *a, char *const *b)
{
    for (; a && *a && b && *b; a++, b++)
        if (strcmp(*a, *b) != 0)
            return false;
    return !(a && *a) && !(b && *b);
}

static void warn_of_fixed(const struct sl_config *before, const struct sl_config *now)
{
    const struct {
        const char *name;
        bool is_same;
    } fixed[] = {
        {"socket", is_same_text(before->socket, now->socket)},
        {"image.work_dir", is_same_text(before->work_dir, now->work_dir)},
        {"sluice.listen", is_same_list(before->listen, now->listen)},
        {"sluice.control", is_same_text(before->control, now->control)},
        {"sluice.metrics", is_same_text(before->metrics, now->metrics)},
        {"sluice.memory", before->memory == now->memory},
        {"sluice.workers", before->workers == now->workers},
        {"sluice.pulls", before->pulls == now->pulls},
    };
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        if (!fixed[i].is_same)
            sl_log(SL_LOG_WARN, "%s has changed: that takes effect at the next start",
                   fixed[i].name);
}

/* With change held, so the engine stays what it is. */
static int reload_engine(struct sl_backend *b, const struct generation *g, struct sl_error *err)
{
    struct sluice_error reload_err = {0};
    int r = b->sluice ? sluice_reload(b->sluice, &g->registry, &g->keys, &reload_err) : 0;
    return sl_error_from_api(r, &reload_err, err);
}

static int replace(struct sl_backend *b, struct sl_loaded_config **config, struct generation **ret,
                   struct sl_error *err)
{
    SL_AUTO(generation) g = NULL;
    int r = generation_new(config, b->newest->face.number + 1, b->cancel_fd, &g, err);
    if (r == 0)
        r = reload_engine(b, g, err);
    if (r != 0)
        return r;
    warn_of_fixed(b->newest->face.config, g->face.config);
    pthread_mutex_lock(&b->lock);
    *ret = unref(b->newest);
    b->newest = sl_steal(&g);
    pthread_mutex_unlock(&b->lock);
    return 0;
}

int sl_backend_reload(struct sl_backend *b, struct sl_loaded_config **config, struct sl_error *err)
{
    struct generation *old = NULL;
    pthread_mutex_lock(&b->change);
    int r = replace(b, config, &old, err);
    pthread_mutex_unlock(&b->change);
    (void)generation_free(old);
    return r;
}

/* ---- life ---- */

static int backend_fill(struct sl_backend *b, struct sl_loaded_config **config,
                        struct sl_error *err)
{
    const struct sl_config *c = &(*config)->values;
    b->fixed = (struct fixed){.memory = c->memory, .threads = c->workers};
    b->fixed.root = strdup(c->work_dir);
    if (!b->fixed.root)
        return sl_error_oom(err);
    b->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (b->cancel_fd < 0)
        return sl_error_system(err, errno, "eventfd");
    return generation_new(config, /* number= */ 1, b->cancel_fd, &b->newest, err);
}

int sl_backend_new(struct sl_loaded_config **config, struct sl_backend **ret, struct sl_error *err)
{
    struct sl_backend *alloc = calloc(1, sizeof(*alloc));
    if (!alloc)
        return sl_error_oom(err);
    alloc->cancel_fd = -1;
    pthread_mutex_init(&alloc->change, NULL);
    pthread_mutex_init(&alloc->lock, NULL);
    SL_AUTO(sl_backend) b = alloc;
    int r = backend_fill(b, config, err);
    if (r == 0)
        *ret = sl_steal(&b);
    return r;
}

struct sl_backend *sl_backend_free(struct sl_backend *b)
{
    if (!b)
        return NULL;
    (void)sluice_close(b->sluice);
    (void)generation_free(b->newest);
    sl_cleanup_fdp(&b->cancel_fd);
    free(b->fixed.root);
    pthread_mutex_destroy(&b->change);
    pthread_mutex_destroy(&b->lock);
    free(b);
    return NULL;
}
