/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of a lookaside. Below the base, which the operator names, no symbolic link is followed: a
 * lookaside may be filled by others.
 */
#include "sluice/lookaside.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static const char file_scheme[] = "file://";

/* The length without slashes at the end. */
static size_t base_len(const char *base)
{
    size_t len = strlen(base);
    while (len > 0 && base[len - 1] == '/')
        len--;
    return len;
}

/* Digests and repositories have been parsed: nothing in them needs escaping. */
static char *manifest_folder(const char *repository, const struct sl_digest *manifest)
{
    char hex[2 * SL_DIGEST_MAX + 1];
    sl_digest_hex(manifest, hex);
    return sl_strf("%s@%s=%s", repository, sl_digest_alg_name(manifest->alg), hex);
}

char *sl_lookaside_url(const char *base, const char *repository, const struct sl_digest *manifest,
                       unsigned number)
{
    SL_AUTO_FREE char *folder = manifest_folder(repository, manifest);
    if (!folder)
        return NULL;
    return sl_strf("%.*s/%s/signature-%u", (int)base_len(base), base, folder, number);
}

/* As mkdir -p. Whatever fails shows when the folder is opened. */
static void make_base(const char *path)
{
    SL_AUTO_FREE char *copy = strdup(path);
    for (char *p = copy; p && (p = strchr(p + 1, '/')); *p = '/') {
        *p = 0;
        (void)mkdir(copy, 0755);
    }
    (void)mkdir(path, 0755);
}

static int open_base(const char *base, bool create, struct sl_error *err)
{
    const size_t scheme = strlen(file_scheme);
    if (strncmp(base, file_scheme, scheme) != 0 || base[scheme] != '/')
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "lookaside %.200s: not a file:/// URL", base);
    if (create)
        make_base(base + scheme);
    int fd = open(base + scheme, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? sl_error_system(err, errno, "lookaside %.200s", base) : fd;
}

/* Goes down from dirfd, which it closes, along the folders of path; creates them if asked. Gives
 * the last one. Errors are errno alone. */
static int descend(int dirfd, char *path, bool create)
{
    for (char *save = NULL, *name = strtok_r(path, "/", &save); name;
         name = strtok_r(NULL, "/", &save)) {
        if (create && mkdirat(dirfd, name, 0755) < 0 && errno != EEXIST) {
            sl_cleanup_fdp(&dirfd);
            return -errno;
        }
        int next = openat(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        sl_cleanup_fdp(&dirfd); /* keeps errno */
        if (next < 0)
            return -errno;
        dirfd = next;
    }
    return dirfd;
}

/* ---- reading ---- */

/* 1: open, 0: not there. */
static int open_file(const char *base, const char *url, int *ret_fd, struct sl_error *err)
{
    struct sl_error why = {0};
    SL_AUTO_FREE char *path = strdup(url + base_len(base));
    if (!path)
        return sl_error_oom(err);
    int dir = open_base(base, /* create= */ false, &why);
    if (dir == -ENOENT)
        return 0;
    if (dir < 0) {
        if (err)
            *err = why;
        return dir;
    }
    char *file = strrchr(path, '/');
    *file++ = 0;
    SL_AUTO_FD folder = descend(dir, path, /* create= */ false);
    if (folder < 0) {
        int e = -folder;
        folder = -1;
        return e == ENOENT ? 0 : sl_error_system(err, e, "%.300s", url);
    }
    int fd = openat(folder, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : sl_error_system(err, errno, "%.300s", url);
    *ret_fd = fd;
    return 1;
}

static int read_regular(int fd, const char *url, struct sl_bytes *ret, struct sl_error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return sl_error_system(err, errno, "%.300s", url);
    if (!S_ISREG(st.st_mode))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "%.300s is not a regular file", url);
    /* The descriptor is the file's name for the one reader of files there is. */
    char self[40];
    (void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    int r = sl_read_file(AT_FDCWD, self, SL_SIMPLE_SIGNATURE_MAX, ret, err);
    return r < 0 ? sl_error_wrap(err, r, "%.300s", url) : 1;
}

int sl_lookaside_read_file(const char *base, const char *url, struct sl_bytes *ret,
                           struct sl_error *err)
{
    SL_AUTO_FD fd = -1;
    int r = open_file(base, url, &fd, err);
    return r <= 0 ? r : read_regular(fd, url, ret, err);
}

/* ---- writing ---- */

/* The first number that is free becomes the name of the file. Readers stop at the first gap. */
static int link_next(int folder, const char *temporary, unsigned *ret_number)
{
    for (unsigned n = 1; n <= SL_SIGNATURES_MAX; n++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "signature-%u", n);
        if (linkat(folder, temporary, folder, name, 0) == 0) {
            *ret_number = n;
            return 0;
        }
        if (errno != EEXIST)
            return -errno;
    }
    return -E2BIG;
}

static int write_new(int folder, struct sl_span message, unsigned *ret_number)
{
    char temporary[48];
    uint64_t random; /* numbers of processes are not: containers may share the folder */
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        return -errno;
    (void)snprintf(temporary, sizeof(temporary), ".signature-new-%016" PRIx64, random);
    SL_AUTO_FD fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    int r = sl_write_all(fd, message);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    if (r == 0)
        r = link_next(folder, temporary, ret_number);
    (void)unlinkat(folder, temporary, 0);
    return r;
}

int sl_lookaside_write_file(const char *base, const char *repository,
                            const struct sl_digest *manifest, struct sl_span message,
                            char **ret_url, struct sl_error *err)
{
    SL_AUTO_FREE char *folder = manifest_folder(repository, manifest);
    if (!folder)
        return sl_error_oom(err);
    SL_AUTO_FREE char *path = strdup(folder);
    if (!path)
        return sl_error_oom(err);
    int dir = open_base(base, /* create= */ true, err);
    if (dir < 0)
        return dir;
    unsigned number = 0;
    int fd = descend(dir, path, /* create= */ true);
    int r = fd < 0 ? fd : write_new(fd, message, &number);
    if (fd >= 0)
        close(fd);
    if (r == -E2BIG)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%.200s/%.200s has %d signatures already", base,
                            folder, SL_SIGNATURES_MAX);
    if (r < 0)
        return sl_error_system(err, -r, "%.200s/%.200s", base, folder);
    *ret_url = sl_lookaside_url(base, repository, manifest, number);
    return *ret_url ? 0 : sl_error_oom(err);
}
