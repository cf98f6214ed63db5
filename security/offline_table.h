/* SPDX-License-Identifier: Apache-2.0 */
/* One table of offline_fs_kbc: {"repository/type/tag": "base64", …}, from one file or several. */
#pragma once

#include "sluice/core/bytes.h"

enum { SL_OFFLINE_FILE_MAX = 4 * 1024 * 1024 }; /* bytes */

struct sl_offline_table;
/* noun, "key" or "resource", is static and names in errors what the table holds. */
SL_MUST_CHECK int sl_offline_table_new(const char *noun, struct sl_offline_table **ret,
                                       struct sl_error *err);
/* Wipes. */
struct sl_offline_table *sl_offline_table_free(struct sl_offline_table *table);
SL_DEFINE_AUTO(sl_offline_table, sl_offline_table_free)

enum sl_offline_pick {
    SL_OFFLINE_ALL,
    SL_OFFLINE_KEKS,   /* only values that have the size of a KEK */
    SL_OFFLINE_OTHERS, /* only those that have not */
};
/* Adds the entries of a file. Those of a later file win, with a warning. Errors name the entry and
 * never quote a value. A failure leaves the table half filled. */
SL_MUST_CHECK int sl_offline_table_add(struct sl_offline_table *table, struct sl_span json,
                                       enum sl_offline_pick pick, struct sl_error *err);
/* The value of this name, to be wiped, copied to *ret, which must be empty. SL_E_AUTH, ENOENT:
 * there is none. */
SL_MUST_CHECK int sl_offline_table_get(const struct sl_offline_table *table, const char *name,
                                       struct sl_bytes *ret, struct sl_error *err);
