/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime_config.h"

#include "sluice/core/json_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the parts of a config ---- */

static char *const capabilities[] = {
    "CAP_AUDIT_WRITE", "CAP_CHOWN",   "CAP_DAC_OVERRIDE",     "CAP_FOWNER",     "CAP_FSETID",
    "CAP_KILL",        "CAP_MKNOD",   "CAP_NET_BIND_SERVICE", "CAP_NET_RAW",    "CAP_SETFCAP",
    "CAP_SETGID",      "CAP_SETPCAP", "CAP_SETUID",           "CAP_SYS_CHROOT", NULL,
};
static char *const default_args[] = {"sh", NULL};
static char *const default_env[] = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
static char *const masked_paths[] = {
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    NULL,
};
static char *const readonly_paths[] = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", NULL,
};
static const char *const namespaces[] = {"pid", "network", "ipc", "uts", "mount", "cgroup"};

static const struct mount {
    const char *destination, *type, *source;
    char *const options[8];
} mounts[] = {
    {"/proc", "proc", "proc", {NULL}},
    {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k", NULL}},
    {"/dev/pts",
     "devpts",
     "devpts",
     {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5", NULL}},
    {"/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k", NULL}},
    {"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev", NULL}},
    {"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro", NULL}},
    {"/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro", NULL}},
};
static char *const volume_options[] = {"nosuid", "noexec", "nodev", "relatime", "rw", NULL};

static void put_elements(struct sl_json_writer *w, char *const *list)
{
    for (; list && *list; list++)
        sl_json_put_string(w, NULL, *list);
}

static void put_user(struct sl_json_writer *w, const struct sl_process_user *user)
{
    sl_json_open_object(w, "user");
    sl_json_put_int(w, "uid", user->uid);
    sl_json_put_int(w, "gid", user->gid);
    if (user->n_groups) {
        sl_json_open_array(w, "additionalGids");
        for (size_t i = 0; i < user->n_groups; i++)
            sl_json_put_int(w, NULL, user->groups[i]);
        sl_json_close_array(w);
    }
    sl_json_close_object(w);
}

static void put_capabilities(struct sl_json_writer *w)
{
    static const char *const sets[] = {"bounding", "effective", "permitted"};
    sl_json_open_object(w, "capabilities");
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
        sl_json_put_strings(w, sets[i], capabilities);
    sl_json_close_object(w);
}

static void put_process(struct sl_json_writer *w, const struct sl_image_config *image,
                        const struct sl_process_user *user)
{
    bool has_args = (image->entrypoint && *image->entrypoint) || (image->cmd && *image->cmd);
    bool has_cwd = image->working_dir && *image->working_dir;
    sl_json_open_object(w, "process");
    sl_json_put_bool(w, "terminal", false);
    put_user(w, user);
    sl_json_open_array(w, "args");
    put_elements(w, has_args ? image->entrypoint : default_args);
    put_elements(w, has_args ? image->cmd : NULL);
    sl_json_close_array(w);
    sl_json_put_strings(w, "env", image->env && *image->env ? image->env : default_env);
    sl_json_put_string(w, "cwd", has_cwd ? image->working_dir : "/");
    put_capabilities(w);
    sl_json_open_array(w, "rlimits");
    sl_json_open_object(w, NULL);
    sl_json_put_string(w, "type", "RLIMIT_NOFILE");
    sl_json_put_int(w, "hard", 1024);
    sl_json_put_int(w, "soft", 1024);
    sl_json_close_object(w);
    sl_json_close_array(w);
    sl_json_put_bool(w, "noNewPrivileges", true);
    sl_json_close_object(w);
}

static void put_mount(struct sl_json_writer *w, const char *destination, const char *type,
                      const char *source, char *const *options)
{
    sl_json_open_object(w, NULL);
    sl_json_put_string(w, "destination", destination);
    sl_json_put_string(w, "type", type);
    sl_json_put_string(w, "source", source);
    if (*options)
        sl_json_put_strings(w, "options", options);
    sl_json_close_object(w);
}

static void put_mounts(struct sl_json_writer *w, const struct sl_image_config *image)
{
    sl_json_open_array(w, "mounts");
    for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++)
        put_mount(w, mounts[i].destination, mounts[i].type, mounts[i].source, mounts[i].options);
    for (char *const *v = image->volumes; v && *v; v++)
        put_mount(w, *v, "tmpfs", "tmpfs", volume_options);
    sl_json_close_array(w);
}

