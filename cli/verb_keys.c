/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of offline_fs_kbc, made and taken out; and what images say of theirs. */
#include "keys_show.h"
#include "sluice/kbc.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NUMBER_DEFAULT = 10, KEY_SIZE = 32 };

/* ---- generate ---- */

static int print_secret(const struct sl_bytes *text, struct sl_error *err)
{
    if (fwrite(text->data, 1, text->len, stdout) != text->len || fflush(stdout) != 0)
        return sl_error_system(err, errno, "standard output");
    return 0;
}

static int generate(const struct cli_options *o, struct sl_error *err)
{
    struct sl_bytes text = {0};
    int r =
        sl_offline_keys_generate(o->repository, o->number ? o->number : NUMBER_DEFAULT, &text, err);
    if (r >= 0)
        r = print_secret(&text, err);
    sl_bytes_wipe(&text);
    return r;
}

/* ---- export ---- */

static int write_key(int fd, const uint8_t key[KEY_SIZE], const char *name, struct sl_error *err)
{
    size_t done = 0;
    while (done < KEY_SIZE) {
        ssize_t n = write(fd, key + done, KEY_SIZE - done);
        if (n < 0 && errno != EINTR)
            return sl_error_system(err, errno, "%s", name);
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* Never over another file: that may be the only copy of another key. */
static int write_key_file(const char *path, const uint8_t key[KEY_SIZE], struct sl_error *err)
{
    SL_AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return sl_error_system(err, errno, "create %s", path);
    int r = write_key(fd, key, path, err);
    if (r >= 0 && fsync(fd) < 0)
        r = sl_error_system(err, errno, "write %s", path);
    if (r < 0)
        (void)unlink(path);
    return r;
}

static int put_key(const char *out, const uint8_t key[KEY_SIZE], struct sl_error *err)
{
    if (strcmp(out, "-") != 0)
        return write_key_file(out, key, err);
    if (isatty(STDOUT_FILENO) == 1)
        return sl_error_set(err, SL_E_SYSTEM, EINVAL,
                            "a key is not written to a terminal; name a file or use a pipe");
    return write_key(STDOUT_FILENO, key, "standard output", err);
}

static int export_key(const char *file, const char *id, const char *out, struct sl_error *err)
{
    static const char scheme[] = "kbs:///";
    bool is_uri = strstr(id, "://") != NULL;
    SL_AUTO(sl_kbc) kbc = NULL;
    SL_AUTO_FREE char *kid = sl_strf("%s%s", is_uri ? "" : scheme, id);
    const struct sl_kbc_options options = {.selection = "offline_fs_kbc::null",
                                           .offline_keys = file};
    uint8_t key[KEY_SIZE];
    if (!kid)
        return sl_error_oom(err);
    int r = sl_kbc_open(&options, &kbc, err);
    if (r >= 0)
        r = sl_kbc_lookup_kek(kbc, kid, key, err);
    if (r >= 0)
        r = put_key(out, key, err);
    sl_wipe(key, sizeof(key));
    return r;
}

/* ---- the verb ---- */

static int run_export(const struct cli_options *o, struct sl_error *err)
{
    return export_key(o->args[1], o->args[2], o->args[3], err);
}

static int run_show(const struct cli_options *o, struct sl_error *err)
{
    return keys_show(o, o->args[1], err);
}

static const struct keys_action {
    const char *name;
    int n_args; /* with the name */
    int (*run)(const struct cli_options *o, struct sl_error *err);
} actions[] = {
    {"generate", 1, generate},
    {"export", 4, run_export},
    {"show", 2, run_show},
};

static const struct keys_action *find_action(const struct cli_options *o)
{
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        if (strcmp(actions[i].name, o->args[0]) == 0 && actions[i].n_args == o->n_args)
            return &actions[i];
    return NULL;
}

int verb_keys_check(const struct cli_options *o, struct sl_error *err)
{
    if (find_action(o))
        return 0;
    return sl_error_set(err, SL_E_FORMAT, EINVAL,
                        "usage: sluice keys generate [-n N] [--repository NAME], or "
                        "sluice keys export FILE KEYID OUT, or sluice keys show IMAGE");
}

int verb_keys(const struct cli_options *o, struct sl_error *err)
{
    return find_action(o)->run(o, err);
}
