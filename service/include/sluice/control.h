/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a running service is asked and told things by its operator: ttrpc, service "sluice.Control",
 * one bytes field with JSON in each direction.
 *
 *   Status {}             what runs, what is stored, since when
 *   Cancel {"job": TEXT}  a pull, by its number or by its image as it was asked for:
 *                         {"cancelled": N}
 *   Reload {}             reads the configuration again: {"generation": N}
 */
#pragma once

#include "sluice/core/bytes.h"

#define SL_CONTROL_ADDRESS "unix:///run/sluice/control.sock"

/* The other end. address: "unix:///PATH". Blocks, at most deadline_ms. *ret (must be empty) is the
 * answer's JSON. SL_E_NETWORK when no service answers; what the service says against it has its own
 * words and SL_E_AUTH. */
SL_MUST_CHECK int sl_control_call(const char *address, const char *method, struct sl_span request,
                                  int deadline_ms, struct sl_bytes *ret, struct sl_error *err);
