/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simple signing (containers-signature(5)): gpg verifies, in a home that holds the requirement's
 * keys and nothing else, and its structured answer is judged here. What it says about keys is not
 * taken from one word of its: it names only the first of several reasons, so that revocation and
 * expiry are looked up in the keys as well.
 */
#include "simple_signing.h"

#include "finding.h"
#include "pgp_signed_message.h"
#include "signature_payload.h"
#include "sluice/core/log.h"
#include "sluice/core/pgp_home.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    KEYS_MAX = 1024, /* of one requirement */
    RSA_BITS_MIN = 2048,
};

struct sl_pgp_keyring {
    struct sl_pgp_home home;
    gpgme_key_t *keys;
    size_t n;
};

/* A problem of ours or of gpg's, not of a key or a signature. */
static int failed(struct sl_signature_finding *finding, const struct sl_error *err)
{
    enum sl_signature_code code =
        err->errnum == ETIMEDOUT || err->errnum == ENOMEM ? SL_SIG_LIMIT : SL_SIG_UNSUPPORTED;
    return sl_finding_reject(finding, code, "%s", err->msg);
}

/* ---- keyrings ---- */

struct sl_pgp_keyring *sl_pgp_keyring_free(struct sl_pgp_keyring *keyring)
{
    if (!keyring)
        return NULL;
    int saved = errno;
    for (size_t i = 0; i < keyring->n; i++)
        gpgme_key_unref(keyring->keys[i]);
    free(keyring->keys);
    sl_pgp_home_done(&keyring->home);
    free(keyring);
    errno = saved;
    return NULL;
}

static const char *source_name(const struct sl_key_source *source)
{
    return source->name ? source->name : "keyData";
}

/* What people give by mistake. "" where nothing is known. */
static const char *advice_on(struct sl_span key)
{
    static const char pem[] = "-----BEGIN PUBLIC KEY-----", keybox[] = "KBXf";
    enum { KEYBOX_MAGIC_AT = 8 }; /* GnuPG's kbx/keybox-blob.c */
    if (memmem(key.data, key.len, pem, strlen(pem)))
        return ": it is a PEM key, which sigstoreSigned reads";
    if (key.len >= KEYBOX_MAGIC_AT + strlen(keybox) &&
        memcmp(key.data + KEYBOX_MAGIC_AT, keybox, strlen(keybox)) == 0)
        return ": it is gpg's own keybox: give what gpg --export prints";
    return "";
}

/* gpg skips what it cannot read, so that a file counts by what came of it. */
static int check_import(gpgme_import_result_t result, const struct sl_key_source *source,
                        struct sl_signature_finding *finding)
{
    if (result && result->secret_read)
        return sl_finding_reject(finding, SL_SIG_KEY_PARSE,
                                 "%s holds a secret key: give the public one (gpg --export)",
                                 source_name(source));
    for (gpgme_import_status_t one = result ? result->imports : NULL; one; one = one->next)
        if (gpgme_err_code(one->result) == GPG_ERR_NO_ERROR)
            return 0;
    return sl_finding_reject(finding, SL_SIG_KEY_PARSE, "no OpenPGP public key in %s%s",
                             source_name(source), advice_on(sl_bytes_span(&source->bytes)));
}

static int import(struct sl_pgp_keyring *keyring, const struct sl_key_source *source,
                  struct sl_signature_finding *finding)
{
    struct sl_error err = {0};
    gpgme_data_t data = NULL;
    if (source->is_unreadable)
        return sl_finding_reject(finding, SL_SIG_KEY_FETCH, "%s", source->problem.msg);
    if (source->bytes.len == 0)
        return check_import(NULL, source, finding);
    gpgme_error_t e = sl_pgp_lend(sl_bytes_span(&source->bytes), &data);
    if (!e)
        e = gpgme_op_import(keyring->home.ctx, data);
    gpgme_data_release(data);
    bool is_bad = gpgme_err_code(e) == GPG_ERR_NO_DATA || gpgme_err_code(e) == GPG_ERR_BAD_DATA;
    if (!e || is_bad) {
        if (sl_pgp_home_result(&keyring->home, -1, &err) != -1)
            return failed(finding, &err);
        return check_import(e ? NULL : gpgme_op_import_result(keyring->home.ctx), source, finding);
    }
    (void)sl_pgp_home_result(&keyring->home, sl_pgp_failed(&err, e, "reading keys"), &err);
    return failed(finding, &err);
}

