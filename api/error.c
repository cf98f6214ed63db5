/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"
#include "sluice/api_error.h"

#include <stdio.h>
#include <string.h>

/* Codes go out as they are. */
#define IS_SAME(code) _Static_assert((int)SLUICE_##code == (int)SL_##code, "codes agree")
IS_SAME(OK);
IS_SAME(E_SYSTEM);
IS_SAME(E_NETWORK);
IS_SAME(E_AUTH);
IS_SAME(E_FORMAT);
IS_SAME(E_INTEGRITY);
IS_SAME(E_POLICY);
IS_SAME(E_LIMIT);
IS_SAME(E_UNSUPPORTED);
IS_SAME(E_CANCELLED);
_Static_assert(sizeof(((struct sluice_error *)0)->message) == SL_ERROR_MSG_MAX,
               "every message fits, both ways");

const char *sluice_code_name(enum sluice_code code)
{
    return sl_errc_name((enum sl_errc)code);
}

struct sluice_error sl_error_to_api(const struct sl_error *from)
{
    struct sluice_error to = {.code = (enum sluice_code)from->code, .errnum = from->errnum};
    (void)snprintf(to.stage, sizeof(to.stage), "%s", from->stage ? from->stage : "");
    (void)snprintf(to.message, sizeof(to.message), "%s", from->msg);
    return to;
}

int sl_api_result(int r, const struct sl_error *why, struct sluice_error *err)
{
    if (r < 0 && err)
        *err = sl_error_to_api(why);
    return r;
}

int sl_error_from_api(int r, const struct sluice_error *from, struct sl_error *err)
{
    static _Thread_local char stage[sizeof(from->stage)];
    if (r >= 0 || !err)
        return r;
    (void)snprintf(stage, sizeof(stage), "%s", from->stage);
    *err = (struct sl_error){
        .code = (enum sl_errc)from->code, .errnum = from->errnum, .stage = *stage ? stage : NULL};
    (void)snprintf(err->msg, sizeof(err->msg), "%s", from->message);
    return r;
}
