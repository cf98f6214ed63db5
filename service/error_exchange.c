/* SPDX-License-Identifier: Apache-2.0 */
#include "error_exchange.h"

#include <assert.h>
#include <stdio.h>

static_assert((int)SLUICE_E_NETWORK == (int)SL_E_NETWORK &&
                  (int)SLUICE_E_CANCELLED == (int)SL_E_CANCELLED,
              "both lists of codes go in the same order");

struct sluice_error sl_error_export(const struct sl_error *err)
{
    struct sluice_error to = {.code = (enum sluice_code)err->code, .errnum = err->errnum};
    (void)snprintf(to.stage, sizeof(to.stage), "%s", err->stage ? err->stage : "");
    (void)snprintf(to.message, sizeof(to.message), "%s", err->msg);
    return to;
}

int sl_error_import(struct sl_error *err, const struct sluice_error *from)
{
    return sl_error_set(err, (enum sl_errc)from->code, from->errnum, "%s", from->message);
}
