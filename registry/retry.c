/* SPDX-License-Identifier: Apache-2.0 */
#include "retry.h"

#include <ctype.h>
#include <curl/curl.h>

bool sl_retry_is_transient_status(long status)
{
    switch (status) {
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
        return true;
    default:
        return false;
    }
}

bool sl_retry_is_transient_curl(int curl_code)
{
    switch (curl_code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return true;
    default:
        return false;
    }
}

static int64_t parse_seconds(const char *value)
{
    int64_t seconds = 0;
    const char *p = value;
    for (; isdigit((unsigned char)*p); p++)
        if (seconds <= SL_RETRY_AFTER_CAP_MS) /* beyond that the digits no longer matter */
            seconds = seconds * 10 + (*p - '0');
    return p == value || *p ? -1 : seconds;
}

int64_t sl_retry_after_ms(const char *value, time_t now)
{
    if (!value)
        return -1;
    int64_t seconds = parse_seconds(value);
    if (seconds < 0) {
        time_t date = curl_getdate(value, NULL);
        if (date == (time_t)-1)
            return -1;
        seconds = date > now ? (int64_t)(date - now) : 0;
    }
    return seconds < SL_RETRY_AFTER_CAP_MS / 1000 ? seconds * 1000 : SL_RETRY_AFTER_CAP_MS;
}

bool sl_retry_next(struct sl_retry *retry, int64_t after_ms, uint32_t random, uint64_t *ret_ms)
{
    if (++retry->failures >= retry->max_attempts)
        return false;
    uint64_t pause = retry->base_ms;
    for (unsigned i = 1; i < retry->failures && pause < SL_RETRY_CAP_MS; i++)
        pause *= 2;
    if (pause > SL_RETRY_CAP_MS)
        pause = SL_RETRY_CAP_MS;
    /* Half fixed, half random: many guests that fail together do not come back together. */
    pause = pause / 2 + (pause / 2 ? random % (pause / 2 + 1) : 0);
    if (after_ms > 0 && (uint64_t)after_ms > pause)
        pause = (uint64_t)after_ms;
    *ret_ms = pause;
    return true;
}
