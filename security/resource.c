/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/resource.h"

int sl_resource_get(const struct sl_resources *resources, const char *name, size_t limit,
                    struct sl_bytes *ret, struct sl_error *err)
{
    (void)resources;
    (void)name;
    (void)limit;
    (void)ret;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}
