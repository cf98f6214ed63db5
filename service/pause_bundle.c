/* SPDX-License-Identifier: Apache-2.0 */
#include "pause_bundle.h"

#include "sluice/core/toml.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANIFEST "etc/kata-extensions/components.toml"
#define CONFIG "config.json"

enum {
    CONFIG_MAX = 1024 * 1024,
    PROGRAM_MAX = 16 * 1024 * 1024,
    MANIFEST_VERSION = 1,
    FOLDER_MODE = 0755,
};

/* ---- where it lies ---- */

/* 1 when something is mounted there, or it looks as if. */
static int has_extension(const char *root)
{
    struct stat here, above;
    SL_AUTO_FREE char *parent = sl_strf("%s/..", root);
    SL_AUTO_FREE char *manifest = sl_strf("%s/" MANIFEST, root);
    if (!parent || !manifest)
        return -ENOMEM;
    if (stat(root, &here) < 0 || stat(parent, &above) < 0)
        return 0;
    return here.st_dev != above.st_dev || access(manifest, F_OK) == 0;
}

static int read_manifest(int root_fd, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO_FD fd = -1;
    int r = sl_beneath_open_file(root_fd, MANIFEST, O_RDONLY, /* mode= */ 0, &fd, err);
    if (r < 0)
        return r;
    SL_AUTO_FREE char *path = sl_strf("/proc/self/fd/%d", fd);
    return path ? sl_read_file(AT_FDCWD, path, SL_TOML_MAX, ret, err) : sl_error_oom(err);
}

/* The path of the bundle below the extension's root; the manifest may give it with that root. */
static int bundle_of_manifest(struct sl_span text, const char *root, char **ret,
                              struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    int64_t version = 0;
    int r = sl_toml_parse(text, "components.toml", &doc, err);
    if (r < 0)
        return r;
    const struct sl_json *top = sl_json_root(doc);
    if (!sl_json_int64(sl_json_get(top, "schema_version"), &version) || version != MANIFEST_VERSION)
        return sl_error_set(err, SL_E_UNSUPPORTED, EOPNOTSUPP,
                            "components.toml: schema_version is not %d", MANIFEST_VERSION);
    const char *path = sl_json_string(sl_json_get(sl_json_get(top, "paths"), "pause-bundle"));
    if (!path)
        return sl_error_set(err, SL_E_FORMAT, ENOENT, "components.toml: no paths.pause-bundle");
    size_t len = strlen(root);
    if (strncmp(path, root, len) == 0 && path[len] == '/')
        path += len;
    r = sl_beneath_check(path, err);
    if (r < 0)
        return r;
    *ret = strdup(path);
    return *ret ? 0 : sl_error_oom(err);
}

static int open_of_extension(const char *root, int *ret_fd, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    SL_AUTO_FREE char *path = NULL;
    SL_AUTO_FD root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return sl_error_system(err, errno, "opening %s", root);
    int r = read_manifest(root_fd, &text, err);
    if (r == 0)
        r = bundle_of_manifest(sl_bytes_span(&text), root, &path, err);
    if (r == 0)
        r = sl_beneath_open_dir(root_fd, path, /* mode= */ 0, /* made= */ NULL, ret_fd, err);
    return r < 0 ? sl_error_wrap(err, r, "extension %s", root) : 0;
}

/* An extension that is there and does not say where its bundle is, is an error: the guest's own one
 * may not be what was measured with it. */
static int open_source(const struct sl_pause_options *o, int *ret_fd, struct sl_error *err)
{
    const char *extension = o->extension ? o->extension : SL_COCO_EXTENSION;
    int r = has_extension(extension);
    if (r < 0)
        return sl_error_oom(err);
    if (r > 0)
        return open_of_extension(extension, ret_fd, err);
    int fd = o->bundle ? open(o->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0)
        return sl_error_set(err, SL_E_SYSTEM, ENOENT,
                            "the guest has no pause bundle at %.300s, and the pause image is never "
                            "pulled (sluice.pause_bundle names another place)",
                            o->bundle ? o->bundle : "a configured place");
    *ret_fd = fd;
    return 0;
}

/* ---- what is copied ---- */

