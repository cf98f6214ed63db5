/* SPDX-License-Identifier: Apache-2.0 */
#include "mount_table.h"

#include "dir_entries.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOURCE_PREFIX "sluice-"

/* PROC_PID_INIT_INO of the kernel's include/uapi/linux/nsfs.h: the first pid namespace. */
static const ino_t first_pid_namespace = 0xEFFFFFFC;

void sl_mount_source(const char *id, char out[SL_MOUNT_SOURCE_MAX])
{
    (void)snprintf(out, SL_MOUNT_SOURCE_MAX, SOURCE_PREFIX "%s", id);
}

const char *sl_mount_source_id(const char *source)
{
    size_t n = strlen(SOURCE_PREFIX);
    bool is_ours = strncmp(source, SOURCE_PREFIX, n) == 0 && source[n] && source[n] != '.' &&
                   !strchr(source + n, '/');
    return is_ours ? source + n : NULL;
}

/* Blanks, newlines and backslashes are \ooo in mountinfo. Always shorter than the text. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from;) {
        unsigned c = 0;
        if (from[0] == '\\' && sscanf(from + 1, "%3o", &c) == 1 && c < 256) {
            *to++ = (char)c;
            from += 4;
        } else {
            *to++ = *from++;
        }
    }
    *to = '\0';
}

/* id parent major:minor root POINT options tags... - TYPE SOURCE options */
static bool split_line(char *line, char **point, char **type, char **source)
{
    char *rest = strstr(line, " - ");
    if (!rest)
        return false;
    *rest = '\0';
    rest += strlen(" - ");
    for (int i = 0; i < 5; i++)
        *point = strsep(&line, " ");
    *type = strsep(&rest, " ");
    *source = strsep(&rest, " ");
    return *point && *type && *source;
}

static int add_line(struct sl_mount_table *table, char *line)
{
    char *point = NULL;
    char *type = NULL;
    char *source = NULL;
    if (!split_line(line, &point, &type, &source))
        return 0;
    if ((table->n & (table->n - 1)) == 0) {
        size_t cap = table->n ? 2 * table->n : 1;
        struct sl_mounted *more = realloc(table->mounts, cap * sizeof(*more));
        if (!more)
            return -ENOMEM;
        table->mounts = more;
    }
    unescape(point);
    unescape(source);
    bool is_overlay = strcmp(type, "overlay") == 0;
    struct sl_mounted *mounted = &table->mounts[table->n++];
    mounted->point = strdup(point);
    mounted->overlay = is_overlay ? strdup(source) : NULL;
    return mounted->point && (mounted->overlay || !is_overlay) ? 0 : -ENOMEM;
}

static int load(const char *pid, struct sl_mount_table *table)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%s/mountinfo", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    SL_AUTO_FREE char *line = NULL;
    size_t size = 0;
    int r = 0;
    while (r == 0 && getline(&line, &size, file) > 0)
        r = add_line(table, line);
    if (r == 0 && ferror(file))
        r = -EIO;
    (void)fclose(file);
    return r;
}

int sl_mount_table_load(const char *pid, struct sl_mount_table *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_mount_table) table = {0};
    int r = load(pid, &table);
    if (r < 0)
        return sl_error_system(err, -r, "reading /proc/%s/mountinfo", pid);
    *ret = table;
    table = (struct sl_mount_table){0};
    return 0;
}

void sl_mount_table_done(struct sl_mount_table *table)
{
    for (size_t i = 0; i < table->n; i++) {
        free(table->mounts[i].point);
        free(table->mounts[i].overlay);
    }
    free(table->mounts);
    *table = (struct sl_mount_table){0};
}

const struct sl_mounted *sl_mount_table_find_point(const struct sl_mount_table *table,
                                                   const char *point)
{
    for (size_t i = table->n; i-- > 0;)
        if (strcmp(table->mounts[i].point, point) == 0)
            return &table->mounts[i];
    return NULL;
}

const struct sl_mounted *sl_mount_table_find_overlay(const struct sl_mount_table *table,
                                                     const char *source)
{
    for (size_t i = table->n; i-- > 0;)
        if (table->mounts[i].overlay && strcmp(table->mounts[i].overlay, source) == 0)
            return &table->mounts[i];
    return NULL;
}

