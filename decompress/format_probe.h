/* SPDX-License-Identifier: Apache-2.0 */
/* Which compression the first bytes of a layer announce. Media types are not believed: tools have
 * written layers whose type and content disagree, and the diff_id decides in the end. */
#pragma once

#include "sluice/core/bytes.h"

enum sl_format {
    SL_FORMAT_PLAIN,
    SL_FORMAT_GZIP, /* RFC 1952 */
    SL_FORMAT_ZSTD, /* RFC 8878, also when it begins with a skippable frame */
};

enum { SL_FORMAT_PROBE_SIZE = 4 }; /* bytes it takes to tell them apart */

/* head shorter than SL_FORMAT_PROBE_SIZE is plain: no compressed stream is that short. */
enum sl_format sl_format_probe(struct sl_span head);