static void put_linux(struct sl_json_writer *w)
{
    sl_json_open_object(w, "linux");
    sl_json_open_object(w, "resources");
    sl_json_open_array(w, "devices");
    sl_json_open_object(w, NULL);
    sl_json_put_bool(w, "allow", false);
    sl_json_put_string(w, "access", "rwm");
    sl_json_close_object(w);
    sl_json_close_array(w);
    sl_json_close_object(w);
    sl_json_open_array(w, "namespaces");
    for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++) {
        sl_json_open_object(w, NULL);
        sl_json_put_string(w, "type", namespaces[i]);
        sl_json_close_object(w);
    }
    sl_json_close_array(w);
    sl_json_put_strings(w, "maskedPaths", masked_paths);
    sl_json_put_strings(w, "readonlyPaths", readonly_paths);
    sl_json_close_object(w);
}

/* ---- annotations ---- */

static bool has_label(const struct sl_image_config *image, const char *name)
{
    for (size_t i = 0; i < image->n_labels; i++)
        if (strcmp(image->labels[i].name, name) == 0)
            return true;
    return false;
}

#define ANNOTATION(name) "org.opencontainers.image." name

/* A label of the same name wins. */
static void put_annotation(struct sl_json_writer *w, const struct sl_image_config *image,
                           const char *name, const char *value)
{
    if (value && *value && !has_label(image, name))
        sl_json_put_string(w, name, value);
}

/* Joins with commas; NULL when out of memory or nothing to join. */
static char *join(char *const *list)
{
    char *joined = NULL;
    for (; list && *list; list++) {
        char *longer = joined ? sl_strf("%s,%s", joined, *list) : strdup(*list);
        free(joined);
        joined = longer;
        if (!joined)
            break;
    }
    return joined;
}

/* os.features is carried as the text of a JSON array. */
static void put_os_features(struct sl_json_writer *w, const struct sl_image_config *image)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    if (!image->os_features || !*image->os_features)
        return;
    SL_AUTO(sl_json_writer) inner = sl_json_writer_new(/* pretty= */ false);
    sl_json_put_strings(inner, "", image->os_features);
    if (sl_json_end(inner, &text, /* err= */ NULL) < 0)
        return;
    /* {"":[…]} and a newline: the array is what is wanted. */
    text.data[text.len - 2] = 0;
    put_annotation(w, image, ANNOTATION("os.features"), (const char *)text.data + 4);
}

static void put_annotations(struct sl_json_writer *w, const struct sl_image_config *image)
{
    SL_AUTO_FREE char *ports = join(image->exposed_ports);
    sl_json_open_object(w, "annotations");
    put_annotation(w, image, ANNOTATION("os"), image->os);
    put_annotation(w, image, ANNOTATION("os.version"), image->os_version);
    put_os_features(w, image);
    put_annotation(w, image, ANNOTATION("architecture"), image->architecture);
    put_annotation(w, image, ANNOTATION("variant"), image->variant);
    put_annotation(w, image, ANNOTATION("author"), image->author);
    put_annotation(w, image, ANNOTATION("created"), image->created);
    put_annotation(w, image, ANNOTATION("stopSignal"), image->stop_signal);
    put_annotation(w, image, ANNOTATION("exposedPorts"), ports);
    for (size_t i = 0; i < image->n_labels; i++)
        sl_json_put_string(w, image->labels[i].name, image->labels[i].value);
    sl_json_close_object(w);
}

int sl_runtime_config_format(const struct sl_image_config *image,
                             const struct sl_process_user *user, struct sl_bytes *ret,
                             struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ true);
    sl_json_put_string(w, "ociVersion", "1.0.2");
    sl_json_open_object(w, "root");
    sl_json_put_string(w, "path", "rootfs");
    sl_json_put_bool(w, "readonly", false);
    sl_json_close_object(w);
    put_mounts(w, image);
    put_process(w, image, user);
    sl_json_put_string(w, "hostname", "sluice");
    put_annotations(w, image);
    put_linux(w);
    return sl_json_end(w, ret, err);
}