/* Of the thread, since the namespace may be that of the thread alone. */
int sl_mount_origin_here(struct sl_mount_origin *ret, struct sl_error *err)
{
    static const char path[] = "/proc/sys/kernel/random/boot_id";
    SL_AUTO_DONE(sl_bytes) text = {0};
    struct sl_mount_origin origin = {.namespace_id = 0};
    int r = sl_read_file(AT_FDCWD, path, sizeof(origin.boot_id), &text, err);
    if (r < 0)
        return r;
    size_t len = strcspn((const char *)text.data, "\n");
    if (len >= sizeof(origin.boot_id))
        return sl_error_set(err, SL_E_SYSTEM, EIO, "%s is not a UUID", path);
    memcpy(origin.boot_id, text.data, len);
    struct stat st;
    if (stat("/proc/thread-self/ns/mnt", &st) < 0)
        return sl_error_system(err, errno, "finding the mount namespace");
    origin.namespace_id = (int64_t)st.st_ino;
    *ret = origin;
    return 0;
}

static bool sees_all_processes(void)
{
    struct stat st;
    return stat("/proc/self/ns/pid", &st) == 0 && st.st_ino == first_pid_namespace;
}

/* A look at all mount namespaces but our own, each through the first process that can be asked. */
struct elsewhere {
    ino_t *seen;
    size_t n;
    bool has_source;
};

static void elsewhere_done(struct elsewhere *e)
{
    free(e->seen);
}
SL_DEFINE_AUTO_DONE(elsewhere, elsewhere_done)

static bool has_seen(const struct elsewhere *e, ino_t namespace_id)
{
    for (size_t i = 0; i < e->n; i++)
        if (e->seen[i] == namespace_id)
            return true;
    return false;
}

static int note_seen(struct elsewhere *e, ino_t namespace_id)
{
    if ((e->n & (e->n - 1)) == 0) {
        ino_t *more = realloc(e->seen, (e->n ? 2 * e->n : 1) * sizeof(*more));
        if (!more)
            return -ENOMEM;
        e->seen = more;
    }
    e->seen[e->n++] = namespace_id;
    return 0;
}

/* A process that has ended, or that may not be asked, has told nothing. */
static int look_through(struct elsewhere *e, const char *pid, const char *source)
{
    char path[64];
    struct stat st;
    SL_AUTO_DONE(sl_mount_table) table = {0};
    int n = snprintf(path, sizeof(path), "/proc/%s/ns/mnt", pid);
    if (n >= (int)sizeof(path) || stat(path, &st) < 0 || has_seen(e, st.st_ino))
        return 0;
    int r = load(pid, &table);
    if (r < 0)
        return r == -ENOMEM ? r : 0;
    e->has_source = sl_mount_table_find_overlay(&table, source);
    return note_seen(e, st.st_ino);
}

static int look_elsewhere(const char *source, int64_t here, struct elsewhere *e,
                          struct sl_error *err)
{
    const struct dirent *entry = NULL;
    if (note_seen(e, (ino_t)here) < 0)
        return sl_error_oom(err);
    DIR *dir = sl_dir_open(open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!dir)
        return sl_error_system(err, errno, "opening /proc");
    int r = 0;
    while (r == 0 && !e->has_source && sl_dir_next(dir, &entry) > 0)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
            r = look_through(e, entry->d_name, source);
    (void)closedir(dir);
    return r < 0 ? sl_error_oom(err) : 0;
}

int sl_mount_state_find(const char *id, const struct sl_mount_origin *origin,
                        const struct sl_mount_table *here,
                        const struct sl_mount_origin *origin_here, enum sl_mount_state *ret,
                        struct sl_error *err)
{
    char source[SL_MOUNT_SOURCE_MAX];
    sl_mount_source(id, source);
    SL_AUTO_DONE(elsewhere) e = {0};
    *ret = SL_MOUNT_ALIVE;
    if (sl_mount_table_find_overlay(here, source))
        return 0;
    *ret = SL_MOUNT_DEAD;
    if (strcmp(origin->boot_id, origin_here->boot_id) != 0)
        return 0;
    int r = look_elsewhere(source, origin_here->namespace_id, &e, err);
    if (e.has_source)
        *ret = SL_MOUNT_ALIVE;
    else if (!has_seen(&e, (ino_t)origin->namespace_id) && !sees_all_processes())
        *ret = SL_MOUNT_UNKNOWN;
    return r;
}
