/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enc.keys.pgp, the way back: gpg encrypts for keys of a gnupg home directory. A recipient is
 * named by the whole e-mail address or name of exactly one usable key. Whether the key belongs to
 * whom it says is for the owner of the directory to know: it is not asked.
 */
#include "pgp_message.h"
#include "recipients.h"
#include "sluice/core/pgp_home.h"
#include "sluice/core/pgp_key.h"

#include <stdlib.h>
#include <string.h>

enum { MESSAGE_MAX = 64 * 1024 }; /* bytes that gpg may give */

static int open_home(const struct sl_recipients *recipients, struct sl_pgp_home *ret,
                     struct sl_error *err)
{
    const char *dir = recipients->pgp_home ? recipients->pgp_home : sl_pgp_user_home();
    int r = sl_pgp_home_open(dir, recipients->pgp_deadline_ms, ret, err);
    return r < 0 ? sl_error_wrap(err, r, "PGP recipients") : 0;
}

int sl_recipient_add_pgp(struct sl_recipients *recipients, const char *value, struct sl_error *err)
{
    SL_AUTO_DONE(sl_pgp_home) home = {0};
    gpgme_key_t key = NULL;
    int r = open_home(recipients, &home, err);
    if (r == 0)
        r = sl_pgp_find_key(home.ctx, SL_PGP_FOR_ENCRYPTION, value, &key, err);
    if (r < 0)
        return sl_pgp_home_result(&home, r, err);
    gpgme_key_unref(key);
    char *copy = strdup(value);
    if (!copy)
        return sl_error_oom(err);
    recipients->pgp[recipients->n_pgp++] = copy;
    return 0;
}

static int find_all(gpgme_ctx_t ctx, const struct sl_recipients *recipients, gpgme_key_t *keys,
                    struct sl_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < recipients->n_pgp; i++)
        r = sl_pgp_find_key(ctx, SL_PGP_FOR_ENCRYPTION, recipients->pgp[i], &keys[i], err);
    return r;
}

static ssize_t keep_message(void *arg, const void *bytes, size_t n)
{
    if (sl_bytes_append(arg, (struct sl_span){bytes, n}, MESSAGE_MAX, NULL) == 0)
        return (ssize_t)n;
    errno = EFBIG;
    return -1;
}

static int encrypt_for(gpgme_ctx_t ctx, gpgme_key_t *keys, struct sl_span plain,
                       struct sl_bytes *ret, struct sl_error *err)
{
    const gpgme_encrypt_flags_t flags =
        GPGME_ENCRYPT_ALWAYS_TRUST | GPGME_ENCRYPT_NO_ENCRYPT_TO | GPGME_ENCRYPT_NO_COMPRESS;
    struct gpgme_data_cbs sink = {.write = keep_message};
    gpgme_data_t in = NULL;
    gpgme_data_t out = NULL;
    gpgme_error_t e = sl_pgp_lend(plain, &in);
    if (!e)
        e = sl_pgp_collect(&sink, ret, &out);
    if (!e)
        e = gpgme_op_encrypt(ctx, keys, flags, in, out);
    gpgme_data_release(in);
    gpgme_data_release(out);
    return e ? sl_pgp_failed(err, e, "encrypting") : 0;
}

/* What was written must be what others read. */
static int check_message(const struct sl_bytes *text, size_t n_recipients, struct sl_error *err)
{
    struct sl_pgp_message message = {0};
    int r = sl_pgp_message_parse(sl_bytes_span(text), &message, err);
    if (r < 0)
        return sl_error_wrap(err, r, "what gpg wrote");
    if (message.n_recipients != n_recipients)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "gpg encrypted for %zu keys instead of %zu", message.n_recipients,
                            n_recipients);
    if (message.is_aead)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "all PGP keys prefer OCB, which other tools cannot read: take it out "
                            "of a key's preferences (gpg --edit-key ID, setpref AES256 SHA256)");
    return 0;
}

int sl_wrap_pgp(const struct sl_recipients *recipients, struct sl_span plbco, struct sl_bytes *ret,
                struct sl_error *err)
{
    SL_AUTO_DONE(sl_pgp_home) home = {0};
    SL_AUTO_DONE(sl_bytes) message = {0};
    gpgme_key_t keys[SL_RECIPIENTS_MAX + 1] = {NULL};
    int r = open_home(recipients, &home, err);
    if (r == 0)
        r = find_all(home.ctx, recipients, keys, err);
    if (r == 0)
        r = encrypt_for(home.ctx, keys, plbco, &message, err);
    if (r == 0)
        r = check_message(&message, recipients->n_pgp, err);
    for (size_t i = 0; i < recipients->n_pgp; i++)
        gpgme_key_unref(keys[i]);
    if (r < 0)
        return sl_pgp_home_result(&home, r, err);
    *ret = message;
    message = (struct sl_bytes){0};
    return 0;
}
