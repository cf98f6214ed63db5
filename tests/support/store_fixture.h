/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a directory of its own, and layers made by hand. For cmocka tests. */
#pragma once

#include "store_dir.h"

#include "remove_tree.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

static const struct sl_gate_pass *const test_pass = (const struct sl_gate_pass *)"a test's";

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        struct sl_error e_ = {.code = SL_OK};                                                      \
        struct sl_error *const ok_err = &e_;                                                       \
        int r_ = (call);                                                                           \
        if (r_ != 0)                                                                               \
            fail_msg("%s: %d: %s", #call, r_, e_.msg);                                             \
    } while (0)

struct store_fixture {
    char dir[256];
    char *root;
    struct sl_store *store;
};

/* root_name is below a new directory of base. */
static inline struct store_fixture *fixture_new(const char *base, const char *root_name)
{
    struct store_fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    (void)snprintf(f->dir, sizeof(f->dir), "%s/sl-store-XXXXXX", base);
    assert_non_null(mkdtemp(f->dir));
    f->root = sl_strf("%s/%s", f->dir, root_name);
    assert_non_null(f->root);
    assert_ok(sl_store_open(f->root, &f->store, ok_err));
    return f;
}

static inline void fixture_free(struct store_fixture *f)
{
    sl_store_close(f->store);
    char *slash = strrchr(f->dir, '/');
    *slash = '\0';
    SL_AUTO_FD base = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_ok(sl_remove_tree(base, slash + 1, ok_err));
    free(f->root);
    free(f);
}

static inline void fixture_reopen(struct store_fixture *f)
{
    f->store = sl_store_close(f->store);
    assert_ok(sl_store_open(f->root, &f->store, ok_err));
}

static inline struct sl_digest digest_of(unsigned kind, unsigned n)
{
    struct sl_digest digest = {.alg = SL_SHA256};
    digest.bytes[0] = (uint8_t)kind;
    digest.bytes[30] = (uint8_t)(n >> 8);
    digest.bytes[31] = (uint8_t)n;
    return digest;
}
static inline struct sl_digest layer_id(unsigned n)
{
    return digest_of(0xaa, n);
}
static inline struct sl_digest blob_id(unsigned n)
{
    return digest_of(0xbb, n);
}
static inline struct sl_digest image_id(unsigned n)
{
    return digest_of(0xcc, n);
}

static inline void put_file(int dir, const char *path, const char *text)
{
    SL_AUTO_FD fd = openat(dir, path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static inline void assert_text(int dir, const char *path, const char *text)
{
    SL_AUTO_DONE(sl_bytes) read = {0};
    assert_ok(sl_read_file(dir, path, 1 << 20, &read, ok_err));
    assert_string_equal((const char *)read.data, text);
}

static inline bool is_there(int dir, const char *path)
{
    struct stat st;
    return fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* An entry of a layer: 'd' a directory, 'i' one that is not described, 'o' one that is opaque, 'O'
 * both, 'f' a file with its path as text, 'w' a whiteout, 'l' a symlink to "f". */
struct entry {
    char type;
    const char *path;
    unsigned mode;
};

static inline void put_whiteout(struct sl_staged_layer *staged, const char *path)
{
    const char *slash = strrchr(path, '/');
    const struct sl_span dir = {(const uint8_t *)path, slash ? (size_t)(slash - path) : 0};
    assert_int_equal(mknodat(sl_staged_layer_fd(staged), path, S_IFCHR, makedev(0, 0)), 0);
    assert_ok(sl_staged_layer_add_whiteout_dir(staged, dir, ok_err));
}

static inline void put_entry(struct sl_staged_layer *staged, const struct entry *e)
{
    int fs = sl_staged_layer_fd(staged);
    const char *path = e->path[0] ? e->path : ".";
    if (e->type == 'f')
        put_file(fs, path, e->path);
    else if (e->type == 'w')
        put_whiteout(staged, path);
    else if (e->type == 'l')
        assert_int_equal(symlinkat("f", fs, path), 0);
    else if (e->path[0])
        assert_int_equal(mkdirat(fs, path, 0755), 0);
    if (e->type == 'i' || e->type == 'O')
        assert_ok(sl_staged_layer_add_implicit(staged, sl_span_of(e->path), ok_err));
    if (e->mode)
        assert_int_equal(fchmodat(fs, path, e->mode, 0), 0);
    if (e->type == 'o' || e->type == 'O') {
        SL_AUTO_FD fd = openat(fs, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0), 0);
    }
}

static inline struct sl_layer_commit new_commit(struct sl_staged_layer *staged, unsigned layer,
                                                unsigned blob)
{
    struct sl_layer_commit commit = {.staged = staged,
                                     .record = {.blob = blob_id(blob), .diff_id = layer_id(layer)}};
    memset(commit.record.key_check, (int)blob, sizeof(commit.record.key_check));
    return commit;
}

static inline int commit_as(struct sl_staged_layer *staged, unsigned layer, unsigned blob,
                            struct sl_error *err)
{
    struct sl_layer_commit commit = new_commit(staged, layer, blob);
    sl_layers_commit(&commit, test_pass);
    if (commit.result < 0)
        *err = commit.error;
    return commit.result;
}

static inline void put_layer(struct sl_store *store, unsigned n, const struct entry *entries,
                             size_t n_entries)
{
    SL_AUTO(sl_staged_layer) staged = NULL;
    assert_ok(sl_staged_layer_new(store, &staged, ok_err));
    for (size_t i = 0; i < n_entries; i++)
        put_entry(staged, &entries[i]);
    assert_ok(commit_as(staged, n, n, ok_err));
}
#define PUT_LAYER(store, n, ...)                                                                   \
    put_layer(store, n, (const struct entry[]){__VA_ARGS__},                                       \
              sizeof((const struct entry[]){__VA_ARGS__}) / sizeof(struct entry))

/* The layers are bottom first; the record is to be freed. */
static inline struct sl_image_record *new_image(unsigned n, const char *name,
                                                const unsigned *layers, size_t n_layers)
{
    struct sl_image_record *image = calloc(1, sizeof(*image));
    assert_non_null(image);
    image->name = name ? strdup(name) : NULL;
    image->manifest = image_id(n);
    image->config = digest_of(0xdd, n);
    image->diff_ids = calloc(n_layers ? n_layers : 1, sizeof(*image->diff_ids));
    for (size_t i = 0; i < n_layers; i++)
        image->diff_ids[i] = layer_id(layers[i]);
    image->n_layers = n_layers;
    image->size = 12345;
    image->pulled = 1700000000;
    assert_ok(sl_bytes_append(&image->config_json, sl_span_of("{\"os\": \"linux\"}"), 100, ok_err));
    return image;
}
#define NEW_IMAGE(n, name, ...)                                                                    \
    new_image(n, name, (const unsigned[]){__VA_ARGS__},                                            \
              sizeof((const unsigned[]){__VA_ARGS__}) / sizeof(unsigned))

static inline void free_list(struct sl_image_record **images)
{
    for (size_t i = 0; images[i]; i++)
        (void)sl_image_record_free(images[i]);
    free(images);
}

static inline int count_one(void *arg, const char *name, struct sl_error *err)
{
    (void)name;
    (void)err;
    (*(unsigned *)arg)++;
    return 0;
}
static inline unsigned count_names(struct sl_store *store, const char *dir)
{
    unsigned n = 0;
    assert_ok(sl_store_each_name(store, dir, count_one, &n, ok_err));
    return n;
}
