/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/pgp_home.h"

#include "sluice/core/subprocess.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ANSWER_MAX = 64 * 1024, /* bytes of what gpg says about itself */
    END_MS = 10 * 1000,     /* for the agent's end */
};

/* GnuPG 2.4 knows AEAD packets, which Go's OpenPGP cannot read; compliance with RFC 4880 keeps
 * the other choices of newer standards away, and with Debian 13's 2.4.7 also AEAD where a key
 * prefers it. The cipher comes behind it, since it resets that, and the digests, since it falls
 * back to SHA-1, and so does what it allows: keys nobody has certified, not even they themselves,
 * whose expiry and uses could be anyone's word. Whose a key is, is for those to know who gave
 * it. */
static const char gpg_conf[] = "rfc4880\n"
                               "no-allow-non-selfsigned-uid\n"
                               "cipher-algo AES256\n"
                               "no-auto-key-locate\n"
                               "no-auto-key-retrieve\n"
                               "no-auto-check-trustdb\n"
                               "trust-model always\n"
                               "personal-digest-preferences SHA256 SHA384 SHA512\n";
/* Nobody is asked: neither a user at a terminal nor a card. */
static const char agent_conf[] = "allow-loopback-pinentry\n"
                                 "pinentry-program /bin/false\n"
                                 "disable-scdaemon\n"
                                 "no-grab\n"
                                 "max-cache-ttl 0\n";

/* Nothing that verifies needs an agent; gpg would start one to look for secret keys of old. */
static const char without_agent[] = "no-autostart\n";

/* Where the keys of a home directory are, for every version of GnuPG since 2.1. */
static const char *const key_places[] = {"pubring.kbx", "pubring.gpg", "private-keys-v1.d",
                                         "public-keys.d", "common.conf"};

/* Without gpgconf, which gpgme would run four times to learn where gpg is, and with it gpgsm: gpg
 * is the first in PATH, as gpgconf is. */
static void init_gpgme(void)
{
    (void)gpgme_set_global_flag("disable-gpgconf", "1");
    gpgme_check_version(NULL);
}

/* gpgme wants to be called once, before it is used by several threads. */
static const char *find_gpg(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_gpgme);
    return gpgme_get_dirinfo("gpg-name");
}

/* gpgme asks gpg for its version and would wait for ever, so we ask first: once, since a gpg that
 * has answered is no such gpg. What it says, and whether it is an error, is for gpgme to find out.
 */
static int check_engine(int deadline_ms, struct sl_error *err)
{
    static atomic_bool has_answered;
    SL_AUTO_DONE(sl_subprocess_result) result = {0};
    const char *gpg = find_gpg();
    const char *const argv[] = {gpg, "--version", NULL};
    const struct sl_subprocess process = {
        .argv = argv, .deadline_ms = deadline_ms, .output_max = ANSWER_MAX};
    struct sl_error one = {0};
    if (gpg && !atomic_load(&has_answered)) {
        int r = sl_subprocess_run(&process, &result, &one);
        if (r == -ETIMEDOUT)
            return sl_error_set(err, one.code, one.errnum, "%s", one.msg);
        atomic_store(&has_answered, r == 0);
    }
    if (gpg && gpgme_engine_check_version(GPGME_PROTOCOL_OpenPGP) == 0)
        return 0;
    return sl_error_set(err, SL_E_SYSTEM, ENOENT, "PGP needs gpg, which is not installed (gnupg)");
}

static char user_home[PATH_MAX]; /* empty: not known */

static void find_user_home(void)
{
    SL_AUTO_DONE(sl_subprocess_result) result = {0};
    const char *const argv[] = {"gpgconf", "--list-dirs", "homedir", NULL};
    const struct sl_subprocess process = {
        .argv = argv, .deadline_ms = SL_PGP_DEADLINE_MS, .output_max = sizeof(user_home) - 1};
    if (sl_subprocess_run(&process, &result, /* err= */ NULL) < 0 || result.status != 0 ||
        result.output.len == 0)
        return;
    size_t len = strcspn((const char *)result.output.data, "\n");
    memcpy(user_home, result.output.data, len);
}

const char *sl_pgp_user_home(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_user_home);
    return *user_home ? user_home : NULL;
}

static int write_conf(int dirfd, const char *name, const char *text, struct sl_error *err)
{
    SL_AUTO_FD fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return sl_error_system(err, errno, "%s", name);
    ssize_t n = TEMP_FAILURE_RETRY(write(fd, text, strlen(text)));
    return n == (ssize_t)strlen(text) ? 0
                                      : sl_error_system(err, n < 0 ? errno : ENOSPC, "%s", name);
}

/* gpg locks and rewrites files by their names, which are ours; it only reads what they lead to. */
static int link_keys(int dirfd, const char *keys_of, struct sl_error *err)
{
    SL_AUTO_FREE char *full = realpath(keys_of, NULL);
    if (!full)
        return sl_error_system(err, errno, "gnupg home directory %s", keys_of);
    for (size_t i = 0; i < sizeof(key_places) / sizeof(key_places[0]); i++) {
        SL_AUTO_FREE char *target = sl_strf("%s/%s", full, key_places[i]);
        if (!target)
            return sl_error_oom(err);
        if (access(target, F_OK) == 0 && symlinkat(target, dirfd, key_places[i]) < 0)
            return sl_error_system(err, errno, "%s", key_places[i]);
    }
    return 0;
}

static int write_confs(int dirfd, bool has_agent, struct sl_error *err)
{
    char gpg[sizeof(gpg_conf) + sizeof(without_agent)];
    (void)snprintf(gpg, sizeof(gpg), "%s%s", gpg_conf, has_agent ? "" : without_agent);
    int r = write_conf(dirfd, "gpg.conf", gpg, err);
    return r == 0 && has_agent ? write_conf(dirfd, "gpg-agent.conf", agent_conf, err) : r;
}

