/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which parts of a sparse file a tar stores: the four forms GNU tar has used ("Storing Sparse
 * Files" in its manual): type 'S' of the GNU format, and PAX 0.0, 0.1 and 1.0.
 */
#pragma once

#include "tar_header.h"

enum { SL_TAR_EXTENTS_MAX = 128 * 1024 }; /* parts of one sparse file; 2 MiB of memory */

struct sl_tar_extent {
    uint64_t offset, len;
};

struct sl_tar_sparse {
    struct sl_tar_extent *extents; /* ascending, disjoint, once checked */
    size_t n, cap;
    bool half; /* the last extent has its offset and awaits its length */
    /* PAX 1.0: the numbers at the start of the data */
    uint64_t number, wanted, seen;
    bool has_digit;
};

void sl_tar_sparse_clear(struct sl_tar_sparse *s); /* keeps the memory */
void sl_tar_sparse_done(struct sl_tar_sparse *s);

/* Offsets and lengths in turn, as PAX 0.0 has them. */
SL_MUST_CHECK int sl_tar_sparse_add_offset(struct sl_tar_sparse *s, uint64_t offset,
                                           struct sl_error *err);
SL_MUST_CHECK int sl_tar_sparse_add_len(struct sl_tar_sparse *s, uint64_t len,
                                        struct sl_error *err);
/* PAX 0.1: "offset,len,offset,len". */
SL_MUST_CHECK int sl_tar_sparse_add_list(struct sl_tar_sparse *s, struct sl_span list,
                                         struct sl_error *err);
/* The table of a GNU header, or of an extension block behind it. 1: another block follows. */
SL_MUST_CHECK int sl_tar_sparse_add_gnu(struct sl_tar_sparse *s, const uint8_t block[SL_TAR_BLOCK],
                                        bool is_extension, struct sl_error *err);
/* The size of the whole file in a GNU header; -EINVAL (no message). */
SL_MUST_CHECK int sl_tar_sparse_gnu_size(const uint8_t block[SL_TAR_BLOCK], int64_t *ret);
/* PAX 1.0: a block of the map in front of the data. 1: another block follows. */
SL_MUST_CHECK int sl_tar_sparse_add_block(struct sl_tar_sparse *s,
                                          const uint8_t block[SL_TAR_BLOCK], struct sl_error *err);
/* Ascending, disjoint, inside a file of this size, and holding exactly the bytes stored. */
SL_MUST_CHECK int sl_tar_sparse_check(const struct sl_tar_sparse *s, uint64_t size, uint64_t stored,
                                      struct sl_error *err);
