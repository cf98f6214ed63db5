/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offline_fs_kbc: keys and resources from files of the guest, each a table of its own. Secure only
 * where the file system is.
 */
#include "kbc_broker.h"
#include "offline_table.h"

#include "sluice/core/environment.h"
#include "sluice/core/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXTRA_FILES_VARIABLE "OFFLINE_FS_KBC_EXTRA_FILE_PATH" /* paths, separated by commas */

struct offline {
    struct sl_offline_table *keys, *resources;
    bool has_keys_file, has_resources_file;
};

static void offline_close(void *broker)
{
    struct offline *o = broker;
    if (!o)
        return;
    (void)sl_offline_table_free(o->keys);
    (void)sl_offline_table_free(o->resources);
    free(o);
}

/* Fills one table, or, given both, each with its part. */
static int load(const char *path, struct sl_offline_table *keys, struct sl_offline_table *resources,
                struct sl_error *err)
{
    bool is_both = keys && resources;
    struct sl_bytes text = {0};
    int r = sl_read_file(AT_FDCWD, path, SL_OFFLINE_FILE_MAX, &text, err);
    if (r < 0)
        return r;
    if (keys)
        r = sl_offline_table_add(keys, sl_bytes_span(&text),
                                 is_both ? SL_OFFLINE_KEKS : SL_OFFLINE_ALL, err);
    if (r == 0 && resources)
        r = sl_offline_table_add(resources, sl_bytes_span(&text),
                                 is_both ? SL_OFFLINE_OTHERS : SL_OFFLINE_ALL, err);
    sl_bytes_wipe(&text);
    return r < 0 ? sl_error_wrap(err, r, "%.200s", path) : 0;
}

/* A file that need not be there; whether it was is told in *ret_exists. */
static int load_optional(const char *path, struct sl_offline_table *keys,
                         struct sl_offline_table *resources, bool *ret_exists, struct sl_error *err)
{
    *ret_exists = access(path, F_OK) == 0 || errno != ENOENT;
    return *ret_exists ? load(path, keys, resources, err) : 0;
}

/* path NULL: the default, which is missed only when something is asked for. */
static int load_table(const char *path, const char *default_path, struct sl_offline_table *table,
                      bool *ret_has_file, struct sl_error *err)
{
    *ret_has_file = true;
    if (path)
        return load(path, table, NULL, err);
    return load_optional(default_path, table, NULL, ret_has_file, err);
}

/* An extra file does not say whether it holds keys or resources. What has the size of a KEK is
 * one, so that keys stay no resources. */
static int load_extra(struct offline *o, const char *path, struct sl_error *err)
{
    bool exists;
    int r = load_optional(path, o->keys, o->resources, &exists, err);
    if (!exists)
        sl_log(SL_LOG_WARN, "offline-fs-kbc: there is no extra file %.200s", path);
    return r;
}

static int load_extras(struct offline *o, const char *list, struct sl_error *err)
{
    int r = 0;
    while (r == 0 && *list) {
        size_t len = strcspn(list, ",");
        SL_AUTO_FREE char *path = strndup(list, len);
        if (!path)
            return sl_error_oom(err);
        if (len > 0)
            r = load_extra(o, path, err);
        list += len + (list[len] == ',');
    }
    return r;
}

/* A guest without encrypted images has none of them; what somebody named must be there. */
static int load_files(struct offline *o, const struct sl_kbc_options *options, struct sl_error *err)
{
    const char *extras = sl_environment_get(EXTRA_FILES_VARIABLE);
    int r =
        load_table(options->offline_keys, SL_OFFLINE_KEYS_PATH, o->keys, &o->has_keys_file, err);
    if (r == 0)
        r = load_table(options->offline_resources, SL_OFFLINE_RESOURCES_PATH, o->resources,
                       &o->has_resources_file, err);
    if (r == 0 && extras)
        r = load_extras(o, extras, err);
    return r;
}

static int offline_open(const struct sl_kbc_options *options, const char *uri, void **ret,
                        struct sl_error *err)
{
    (void)uri; /* "null" */
    struct offline *o = calloc(1, sizeof(*o));
    if (!o)
        return sl_error_oom(err);
    int r = sl_offline_table_new("key", &o->keys, err);
    if (r == 0)
        r = sl_offline_table_new("resource", &o->resources, err);
    if (r == 0)
        r = load_files(o, options, err);
    if (r < 0)
        offline_close(o);
    else
        *ret = o;
    return r;
}

static int offline_get_kek(void *broker, const struct sl_resource_uri *uri, struct sl_bytes *ret,
                           struct sl_error *err)
{
    const struct offline *o = broker;
    int r = sl_offline_table_get(o->keys, uri->path, ret, err);
    if (r != -ENOENT)
        return r;
    return sl_error_set(err, SL_E_AUTH, ENOKEY, "Received unknown key ID: %.200s; %s", uri->path,
                        o->has_keys_file ? "add it to the keys file"
                                         : "there is no " SL_OFFLINE_KEYS_PATH);
}

static int offline_get_resource(void *broker, const struct sl_resource_uri *uri,
                                struct sl_bytes *ret, struct sl_error *err)
{
    const struct offline *o = broker;
    int r = sl_offline_table_get(o->resources, uri->path, ret, err);
    if (r != -ENOENT)
        return r;
    return sl_error_set(err, SL_E_AUTH, ENOENT, "Received unknown resource name: %.200s; %s",
                        uri->path,
                        o->has_resources_file ? "add it to the resources file"
                                              : "there is no " SL_OFFLINE_RESOURCES_PATH);
}

const struct sl_kbc_broker sl_kbc_offline_fs = {
    .name = "offline_fs_kbc",
    .label = "offline-fs-kbc",
    .open = offline_open,
    .close = offline_close,
    .get_kek = offline_get_kek,
    .get_resource = offline_get_resource,
};
