/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One 512-byte tar header block. Formats: POSIX.1-1988 ustar, v7, GNU (magic "ustar  "), star
 * ("tar" in the last four bytes). See "Basic Tar Format" in the GNU tar manual and pax in POSIX.
 */
#pragma once

#include "sluice/core/bytes.h"

enum {
    SL_TAR_BLOCK = 512,
    SL_TAR_NAME_MAX = 155 + 1 + 100, /* prefix, '/', name */
    SL_TAR_LINK_MAX = 100,
};

struct sl_tar_header {
    char type; /* type flag as found */
    bool is_gnu;
    char name[SL_TAR_NAME_MAX + 1];
    size_t name_len;
    char link[SL_TAR_LINK_MAX + 1];
    size_t link_len;
    uint32_t mode; /* low 12 bits */
    int64_t uid, gid, size, mtime;
    int64_t dev_major, dev_minor; /* of type '3' and '4' only */
};

bool sl_tar_block_is_zero(const uint8_t block[SL_TAR_BLOCK]);
/* Checks the sum and reads the fields. Signs are the caller's to judge. */
SL_MUST_CHECK int sl_tar_header_parse(const uint8_t block[SL_TAR_BLOCK], struct sl_tar_header *ret,
                                      struct sl_error *err);
/* A number field: octal text, or base-256 when the top bit of the first byte is set. -EINVAL
 * (no message) when it is neither, or does not fit. */
SL_MUST_CHECK int sl_tar_number(const uint8_t *field, size_t len, int64_t *ret);
