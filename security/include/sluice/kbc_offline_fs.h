/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offline_fs_kbc: KEKs from a JSON file of the guest, {"repo/type/tag": "base64", …}
 * (/etc/aa-offline_fs_kbc-keys.json). Secure only where the file system is.
 */
#pragma once

#include "sluice/core/bytes.h"

#define SL_OFFLINE_KEYS_PATH "/etc/aa-offline_fs_kbc-keys.json"

struct sl_kbc_offline_fs;
/* Reads and checks the whole file. Values must be base64; a KEK must have 32 bytes when asked
 * for. */
SL_MUST_CHECK int sl_kbc_offline_fs_open(const char *path, struct sl_kbc_offline_fs **ret,
                                         struct sl_error *err);
/* Wipes the keys. */
struct sl_kbc_offline_fs *sl_kbc_offline_fs_close(struct sl_kbc_offline_fs *kbc);
SL_DEFINE_AUTO(sl_kbc_offline_fs, sl_kbc_offline_fs_close)
/* Has the type of sl_kek_lookup_fn; arg is the kbc. kid: a KBS resource URI, or one of the older
 * forms ADDR/R/T/G and /R/T/G; host, plugin and query do not take part in the lookup. Any
 * thread. */
int sl_kbc_offline_fs_lookup(void *kbc, const char *kid, uint8_t ret[32], struct sl_error *err);
