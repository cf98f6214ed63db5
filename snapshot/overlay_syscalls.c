/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlayfs wants paths, and both ways to hand them over are narrow: 255 bytes for each string of
 * fsconfig(2), 4095 for all options of mount(2), with ',', ':' and '\' special. So a thread with a
 * working directory of its own goes below the store and names everything relative to it; what the
 * root of the store is called, and how long, does not matter.
 */
#include "overlay_syscalls.h"

#include "store_dir.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mount_table.h"

enum {
    OPTIONS_MAX = 4096, /* bytes mount(2) reads, with the NUL */
    NAME_SIZE = 256,    /* bytes of a string of fsconfig(2), with the NUL */
};

/* Redirects and metacopies in a layer would be forged: they are neither made nor followed. An
 * index would tie the upper directory to one set of lower ones for nothing. */
static const struct {
    const char *name;
    const char *value;
} fixed_options[] = {
    {"index", "off"},
    {"metacopy", "off"},
    {"redirect_dir", "nofollow"},
};
enum { N_FIXED_OPTIONS = sizeof(fixed_options) / sizeof(fixed_options[0]) };

/* Overlayfs wants one lower directory at least. */
static size_t n_lower(const struct sl_overlay *overlay)
{
    return overlay->stack->n ? overlay->stack->n : 1;
}

static void lower_path(const struct sl_overlay *overlay, size_t i, char out[SL_STORE_PATH_MAX])
{
    if (overlay->stack->n)
        sl_store_path(out, "layers", &overlay->stack->layers[i].diff_id, "/fs");
    else
        (void)snprintf(out, SL_STORE_PATH_MAX, "mounts/%s/empty", overlay->id);
}

/* ---- fsopen(2) and its family ---- */

/* The kernel's own words, where it has some: "e overlay: ...". */
static int context_error(int context, int errnum, const char *what, struct sl_error *err)
{
    char words[SL_ERROR_MSG_MAX];
    ssize_t n;
    while ((n = read(context, words, sizeof(words) - 1)) > 0) {
        words[n] = '\0';
        if (words[0] == 'e' && words[1] == ' ')
            return sl_error_system(err, errnum, "%s: %s", what, words + 2);
    }
    return sl_error_system(err, errnum, "%s", what);
}

static int set_string(int context, const char *key, const char *value, struct sl_error *err)
{
    if (fsconfig(context, FSCONFIG_SET_STRING, key, value, 0) == 0)
        return 0;
    int errnum = errno;
    char what[NAME_SIZE + 64];
    (void)snprintf(what, sizeof(what), "overlay option %s=%s", key, value);
    return context_error(context, errnum, what, err);
}

/* 0 when this kernel has no lowerdir+ (documented since 6.8). */
static int add_lowers(const struct sl_overlay *overlay, int context, struct sl_error *err)
{
    char path[SL_STORE_PATH_MAX];
    lower_path(overlay, 0, path);
    if (fsconfig(context, FSCONFIG_SET_STRING, "lowerdir+", path, 0) < 0) {
        if (errno == EINVAL)
            return 0;
        return context_error(context, errno, "overlay option lowerdir+", err);
    }
    int r = 0;
    for (size_t i = 1; i < overlay->stack->n && r == 0; i++) {
        lower_path(overlay, i, path);
        r = set_string(context, "lowerdir+", path, err);
    }
    return r < 0 ? r : 1;
}

