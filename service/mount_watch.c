/* SPDX-License-Identifier: Apache-2.0 */
#include "mount_watch.h"

#include "sluice/core/log.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { UNUSED_MAX = 4096 }; /* images that wait to be removed; more are left to the operator */

struct sl_mount_watch {
    struct sl_task task; /* first: is cast */
    struct sl_backend *backend;
    struct sl_image_claims *claims;
    int fd;
    /* Digests of images whose last mount has gone; the task's. */
    char *unused[UNUSED_MAX];
    size_t n_unused;
    atomic_bool is_waiting; /* there are some, which may have been claimed */
};

static void warn(const char *what, const struct sluice_error *err)
{
    sl_log_of(SL_LOG_WARN, &(struct sl_log_about){.code = sluice_code_name(err->code)}, "%s: %s",
              what, err->message);
}

/* ---- which ---- */

static bool is_mounted(const struct sluice_mount_list *list, const char *manifest)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->mounts[i]->alive && strcmp(list->mounts[i]->manifest, manifest) == 0)
            return true;
    return false;
}

static void note_unused(struct sl_mount_watch *w, const char *manifest)
{
    for (size_t i = 0; i < w->n_unused; i++)
        if (strcmp(w->unused[i], manifest) == 0)
            return;
    char *copy = w->n_unused < UNUSED_MAX ? strdup(manifest) : NULL;
    if (copy)
        w->unused[w->n_unused++] = copy;
}

/* True when some mount is no more. */
static bool note_dead(struct sl_mount_watch *w, const struct sluice_mount_list *list, bool keep_all)
{
    bool has_dead = false;
    for (size_t i = 0; i < list->n; i++) {
        const struct sluice_mount *mount = list->mounts[i];
        has_dead |= !mount->alive;
        if (!mount->alive && !keep_all)
            note_unused(w, mount->manifest);
    }
    return has_dead;
}

/* ---- away with them ---- */

/* False: it was not removed, since somebody is about to mount it. */
static bool remove_image(struct sl_mount_watch *w, struct sluice *s, const char *manifest,
                         unsigned *n)
{
    struct sluice_error err = {0};
    if (!sl_image_claims_begin_removal(w->claims, manifest))
        return false;
    if (sluice_remove(s, manifest, /* force= */ false, &err) == 0)
        ++*n;
    else if (err.errnum != ENOENT && err.errnum != EBUSY)
        warn("cannot remove an image that nothing uses", &err);
    sl_image_claims_end_removal(w->claims);
    return true;
}

/* An image that was pulled and is about to be mounted has no mount either, but a claim: it is left
 * for later. Who claims it after this finds it gone, and pulls it. */
static void remove_images(struct sl_mount_watch *w, struct sluice *s,
                          const struct sluice_mount_list *list)
{
    struct sluice_gc_result gone = {.size = sizeof(gone)};
    struct sluice_error err = {0};
    unsigned n = 0;
    size_t n_left = 0;
    for (size_t i = 0; i < w->n_unused; i++) {
        char *manifest = w->unused[i];
        if (is_mounted(list, manifest) || remove_image(w, s, manifest, &n))
            free(manifest);
        else
            w->unused[n_left++] = manifest;
    }
    w->n_unused = n_left;
    if (n == 0)
        return;
    if (sluice_gc(s, /* dry_run= */ false, &gone, &err) < 0)
        warn("cannot collect what nothing uses", &err);
    else
        sl_log(SL_LOG_INFO, "%u images that no mount uses any more and %u layers were removed", n,
               gone.layers);
}

static void clean(struct sl_mount_watch *w, struct sluice *sluice, const struct sl_config *config)
{
    struct sluice_mount_list *list = NULL;
    struct sluice_error err = {0};
    unsigned n = 0;
    if (sluice_list_mounts(sluice, &list, &err) < 0) {
        warn("cannot list the mounts of the store", &err);
        return;
    }
    bool has_dead = note_dead(w, list, config->keep == SL_KEEP_ALL);
    if (has_dead && sluice_forget_dead_mounts(sluice, &n, &err) < 0)
        warn("cannot remove what was written to mounts that are no more", &err);
    if (n > 0)
        sl_log(SL_LOG_INFO, "%u mounts are no more: what was written to them was removed", n);
    /* Before it is asked who claims them: whoever gives one up meanwhile wakes us again. */
    atomic_store(&w->is_waiting, w->n_unused > 0);
    remove_images(w, sluice, list);
    atomic_store(&w->is_waiting, w->n_unused > 0);
    (void)sluice_mount_list_free(list);
}

/* Whether there is one already: nobody makes it before the first pull, since its disk may be
 * mounted until then. */
static bool has_store(const char *root)
{
    SL_AUTO_FREE char *mounts = sl_strf("%s/mounts", root);
    return mounts && access(mounts, F_OK) == 0;
}

/* Containers outlive a service that is started again. No registry is needed, and so no broker is
 * asked: the next pull may open all of it. */
static void clean_before_the_first_pull(struct sl_mount_watch *w)
{
    struct sluice *store = NULL;
    struct sluice_error err = {0};
    struct sl_generation *g = sl_backend_hold_config(w->backend);
    const struct sluice_options options =
        SLUICE_OPTIONS(sluice_options, .parts = SLUICE_STORE_ONLY, .root = g->config->work_dir);
    if (has_store(g->config->work_dir)) {
        if (sluice_open(&options, &store, &err) < 0)
            warn("cannot look after what an earlier run has mounted", &err);
        else
            clean(w, store, g->config);
    }
    (void)sluice_close(store);
    sl_backend_release_config(w->backend, g);
}

static void run(struct sl_task *task)
{
    struct sl_mount_watch *w = (struct sl_mount_watch *)task;
    struct sl_generation *g = sl_backend_peek(w->backend);
    if (!g) {
        clean_before_the_first_pull(w);
        return;
    }
    clean(w, g->sluice, g->config);
    sl_backend_release(w->backend, g);
}

void sl_mount_watch_look(struct sl_mount_watch *w)
{
    sl_task_wake(&w->task);
}

void sl_mount_watch_settle(struct sl_mount_watch *w)
{
    if (atomic_load(&w->is_waiting))
        sl_task_wake(&w->task);
}

/* ---- life ---- */

int sl_mount_watch_new(struct sl_backend *backend, struct sl_image_claims *claims,
                       struct sl_worker_pool *pool, struct sl_mount_watch **ret,
                       struct sl_error *err)
{
    struct sl_mount_watch *w = calloc(1, sizeof(*w));
    if (!w)
        return sl_error_oom(err);
    w->backend = backend;
    w->claims = claims;
    sl_task_init(&w->task, pool, run);
    w->fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    if (w->fd < 0) {
        free(w);
        return sl_error_system(err, errno, "cannot watch /proc/self/mountinfo");
    }
    *ret = w;
    return 0;
}

struct sl_mount_watch *sl_mount_watch_free(struct sl_mount_watch *w)
{
    if (!w)
        return NULL;
    sl_task_wait_idle(&w->task);
    for (size_t i = 0; i < w->n_unused; i++)
        free(w->unused[i]);
    close(w->fd);
    free(w);
    return NULL;
}

int sl_mount_watch_fd(const struct sl_mount_watch *w)
{
    return w->fd;
}
