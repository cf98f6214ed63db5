/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/lookaside.h"

int sl_registries_d_open(const struct sl_resources *resources, const char *name,
                         bool compat_image_rs, struct sl_registries_d **ret, struct sl_error *err)
{
    (void)resources;
    (void)name;
    (void)compat_image_rs;
    (void)ret;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}

struct sl_registries_d *sl_registries_d_free(struct sl_registries_d *config)
{
    (void)config;
    return NULL;
}

int sl_registries_d_find(const struct sl_registries_d *config, const char *name,
                         struct sl_lookaside *ret, struct sl_error *err)
{
    (void)config;
    (void)name;
    (void)ret;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}