static int configure(const struct sl_overlay *overlay, int context, struct sl_error *err)
{
    char source[SL_MOUNT_SOURCE_MAX];
    char upper[NAME_SIZE];
    char work[NAME_SIZE];
    sl_mount_source(overlay->id, source);
    (void)snprintf(upper, sizeof(upper), "mounts/%s/upper", overlay->id);
    (void)snprintf(work, sizeof(work), "mounts/%s/work", overlay->id);
    int r = set_string(context, "source", source, err);
    if (r == 0)
        r = set_string(context, "upperdir", upper, err);
    if (r == 0)
        r = set_string(context, "workdir", work, err);
    for (size_t i = 0; i < N_FIXED_OPTIONS && r == 0; i++)
        r = set_string(context, fixed_options[i].name, fixed_options[i].value, err);
    if (r == 0 && overlay->read_only && fsconfig(context, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0)
        r = context_error(context, errno, "overlay option ro", err);
    if (r == 0 && fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        r = context_error(context, errno, "creating the overlay", err);
    return r;
}

/* 1 when it is mounted, 0 when this kernel does not know how. */
static int mount_by_context(const struct sl_overlay *overlay, struct sl_error *err)
{
    SL_AUTO_FD context = fsopen("overlay", FSOPEN_CLOEXEC);
    if (context < 0)
        return sl_error_system(err, errno, "opening overlayfs (is it in this kernel?)");
    int r = add_lowers(overlay, context, err);
    if (r <= 0)
        return r;
    r = configure(overlay, context, err);
    if (r < 0)
        return r;
    SL_AUTO_FD mount =
        fsmount(context, FSMOUNT_CLOEXEC, overlay->read_only ? MOUNT_ATTR_RDONLY : 0);
    if (mount < 0)
        return context_error(context, errno, "mounting the overlay", err);
    const unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    if (move_mount(mount, "", overlay->target, "", flags) < 0)
        return sl_error_system(err, errno, "attaching the overlay");
    return 1;
}

/* ---- mount(2) ---- */

/* Symlinks 0, 1, 2… to the layers: the shortest names there are. 500 of them fit. */
static int make_short_names(const struct sl_overlay *overlay, struct sl_error *err)
{
    if (mkdir("l", 0700) < 0 || chdir("l") < 0)
        return sl_error_system(err, errno, "creating mounts/%s/l", overlay->id);
    for (size_t i = 0; i < n_lower(overlay); i++) {
        char name[16];
        char path[SL_STORE_PATH_MAX];
        char to[SL_STORE_PATH_MAX + 16];
        lower_path(overlay, i, path);
        (void)snprintf(name, sizeof(name), "%zu", i);
        (void)snprintf(to, sizeof(to), "../../../%s", path);
        if (symlink(to, name) < 0)
            return sl_error_system(err, errno, "creating mounts/%s/l/%s", overlay->id, name);
    }
    return 0;
}

static int format_options(const struct sl_overlay *overlay, char options[OPTIONS_MAX],
                          struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    int r =
        sl_bytes_append(&text, sl_span_of("upperdir=../upper,workdir=../work"), OPTIONS_MAX, err);
    for (size_t i = 0; i < N_FIXED_OPTIONS && r == 0; i++) {
        char option[NAME_SIZE];
        (void)snprintf(option, sizeof(option), ",%s=%s", fixed_options[i].name,
                       fixed_options[i].value);
        r = sl_bytes_append(&text, sl_span_of(option), OPTIONS_MAX, err);
    }
    for (size_t i = 0; i < n_lower(overlay) && r == 0; i++) {
        char lower[32];
        (void)snprintf(lower, sizeof(lower), "%s%zu", i ? ":" : ",lowerdir=", i);
        r = sl_bytes_append(&text, sl_span_of(lower), OPTIONS_MAX - 1, err);
    }
    if (r == 0)
        memcpy(options, text.data, text.len + 1);
    return r;
}

static int mount_by_options(const struct sl_overlay *overlay, struct sl_error *err)
{
    char options[OPTIONS_MAX];
    char source[SL_MOUNT_SOURCE_MAX];
    char target[64];
    char dir[NAME_SIZE];
    (void)snprintf(dir, sizeof(dir), "mounts/%s", overlay->id);
    if (chdir(dir) < 0)
        return sl_error_system(err, errno, "entering %s", dir);
    int r = make_short_names(overlay, err);
    if (r == 0)
        r = format_options(overlay, options, err);
    if (r < 0)
        return r;
    sl_mount_source(overlay->id, source);
    (void)snprintf(target, sizeof(target), "/proc/thread-self/fd/%d", overlay->target);
    unsigned long flags = overlay->read_only ? MS_RDONLY : 0;
    if (mount(source, target, "overlay", flags, options) == 0)
        return 0;
    return sl_error_system(
        err, errno, "mounting the overlay (the kernel log may say more; options are %s)", options);
}

/* ---- the thread ---- */

struct mounter {
    const struct sl_overlay *overlay;
    struct sl_error *err;
    int r;
};

static int mount_overlay(const struct sl_overlay *overlay, struct sl_error *err)
{
    if (unshare(CLONE_FS) < 0 || fchdir(overlay->store->fd) < 0)
        return sl_error_system(err, errno, "entering %s", overlay->store->root);
    struct sl_error why = {.code = SL_OK};
    int r = overlay->no_lowerdir_plus ? 0 : mount_by_context(overlay, &why);
    /* A kernel, or a filter of system calls, may know a part of the family only. */
    if (r == 0 || r == -ENOSYS || r == -EPERM)
        return mount_by_options(overlay, err);
    if (r < 0 && err)
        *err = why;
    return r < 0 ? r : 0;
}

static void *run_mounter(void *arg)
{
    struct mounter *mounter = arg;
    mounter->r = mount_overlay(mounter->overlay, mounter->err);
    return NULL;
}

int sl_overlay_mount(const struct sl_overlay *overlay, struct sl_error *err)
{
    struct mounter mounter = {.overlay = overlay, .err = err};
    pthread_t thread;
    int errnum = pthread_create(&thread, NULL, run_mounter, &mounter);
    if (errnum)
        return sl_error_system(err, errnum, "starting the thread that mounts");
    (void)pthread_join(thread, NULL);
    return mounter.r;
}
