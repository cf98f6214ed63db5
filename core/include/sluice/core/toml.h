/* SPDX-License-Identifier: Apache-2.0 */
/* The one TOML reader (TOML v1.0.0, toml++): configuration becomes the same tree as JSON does. */
#pragma once

#include "sluice/core/json.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SL_TOML_MAX = 1024 * 1024 }; /* bytes of text */

/* Dates and times become strings; nodes know their places, as those of JSON do. what names the
 * document in errors, which tell the line: "registries.conf: line 7: ...". A text over SL_TOML_MAX,
 * or nested too deeply, is SL_E_LIMIT. Any thread; no C++ exception leaves it. */
SL_MUST_CHECK int sl_toml_parse(struct sl_span text, const char *what, struct sl_json_doc **ret,
                                struct sl_error *err);

#ifdef __cplusplus
}
#endif
