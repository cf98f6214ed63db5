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

int sl_credentials_write(struct sl_backend *backend, int cancel_fd, struct sl_error *err)
{
    struct sl_credential_source source = {.get = get, .release = release};
    struct sluice_keys *keys = NULL;
    struct sluice_error why = {0};
    struct sl_generation *g = sl_backend_hold_config(backend);
    const struct sl_config *c = g->config;
    struct sluice_key_options options = *g->pull.keys;
    options.cancel_fd = cancel_fd;
    int r = c->n_credentials == 0
                ? 0
                : sl_error_from_api(sluice_keys_open(&options, &keys, &why), &why, err);
    source.arg = keys;
    if (r == 0)
        r = sl_credentials_write_below(SL_CREDENTIALS_ROOT, c->credentials, c->n_credentials,
                                       &source, err);
    (void)sluice_keys_close(keys);
    sl_backend_release_config(backend, g);
    return r < 0 ? sl_error_wrap(err, r, "credentials") : 0;
}
