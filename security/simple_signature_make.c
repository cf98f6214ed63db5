/* SPDX-License-Identifier: Apache-2.0 */
#include "pgp_signed_message.h"
#include "sluice/core/pgp_home.h"
#include "sluice/core/pgp_key.h"
#include "sluice/signature_write.h"

static ssize_t keep_message(void *arg, const void *bytes, size_t n)
{
    if (sl_bytes_append(arg, (struct sl_span){bytes, n}, SL_SIMPLE_SIGNATURE_MAX, NULL) == 0)
        return (ssize_t)n;
    errno = EFBIG;
    return -1;
}

static int sign_failed(gpgme_error_t e, const char *passphrase, struct sl_error *err)
{
    gpgme_err_code_t code = gpgme_err_code(e);
    if (code == GPG_ERR_BAD_PASSPHRASE || code == GPG_ERR_CANCELED)
        return sl_error_set(err, SL_E_AUTH, EKEYREJECTED, "%s",
                            passphrase ? "wrong passphrase for the OpenPGP secret key"
                                       : "the OpenPGP secret key needs a passphrase");
    return sl_pgp_failed(err, e, "signing");
}

static int sign(gpgme_ctx_t ctx, gpgme_key_t key, struct sl_span payload, const char *passphrase,
                struct sl_bytes *ret, struct sl_error *err)
{
    struct gpgme_data_cbs sink = {.write = keep_message};
    gpgme_data_t in = NULL;
    gpgme_data_t out = NULL;
    sl_pgp_set_passphrase(ctx, passphrase);
    gpgme_error_t e = gpgme_signers_add(ctx, key);
    if (!e)
        e = sl_pgp_lend(payload, &in);
    if (!e)
        e = sl_pgp_collect(&sink, ret, &out);
    if (!e)
        e = gpgme_op_sign(ctx, in, out, GPGME_SIG_MODE_NORMAL);
    gpgme_data_release(in);
    gpgme_data_release(out);
    return e ? sign_failed(e, passphrase, err) : 0;
}

/* What was written must be what others read. */
static int check_message(const struct sl_bytes *message, struct sl_error *err)
{
    SL_AUTO_DONE(sl_pgp_signed_message) read = {0};
    int r = sl_pgp_signed_message_parse(sl_bytes_span(message), &read, err);
    return r < 0 ? sl_error_wrap(err, r, "what gpg wrote") : 0;
}

int sl_simple_signature_make(struct sl_span payload, const struct sl_pgp_signer *signer,
                             struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_pgp_home) home = {.dir.fd = -1};
    SL_AUTO_DONE(sl_bytes) message = {0};
    gpgme_key_t key = NULL;
    const char *dir = signer->home ? signer->home : sl_pgp_user_home();
    int r = sl_pgp_home_open(dir, /* deadline_ms= */ 0, &home, err);
    if (r < 0)
        return sl_error_wrap(err, r, "signing");
    r = sl_pgp_find_key(home.ctx, SL_PGP_FOR_SIGNING, signer->key, &key, err);
    if (r == 0)
        r = sign(home.ctx, key, payload, signer->passphrase, &message, err);
    gpgme_key_unref(key);
    if (r == 0)
        r = check_message(&message, err);
    r = sl_pgp_home_result(&home, r, err);
    if (r < 0)
        return r;
    *ret = message;
    message = (struct sl_bytes){0};
    return 0;
}
