/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime measurement of a pull: the attestation agent extends a register with what was pulled,
 * before it runs (attestation_agent.AttestationAgentService, as the confidential data hub asks it).
 */
#pragma once

#include "sluice/core/bytes.h"

/* The text that is hashed into the event log: {"image":"…", "digest":"…"}, with that one blank.
 * Names are as the caller wrote them, escaped as JSON has it. To be freed; NULL: out of memory. */
char *sl_measurement_text(const char *image, const char *digest);

/* aa_socket: a ttrpc target of rpc.h. Where its socket file is missing there is nobody to tell,
 * which is no error; nor is an agent that does not measure. Blocks, at most 10 s. */
SL_MUST_CHECK int sl_measure_pull(const char *aa_socket, const char *image, const char *digest,
                                  struct sl_error *err);
