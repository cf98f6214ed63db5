/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/lookaside.h"

char *sl_lookaside_url(const char *base, const char *repository, const struct sl_digest *manifest,
                       unsigned number)
{
    (void)base;
    (void)repository;
    (void)manifest;
    (void)number;
    return NULL;
}

int sl_lookaside_read_file(const char *base, const char *url, struct sl_bytes *ret,
                           struct sl_error *err)
{
    (void)base;
    (void)url;
    (void)ret;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}

int sl_lookaside_write_file(const char *base, const char *repository,
                            const struct sl_digest *manifest, struct sl_span message,
                            char **ret_url, struct sl_error *err)
{
    (void)base;
    (void)repository;
    (void)manifest;
    (void)message;
    (void)ret_url;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}
