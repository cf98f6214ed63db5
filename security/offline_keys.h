/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a keys file, apart from where it lies. */
#pragma once

#include "sluice/kbc_offline_fs.h"

SL_MUST_CHECK int sl_offline_keys_parse(struct sl_span text, struct sl_kbc_offline_fs **ret,
                                        struct sl_error *err);
