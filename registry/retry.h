/* SPDX-License-Identifier: Apache-2.0 */
/* Which failures of an HTTP request are worth another try, and when. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

enum {
    SL_RETRY_ATTEMPTS_DEFAULT = 5,
    SL_RETRY_BASE_MS_DEFAULT = 1000,
    SL_RETRY_CAP_MS = 60 * 1000,           /* the longest pause of our own */
    SL_RETRY_AFTER_CAP_MS = 5 * 60 * 1000, /* the longest pause a server may ask for */
    SL_RETRY_PROGRESS = 1024 * 1024,       /* bytes of progress that make the count start anew */
};

/* 408, 429 and the 5xx that pass. */
bool sl_retry_is_transient_status(long status);
/* A CURLcode: name resolution, connecting, TLS handshakes cut short, resets, timeouts. Not: a
 * certificate that does not verify, nonsense instead of HTTP. */
bool sl_retry_is_transient_curl(int curl_code);

/* Value of a Retry-After header in milliseconds from now: seconds, or an HTTP date
 * (RFC 9110 10.2.3). Capped to SL_RETRY_AFTER_CAP_MS; -1 when it is neither. */
int64_t sl_retry_after_ms(const char *value, time_t now);

struct sl_retry {
    unsigned max_attempts;
    unsigned base_ms;
    unsigned failures; /* in a row */
};
/* After a transient failure: false when the tries are used up, else how long to wait: base
 * doubled each time with up to half of it random, or after_ms if that is longer (-1: not given).
 * random is any 32 random bits. */
bool sl_retry_next(struct sl_retry *retry, int64_t after_ms, uint32_t random, uint64_t *ret_ms);
