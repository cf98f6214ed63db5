/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sample_kbc: one key, known to everybody, for every kid. For tests of other software; whoever
 * opens it hands in the key, and so says that this is meant.
 */
#include "kbc_broker.h"

#include "sluice/core/secret.h"

#include <string.h>

static int sample_open(const struct sl_kbc_options *options, const char *uri, void **ret,
                       struct sl_error *err)
{
    (void)uri;
    if (!options->sample_kek)
        return sl_error_set(err, SL_E_POLICY, EACCES,
                            "protects nothing, since its key is public; it must be allowed");
    void *kek = sl_secret_alloc(SL_KBC_KEK_SIZE);
    if (!kek)
        return sl_error_oom(err);
    memcpy(kek, options->sample_kek, SL_KBC_KEK_SIZE);
    *ret = kek;
    return 0;
}

static void sample_close(void *kek)
{
    (void)sl_secret_release(kek);
}

static int sample_get_kek(void *kek, const struct sl_resource_uri *uri, struct sl_bytes *ret,
                          struct sl_error *err)
{
    (void)uri;
    return sl_bytes_append(ret, (struct sl_span){kek, SL_KBC_KEK_SIZE}, SL_KBC_KEK_SIZE, err);
}

static int sample_get_resource(void *kek, const struct sl_resource_uri *uri, struct sl_bytes *ret,
                               struct sl_error *err)
{
    (void)kek;
    (void)ret;
    return sl_error_set(err, SL_E_AUTH, ENOENT,
                        "Received unknown resource name: %.100s; this broker has no resources",
                        uri->path);
}

const struct sl_kbc_broker sl_kbc_sample = {
    .name = "sample_kbc",
    .label = "sample-kbc",
    .open = sample_open,
    .close = sample_close,
    .get_kek = sample_get_kek,
    .get_resource = sample_get_resource,
};
