/* SPDX-License-Identifier: Apache-2.0 */
/* What a kind of key broker must do. kbc.c checks names, asks once for each, and keeps answers. */
#pragma once

#include "sluice/kbc.h"

enum { SL_KBC_KEK_SIZE = 32 };

struct sl_kbc_broker {
    const char *name;  /* in "NAME::URI" */
    const char *label; /* in messages */
    /* uri: what follows "::". *ret belongs to the kbc, for close. */
    int (*open)(const struct sl_kbc_options *options, const char *uri, void **ret,
                struct sl_error *err);
    void (*close)(void *broker); /* accepts NULL */
    /* uri: of plugin "resource", with exactly repository, type and tag. Any thread; may block.
     * *ret is secret and empty. */
    int (*get_kek)(void *broker, const struct sl_resource_uri *uri, struct sl_bytes *ret,
                   struct sl_error *err);
    int (*get_resource)(void *broker, const struct sl_resource_uri *uri, struct sl_bytes *ret,
                        struct sl_error *err);
};

extern const struct sl_kbc_broker sl_kbc_offline_fs;
extern const struct sl_kbc_broker sl_kbc_sample;
extern const struct sl_kbc_broker sl_kbc_forwarded; /* of every other name */

/* kbc_forward.c: "NAME::URI" of a broker that others speak to; and the words of a refusal. */
bool sl_kbc_is_spoken_elsewhere(const char *selection);
int sl_kbc_unknown(const char *selection, struct sl_error *err);