static int open_context(struct sl_pgp_home *home, struct sl_error *err)
{
    gpgme_error_t e = gpgme_new(&home->ctx);
    if (!e)
        e = gpgme_ctx_set_engine_info(home->ctx, GPGME_PROTOCOL_OpenPGP, NULL, home->dir.path);
    return e ? sl_pgp_failed(err, e, "starting") : 0;
}

static int open_home(const char *keys_of, int deadline_ms, bool has_agent, struct sl_pgp_home *ret,
                     struct sl_error *err)
{
    SL_AUTO_DONE(sl_pgp_home)
    home = {.dir.fd = -1,
            .deadline_ms = deadline_ms ? deadline_ms : SL_PGP_DEADLINE_MS,
            .has_agent = has_agent};
    int r = check_engine(home.deadline_ms, err);
    if (r == 0)
        r = sl_pgp_dir_make(&home.dir, err);
    if (r == 0)
        r = write_confs(home.dir.fd, has_agent, err);
    if (r == 0 && keys_of)
        r = link_keys(home.dir.fd, keys_of, err);
    if (r == 0)
        r = open_context(&home, err);
    if (r == 0)
        r = sl_pgp_watch_new(home.ctx, home.dir.path, home.deadline_ms, &home.watch, err);
    if (r < 0)
        return r;
    *ret = home;
    home = (struct sl_pgp_home){.dir.fd = -1};
    return 0;
}

int sl_pgp_home_open(const char *keys_of, int deadline_ms, struct sl_pgp_home *ret,
                     struct sl_error *err)
{
    return open_home(keys_of, deadline_ms, /* has_agent= */ true, ret, err);
}

int sl_pgp_home_open_for_verifying(int deadline_ms, struct sl_pgp_home *ret, struct sl_error *err)
{
    return open_home(/* keys_of= */ NULL, deadline_ms, /* has_agent= */ false, ret, err);
}

int sl_pgp_home_result(const struct sl_pgp_home *home, int r, struct sl_error *err)
{
    if (r == 0 || !home->watch || !sl_pgp_watch_has_expired(home->watch))
        return r;
    return sl_error_set(err, SL_E_SYSTEM, ETIMEDOUT,
                        "gpg did not answer in time (%d ms) and was killed", home->deadline_ms);
}

gpgme_error_t sl_pgp_lend(struct sl_span bytes, gpgme_data_t *ret)
{
    gpgme_error_t e =
        gpgme_data_new_from_mem(ret, (const char *)bytes.data, bytes.len, /* copy= */ 0);
    return e ? e : gpgme_data_set_flag(*ret, "sensitive", "1");
}

gpgme_error_t sl_pgp_collect(struct gpgme_data_cbs *sink, void *arg, gpgme_data_t *ret)
{
    gpgme_error_t e = gpgme_data_new_from_cbs(ret, sink, arg);
    return e ? e : gpgme_data_set_flag(*ret, "sensitive", "1");
}

/* Given once: a second question means that the first answer was wrong. */
static gpgme_error_t give_passphrase(void *arg, const char *hint, const char *info, int was_bad,
                                     int fd)
{
    (void)hint;
    (void)info;
    const char *passphrase = arg;
    if (!passphrase)
        return gpgme_error(GPG_ERR_CANCELED);
    if (was_bad)
        return gpgme_error(GPG_ERR_BAD_PASSPHRASE);
    if (gpgme_io_writen(fd, passphrase, strlen(passphrase)) || gpgme_io_writen(fd, "\n", 1))
        return gpgme_error_from_errno(errno);
    return 0;
}

void sl_pgp_set_passphrase(gpgme_ctx_t ctx, const char *passphrase)
{
    gpgme_set_pinentry_mode(ctx, GPGME_PINENTRY_MODE_LOOPBACK);
    gpgme_set_passphrase_cb(ctx, give_passphrase, (void *)passphrase);
}

int sl_pgp_failed(struct sl_error *err, gpgme_error_t e, const char *what)
{
    return sl_error_set(err, SL_E_SYSTEM, gpgme_err_code_to_errno(gpgme_err_code(e)), "gpg: %s: %s",
                        what, gpgme_strerror(e));
}

static int gpgconf(const char *dir, const char *command, const char *argument)
{
    SL_AUTO_DONE(sl_subprocess_result) result = {0};
    const char *const argv[] = {"gpgconf", "--homedir", dir, command, argument, NULL};
    struct sl_subprocess process = {.argv = argv, .deadline_ms = END_MS, .output_max = ANSWER_MAX};
    int r = sl_subprocess_run(&process, &result, /* err= */ NULL);
    return r < 0 || result.status == 0 ? r : -EIO;
}

/* Daemons end themselves too once their home is gone; this does not leave it to them. They are
 * asked, so that they wipe their keys; those who do not hear are killed. */
static void end_daemons(const char *dir, bool are_deaf)
{
    if (are_deaf || gpgconf(dir, "--kill", "all") < 0)
        sl_pgp_dir_kill(dir);
    if (!are_deaf)
        (void)gpgconf(dir, "--remove-socketdir", NULL);
}

void sl_pgp_home_done(struct sl_pgp_home *home)
{
    int saved = errno;
    bool has_expired = home->watch && sl_pgp_watch_has_expired(home->watch);
    sl_pgp_watch_free(home->watch);
    if (home->ctx)
        gpgme_release(home->ctx);
    if (home->dir.path && home->has_agent)
        end_daemons(home->dir.path, has_expired);
    sl_pgp_dir_remove(&home->dir);
    *home = (struct sl_pgp_home){.dir.fd = -1};
    errno = saved;
}
