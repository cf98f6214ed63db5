/* SPDX-License-Identifier: Apache-2.0 */
#include "pgp_home.h"

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPEN_DIRS_MAX = 8 }; /* of nftw(); the tree is two levels deep */

/* GnuPG 2.4 knows AEAD packets, which Go's OpenPGP cannot read; compliance with RFC 4880 keeps
 * the other choices of newer standards away. The cipher comes behind it, since it resets that. */
static const char gpg_conf[] = "rfc4880\n"
                               "cipher-algo AES256\n"
                               "no-auto-key-locate\n"
                               "no-auto-key-retrieve\n"
                               "no-auto-check-trustdb\n";
/* Nobody is asked: neither a user at a terminal nor a card. */
static const char agent_conf[] = "allow-loopback-pinentry\n"
                                 "pinentry-program /bin/false\n"
                                 "disable-scdaemon\n"
                                 "no-grab\n"
                                 "max-cache-ttl 0\n";

/* Where the keys of a home directory are, for every version of GnuPG since 2.1. */
static const char *const key_places[] = {"pubring.kbx", "pubring.gpg", "private-keys-v1.d",
                                         "public-keys.d", "common.conf"};

static void init_gpgme(void)
{
    gpgme_check_version(NULL);
}

/* gpgme wants to be called once, before it is used by several threads. */
static int check_engine(struct sl_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_gpgme);
    if (gpgme_engine_check_version(GPGME_PROTOCOL_OpenPGP) == 0)
        return 0;
    return sl_error_set(err, SL_E_SYSTEM, ENOENT, "PGP needs gpg, which is not installed (gnupg)");
}

const char *sl_pgp_user_home(void)
{
    return check_engine(NULL) == 0 ? gpgme_get_dirinfo("homedir") : NULL;
}

static int make_dir(char **ret, struct sl_error *err)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): it changes, if ever, before there are threads */
    const char *tmpdir = getenv("TMPDIR");
    const char *const places[] = {"/dev/shm", "/run", tmpdir ? tmpdir : "/tmp"};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char *dir = sl_strf("%s/sluice-pgp-XXXXXX", places[i]);
        if (!dir)
            return sl_error_oom(err);
        if (mkdtemp(dir)) {
            *ret = dir;
            return 0;
        }
        free(dir);
    }
    return sl_error_system(err, errno, "a private directory for gpg");
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

static int furnish(const char *dir, const char *keys_of, struct sl_error *err)
{
    SL_AUTO_FD dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0)
        return sl_error_system(err, errno, "%s", dir);
    int r = write_conf(dirfd, "gpg.conf", gpg_conf, err);
    if (r == 0)
        r = write_conf(dirfd, "gpg-agent.conf", agent_conf, err);
    if (r == 0 && keys_of)
        r = link_keys(dirfd, keys_of, err);
    return r;
}

static int open_context(struct sl_pgp_home *home, struct sl_error *err)
{
    gpgme_error_t e = gpgme_new(&home->ctx);
    if (!e)
        e = gpgme_ctx_set_engine_info(home->ctx, GPGME_PROTOCOL_OpenPGP, NULL, home->dir);
    return e ? sl_pgp_failed(err, e, "starting") : 0;
}

int sl_pgp_home_open(const char *keys_of, struct sl_pgp_home *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_pgp_home) home = {0};
    int r = check_engine(err);
    if (r == 0)
        r = make_dir(&home.dir, err);
    if (r == 0)
        r = furnish(home.dir, keys_of, err);
    if (r == 0)
        r = open_context(&home, err);
    if (r < 0)
        return r;
    *ret = home;
    home = (struct sl_pgp_home){0};
    return 0;
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

int sl_pgp_failed(struct sl_error *err, gpgme_error_t e, const char *what)
{
    return sl_error_set(err, SL_E_SYSTEM, gpgme_err_code_to_errno(gpgme_err_code(e)), "gpg: %s: %s",
                        what, gpgme_strerror(e));
}

/* Daemons end themselves too once their home is gone; this does not leave it to them. */
static void gpgconf(const char *dir, const char *const *command)
{
    const char *program = gpgme_get_dirinfo("gpgconf-name");
    const char *argv[] = {"", "--homedir", dir, command[0], command[1], NULL};
    gpgme_ctx_t ctx = NULL;
    if (!program || gpgme_new(&ctx))
        return;
    if (gpgme_set_protocol(ctx, GPGME_PROTOCOL_SPAWN) == 0)
        (void)gpgme_op_spawn(ctx, program, argv, NULL, NULL, NULL, 0);
    gpgme_release(ctx);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    (void)remove(path);
    return 0;
}

void sl_pgp_home_done(struct sl_pgp_home *home)
{
    int saved = errno;
    if (home->ctx)
        gpgme_release(home->ctx);
    if (home->dir) {
        gpgconf(home->dir, (const char *const[]){"--kill", "all"});
        gpgconf(home->dir, (const char *const[]){"--remove-socketdir", NULL});
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): without FTW_CHDIR it shares nothing */
        (void)nftw(home->dir, remove_one, OPEN_DIRS_MAX, FTW_DEPTH | FTW_PHYS);
    }
    free(home->dir);
    *home = (struct sl_pgp_home){0};
    errno = saved;
}