/* Takes the key. One without a fingerprint could not be told from others. */
static int keep_key(struct sl_pgp_keyring *keyring, gpgme_key_t key)
{
    bool has_name = key->subkeys && key->subkeys->fpr;
    bool has_room = keyring->n < KEYS_MAX;
    if (has_name && has_room)
        keyring->keys[keyring->n++] = key;
    else
        gpgme_key_unref(key);
    return has_room ? 0 : -E2BIG;
}

/* The home was empty: what is there now is what was imported. */
static int list_keys(struct sl_pgp_keyring *keyring, struct sl_signature_finding *finding)
{
    struct sl_error err = {0};
    gpgme_key_t key = NULL;
    int r = 0;
    gpgme_error_t e = gpgme_op_keylist_start(keyring->home.ctx, NULL, /* secret_only= */ 0);
    while (r == 0 && !e && !(e = gpgme_op_keylist_next(keyring->home.ctx, &key)))
        r = keep_key(keyring, key);
    if (r < 0)
        return sl_finding_reject(finding, SL_SIG_LIMIT, "more than %d OpenPGP keys", KEYS_MAX);
    if (gpgme_err_code(e) != GPG_ERR_EOF) {
        (void)sl_pgp_home_result(&keyring->home, sl_pgp_failed(&err, e, "listing keys"), &err);
        return failed(finding, &err);
    }
    if (keyring->n == 0)
        return sl_finding_reject(finding, SL_SIG_KEY_PARSE, "no OpenPGP public key was imported");
    return 0;
}

int sl_pgp_keyring_open(const struct sl_requirement *requirement, struct sl_pgp_keyring **ret,
                        struct sl_signature_finding *finding)
{
    struct sl_error err = {0};
    if (requirement->key_type != SL_GPG_KEYS)
        return sl_finding_reject(finding, SL_SIG_UNSUPPORTED,
                                 "only the keyType GPGKeys is implemented");
    SL_AUTO(sl_pgp_keyring) keyring = calloc(1, sizeof(*keyring));
    if (!keyring)
        return failed(finding, &(struct sl_error){.errnum = ENOMEM, .msg = "out of memory"});
    keyring->home.dir.fd = -1;
    keyring->keys = calloc(KEYS_MAX, sizeof(gpgme_key_t));
    if (!keyring->keys)
        return failed(finding, &(struct sl_error){.errnum = ENOMEM, .msg = "out of memory"});
    int r = sl_pgp_home_open_for_verifying(/* deadline_ms= */ 0, &keyring->home, &err);
    if (r < 0)
        return failed(finding, &err);
    for (size_t i = 0; r == 0 && i < requirement->keys.n; i++)
        r = import(keyring, &requirement->keys.items[i], finding);
    if (r == 0)
        r = list_keys(keyring, finding);
    if (r < 0)
        return r;
    *ret = sl_steal(&keyring);
    return 0;
}

/* ---- gpg's answer ---- */

static ssize_t keep_payload(void *arg, const void *bytes, size_t n)
{
    if (sl_bytes_append(arg, (struct sl_span){bytes, n}, SL_SIGNATURE_PAYLOAD_MAX, NULL) == 0)
        return (ssize_t)n;
    errno = EFBIG;
    return -1;
}

static int run_gpg(struct sl_pgp_keyring *keyring, struct sl_span packets, struct sl_bytes *payload,
                   struct sl_signature_finding *finding)
{
    struct gpgme_data_cbs sink = {.write = keep_payload};
    struct sl_error err = {0};
    gpgme_data_t in = NULL;
    gpgme_data_t out = NULL;
    gpgme_error_t e = sl_pgp_lend(packets, &in);
    if (!e)
        e = sl_pgp_collect(&sink, payload, &out);
    if (!e)
        e = gpgme_op_verify(keyring->home.ctx, in, /* signed_text= */ NULL, out);
    gpgme_data_release(in);
    gpgme_data_release(out);
    if (sl_pgp_home_result(&keyring->home, e ? -EIO : 0, &err) == -ETIMEDOUT)
        return failed(finding, &err);
    if (e)
        return sl_finding_reject(finding, SL_SIG_CRYPTO, "gpg cannot verify it: %s",
                                 gpgme_strerror(e));
    return 0;
}

