/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/pgp_dir.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "sluice-pgp-"

enum {
    OPEN_DIRS_MAX = 8, /* of nftw(); the tree is two levels deep */
    CLAIM_TRIES = 16,
    CMDLINE_MAX = 4096, /* bytes looked at; --homedir comes first */
    PLACES = 3,
};

/* ---- programs that use a directory ---- */

/* gpgme before 1.24 and gpg give the directory as an argument of its own, gpgme since then in the
 * same one, behind a '='. */
static bool has_homedir(struct sl_span cmdline, const char *path)
{
    static const char option[] = "\0--homedir";
    const uint8_t *p = cmdline.data;
    const uint8_t *end = cmdline.data + cmdline.len;
    size_t len = strlen(path) + 1;
    while ((p = memmem(p, (size_t)(end - p), option, sizeof(option) - 1))) {
        p += sizeof(option) - 1;
        if ((size_t)(end - p) > len && (*p == '\0' || *p == '=') && memcmp(p + 1, path, len) == 0)
            return true;
    }
    return false;
}

/* The number cannot go to another process once it is open. */
static void kill_if_user_of(int proc, const char *pid, const char *homedir)
{
    uint8_t text[CMDLINE_MAX];
    pid_t number = (pid_t)strtol(pid, NULL, 10);
    SL_AUTO_FREE char *path = sl_strf("%s/cmdline", pid);
    SL_AUTO_FD pidfd = pidfd_open(number, 0);
    SL_AUTO_FD fd = path && pidfd >= 0 ? openat(proc, path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = fd < 0 ? -1 : TEMP_FAILURE_RETRY(read(fd, text, sizeof(text)));
    if (n > 0 && number != getpid() && has_homedir((struct sl_span){text, (size_t)n}, homedir))
        (void)pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
}

void sl_pgp_dir_kill(const char *path)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry = NULL;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): each stream is read by one thread */
    while (proc && (entry = readdir(proc)))
        if (isdigit((unsigned char)entry->d_name[0]))
            kill_if_user_of(dirfd(proc), entry->d_name, path);
    if (proc)
        closedir(proc);
}

/* ---- removing ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    (void)remove(path);
    return 0;
}

static void remove_tree(const char *path)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): without FTW_CHDIR it shares nothing */
    (void)nftw(path, remove_one, OPEN_DIRS_MAX, FTW_DEPTH | FTW_PHYS);
}

void sl_pgp_dir_remove(struct sl_pgp_dir *dir)
{
    if (!dir->path)
        return;
    int saved = errno;
    remove_tree(dir->path);
    free(dir->path);
    (void)close(dir->fd);
    *dir = (struct sl_pgp_dir){.fd = -1};
    errno = saved;
}

/* ---- making ---- */

static void find_places(const char *ret[PLACES])
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): it changes, if ever, before there are threads */
    const char *tmpdir = getenv("TMPDIR");
    ret[0] = "/dev/shm";
    ret[1] = "/run";
    ret[2] = tmpdir ? tmpdir : "/tmp";
}

/* -1: somebody else has it, or it is no such directory. */
static int lock(const char *path)
{
    struct stat st;
    SL_AUTO_FD fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return -1;
    return sl_steal_fd(&fd);
}

static void sweep(const char *place)
{
    DIR *dir = opendir(place);
    const struct dirent *entry = NULL;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): each stream is read by one thread */
    while (dir && (entry = readdir(dir))) {
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0)
            continue;
        SL_AUTO_FREE char *path = sl_strf("%s/%s", place, entry->d_name);
        SL_AUTO_FD fd = path ? lock(path) : -1;
        if (fd < 0)
            continue;
        sl_pgp_dir_kill(path);
        remove_tree(path);
    }
    if (dir)
        closedir(dir);
}

/* Between its creation and its lock another process may have taken it for rubbish: then it is
 * locked or gone, and another name is tried. */
static int claim(const char *place, struct sl_pgp_dir *ret)
{
    for (int i = 0; i < CLAIM_TRIES; i++) {
        struct stat st;
        SL_AUTO_FREE char *path = sl_strf("%s/" PREFIX "XXXXXX", place);
        if (!path)
            return -ENOMEM;
        if (!mkdtemp(path))
            return -errno;
        SL_AUTO_FD fd = lock(path);
        if (fd < 0 || fstat(fd, &st) < 0 || st.st_nlink == 0)
            continue;
        *ret = (struct sl_pgp_dir){.path = sl_steal(&path), .fd = sl_steal_fd(&fd)};
        return 0;
    }
    return -EBUSY;
}

int sl_pgp_dir_make(struct sl_pgp_dir *ret, struct sl_error *err)
{
    const char *places[PLACES];
    int r = -ENOENT;
    find_places(places);
    for (int i = 0; i < PLACES; i++)
        sweep(places[i]);
    for (int i = 0; i < PLACES && r < 0; i++)
        r = claim(places[i], ret);
    return r < 0 ? sl_error_system(err, -r, "a private directory for gpg") : 0;
}
