/* SPDX-License-Identifier: Apache-2.0 */
/* How a verifier says what it found. A verifier answers 0, with finding->code SL_SIG_OK, or
 * -EKEYREJECTED with code and reason; there is no third answer, and memory that is out is a
 * rejection too. Inside security/ only. */
#pragma once

#include "sluice/signature_policy.h"

/* -EKEYREJECTED. Bytes that would break the line are replaced. */
int sl_finding_reject(struct sl_signature_finding *finding, enum sl_signature_code code,
                      const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Copies a text some foreigner chose into one of a finding's fields: clean, and cut if need be. */
void sl_finding_set_text(char field[SL_FINDING_TEXT_MAX], const char *text);
