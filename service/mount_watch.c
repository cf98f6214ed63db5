/* SPDX-License-Identifier: Apache-2.0 */
#include "mount_watch.h"

#include "sluice/core/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { UNUSED_MAX = 4096 }; /* images that wait to be removed; more are left to the operator */

struct sl_mount_watch {
    struct sl_task task; /* first: is cast */
    struct sl_backend *backend;
    struct sl_metrics *metrics;
    int fd;
    /* Digests of images whose last mount has gone; the task's. */
    char *unused[UNUSED_MAX];
    size_t n_unused;
    atomic_bool is_waiting; /* there are some, and requests were running */
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

static void remove_images(struct sl_mount_watch *w, struct sluice *s,
                          const struct sluice_mount_list *list)
{
    struct sluice_gc_result gone = {.size = sizeof(gone)};
    struct sluice_error err = {0};
    unsigned n = 0;
    while (w->n_unused > 0) {
        SL_AUTO_FREE char *manifest = w->unused[--w->n_unused];
        if (is_mounted(list, manifest))
            continue;
        if (sluice_remove(s, manifest, /* force= */ false, &err) == 0)
            n++;
        else if (err.errnum != ENOENT && err.errnum != EBUSY)
            warn("cannot remove an image that nothing uses", &err);
    }
    if (n == 0)
        return;
    if (sluice_gc(s, /* dry_run= */ false, &gone, &err) < 0)
        warn("cannot collect what nothing uses", &err);
    else
        sl_log(SL_LOG_INFO, "%u images that no mount uses any more and %u layers were removed", n,
               gone.layers);
}

static void clean(struct sl_mount_watch *w, const struct sl_generation *g)
{
    struct sluice_mount_list *list = NULL;
    struct sluice_error err = {0};
    unsigned n = 0;
    if (sluice_list_mounts(g->sluice, &list, &err) < 0) {
        warn("cannot list the mounts of the store", &err);
        return;
    }
    bool has_dead = note_dead(w, list, g->config->keep == SL_KEEP_ALL);
    if (has_dead && sluice_forget_dead_mounts(g->sluice, &n, &err) < 0)
        warn("cannot remove what was written to mounts that are no more", &err);
    if (n > 0)
        sl_log(SL_LOG_INFO, "%u mounts are no more: what was written to them was removed", n);
    /* An image that was pulled and is about to be mounted has no mount either: not while anybody
     * waits for one. Who comes later finds it gone, and pulls it. */
    atomic_store(&w->is_waiting, w->n_unused > 0);
    if (w->n_unused > 0 && sl_metrics_requests_in_flight(w->metrics) == 0) {
        atomic_store(&w->is_waiting, false);
        remove_images(w, g->sluice, list);
    }
    (void)sluice_mount_list_free(list);
}

static bool has_entries(const char *root, const char *name)
{
    SL_AUTO_FREE char *path = sl_strf("%s/%s", root, name);
    DIR *dir = path ? opendir(path) : NULL;
    bool found = false;
    if (!dir)
        return false;
    for (const struct dirent *e; !found && (e = readdir(dir));)
        found = strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    (void)closedir(dir);
    return found;
}

/* A service before this one has left mounts, which have lived on, or what it was unpacking. */
static bool has_heritage(struct sl_mount_watch *w)
{
    struct sl_generation *g = sl_backend_hold_config(w->backend);
    const char *root = g->config->work_dir;
    bool found = has_entries(root, "mounts") || has_entries(root, "staging");
    sl_backend_release_config(w->backend, g);
    return found;
}

/* Else nothing is mounted before the first pull opens the store. */
static struct sl_generation *hold(struct sl_mount_watch *w)
{
    struct sl_generation *g = sl_backend_peek(w->backend);
    struct sl_error err = {0};
    if (!g && has_heritage(w) && sl_backend_hold(w->backend, &g, &err) < 0) {
        sl_log(SL_LOG_DEBUG, "what an earlier service has left waits for the first pull: %s",
               err.msg);
        return NULL;
    }
    return g;
}

static void run(struct sl_task *task)
{
    struct sl_mount_watch *w = (struct sl_mount_watch *)task;
    struct sl_generation *g = hold(w);
    if (!g)
        return;
    clean(w, g);
    sl_backend_release(w->backend, g);
}

void sl_mount_watch_look(struct sl_mount_watch *w)
{
    sl_task_wake(&w->task);
}

void sl_mount_watch_settle(struct sl_mount_watch *w)
{
    if (atomic_load(&w->is_waiting) && sl_metrics_requests_in_flight(w->metrics) == 0)
        sl_task_wake(&w->task);
}

/* ---- life ---- */

int sl_mount_watch_new(struct sl_backend *backend, struct sl_metrics *metrics,
                       struct sl_worker_pool *pool, struct sl_mount_watch **ret,
                       struct sl_error *err)
{
    struct sl_mount_watch *w = calloc(1, sizeof(*w));
    if (!w)
        return sl_error_oom(err);
    w->backend = backend;
    w->metrics = metrics;
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
