/* SPDX-License-Identifier: Apache-2.0 */
#define SL_ERROR_KEEPS_PROMISE
#include "sluice/core/error.h"

#include "terminal_text.h"

#include <stdio.h>
#include <string.h>

static const char *const names[] = {
    [SL_OK] = "ok",
    [SL_E_SYSTEM] = "system",
    [SL_E_NETWORK] = "network",
    [SL_E_AUTH] = "auth",
    [SL_E_FORMAT] = "format",
    [SL_E_INTEGRITY] = "integrity",
    [SL_E_POLICY] = "policy",
    [SL_E_LIMIT] = "limit",
    [SL_E_UNSUPPORTED] = "unsupported",
    [SL_E_CANCELLED] = "cancelled",
};

const char *sl_errc_name(enum sl_errc code)
{
    return (size_t)code < sizeof(names) / sizeof(names[0]) ? names[code] : "unknown";
}

int sl_error_set(struct sl_error *err, enum sl_errc code, int errnum, const char *fmt, ...)
{
    if (errnum <= 0)
        errnum = EIO;
    if (!err)
        return -errnum;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    va_end(ap);
    sl_terminal_text_clean(err->msg);
    err->code = code;
    err->errnum = errnum;
    err->stage = NULL;
    return -errnum;
}

int sl_error_system(struct sl_error *err, int errnum, const char *fmt, ...)
{
    char what[SL_ERROR_MSG_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    const char *why = strerrordesc_np(errnum);
    return sl_error_set(err, SL_E_SYSTEM, errnum, "%s: %s", what, why ? why : "unknown error");
}

int sl_error_wrap(struct sl_error *err, int r, const char *fmt, ...)
{
    if (!err)
        return r;
    char inner[SL_ERROR_MSG_MAX];
    memcpy(inner, err->msg, sizeof(inner));
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof(err->msg))
        (void)snprintf(err->msg + n, sizeof(err->msg) - (size_t)n, ": %s", inner);
    sl_terminal_text_clean(err->msg);
    return r;
}

int sl_error_oom(struct sl_error *err)
{
    return sl_error_set(err, SL_E_SYSTEM, ENOMEM, "out of memory");
}
