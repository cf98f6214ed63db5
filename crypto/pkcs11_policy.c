/* SPDX-License-Identifier: Apache-2.0 */
#include "pkcs11_policy.h"

#include "sluice/core/environment.h"
#include "sluice/core/yaml.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CONFIG_MAX = 256 * 1024, CONFIG_DEPTH = 8 };

#if defined(__x86_64__)
#define MULTIARCH "x86_64-linux-gnu"
#elif defined(__aarch64__)
#define MULTIARCH "aarch64-linux-gnu"
#elif defined(__s390x__)
#define MULTIARCH "s390x-linux-gnu"
#elif defined(__powerpc64__)
#define MULTIARCH "powerpc64le-linux-gnu"
#else
#define MULTIARCH "unknown-linux-gnu"
#endif

/* Where distributions put modules. */
static const char *const builtin[] = {
    "/usr/lib64/pkcs11/",
    "/usr/lib/pkcs11/",
    "/usr/local/lib/pkcs11/",
    "/usr/lib/softhsm/",
    "/usr/lib/" MULTIARCH "/softhsm/",
    "/usr/lib/" MULTIARCH "/pkcs11/",
};

static void paths_done(struct sl_pkcs11_paths *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->paths[i]);
    list->n = 0;
}

void sl_pkcs11_policy_done(struct sl_pkcs11_policy *policy)
{
    paths_done(&policy->directories);
    paths_done(&policy->allowed);
}

static int add_path(struct sl_pkcs11_paths *list, const char *path, struct sl_error *err)
{
    if (list->n == SL_PKCS11_PATHS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d paths", SL_PKCS11_PATHS_MAX);
    char *copy = strdup(path);
    if (!copy)
        return sl_error_oom(err);
    list->paths[list->n++] = copy;
    return 0;
}

static int read_paths(const struct sl_json *section, const char *name, struct sl_pkcs11_paths *ret,
                      struct sl_error *err)
{
    const struct sl_json *list = sl_json_get(section, name);
    if (sl_json_type(list) != SL_JSON_NULL && sl_json_type(list) != SL_JSON_ARRAY)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "%s is no list", name);
    int r = 0;
    for (size_t i = 0; r == 0 && i < sl_json_count(list); i++) {
        const char *path = sl_json_string(sl_json_at(list, i));
        r = path && *path == '/'
                ? add_path(ret, path, err)
                : sl_error_set(err, SL_E_FORMAT, EBADMSG, "%s[%zu] is no absolute path", name, i);
    }
    return r;
}

int sl_pkcs11_policy_parse(struct sl_span text, struct sl_pkcs11_policy *ret, struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    SL_AUTO_DONE(sl_pkcs11_policy) policy = {0};
    const struct sl_json_limits limits = {.size = CONFIG_MAX, .depth = CONFIG_DEPTH};
    int r = sl_yaml_parse(text, "PKCS11 configuration", &limits, &doc, err);
    if (r < 0)
        return r;
    const struct sl_json *section = sl_json_get(sl_json_root(doc), "pkcs11");
    r = read_paths(section, "module-directories", &policy.directories, err);
    if (r == 0)
        r = read_paths(section, "allowed-module-paths", &policy.allowed, err);
    if (r < 0)
        return sl_error_wrap(err, r, "PKCS11 configuration");
    *ret = policy;
    policy = (struct sl_pkcs11_policy){0};
    return 0;
}

int sl_pkcs11_policy_builtin(struct sl_pkcs11_policy *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_pkcs11_policy) policy = {0};
    for (size_t i = 0; i < sizeof(builtin) / sizeof(builtin[0]); i++) {
        int r = add_path(&policy.directories, builtin[i], err);
        if (r == 0)
            r = add_path(&policy.allowed, builtin[i], err);
        if (r < 0)
            return r;
    }
    *ret = policy;
    policy = (struct sl_pkcs11_policy){0};
    return 0;
}

static int load_file(const char *path, struct sl_pkcs11_policy *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    int r = sl_read_file(AT_FDCWD, path, CONFIG_MAX, &text, err);
    if (r < 0)
        return r;
    r = sl_pkcs11_policy_parse(sl_bytes_span(&text), ret, err);
    return r < 0 ? sl_error_wrap(err, r, "%s", path) : 0;
}

