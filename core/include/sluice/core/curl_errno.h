/* SPDX-License-Identifier: Apache-2.0 */
/* What errno says of a failure of libcurl. In a header, so that only its users need libcurl. */
#pragma once

#include <curl/curl.h>
#include <errno.h>

static inline int sl_curl_errno(CURLcode code)
{
    switch (code) {
    case CURLE_OUT_OF_MEMORY:
        return ENOMEM;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return EHOSTUNREACH;
    case CURLE_COULDNT_CONNECT:
        return ECONNREFUSED;
    case CURLE_OPERATION_TIMEDOUT:
        return ETIMEDOUT;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return ECONNRESET;
    default:
        return EPROTO;
    }
}
