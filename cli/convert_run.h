/* SPDX-License-Identifier: Apache-2.0 */
/* What encrypt and decrypt share: engine, signals, progress, result. */
#pragma once

#include "cli.h"
#include "sluice/convert.h"

typedef int convert_fn(struct sl_engine *engine, const struct sl_convert_options *options,
                       struct sl_convert_report **ret, struct sl_error *err);

/* sl_encrypt_image() or sl_decrypt_image() as the command line says. */
SL_MUST_CHECK int convert_run(const struct cli_options *o, convert_fn *convert,
                              struct sl_error *err);
