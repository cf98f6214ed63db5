/* SPDX-License-Identifier: Apache-2.0 */
/* Streams made by zlib and libzstd, and what the decompression stage must make of them. */
#pragma once

#include "sluice/core/bytes.h"
#include "sluice/decompress.h"

#include <zlib.h>

/* Text that compresses, with matches near and far. Free it with sl_bytes_done(). */
struct sl_bytes sl_test_text(size_t len);
/* Appends, or aborts. */
void sl_test_append(struct sl_bytes *b, struct sl_span more);
/* Appends a gzip member by zlib; header may be NULL. */
void sl_test_gzip(struct sl_bytes *b, struct sl_span plain, int level, gz_header *header);
/* Appends a zstd frame with a checksum by libzstd. window_log 0: as the level has it. */
void sl_test_zstd(struct sl_bytes *b, struct sl_span plain, int level, int window_log);
/* Appends a skippable frame. */
void sl_test_skippable(struct sl_bytes *b, struct sl_span content);

/* The stage makes plain of stream: whole, byte by byte, at random cuts, and starved of output
 * buffers. */
void sl_assert_decompresses(struct sl_span stream, struct sl_span plain);
/* The stage refuses stream in the same four ways: with code, and a message that holds text. */
void sl_assert_refuses(struct sl_span stream, const struct sl_decompress_limits *limits,
                       enum sl_errc code, const char *text);