static int read_config(int source_fd, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO_FD fd = -1;
    int r = sl_beneath_open_file(source_fd, CONFIG, O_RDONLY, /* mode= */ 0, &fd, err);
    if (r < 0)
        return r;
    SL_AUTO_FREE char *path = sl_strf("/proc/self/fd/%d", fd);
    return path ? sl_read_file(AT_FDCWD, path, CONFIG_MAX, ret, err) : sl_error_oom(err);
}

/* "rootfs/<process.args[0]>" */
static int program_of_config(struct sl_span text, char **ret, struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = sl_json_parse(text, CONFIG, /* limits= */ NULL, &doc, err);
    if (r < 0)
        return r;
    const struct sl_json *process = sl_json_get(sl_json_root(doc), "process");
    const char *arg = sl_json_string(sl_json_at(sl_json_get(process, "args"), 0));
    if (!arg)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, CONFIG ": no process.args[0]");
    r = sl_beneath_check(arg, err);
    if (r < 0)
        return sl_error_wrap(err, r, CONFIG ": process.args[0]");
    *ret = sl_strf("rootfs/%s", arg + strspn(arg, "/"));
    return *ret ? 0 : sl_error_oom(err);
}

static int read_program(int source_fd, const char *path, struct sl_bytes *ret, mode_t *ret_mode,
                        struct sl_error *err)
{
    struct stat st;
    SL_AUTO_FD fd = -1;
    int r = sl_beneath_open_file(source_fd, path, O_RDONLY | O_NONBLOCK, /* mode= */ 0, &fd, err);
    if (r < 0)
        return r;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "'%s' is no file", path);
    SL_AUTO_FREE char *self = sl_strf("/proc/self/fd/%d", fd);
    *ret_mode = st.st_mode & 0777; /* and no setuid */
    return self ? sl_read_file(AT_FDCWD, self, PROGRAM_MAX, ret, err) : sl_error_oom(err);
}

/* What was made for the program goes with it; what was there stays. */
static void undo_program(int bundle_fd, const char *path, const struct sl_beneath_made *made)
{
    if (!made->n)
        return;
    (void)unlinkat(bundle_fd, path, 0);
    sl_beneath_undo(bundle_fd, path, made);
}

static int copy_program(int source_fd, const char *path, int bundle_fd,
                        struct sl_beneath_made *made, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) program = {0};
    SL_AUTO_FD dir_fd = -1;
    mode_t mode = 0;
    int r = read_program(source_fd, path, &program, &mode, err);
    if (r < 0)
        return r;
    const char *base = strrchr(path, '/') + 1; /* "rootfs/" is before it */
    SL_AUTO_FREE char *folder = strndup(path, (size_t)(base - path));
    if (!folder)
        return sl_error_oom(err);
    r = sl_beneath_open_dir(bundle_fd, folder, FOLDER_MODE, made, &dir_fd, err);
    return r < 0 ? r : sl_replace_file(dir_fd, base, sl_bytes_span(&program), mode, err);
}

static int copy(int source_fd, int bundle_fd, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) config = {0};
    SL_AUTO_FREE char *program = NULL;
    struct sl_beneath_made made = {0};
    int r = read_config(source_fd, &config, err);
    if (r == 0)
        r = program_of_config(sl_bytes_span(&config), &program, err);
    if (r == 0)
        r = copy_program(source_fd, program, bundle_fd, &made, err);
    if (r == 0) /* the last, so that a bundle with it is whole */
        r = sl_replace_file(bundle_fd, CONFIG, sl_bytes_span(&config), 0644, err);
    if (r < 0 && program)
        undo_program(bundle_fd, program, &made);
    return r;
}

int sl_pause_bundle_copy(const struct sl_pause_options *options, struct sl_bundle_path *to,
                         struct sl_error *err)
{
    SL_AUTO_FD source_fd = -1;
    SL_AUTO_FD bundle_fd = -1;
    int r = open_source(options, &source_fd, err);
    if (r == 0)
        r = sl_bundle_path_make(to, &bundle_fd, err);
    if (r < 0)
        return r;
    r = copy(source_fd, bundle_fd, err);
    if (r < 0)
        sl_bundle_path_undo(to);
    return r < 0 ? sl_error_wrap(err, r, "pause bundle") : 0;
}
