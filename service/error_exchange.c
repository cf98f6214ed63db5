/* SPDX-License-Identifier: Apache-2.0 */
#include "error_exchange.h"

#include "sluice/api_error.h"

struct sluice_error sl_error_export(const struct sl_error *err)
{
    return sl_error_to_api(err);
}

int sl_error_import(struct sl_error *err, const struct sluice_error *from)
{
    return sl_error_from_api(from->errnum > 0 ? -from->errnum : -EIO, from, err);
}
