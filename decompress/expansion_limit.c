/* SPDX-License-Identifier: Apache-2.0 */
#include "expansion_limit.h"

#include <inttypes.h>

#define OUTPUT_DEFAULT (UINT64_C(64) << 30) /* bytes */
#define WINDOW_DEFAULT (UINT64_C(8) << 20)  /* bytes; what zstd -19 asks for */
/* Output that is not yet held against the input: files of zeros are common, and a guest has the
 * memory for this much. */
#define RATIO_FREE (UINT64_C(64) << 20)
/* Beyond that, real layers expand a few times; deflate can 1032 times, zstd far more. */
enum { RATIO_DEFAULT = 250 };

void sl_expansion_init(struct sl_expansion *x, const struct sl_decompress_limits *limits)
{
    *x = (struct sl_expansion){0};
    if (limits)
        x->limits = *limits;
    if (!x->limits.output)
        x->limits.output = OUTPUT_DEFAULT;
    if (!x->limits.ratio)
        x->limits.ratio = RATIO_DEFAULT;
    if (!x->limits.window)
        x->limits.window = WINDOW_DEFAULT;
}

static bool exceeds_ratio(const struct sl_expansion *x)
{
    /* out - free > in * ratio, without overflow. */
    return x->out > RATIO_FREE && (x->out - RATIO_FREE - 1) / x->limits.ratio >= x->in;
}

int sl_expansion_add(struct sl_expansion *x, size_t n_in, size_t n_out, struct sl_error *err)
{
    x->in += n_in;
    x->out += n_out;
    if (x->out > x->limits.output)
        return sl_error_set(err, SL_E_LIMIT, E2BIG,
                            "the layer expands to more than %" PRIu64
                            " bytes; raise the limit if you trust the image",
                            x->limits.output);
    if (exceeds_ratio(x))
        return sl_error_set(err, SL_E_LIMIT, E2BIG,
                            "the layer expands more than %u times (%" PRIu64 " bytes from %" PRIu64
                            "); this looks like a decompression bomb",
                            x->limits.ratio, x->out, x->in);
    return 0;
}
