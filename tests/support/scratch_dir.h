/* SPDX-License-Identifier: Apache-2.0 */
/* A folder for one test, gone afterwards. Include after cmocka. */
#pragma once

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scratch_dir {
    char path[64];
};

static inline struct scratch_dir scratch_make(void)
{
    struct scratch_dir d = {"/tmp/sluice-test-XXXXXX"};
    assert_non_null(mkdtemp(d.path));
    return d;
}

static inline int scratch_unlink(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static inline void scratch_remove(struct scratch_dir *d)
{
    (void)nftw(d->path, scratch_unlink, 8, FTW_DEPTH | FTW_PHYS);
}

#define SCRATCH_DIR __attribute__((cleanup(scratch_remove), unused)) struct scratch_dir

/* The path of name below the folder, to be freed. */
static inline char *scratch_path(const struct scratch_dir *d, const char *name)
{
    char *path = NULL;
    assert_true(asprintf(&path, "%s/%s", d->path, name) > 0);
    return path;
}

/* Writes a file; makes the folders above it. */
static inline void scratch_write(const struct scratch_dir *d, const char *name, const char *text,
                                 mode_t mode)
{
    char *path = scratch_path(d, name);
    for (char *p = path + strlen(d->path) + 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = 0;
        (void)mkdir(path, 0755);
    }
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
    free(path);
}
