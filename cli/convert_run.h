/* SPDX-License-Identifier: Apache-2.0 */
/* What encrypt and decrypt share: engine, signals, progress, result. */
#pragma once

#include "cli.h"

typedef int convert_fn(struct sluice *s, const struct sluice_convert_options *options,
                       struct sluice_convert_report **ret, struct sluice_error *err);

/* sluice_encrypt() or sluice_decrypt() as the command line says. */
SL_MUST_CHECK int convert_run(const struct cli_options *o, convert_fn *convert,
                              struct sl_error *err);
