/* SPDX-License-Identifier: Apache-2.0 */
/* Credential files from the library's key broker. */
#include "credentials.h"

#include "sluice/api_error.h"

static int get(void *arg, const char *uri, void **ret, size_t *ret_size, struct sl_error *err)
{
    struct sluice_error why = {0};
    int r = sluice_keys_get_resource(arg, uri, ret, ret_size, &why);
    return sl_error_from_api(r, &why, err);
}

static void release(void *secret, size_t size)
{
    (void)sluice_secret_free(secret, size);
}

int sl_credentials_write(const struct sl_config *config, struct sluice_keys *keys,
                         struct sl_error *err)
{
    const struct sl_credential_source source = {.get = get, .release = release, .arg = keys};
    return sl_credentials_write_below(SL_CREDENTIALS_ROOT, config->credentials,
                                      config->n_credentials, &source, err);
}
