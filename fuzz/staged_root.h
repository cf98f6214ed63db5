/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory to unpack into, and a canary beside it that no archive may touch. For fuzz targets
 * that write files. Link tests/support/staged_stub.c.
 */
#pragma once

#include "sluice/untar.h"

#include "remove_tree.h"
#include "staged_stub.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT_DEMAND(condition)                                                                     \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

/* What an input may cost us; more is a limit, not a finding. */
static const struct sl_untar_limits fuzz_limits = {
    .entries = 1000,
    .file_size = 1 << 20,
    .total_size = 1 << 20,
    .depth = 100,
};

struct staged_root {
    char base[64]; /* holds root/ and canary/ */
    struct sl_staged_layer staged;
};

/* On the fast file system that needs no clean-up after a crash, where there is one. */
static inline void staged_root_open(struct staged_root *r)
{
    *r = (struct staged_root){.base = "/dev/shm/sluice-fuzz-XXXXXX", .staged.fd = -1};
    if (!mkdtemp(r->base)) {
        (void)snprintf(r->base, sizeof(r->base), "/tmp/sluice-fuzz-XXXXXX");
        ROOT_DEMAND(mkdtemp(r->base));
    }
    SL_AUTO_FD base = open(r->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ROOT_DEMAND(mkdirat(base, "root", 0755) == 0 && mkdirat(base, "canary", 0700) == 0);
    ROOT_DEMAND(mkdirat(base, "canary/sub", 0700) == 0);
    SL_AUTO_FD file = openat(base, "canary/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ROOT_DEMAND(write(file, "alive", 5) == 5);
    r->staged.fd = openat(base, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ROOT_DEMAND(r->staged.fd >= 0);
}

/* Names in a directory of the base, beside "." and "..". */
static inline unsigned staged_root_names(const struct staged_root *r, const char *name)
{
    char path[128];
    unsigned n = 0;
    (void)snprintf(path, sizeof(path), "%s/%s", r->base, name);
    DIR *dir = opendir(path);
    ROOT_DEMAND(dir);
    while (readdir(dir))
        n++;
    (void)closedir(dir);
    return n - 2;
}

/* Nothing beside the root was made, changed, linked or removed. */
static inline void staged_root_check(const struct staged_root *r)
{
    char path[128], text[8] = "";
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/canary/file", r->base);
    SL_AUTO_FD file = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ROOT_DEMAND(fstat(file, &st) == 0 && st.st_mode == (S_IFREG | 0600) && st.st_nlink == 1);
    ROOT_DEMAND(read(file, text, sizeof(text)) == 5 && memcmp(text, "alive", 5) == 0);
    (void)snprintf(path, sizeof(path), "%s/canary", r->base);
    ROOT_DEMAND(lstat(path, &st) == 0 && st.st_mode == (S_IFDIR | 0700) && st.st_uid == geteuid());
    ROOT_DEMAND(staged_root_names(r, ".") == 2 && staged_root_names(r, "canary") == 2 &&
                staged_root_names(r, "canary/sub") == 0);
}

static inline void staged_root_close(struct staged_root *r)
{
    staged_root_check(r);
    staged_stub_done(&r->staged);
    (void)close(r->staged.fd);
    SL_AUTO_FD base = open(r->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ROOT_DEMAND(sl_remove_tree(base, "root", NULL) == 0);
    ROOT_DEMAND(sl_remove_tree(base, "canary", NULL) == 0);
    ROOT_DEMAND(rmdir(r->base) == 0);
}
