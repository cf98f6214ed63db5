/* SPDX-License-Identifier: Apache-2.0 */
/* Which files make up the registry rules: containers-registries.conf(5), .conf.d(5). */
#include "registry_rules.h"

#include "sluice/core/environment.h"
#include "sluice/core/toml.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DROP_INS_MAX = 1024 }; /* files of one folder */

#define SYSTEM_FILE "/etc/containers/registries.conf"
#define SYSTEM_FOLDER SYSTEM_FILE ".d"

static int add_file(struct sl_registry_rules *rules, int dirfd, const char *path, const char *shown,
                    struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    SL_AUTO(sl_registry_rules) more = NULL;
    int r = sl_read_file(dirfd, path, SL_TOML_MAX, &text, err);
    if (r == 0)
        r = sl_registry_rules_parse(sl_bytes_span(&text), shown, &more, err);
    if (r == 0)
        r = sl_registry_rules_merge(rules, sl_steal(&more), err);
    return r;
}

static int is_conf(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return entry->d_type != DT_DIR && len > 5 && strcmp(entry->d_name + len - 5, ".conf") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_entries(struct sl_registry_rules *rules, int dirfd, const char *folder,
                       struct dirent **entries, int n, struct sl_error *err)
{
    if (n > DROP_INS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%s: more than %d files", folder,
                            (int)DROP_INS_MAX);
    int r = 0;
    for (int i = 0; r == 0 && i < n; i++) {
        SL_AUTO_FREE char *shown = sl_strf("%s/%s", folder, entries[i]->d_name);
        r = shown ? add_file(rules, dirfd, entries[i]->d_name, shown, err) : sl_error_oom(err);
    }
    return r;
}

static int add_folder(struct sl_registry_rules *rules, const char *folder, struct sl_error *err)
{
    SL_AUTO_FD fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : sl_error_system(err, errno, "%s", folder);
    struct dirent **entries = NULL;
    int n = scandirat(fd, ".", &entries, is_conf, by_name);
    if (n < 0)
        return sl_error_system(err, errno, "%s", folder);
    int r = add_entries(rules, fd, folder, entries, n, err);
    for (int i = 0; i < n; i++)
        free(entries[i]);
    free(entries);
    return r;
}

static int load(const char *file, bool must_exist, const char *const *folders,
                struct sl_registry_rules **ret, struct sl_error *err)
{
    SL_AUTO(sl_registry_rules) rules = calloc(1, sizeof(*rules));
    if (!rules)
        return sl_error_oom(err);
    struct sl_error why;
    int r = add_file(rules, AT_FDCWD, file, file, &why);
    if (r == -ENOENT && !must_exist)
        r = 0;
    else if (r < 0 && err)
        *err = why;
    for (; r == 0 && *folders; folders++)
        r = add_folder(rules, *folders, err);
    if (r == 0)
        *ret = sl_steal(&rules);
    return r;
}

int sl_registry_rules_load_chain(const char *file, const char *const *folders,
                                 struct sl_registry_rules **ret, struct sl_error *err)
{
    return load(file, false, folders, ret, err);
}

int sl_registry_rules_load(const char *path, struct sl_registry_rules **ret, struct sl_error *err)
{
    if (!path)
        path = sl_environment_get("CONTAINERS_REGISTRIES_CONF");
    if (path && *path)
        return load(path, true, (const char *const[]){NULL}, ret, err);
    const char *home = sl_environment_dir("HOME");
    if (!home)
        return load(SYSTEM_FILE, false, (const char *const[]){SYSTEM_FOLDER, NULL}, ret, err);
    SL_AUTO_FREE char *file = sl_strf("%s/.config/containers/registries.conf", home);
    SL_AUTO_FREE char *folder = sl_strf("%s/.config/containers/registries.conf.d", home);
    if (!file || !folder)
        return sl_error_oom(err);
    if (access(file, F_OK) == 0)
        return load(file, true, (const char *const[]){folder, NULL}, ret, err);
    return load(SYSTEM_FILE, false, (const char *const[]){SYSTEM_FOLDER, folder, NULL}, ret, err);
}
