/* SPDX-License-Identifier: Apache-2.0 */
/* libarchive, told to do what unpacking a layer does: owners, modes, times, attributes, and no way
 * out of the folder. */
#pragma once

#include "sluice/core/bytes.h"

/* The tar is read through buf, of buf_size bytes, since no layer lies in memory whole. Works in
 * the current directory, which is root_fd's meanwhile and / afterwards. */
SL_MUST_CHECK int archive_rival_unpack(struct sl_span tar, int root_fd, uint8_t *buf,
                                       size_t buf_size, struct sl_error *err);
