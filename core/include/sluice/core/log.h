/* SPDX-License-Identifier: Apache-2.0 */
/* Logging, one line each to stderr. The library logs at debug level only; programs log the rest.
 * Never a token, a key, or a URL with its query. */
#pragma once

enum sl_log_level { SL_LOG_ERROR, SL_LOG_WARN, SL_LOG_INFO, SL_LOG_DEBUG };

/* Process-wide, set once at start-up by the program. Default: warnings, as text. */
void sl_log_setup(enum sl_log_level max, int as_json);
int sl_log_is_enabled(enum sl_log_level level);
void sl_log(enum sl_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
