/* SPDX-License-Identifier: Apache-2.0 */
#include "store_dir.h"

#include "dir_entries.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

void sl_store_path(char out[SL_STORE_PATH_MAX], const char *dir, const struct sl_digest *digest,
                   const char *suffix)
{
    char hex[2 * SL_DIGEST_MAX + 1];
    sl_digest_hex(digest, hex);
    (void)snprintf(out, SL_STORE_PATH_MAX, "%s/%s/%s%s", dir, sl_digest_alg_name(digest->alg), hex,
                   suffix);
}

int sl_store_has(const struct sl_store *store, const char *path, struct sl_error *err)
{
    struct stat st;
    if (fstatat(store->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return 1;
    if (errno == ENOENT)
        return 0;
    return sl_error_system(err, errno, "looking for %s/%s", store->root, path);
}

int sl_flock(int fd, int operation)
{
    while (flock(fd, operation) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

int sl_store_lock(const struct sl_store *store, int operation, int *ret, struct sl_error *err)
{
    SL_AUTO_FD fd = openat(store->fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return sl_error_system(err, errno, "opening %s/lock", store->root);
    int r = sl_flock(fd, operation);
    if (r < 0)
        return sl_error_system(err, -r, "locking %s/lock", store->root);
    *ret = sl_steal_fd(&fd);
    return 0;
}

void sl_store_random_id(char out[SL_STORE_ID_MAX])
{
    uint8_t bytes[(SL_STORE_ID_MAX - 1) / 2];
    /* Only before the kernel's pool is ready can this be short, and then it waits. */
    while (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        continue;
    sl_hex_format((struct sl_span){bytes, sizeof(bytes)}, out);
}

int sl_store_sync_dir(const struct sl_store *store, const char *path, struct sl_error *err)
{
    if (store->is_volatile)
        return 0;
    SL_AUTO_FD fd = openat(store->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return sl_error_system(err, errno, "syncing %s/%s", store->root, path);
    return 0;
}

struct name_list {
    char **names;
    size_t n;
};

static void name_list_done(struct name_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->names[i]);
    free(list->names);
}
SL_DEFINE_AUTO_DONE(name_list, name_list_done)

static int name_list_add(struct name_list *list, const char *name)
{
    if ((list->n & (list->n - 1)) == 0) {
        char **more = realloc(list->names, (list->n ? 2 * list->n : 1) * sizeof(*more));
        if (!more)
            return -ENOMEM;
        list->names = more;
    }
    list->names[list->n] = strdup(name);
    if (!list->names[list->n])
        return -ENOMEM;
    list->n++;
    return 0;
}

static int read_names(int fd, struct name_list *list)
{
    DIR *dir = sl_dir_open(fd);
    if (!dir)
        return -errno;
    const struct dirent *entry = NULL;
    int r = 0;
    while (r >= 0 && (r = sl_dir_next(dir, &entry)) > 0)
        r = name_list_add(list, entry->d_name);
    (void)closedir(dir);
    return r;
}

/* All names are read before the first call, since callers rename and remove them. */
int sl_store_each_name(const struct sl_store *store, const char *path, sl_store_name_fn fn,
                       void *arg, struct sl_error *err)
{
    int fd = openat(store->fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return sl_error_system(err, errno, "opening %s/%s", store->root, path);
    SL_AUTO_DONE(name_list) list = {0};
    int r = read_names(fd, &list);
    if (r < 0)
        return sl_error_system(err, -r, "reading %s/%s", store->root, path);
    for (size_t i = 0; i < list.n && r == 0; i++)
        r = fn(arg, list.names[i], err);
    return r;
}

struct digest_walk {
    const char *alg;
    const char *suffix;
    sl_store_digest_fn fn;
    void *arg;
};

static int visit_digest(void *arg, const char *name, struct sl_error *err)
{
    const struct digest_walk *walk = arg;
    size_t len = strlen(name);
    size_t suffix = strlen(walk->suffix);
    char text[SL_DIGEST_TEXT_MAX];
    if (len < suffix || strcmp(name + len - suffix, walk->suffix) != 0)
        return 0;
    int n = snprintf(text, sizeof(text), "%s:%.*s", walk->alg, (int)(len - suffix), name);
    struct sl_digest digest;
    if (n < 0 || (size_t)n >= sizeof(text) || sl_digest_parse(text, &digest, /* err= */ NULL) < 0)
        return 0;
    return walk->fn(walk->arg, &digest, err);
}

int sl_store_each_digest(const struct sl_store *store, const char *dir, const char *suffix,
                         sl_store_digest_fn fn, void *arg, struct sl_error *err)
{
    static const enum sl_digest_alg algs[] = {SL_SHA256, SL_SHA512};
    for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
        struct digest_walk walk = {sl_digest_alg_name(algs[i]), suffix, fn, arg};
        char path[SL_STORE_PATH_MAX];
        (void)snprintf(path, sizeof(path), "%s/%s", dir, walk.alg);
        int r = sl_store_each_name(store, path, visit_digest, &walk, err);
        if (r != 0)
            return r;
    }
    return 0;
}

/* What is kept for root counts: only root can mount what is pulled. */
int sl_store_free_bytes(struct sl_store *store, uint64_t *ret, struct sl_error *err)
{
    struct statvfs st;
    if (fstatvfs(store->fd, &st) < 0)
        return sl_error_system(err, errno, "asking for the free space of %s", store->root);
    if (st.f_blocks == 0)
        return 0;
    *ret = (uint64_t)st.f_bfree * st.f_frsize;
    return 1;
}
