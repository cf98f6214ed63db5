/* SPDX-License-Identifier: Apache-2.0 */
#include "recipients.h"

#include <stdlib.h>
#include <string.h>

/* Every protocol there is. */
static const struct {
    const char *prefix;
    sl_recipient_add_fn *add;
} protocols[] = {
    {"jwe:", sl_recipient_add_jwe},           {"pkcs7:", sl_recipient_add_pkcs7},
    {"pgp:", sl_recipient_add_pgp},           {"pkcs11:", sl_recipient_add_pkcs11},
    {"provider:", sl_recipient_add_provider},
};

int sl_recipients_new(struct sl_recipients **ret, struct sl_error *err)
{
    struct sl_recipients *recipients = calloc(1, sizeof(*recipients));
    if (!recipients)
        return sl_error_oom(err);
    *ret = recipients;
    return 0;
}

struct sl_recipients *sl_recipients_free(struct sl_recipients *recipients)
{
    if (!recipients)
        return NULL;
    int saved = errno;
    for (size_t i = 0; i < recipients->n_jwe; i++)
        sl_jwe_public_key_done(&recipients->jwe[i]);
    for (size_t i = 0; i < recipients->n_pkcs7; i++)
        X509_free(recipients->pkcs7[i]);
    for (size_t i = 0; i < recipients->n_pgp; i++)
        free(recipients->pgp[i]);
    for (size_t i = 0; i < recipients->n_providers; i++)
        sl_provider_recipient_done(&recipients->providers[i]);
    free(recipients->pgp_home);
    sl_pkcs11_recipients_free(recipients->pkcs11);
    free(recipients);
    errno = saved;
    return NULL;
}

void sl_recipients_set_provider(struct sl_recipients *recipients, sl_provider_wrap_fn *fn,
                                bool (*has)(void *arg, const char *name), void *arg)
{
    recipients->provider_wrap = fn;
    recipients->provider_has = has;
    recipients->provider_arg = arg;
}

void sl_recipients_set_kek_lookup(struct sl_recipients *recipients, sl_kek_lookup_fn *fn, void *arg)
{
    recipients->kek_lookup = fn;
    recipients->kek_arg = arg;
}

void sl_recipients_allow_sample(struct sl_recipients *recipients, bool allow)
{
    recipients->allow_sample = allow;
}

void sl_recipients_allow_a256ctr(struct sl_recipients *recipients, bool allow)
{
    recipients->allow_a256ctr = allow;
}

int sl_recipients_set_pgp_home(struct sl_recipients *recipients, const char *dir,
                               struct sl_error *err)
{
    char *copy = dir ? strdup(dir) : NULL;
    if (dir && !copy)
        return sl_error_oom(err);
    free(recipients->pgp_home);
    recipients->pgp_home = copy;
    return 0;
}

size_t sl_recipients_count(const struct sl_recipients *recipients)
{
    return recipients->n_jwe + recipients->n_pkcs7 + recipients->n_pgp + recipients->n_pkcs11 +
           recipients->n_providers;
}

static int add(struct sl_recipients *recipients, const char *spec, struct sl_error *err)
{
    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
        size_t len = strlen(protocols[i].prefix);
        if (strncmp(spec, protocols[i].prefix, len) != 0)
            continue;
        if (!spec[len])
            return sl_error_set(err, SL_E_FORMAT, EINVAL, "nothing follows %s", spec);
        return protocols[i].add(recipients, spec + len, err);
    }
    return sl_error_set(err, SL_E_FORMAT, EINVAL,
                        "%.40s: should begin with jwe:, pkcs7:, pgp:, pkcs11: or provider:", spec);
}

int sl_recipients_add_spec(struct sl_recipients *recipients, const char *spec, struct sl_error *err)
{
    if (sl_recipients_count(recipients) == SL_RECIPIENTS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d encryption keys",
                            SL_RECIPIENTS_MAX);
    int r = add(recipients, spec, err);
    return r < 0 ? sl_error_wrap(err, r, "encryption key") : 0;
}
