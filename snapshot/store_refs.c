/* SPDX-License-Identifier: Apache-2.0 */
#include "store_refs.h"

#include "store_records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    REF_FILE_NAME_MAX = 200,    /* bytes of an escaped name; longer ones go by their hash */
    REF_RECORD_MAX = 64 * 1024, /* bytes */
};

static bool is_plain(unsigned char c, bool is_first)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return true;
    return strchr("-_:@+", c) || (c == '.' && !is_first);
}

static bool escape(const char *name, char *out, size_t size)
{
    size_t used = 0;
    for (const char *p = name; *p; p++) {
        unsigned char c = (unsigned char)*p;
        size_t need = is_plain(c, p == name) ? 1 : 3;
        if (used + need >= size)
            return false;
        (void)snprintf(out + used, size - used, need == 1 ? "%c" : "%%%02X", c);
        used += need;
    }
    out[used] = '\0';
    return true;
}

int sl_ref_path(const char *name, char out[NAME_MAX + 1], struct sl_error *err)
{
    char file[REF_FILE_NAME_MAX + 1];
    if (!name[0])
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "an image cannot have an empty name");
    if (!escape(name, file, sizeof(file))) {
        struct sl_digest digest;
        char hex[2 * SL_DIGEST_MAX + 1];
        int r = sl_digest_of(SL_SHA256, sl_span_of(name), &digest, err);
        if (r < 0)
            return r;
        sl_digest_hex(&digest, hex);
        /* No escaped name begins like this: l is not a hex digit. */
        (void)snprintf(file, sizeof(file), "%%long-%s", hex);
    }
    (void)snprintf(out, NAME_MAX + 1, "refs/%s", file);
    return 0;
}

/* 0 also when it vanished. */
static int read_ref(const struct sl_store *store, const char *path, char **ret_name,
                    struct sl_digest *ret, struct sl_error *err)
{
    int r = sl_store_has(store, path, err);
    if (r <= 0)
        return r;
    SL_AUTO_DONE(sl_bytes) text = {0};
    SL_AUTO_FREE char *name = NULL;
    r = sl_read_file(store->fd, path, REF_RECORD_MAX, &text, err);
    if (r == -ENOENT)
        return 0;
    char expected[NAME_MAX + 1];
    struct sl_digest manifest;
    if (r == 0)
        r = sl_ref_record_parse(sl_bytes_span(&text), &name, &manifest, err);
    if (r == 0)
        r = sl_ref_path(name, expected, err);
    if (r == 0 && strcmp(expected, path) != 0)
        r = sl_error_set(err, SL_E_FORMAT, EINVAL, "\"name\" is not the one of the file name");
    if (r < 0)
        return sl_error_wrap(err, r, "%s/%s is damaged (remove it and pull the image again)",
                             store->root, path);
    *ret_name = sl_steal(&name);
    *ret = manifest;
    return 1;
}

int sl_ref_find(const struct sl_store *store, const char *name, struct sl_digest *ret,
                struct sl_error *err)
{
    char path[NAME_MAX + 1];
    SL_AUTO_FREE char *found = NULL;
    int r = sl_ref_path(name, path, err);
    return r < 0 ? r : read_ref(store, path, &found, ret, err);
}

struct ref_walk {
    const struct sl_store *store;
    sl_ref_fn fn;
    void *arg;
};

static int visit_ref(void *arg, const char *file, struct sl_error *err)
{
    const struct ref_walk *walk = arg;
    SL_AUTO_FREE char *path = sl_strf("refs/%s", file);
    SL_AUTO_FREE char *name = NULL;
    struct sl_digest manifest;
    if (!path)
        return sl_error_oom(err);
    int r = read_ref(walk->store, path, &name, &manifest, err);
    return r <= 0 ? r : walk->fn(walk->arg, path, name, &manifest, err);
}

int sl_ref_each(const struct sl_store *store, sl_ref_fn fn, void *arg, struct sl_error *err)
{
    struct ref_walk walk = {store, fn, arg};
    return sl_store_each_name(store, "refs", visit_ref, &walk, err);
}
