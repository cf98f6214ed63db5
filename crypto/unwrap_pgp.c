/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enc.keys.pgp: an OpenPGP message, opened by gpg in a home directory that exists only for that.
 * First each file of secret keys that was given, with its own passphrase, then the keys of the
 * ring's gnupg home. gpg checks the modification detection code before it says yes; what it wrote
 * before is thrown away when it says no.
 */
#include "aes_open.h"
#include "key_ring.h"
#include "pgp_message.h"
#include "sluice/core/pgp_home.h"
#include "sluice/core/secret.h"

#include <stdlib.h>
#include <string.h>

enum { PLAIN_MAX = 4096 }; /* bytes of private options */

/* ---- files of secret keys ---- */

struct sl_pgp_keys *sl_pgp_keys_free(struct sl_pgp_keys *keys)
{
    if (!keys)
        return NULL;
    int saved = errno;
    sl_secret_release(keys->packets);
    sl_secret_release(keys->passphrase);
    free(keys);
    errno = saved;
    return NULL;
}

int sl_pgp_keys_new(struct sl_span packets, const char *passphrase, struct sl_pgp_keys **ret,
                    struct sl_error *err)
{
    SL_AUTO(sl_pgp_keys) keys = calloc(1, sizeof(*keys));
    if (!keys)
        return sl_error_oom(err);
    keys->packets = sl_secret_alloc(packets.len);
    keys->passphrase = passphrase ? sl_secret_alloc(strlen(passphrase) + 1) : NULL;
    if (!keys->packets || (passphrase && !keys->passphrase))
        return sl_error_oom(err);
    memcpy(keys->packets, packets.data, packets.len);
    keys->len = packets.len;
    if (passphrase)
        memcpy(keys->passphrase, passphrase, strlen(passphrase) + 1);
    *ret = sl_steal(&keys);
    return 0;
}

/* ---- gpg ---- */

static int import(gpgme_ctx_t ctx, struct sl_span packets, struct sl_error *err)
{
    gpgme_data_t data = NULL;
    gpgme_error_t e = sl_pgp_lend(packets, &data);
    if (!e)
        e = gpgme_op_import(ctx, data);
    gpgme_data_release(data);
    if (e)
        return sl_pgp_failed(err, e, "reading the secret keys");
    gpgme_import_result_t result = gpgme_op_import_result(ctx);
    if (!result || result->secret_read == 0)
        return sl_error_set(err, SL_E_AUTH, ENOKEY, "no OpenPGP secret key in the file given");
    return 0;
}

/* Never grows, so that no copy of a secret stays behind in memory that was given back. */
static ssize_t keep_plain(void *arg, const void *bytes, size_t n)
{
    if (sl_bytes_append(arg, (struct sl_span){bytes, n}, PLAIN_MAX, NULL) == 0)
        return (ssize_t)n;
    errno = EFBIG;
    return -1;
}

static int decrypt_failed(gpgme_error_t e, const char *passphrase, struct sl_error *err)
{
    switch (gpgme_err_code(e)) {
    case GPG_ERR_NO_SECKEY:
        return sl_unwrap_no_key(err, "no secret key given is for this PGP message");
    case GPG_ERR_BAD_PASSPHRASE:
    case GPG_ERR_CANCELED:
        return passphrase ? sl_error_set(err, SL_E_AUTH, EKEYREJECTED,
                                         "wrong passphrase for the OpenPGP secret key")
                          : sl_unwrap_no_key(err, "the OpenPGP secret key needs a passphrase: "
                                                  "FILE:pass=…, FILE:file=… or FILE:fd=…");
    case GPG_ERR_ENOMEM:
        return sl_error_oom(err);
    default:
        return sl_open_failed(err);
    }
}

static int decrypt(gpgme_ctx_t ctx, struct sl_span message, const char *passphrase,
                   struct sl_bytes *plain, struct sl_error *err)
{
    struct gpgme_data_cbs sink = {.write = keep_plain};
    gpgme_data_t in = NULL;
    gpgme_data_t out = NULL;
    sl_pgp_set_passphrase(ctx, passphrase);
    gpgme_error_t e = sl_pgp_lend(message, &in);
    if (!e)
        e = sl_pgp_collect(&sink, plain, &out);
    if (!e)
        e = gpgme_op_decrypt(ctx, in, out);
    gpgme_data_release(in);
    gpgme_data_release(out);
    if (e)
        return decrypt_failed(e, passphrase, err);
    gpgme_decrypt_result_t result = gpgme_op_decrypt_result(ctx);
    if (!result || result->legacy_cipher_nomdc)
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                            "PGP message: no modification detection code");
    return 0;
}

/* keys: a file given, or NULL for those of the ring's gnupg home. */
static int open_with(const struct sl_key_ring *ring, const struct sl_pgp_keys *keys,
                     struct sl_span message, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_pgp_home) home = {0};
    int r = sl_pgp_home_open(keys ? NULL : ring->pgp_home, ring->pgp_deadline_ms, &home, err);
    if (r == 0 && keys)
        r = import(home.ctx, (struct sl_span){keys->packets, keys->len}, err);
    if (r < 0)
        return sl_pgp_home_result(&home, r, err);
    struct sl_bytes plain = {.data = malloc(PLAIN_MAX + 1), .cap = PLAIN_MAX + 1};
    if (!plain.data)
        return sl_error_oom(err);
    r = decrypt(home.ctx, message, keys ? keys->passphrase : NULL, &plain, err);
    if (r == 0)
        *ret = plain;
    else
        sl_bytes_wipe(&plain);
    return sl_pgp_home_result(&home, r, err);
}

int sl_unwrap_pgp(const struct sl_key_ring *ring, struct sl_span element,
                  struct sl_bytes *ret_plbco, struct sl_error *err)
{
    struct sl_pgp_message message;
    int r = sl_pgp_message_parse(element, &message, err);
    if (r < 0)
        return r;
    if (ring->n_pgp == 0 && !ring->pgp_home)
        return sl_unwrap_no_key(
            err, "missing OpenPGP secret key needed for decryption (--decryption-key)");
    /* A key that is not for us says least about what is wrong. */
    struct sl_error worst = {0};
    for (size_t i = 0; i < ring->n_pgp + (ring->pgp_home ? 1 : 0); i++) {
        struct sl_error one = {0};
        const struct sl_pgp_keys *keys = i < ring->n_pgp ? ring->pgp[i] : NULL;
        r = open_with(ring, keys, element, ret_plbco, &one);
        if (r == 0)
            return 0;
        if (worst.errnum == 0 || worst.errnum == ENOKEY || r == -ETIMEDOUT)
            worst = one;
        if (r == -ETIMEDOUT)
            break; /* gpg would be as slow with the next */
    }
    return sl_error_set(err, worst.code, worst.errnum, "%s", worst.msg);
}
