/* SPDX-License-Identifier: Apache-2.0 */
/* The header of a gzip member (RFC 1952 section 2.3), byte by byte. isa-l has a reader too, but
 * its checksum of the header (FHCRC) forgets what it has seen when the header is cut. */
#pragma once

#include "sluice/core/bytes.h"

enum sl_gzip_header_part {
    SL_GZIP_FIXED,     /* magic, method, flags, time, extra flags, system */
    SL_GZIP_EXTRA_LEN, /* two bytes */
    SL_GZIP_EXTRA,
    SL_GZIP_NAME,    /* up to a NUL */
    SL_GZIP_COMMENT, /* up to a NUL */
    SL_GZIP_HCRC,    /* two bytes */
    SL_GZIP_HEADER_DONE,
};

/* Zero-initialise for each member. Keeps none of the names: no header can make it grow. */
struct sl_gzip_header {
    enum sl_gzip_header_part part;
    unsigned pos; /* bytes of the current part seen */
    unsigned extra_len;
    uint16_t expected_hcrc;
    uint8_t flags;
    uint32_t crc; /* of all bytes in front of the HCRC */
};

/* Reads from the front of *in, which it moves on, until the header is done or *in is used up.
 * Returns -EINVAL with SL_E_FORMAT and a text without context; *in then begins behind the bad
 * byte. */
SL_MUST_CHECK int sl_gzip_header_read(struct sl_gzip_header *h, struct sl_span *in,
                                      struct sl_error *err);
