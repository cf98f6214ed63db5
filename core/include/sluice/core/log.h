/* SPDX-License-Identifier: Apache-2.0 */
/* Logging, one line each to stderr. The library logs at debug level only; programs log the rest.
 * Never a token, a key, or a URL with its query. */
#pragma once

enum sl_log_level { SL_LOG_ERROR, SL_LOG_WARN, SL_LOG_INFO, SL_LOG_DEBUG };

/* Process-wide, set at start-up by the program. Default: warnings, as text. Where stderr is the
 * journal's, lines begin with their priority (sd-daemon(3)). */
void sl_log_setup(enum sl_log_level max, int as_json);
int sl_log_is_enabled(enum sl_log_level level);

/* What a line is about; NULL and 0 members are left out. Long values are cut. Text:
 *   sluice: info: job=7 image=docker.io/library/alpine:3 stage=fetch code=network: TEXT
 * JSON: members of the same names, beside "time" (seconds since the epoch), "level" and "msg". */
struct sl_log_about {
    unsigned long long job;
    const char *image, *layer, *stage, *code;
};
void sl_log_of(enum sl_log_level level, const struct sl_log_about *about, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void sl_log(enum sl_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
