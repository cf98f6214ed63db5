/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enc.keys.provider.NAME: the configured provider of this name is asked. Without one,
 * attestation-agent's packets are made here.
 */
#include "enc_annotations.h"
#include "recipients.h"
#include "wrap_packet.h"

#include <stdlib.h>
#include <string.h>

void sl_provider_recipient_done(struct sl_provider_recipient *to)
{
    free(to->name);
    sl_secret_free(to->params);
    sl_packet_params_done(&to->packet);
    sl_secret_release(to->kek);
    *to = (struct sl_provider_recipient){0};
}

/* NAME[:PARAMS]; without PARAMS the word "Enabled" stands for them, as in other tools. */
static int split(const char *value, struct sl_provider_recipient *to, struct sl_error *err)
{
    const char *colon = strchr(value, ':');
    size_t len = colon ? (size_t)(colon - value) : strlen(value);
    if (len == 0)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "without a name");
    to->name = strndup(value, len);
    to->params = strdup(colon ? colon + 1 : "Enabled");
    return to->name && to->params ? 0 : sl_error_oom(err);
}

/* The KEK is fetched once: all layers are wrapped with the same. */
static int prepare_native(const struct sl_recipients *recipients, struct sl_provider_recipient *to,
                          struct sl_error *err)
{
    to->is_native = true;
    int r = sl_packet_params_parse(to->params, &to->packet, err);
    if (r == 0)
        r = sl_packet_params_check(&to->packet, recipients->allow_sample, recipients->allow_a256ctr,
                                   err);
    if (r < 0)
        return r;
    to->kek = sl_secret_alloc(SL_KEK_SIZE);
    if (!to->kek)
        return sl_error_oom(err);
    return sl_packet_params_kek(&to->packet, recipients->kek_lookup, recipients->kek_arg, to->kek,
                                err);
}

static int prepare(const struct sl_recipients *recipients, struct sl_provider_recipient *to,
                   struct sl_error *err)
{
    if (recipients->provider_has && recipients->provider_has(recipients->provider_arg, to->name))
        return 0;
    if (strcmp(to->name, SL_NATIVE_PROVIDER) == 0)
        return prepare_native(recipients, to, err);
    return sl_error_set(err, SL_E_AUTH, ENOKEY,
                        "this key provider is not configured: set OCICRYPT_KEYPROVIDER_CONFIG");
}

int sl_recipient_add_provider(struct sl_recipients *recipients, const char *value,
                              struct sl_error *err)
{
    struct sl_provider_recipient to = {0};
    int r = split(value, &to, err);
    if (r == 0)
        r = prepare(recipients, &to, err);
    if (r < 0) {
        r = sl_error_wrap(err, r, "provider %.60s", to.name ? to.name : "");
        sl_provider_recipient_done(&to);
        return r;
    }
    recipients->providers[recipients->n_providers++] = to;
    return 0;
}

int sl_wrap_provider(const struct sl_recipients *recipients, const struct sl_provider_recipient *to,
                     struct sl_span plbco, struct sl_bytes *ret, struct sl_error *err)
{
    int r = to->is_native ? sl_packet_params_wrap(&to->packet, to->kek, plbco, ret, err)
                          : recipients->provider_wrap(recipients->provider_arg, to->name,
                                                      to->params, plbco, ret, err);
    return r < 0 ? sl_error_wrap(err, r, "provider %.60s", to->name) : 0;
}
