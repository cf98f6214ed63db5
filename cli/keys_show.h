/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli.h"

/* For whom the layers of an image are encrypted: a table, or JSON. Needs no key, shows none. */
SL_MUST_CHECK int keys_show(const struct cli_options *o, const char *image_text,
                            struct sl_error *err);
