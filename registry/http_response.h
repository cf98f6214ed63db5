/* SPDX-License-Identifier: Apache-2.0 */
/* What we keep of the head of an HTTP response, with limits on what a server may send. */
#pragma once

#include "sluice/core/bytes.h"

struct sl_http_response {
    long status;                                                  /* 0: no status line yet */
    char *content_type, *content_digest, *location, *retry_after; /* NULL when absent */
    char *subject;              /* OCI-Subject; NULL when absent */
    struct sl_bytes challenges; /* WWW-Authenticate values, each ended by a newline */
    struct sl_bytes links;      /* Link values, likewise */
    bool offers_signatures;     /* X-Registry-Supports-Signatures: 1 */
    int64_t content_length;     /* -1: unknown */
    int64_t range_start;        /* Content-Range; -1: absent or "*" */
    int64_t range_last;         /* likewise: the last byte, itself included */
    int64_t range_total;        /* -1: absent or "*" */
    size_t header_bytes, header_lines;
};
void sl_http_response_init(struct sl_http_response *resp);
void sl_http_response_done(struct sl_http_response *resp);
SL_DEFINE_AUTO_DONE(sl_http_response, sl_http_response_done)

/* Takes one header line as libcurl hands it over, line end included. A status line starts anew, so
 * that of several heads (100 Continue, then the answer) the last one counts. SL_E_LIMIT for heads
 * that are too large. */
SL_MUST_CHECK int sl_http_response_line(struct sl_http_response *resp, struct sl_span line,
                                        struct sl_error *err);
