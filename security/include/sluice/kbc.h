/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key broker clients: who answers for a KEK or a resource. Selected as other guest components do,
 * "NAME::URI": offline_fs_kbc::null, sample_kbc::null.
 */
#pragma once

#include "sluice/core/resource_uri.h"

#define SL_OFFLINE_KEYS_PATH "/etc/aa-offline_fs_kbc-keys.json"
#define SL_OFFLINE_RESOURCES_PATH "/etc/aa-offline_fs_kbc-resources.json"

/* Somebody who speaks to the brokers that we do not. */
struct sl_kbc_forward {
    /* uri: "kbs:///repository/type/tag". *ret is secret and empty. Any thread; may block. */
    int (*get_resource)(void *arg, const char *uri, struct sl_bytes *ret, struct sl_error *err);
    void (*close)(void *arg);
    void *arg;
};

struct sl_kbc_options {
    const char *selection; /* "NAME::URI", split at the first "::" (a URI may hold IPv6) */
    const char *offline_keys, *offline_resources; /* files; NULL: their defaults */
    const uint8_t *sample_kek;      /* 32 bytes; NULL: sample_kbc is refused, being unsafe */
    struct sl_kbc_forward *forward; /* for every other NAME; taken (zeroed) when it is needed; NULL:
                                     * other names are refused, those of brokers that exist when
                                     * they are asked for something */
};

/* Secret: keys live in locked memory. Any thread may ask. */
struct sl_kbc;
/* Reads what the broker needs. A default file of keys or resources that does not exist is no error
 * until somebody asks for one; a file that was named must exist. */
SL_MUST_CHECK int sl_kbc_open(const struct sl_kbc_options *options, struct sl_kbc **ret,
                              struct sl_error *err);
/* Wipes. */
struct sl_kbc *sl_kbc_close(struct sl_kbc *kbc);
SL_DEFINE_AUTO(sl_kbc, sl_kbc_close)
const char *sl_kbc_name(const struct sl_kbc *kbc); /* "offline_fs_kbc" */
/* Somebody else speaks to the broker. NULL: there is none, and nobody does. */
bool sl_kbc_is_forwarded(const struct sl_kbc *kbc);
/* Has the type of sl_kek_lookup_fn; arg is the kbc. Concurrent requests for one kid are one
 * request, and its answer, a KEK or a refusal, is kept until the kbc is closed. */
int sl_kbc_lookup_kek(void *kbc, const char *kid, uint8_t ret[32], struct sl_error *err);
/* A resource such as kbs:///default/security-policy/test. Keys are no resources. *ret may be
 * secret. SL_E_AUTH, ENOENT: there is none of that name. */
SL_MUST_CHECK int sl_kbc_get_resource(struct sl_kbc *kbc, const char *uri, struct sl_bytes *ret,
                                      struct sl_error *err);

/* A key file for offline_fs_kbc with n fresh random keys named REPOSITORY/key/key_id1…n, as JSON.
 * Secret. repository NULL: "default". */
SL_MUST_CHECK int sl_offline_keys_generate(const char *repository, unsigned n, struct sl_bytes *ret,
                                           struct sl_error *err);
