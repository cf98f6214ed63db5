/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/resource.h"

#include <fcntl.h>
#include <string.h>

static bool has_scheme(const char *name, const char *scheme)
{
    return strncmp(name, scheme, strlen(scheme)) == 0;
}

static int get_file(const char *name, size_t limit, struct sl_bytes *ret, struct sl_error *err)
{
    static const char scheme[] = "file://";
    const char *path = has_scheme(name, scheme) ? name + strlen(scheme) : name;
    if (path != name && path[0] != '/')
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "%.200s: a file:// name needs an absolute path, as in file:///etc/x",
                            name);
    return sl_read_file(AT_FDCWD, path, limit, ret, err);
}

static int get_from_broker(struct sl_kbc *kbc, const char *name, size_t limit, struct sl_bytes *ret,
                           struct sl_error *err)
{
    if (!kbc)
        return sl_error_set(err, SL_E_AUTH, ENOKEY,
                            "%.200s: no key broker to ask, name one with --kbc", name);
    struct sl_bytes bytes = {0};
    int r = sl_kbc_get_resource(kbc, name, &bytes, err);
    if (r >= 0 && bytes.len > limit)
        r = sl_error_set(err, SL_E_LIMIT, E2BIG, "%.200s has %zu bytes, the limit is %zu", name,
                         bytes.len, limit);
    if (r < 0) {
        sl_bytes_wipe(&bytes);
        return r;
    }
    *ret = bytes;
    return 0;
}

/* Whether it begins like a URI: then it is no path, and no path is tried. */
static bool looks_like_uri(const char *name)
{
    const char *sep = strstr(name, "://");
    size_t len = sep ? (size_t)(sep - name) : 0;
    return sep && len > 0 && strcspn(name, "/") > len;
}

int sl_resource_get(const struct sl_resources *resources, const char *name, size_t limit,
                    struct sl_bytes *ret, struct sl_error *err)
{
    struct sl_bytes bytes = {0};
    int r;
    if (has_scheme(name, "kbs://") || has_scheme(name, "kbs+"))
        r = get_from_broker(resources->kbc, name, limit, &bytes, err);
    else if (looks_like_uri(name) && !has_scheme(name, "file://"))
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "%.200s: resources are paths, file:///PATH or kbs:///R/T/T", name);
    else
        r = get_file(name, limit, &bytes, err);
    if (r < 0)
        return r;
    if (bytes.len == 0) {
        sl_bytes_wipe(&bytes);
        return sl_error_set(err, SL_E_FORMAT, ENODATA, "%.200s is empty", name);
    }
    *ret = bytes;
    return 0;
}
