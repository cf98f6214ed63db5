/* SPDX-License-Identifier: Apache-2.0 */
#include "certs_dir.h"

#include "sluice/core/environment.h"
#include "sluice/core/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ROOTS_MAX = 4 * 1024 * 1024, /* bytes of all *.crt together */
    ENTRIES_MAX = 1024,          /* files of one folder */
    HOST_MAX = 512,
};

void sl_registry_certs_done(struct sl_registry_certs *certs)
{
    sl_bytes_done(&certs->roots);
    free(certs->client_cert);
    free(certs->client_key);
    *certs = (struct sl_registry_certs){0};
}

struct folder {
    int fd;
    const char *path;
    struct sl_registry_certs *certs;
};

static bool has_ending(const char *name, const char *ending)
{
    size_t len = strlen(name), end_len = strlen(ending);
    return len > end_len && strcmp(name + len - end_len, ending) == 0;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_roots(const struct folder *f, const char *name, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) pem = {0};
    int r = sl_read_file(f->fd, name, ROOTS_MAX, &pem, err);
    if (r == 0 && !strstr(pem.data ? (const char *)pem.data : "", "-----BEGIN "))
        r = sl_error_set(err, SL_E_FORMAT, EINVAL, "%s: holds no certificate in PEM form", name);
    if (r == 0)
        r = sl_bytes_append(&f->certs->roots, sl_bytes_span(&pem), ROOTS_MAX, err);
    if (r == 0) /* the file may end without a line end */
        r = sl_bytes_append(&f->certs->roots, sl_span_of("\n"), ROOTS_MAX, err);
    return r;
}

/* The partner of NAME.cert or NAME.key must be there; the first pair is the one used. */
static int add_pair(const struct folder *f, const char *name, bool is_cert, struct sl_error *err)
{
    int stem = (int)(strrchr(name, '.') - name);
    SL_AUTO_FREE char *cert = sl_strf("%s/%.*s.cert", f->path, stem, name);
    SL_AUTO_FREE char *key = sl_strf("%s/%.*s.key", f->path, stem, name);
    if (!cert || !key)
        return sl_error_oom(err);
    if (access(is_cert ? key : cert, F_OK) < 0)
        return sl_error_set(err, SL_E_FORMAT, ENOENT,
                            "%s has no %.*s.%s beside it: a client certificate needs both "
                            "(certificates of an authority end in .crt)",
                            name, stem, name, is_cert ? "key" : "cert");
    if (!is_cert)
        return 0;
    if (f->certs->client_cert) {
        sl_log(SL_LOG_DEBUG, "%s is not used: %s comes first", cert, f->certs->client_cert);
        return 0;
    }
    f->certs->client_cert = sl_steal(&cert);
    f->certs->client_key = sl_steal(&key);
    return 0;
}

static int add_entry(const struct folder *f, const char *name, struct sl_error *err)
{
    if (has_ending(name, ".crt"))
        return add_roots(f, name, err);
    if (has_ending(name, ".cert"))
        return add_pair(f, name, true, err);
    if (has_ending(name, ".key"))
        return add_pair(f, name, false, err);
    return 0;
}

static int read_folder(int fd, const char *path, struct sl_registry_certs *ret,
                       struct sl_error *err)
{
    SL_AUTO_DONE(sl_registry_certs) certs = {0};
    struct folder f = {fd, path, &certs};
    struct dirent **entries = NULL;
    int n = scandirat(fd, ".", &entries, is_visible, by_name);
    if (n < 0)
        return sl_error_system(err, errno, "%s", path);
    int r = n <= ENTRIES_MAX
                ? 0
                : sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d files", (int)ENTRIES_MAX);
    for (int i = 0; i < n; i++) {
        if (r == 0)
            r = add_entry(&f, entries[i]->d_name, err);
        free(entries[i]);
    }
    free(entries);
    if (r < 0)
        return sl_error_wrap(err, r, "%s", path);
    *ret = certs;
    certs = (struct sl_registry_certs){0};
    return 0;
}

/* The host becomes the name of a folder. */
static bool is_host_ok(const char *host)
{
    size_t len = strlen(host);
    return len > 0 && len <= HOST_MAX && !strchr(host, '/') && strspn(host, ".") < len;
}

int sl_registry_certs_search(const char *const *folders, const char *host,
                             struct sl_registry_certs *ret, struct sl_error *err)
{
    if (!is_host_ok(host))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "\"%.64s\" is not a host", host);
    for (; *folders; folders++) {
        SL_AUTO_FREE char *path = sl_strf("%s/%s", *folders, host);
        if (!path)
            return sl_error_oom(err);
        SL_AUTO_FD fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0)
            return read_folder(fd, path, ret, err);
        if (errno != ENOENT && errno != ENOTDIR)
            return sl_error_system(err, errno, "%s", path);
    }
    return 0;
}

int sl_registry_certs_load(const char *cert_dir, const char *host, struct sl_registry_certs *ret,
                           struct sl_error *err)
{
    if (cert_dir) {
        SL_AUTO_FD fd = open(cert_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? sl_error_system(err, errno, "certificate folder %s", cert_dir)
                      : read_folder(fd, cert_dir, ret, err);
    }
    const char *home = sl_environment_dir("HOME");
    SL_AUTO_FREE char *own = sl_strf("%s/.config/containers/certs.d", home ? home : "");
    if (!own)
        return sl_error_oom(err);
    const char *folders[] = {own, "/etc/containers/certs.d", "/etc/docker/certs.d", NULL};
    return sl_registry_certs_search(home ? folders : folders + 1, host, ret, err);
}
