/* SPDX-License-Identifier: Apache-2.0 */
/* Textual encodings (RFC 7468), strictly: blocks without headers. Inside security/ only. */
#pragma once

#include "sluice/core/bytes.h"

/* Takes the next block off *text: 1, or 0 when only blanks are left (text of any kind when
 * allows_notes: people write into files of CA certificates what is in them). *ret_label, to be
 * freed, is what stands behind BEGIN; *ret_der may be secret. */
SL_MUST_CHECK int sl_pem_next(struct sl_span *text, bool allows_notes, char **ret_label,
                              struct sl_bytes *ret_der, struct sl_error *err);
/* The one block of a text that has nothing else, which must have this label. */
SL_MUST_CHECK int sl_pem_read_one(struct sl_span text, const char *label, struct sl_bytes *ret_der,
                                  struct sl_error *err);