/* By whom: a primary key of the keyring and the one of its subkeys, perhaps itself, that signed. */
struct signer {
    gpgme_key_t key;
    gpgme_subkey_t subkey;
};

static bool find_signer(const struct sl_pgp_keyring *keyring, const char *fpr, struct signer *ret)
{
    for (size_t i = 0; fpr && i < keyring->n; i++)
        for (gpgme_subkey_t sub = keyring->keys[i]->subkeys; sub; sub = sub->next)
            if (sub->fpr && strcmp(sub->fpr, fpr) == 0) {
                *ret = (struct signer){keyring->keys[i], sub};
                return true;
            }
    return false;
}

static const char *primary_of(const struct signer *signer)
{
    return signer->key->subkeys->fpr;
}

static bool is_primary(const struct signer *signer)
{
    return signer->subkey == signer->key->subkeys;
}

static const char *role_of(const struct signer *signer)
{
    return is_primary(signer) ? "key" : "subkey";
}

static void format_day(int64_t when, char out[32])
{
    time_t t = (time_t)when;
    struct tm tm;
    if (!gmtime_r(&t, &tm) || strftime(out, 32, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
        out[0] = 0;
}

static int check_revocation(const struct signer *signer, struct sl_signature_finding *finding)
{
    gpgme_key_t key = signer->key;
    if (key->revoked || key->subkeys->revoked)
        return sl_finding_reject(finding, SL_SIG_KEY, "signed by key %s, which is revoked",
                                 primary_of(signer));
    if (signer->subkey->revoked)
        return sl_finding_reject(finding, SL_SIG_KEY,
                                 "signed by subkey %s of key %s, which is revoked",
                                 signer->subkey->fpr, primary_of(signer));
    if (key->invalid || key->disabled || signer->subkey->invalid || signer->subkey->disabled)
        return sl_finding_reject(finding, SL_SIG_KEY, "signed by %s %s, which is not valid",
                                 role_of(signer), signer->subkey->fpr);
    return 0;
}

/* One key or subkey; a requirement may be content with one that was not yet expired then. */
static int check_expiry(gpgme_subkey_t sub, const char *role, bool is_then_enough,
                        gpgme_signature_t sig, struct sl_signature_finding *finding)
{
    char day[32];
    int64_t expires = sub->expires;
    if (expires == 0 || expires > time(NULL))
        return sub->expired && !is_then_enough
                   ? sl_finding_reject(finding, SL_SIG_KEY, "signed by %s %s, which has expired",
                                       role, sub->fpr)
                   : 0;
    if (is_then_enough && (int64_t)sig->timestamp < expires)
        return 0;
    format_day(expires, day);
    return sl_finding_reject(finding, SL_SIG_KEY, "signed by %s %s, which expired on %s%s", role,
                             sub->fpr, day, is_then_enough ? ", before it signed" : "");
}

static int check_signer(const struct signer *signer, const struct sl_requirement *requirement,
                        gpgme_signature_t sig, struct sl_signature_finding *finding)
{
    bool is_then_enough = requirement->allow_expired_key;
    int r = check_revocation(signer, finding);
    if (r == 0)
        r = check_expiry(signer->key->subkeys, "key", is_then_enough, sig, finding);
    if (r == 0)
        r = check_expiry(signer->subkey, role_of(signer), is_then_enough, sig, finding);
    if (r == 0 && !signer->subkey->can_sign)
        r = sl_finding_reject(finding, SL_SIG_KEY, "signed by %s %s, which is not for signing",
                              role_of(signer), signer->subkey->fpr);
    return r;
}

/* ---- algorithms ---- */

static bool is_known_curve(const char *curve)
{
    static const char *const curves[] = {"nistp256", "nistp384", "nistp521", "ed25519", "Ed25519"};
    for (size_t i = 0; curve && i < sizeof(curves) / sizeof(curves[0]); i++)
        if (strcmp(curve, curves[i]) == 0)
            return true;
    return false;
}

static int check_key_algorithm(const struct signer *signer, struct sl_signature_finding *finding)
{
    gpgme_subkey_t sub = signer->subkey;
    bool is_rsa = sub->pubkey_algo == GPGME_PK_RSA || sub->pubkey_algo == GPGME_PK_RSA_S;
    bool is_curve = sub->pubkey_algo == GPGME_PK_ECDSA || sub->pubkey_algo == GPGME_PK_EDDSA;
    if (is_rsa && sub->length < RSA_BITS_MIN)
        return sl_finding_reject(finding, SL_SIG_KEY,
                                 "signed by %s %s, RSA of %u bits: at least %d are needed",
                                 role_of(signer), sub->fpr, sub->length, RSA_BITS_MIN);
    if (is_rsa || (is_curve && is_known_curve(sub->curve)))
        return 0;
    return sl_finding_reject(finding, SL_SIG_UNSUPPORTED,
                             "signed by %s %s of a kind that is not accepted (%s%s%s)",
                             role_of(signer), sub->fpr, gpgme_pubkey_algo_name(sub->pubkey_algo),
                             sub->curve ? " " : "", sub->curve ? sub->curve : "");
}

/* Old signatures of the dialect's own tools are over SHA-1. */
static int check_hash_algorithm(unsigned algorithm, bool is_compat,
                                struct sl_signature_finding *finding)
{
    const char *name = gpgme_hash_algo_name(algorithm);
    switch (algorithm) {
    case GPGME_MD_SHA256:
    case GPGME_MD_SHA384:
    case GPGME_MD_SHA512:
        return 0;
    case GPGME_MD_SHA1:
        if (is_compat) {
            sl_log(SL_LOG_DEBUG, "a signature over SHA-1 is accepted: the policy is compatible "
                                 "with image-rs");
            return 0;
        }
        break;
    default:
        break;
    }
    return sl_finding_reject(finding, SL_SIG_CRYPTO,
                             "its digest is %s: sign with SHA256, SHA384 or SHA512 "
                             "(gpg --digest-algo)",
                             name ? name : "not known");
}

/* ---- verdict ---- */

/* Where gpg has no better word; what it says of keys has been looked at before. */
static int refuse_status(gpgme_signature_t sig, struct sl_signature_finding *finding)
{
    const char *fpr = sig->fpr ? sig->fpr : "that is not named";
    char day[32];
    switch (gpgme_err_code(sig->status)) {
    case GPG_ERR_BAD_SIGNATURE:
        return sl_finding_reject(finding, SL_SIG_CRYPTO, "the signature by key %s is wrong", fpr);
    case GPG_ERR_NO_PUBKEY:
        return sl_finding_reject(finding, SL_SIG_KEY,
                                 "signed by key %s, which is not one of the policy's", fpr);
    case GPG_ERR_SIG_EXPIRED:
        format_day((int64_t)sig->exp_timestamp, day);
        return sl_finding_reject(finding, SL_SIG_TIME, "the signature by key %s expired on %s", fpr,
                                 day);
    case GPG_ERR_KEY_EXPIRED:
        return sl_finding_reject(finding, SL_SIG_KEY, "signed by key %s, which has expired", fpr);
    case GPG_ERR_CERT_REVOKED:
        return sl_finding_reject(finding, SL_SIG_KEY, "signed by key %s, which is revoked", fpr);
    default:
        return sl_finding_reject(finding, SL_SIG_CRYPTO,
                                 "the signature by key %s does not verify: %s", fpr,
                                 gpgme_strerror(sig->status));
    }
}

static bool is_distrusted(gpgme_signature_t sig, const struct sl_pgp_signed_message *message)
{
    return sig->validity == GPGME_VALIDITY_NEVER || sig->validity_reason != 0 ||
           sig->wrong_key_usage || sig->hash_algo != (gpgme_hash_algo_t)message->hash_algorithm;
}

/* All that may be wrong with a key and what it is for. */
static int check_all(const struct signer *signer, const struct sl_requirement *requirement,
                     gpgme_signature_t sig, struct sl_signature_finding *finding)
{
    int r = check_signer(signer, requirement, sig, finding);
    if (r == 0 && sig->exp_timestamp && (int64_t)sig->exp_timestamp <= time(NULL))
        r = refuse_status(&(struct _gpgme_signature){.status = gpgme_error(GPG_ERR_SIG_EXPIRED),
                                                     .fpr = sig->fpr,
                                                     .exp_timestamp = sig->exp_timestamp},
                          finding);
    if (r == 0)
        r = check_key_algorithm(signer, finding);
    return r < 0 ? r : check_hash_algorithm(sig->hash_algo, requirement->is_compat, finding);
}

/* Revocation first: gpg calls a key that is both expired and revoked expired. */
static int judge(const struct sl_pgp_keyring *keyring, const struct sl_requirement *requirement,
                 const struct sl_pgp_signed_message *message, gpgme_signature_t sig,
                 struct sl_signature_finding *finding)
{
    struct signer signer = {0};
    gpgme_err_code_t status = gpgme_err_code(sig->status);
    if (status != GPG_ERR_NO_ERROR && status != GPG_ERR_KEY_EXPIRED &&
        status != GPG_ERR_CERT_REVOKED)
        return refuse_status(sig, finding);
    if (!find_signer(keyring, sig->fpr, &signer))
        return sl_finding_reject(finding, SL_SIG_KEY,
                                 "signed by key %s, which is not one of the policy's",
                                 sig->fpr ? sig->fpr : "that is not named");
    int r = check_all(&signer, requirement, sig, finding);
    if (r < 0)
        return r;
    if (status != GPG_ERR_NO_ERROR &&
        !(status == GPG_ERR_KEY_EXPIRED && requirement->allow_expired_key))
        return refuse_status(sig, finding);
    if (is_distrusted(sig, message))
        return sl_finding_reject(finding, SL_SIG_KEY, "gpg does not trust the signature by key %s",
                                 sig->fpr);
    sl_finding_set_text(finding->key, primary_of(&signer));
    finding->signed_at = (int64_t)sig->timestamp;
    return 0;
}

static int verify(struct sl_pgp_keyring *keyring, const struct sl_requirement *requirement,
                  const struct sl_pgp_signed_message *message, struct sl_bytes *payload,
                  struct sl_signature_finding *finding)
{
    int r = run_gpg(keyring, sl_bytes_span(&message->packets), payload, finding);
    if (r < 0)
        return r;
    gpgme_verify_result_t result = gpgme_op_verify_result(keyring->home.ctx);
    gpgme_signature_t sig = result ? result->signatures : NULL;
    if (!sig || sig->next)
        return sl_finding_reject(finding, SL_SIG_FORMAT, "%s",
                                 sig ? "more than one signature" : "no signature in it");
    return judge(keyring, requirement, message, sig, finding);
}

static int walk(struct sl_span bytes, bool is_compat, struct sl_pgp_signed_message *ret,
                struct sl_signature_finding *finding)
{
    struct sl_error err = {0};
    if (sl_pgp_signed_message_parse(bytes, ret, &err) < 0)
        return sl_finding_reject(finding,
                                 err.code == SL_E_LIMIT         ? SL_SIG_LIMIT
                                 : err.code == SL_E_UNSUPPORTED ? SL_SIG_UNSUPPORTED
                                                                : SL_SIG_FORMAT,
                                 "%s", err.msg);
    if (ret->type == SL_PGP_TYPE_BINARY || is_compat)
        return 0;
    return sl_finding_reject(finding, SL_SIG_FORMAT,
                             "PGP message: signed as text, which does not cover line ends; sign "
                             "without --textmode");
}

int sl_simple_signature_verify(struct sl_pgp_keyring *keyring,
                               const struct sl_requirement *requirement,
                               const struct sl_judged_image *image,
                               const struct sl_signature *signature,
                               struct sl_signature_finding *finding)
{
    SL_AUTO_DONE(sl_pgp_signed_message) message = {0};
    SL_AUTO_DONE(sl_bytes) payload = {0};
    if (signature->kind != SL_SIGNATURE_SIMPLE)
        return sl_finding_reject(finding, SL_SIG_UNSUPPORTED, "not an OpenPGP signature");
    int r = walk(sl_bytes_span(&signature->bytes), requirement->is_compat, &message, finding);
    if (r == 0)
        r = verify(keyring, requirement, &message, &payload, finding);
    if (r < 0)
        return r;
    return sl_signature_payload_check(sl_bytes_span(&payload), SL_PAYLOAD_TYPE_SIMPLE, requirement,
                                      image, finding);
}
