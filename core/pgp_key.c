/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/pgp_key.h"

#include "sluice/core/pgp_home.h"

#include <string.h>
#include <strings.h>

enum { KEY_ID_LEN = 16 };

/* How people are told what was looked for. */
static const struct wording {
    const char *prefix, *listing, *several, *unusable, *none;
} wordings[] = {
    [SL_PGP_FOR_ENCRYPTION] = {"pgp:", "listing keys", "keys: name one by its whole e-mail address",
                               "its key is expired, revoked, or not for encryption",
                               "no key with exactly this e-mail address or name"},
    [SL_PGP_FOR_SIGNING] = {"", "listing secret keys", "secret keys: name one by its fingerprint",
                            "its key is expired, revoked, or not for signing",
                            "no secret key with this fingerprint, e-mail address or name"},
};

static bool is_fingerprint(const char *fpr, const char *id)
{
    size_t len = fpr ? strlen(fpr) : 0;
    return len > KEY_ID_LEN &&
           (strcasecmp(fpr, id) == 0 ||
            (strlen(id) == KEY_ID_LEN && strcasecmp(fpr + len - KEY_ID_LEN, id) == 0));
}

static bool is_same(const char *text, const char *id)
{
    return text && strcmp(text, id) == 0;
}

static bool is_named(gpgme_key_t key, enum sl_pgp_key_use use, const char *id)
{
    for (gpgme_subkey_t sub = key->subkeys; use == SL_PGP_FOR_SIGNING && sub; sub = sub->next)
        if (is_fingerprint(sub->fpr, id))
            return true;
    for (gpgme_user_id_t uid = key->uids; uid; uid = uid->next)
        if (!uid->revoked && !uid->invalid && (is_same(uid->email, id) || is_same(uid->name, id)))
            return true;
    return false;
}

static bool is_usable(gpgme_key_t key, enum sl_pgp_key_use use)
{
    bool can = use == SL_PGP_FOR_SIGNING ? key->can_sign : key->can_encrypt;
    return can && !key->revoked && !key->expired && !key->disabled && !key->invalid;
}

/* All keys are looked at: gpg's own search takes some names for key ids or patterns. */
int sl_pgp_find_key(gpgme_ctx_t ctx, enum sl_pgp_key_use use, const char *id, gpgme_key_t *ret,
                    struct sl_error *err)
{
    const struct wording *w = &wordings[use];
    size_t n_named = 0;
    size_t n_usable = 0;
    gpgme_key_t key = NULL;
    gpgme_key_t found = NULL;
    gpgme_error_t e =
        gpgme_op_keylist_start(ctx, NULL, /* secret_only= */ use == SL_PGP_FOR_SIGNING);
    while (!e && !(e = gpgme_op_keylist_next(ctx, &key))) {
        bool is_it = is_named(key, use, id);
        n_named += is_it;
        n_usable += is_it && is_usable(key, use);
        if (is_it && is_usable(key, use) && !found)
            found = key;
        else
            gpgme_key_unref(key);
    }
    if (gpgme_err_code(e) == GPG_ERR_EOF && n_usable == 1) {
        *ret = found;
        return 0;
    }
    gpgme_key_unref(found);
    if (gpgme_err_code(e) != GPG_ERR_EOF)
        return sl_pgp_failed(err, e, w->listing);
    if (n_usable > 1)
        return sl_error_set(err, SL_E_AUTH, ENOTUNIQ, "%s%s fits %zu %s", w->prefix, id, n_usable,
                            w->several);
    return sl_error_set(err, SL_E_AUTH, ENOKEY, "%s%s: %s", w->prefix, id,
                        n_named ? w->unusable : w->none);
}
