/* SPDX-License-Identifier: Apache-2.0 */
/* What the decompression stage needs from a format: one const table for each. */
#pragma once

#include "sluice/decompress.h"

struct sl_decoder;

struct sl_decoder_ops {
    const char *name; /* as printed in errors: "gzip" */
    /* limits has no member that is 0. */
    int (*open)(const struct sl_decompress_limits *limits, struct sl_decoder **ret,
                struct sl_error *err);
    /* Decodes from the front of *in, which it moves on, to the end of out, until *in is used up
     * or out has no room. Room left in out means that all output there is has been written. *in
     * may be empty: to get what did not fit the last time. */
    int (*run)(struct sl_decoder *d, struct sl_span *in, struct sl_buf *out, struct sl_error *err);
    /* The input is through, and all output has been fetched: is this a legal end? */
    int (*finish)(struct sl_decoder *d, struct sl_error *err);
    void (*close)(struct sl_decoder *d);
};

/* Embedded first in the decoder's own struct. */
struct sl_decoder {
    const struct sl_decoder_ops *ops;
    uint64_t consumed; /* bytes of the compressed stream; errors name this offset */
};

extern const struct sl_decoder_ops sl_gzip_decoder;
extern const struct sl_decoder_ops sl_zstd_decoder;