/* A file that need not exist: 1 if it does not. */
static int load_optional(const char *folder, const char *name, struct sl_pkcs11_policy *ret,
                         struct sl_error *err)
{
    if (!folder)
        return 1;
    SL_AUTO_FREE char *path = sl_strf("%s/%s", folder, name);
    if (!path)
        return sl_error_oom(err);
    struct stat st;
    if (stat(path, &st) < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 1;
    return load_file(path, ret, err);
}

int sl_pkcs11_policy_load(struct sl_pkcs11_policy *ret, struct sl_error *err)
{
    const char *config = sl_environment_get("OCICRYPT_CONFIG");
    if (config && strcmp(config, "internal") == 0)
        return sl_pkcs11_policy_builtin(ret, err);
    if (config)
        return load_file(config, ret, err);
    int r = load_optional(sl_environment_dir("XDG_CONFIG_HOME"), "ocicrypt.conf", ret, err);
    if (r == 1)
        r = load_optional(sl_environment_dir("HOME"), ".config/ocicrypt.conf", ret, err);
    if (r == 1)
        r = load_optional("/etc", "ocicrypt.conf", ret, err);
    return r == 1 ? sl_pkcs11_policy_builtin(ret, err) : r;
}

/* ---- finding a module ---- */

static bool is_allowed(const struct sl_pkcs11_policy *policy, const char *path)
{
    for (size_t i = 0; i < policy->allowed.n; i++) {
        const char *allowed = policy->allowed.paths[i];
        size_t len = strlen(allowed);
        if (strcmp(path, allowed) == 0)
            return true;
        if (allowed[len - 1] == '/' && strncmp(path, allowed, len) == 0 && !strchr(path + len, '/'))
            return true;
    }
    return false;
}

static int check_allowed(const struct sl_pkcs11_policy *policy, char **pathp, char **ret,
                         struct sl_error *err)
{
    if (!is_allowed(policy, *pathp))
        return sl_error_set(err, SL_E_POLICY, EPERM,
                            "PKCS#11 module %s is not allowed (allowed-module-paths of "
                            "ocicrypt.conf, OCICRYPT_CONFIG)",
                            *pathp);
    *ret = sl_steal(pathp);
    return 0;
}

static bool is_named(const char *file, const char *name)
{
    const char *at = strcasestr(file, name);
    return at && (!at[strlen(name)] || at[strlen(name)] == '.');
}

/* The alphabetically first fitting file; NULL when there is none, or no such directory. */
static char *find_in(const char *directory, const char *name)
{
    char *best = NULL;
    DIR *dir = opendir(directory);
    const struct dirent *entry = NULL;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): each stream is read by one thread */
    while (dir && (entry = readdir(dir)))
        if (is_named(entry->d_name, name) && (!best || strcmp(entry->d_name, best) < 0)) {
            free(best);
            best = strdup(entry->d_name);
        }
    if (dir)
        closedir(dir);
    const char *slash = directory[strlen(directory) - 1] == '/' ? "" : "/";
    char *path = best ? sl_strf("%s%s%s", directory, slash, best) : NULL;
    free(best);
    return path;
}

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int sl_pkcs11_policy_find(const struct sl_pkcs11_policy *policy, const char *path, const char *name,
                          char **ret, struct sl_error *err)
{
    SL_AUTO_FREE char *found = NULL;
    if (path && !is_directory(path)) {
        found = strdup(path);
        return found ? check_allowed(policy, &found, ret, err) : sl_error_oom(err);
    }
    if (!name || !*name)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "the PKCS#11 URI names no module: it needs module-path or module-name");
    if (path)
        found = find_in(path, name);
    for (size_t i = 0; !path && !found && i < policy->directories.n; i++)
        found = find_in(policy->directories.paths[i], name);
    if (!found)
        return sl_error_set(err, SL_E_AUTH, ENOENT,
                            "no PKCS#11 module fits module-name=%.60s in %s", name,
                            path ? path : "the module-directories of ocicrypt.conf");
    return check_allowed(policy, &found, ret, err);
}
