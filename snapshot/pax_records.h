/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of a PAX extended header (POSIX pax, "pax Extended Header"): "<len> <key>=<value>\n".
 * Nothing is copied: the parser writes NULs over separators and hands out spans into the text.
 */
#pragma once

#include "tar_sparse.h"

#include <time.h>

struct sl_tar_xattr {
    struct sl_span name; /* a NUL stands behind it, none within */
    struct sl_span value;
    bool is_libarchive; /* LIBARCHIVE.xattr: gives way to a SCHILY.xattr of the same name */
};

enum { SL_PAX_XATTRS_MAX = 1024 }; /* of one entry; ext4 and xfs hold fewer in practice */

enum sl_pax_sparse { SL_PAX_PLAIN, SL_PAX_SPARSE_0, SL_PAX_SPARSE_1 };

/* Spans have a NUL behind them; data is NULL when the key is absent. */
struct sl_pax {
    struct sl_span path, linkpath;
    bool has_size, has_uid, has_gid, has_mtime, has_atime;
    uint64_t size, uid, gid;
    struct timespec mtime, atime;
    struct sl_tar_xattr *xattrs; /* no two of the same name */
    size_t n_xattrs, cap_xattrs;
    /* GNU.sparse.* */
    struct sl_span sparse_name, sparse_major, sparse_minor;
    bool has_real_size, has_blocks;
    uint64_t real_size, blocks;
    struct sl_tar_sparse map; /* of 0.0 and 0.1 */
};

void sl_pax_clear(struct sl_pax *pax); /* keeps the memory */
void sl_pax_done(struct sl_pax *pax);
/* text is changed and must live as long as the result is used; pax must be clear. */
SL_MUST_CHECK int sl_pax_parse(struct sl_pax *pax, uint8_t *text, size_t len, struct sl_error *err);
/* Which sparse form the records announce. */
SL_MUST_CHECK int sl_pax_sparse_form(const struct sl_pax *pax, enum sl_pax_sparse *ret,
                                     struct sl_error *err);
