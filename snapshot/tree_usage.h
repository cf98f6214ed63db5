/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* Bytes that a tree has allocated on disk, hard links counted once between them. What cannot be
 * read, or lies more than 64 directories deep, is not counted: this is for people. */
uint64_t sl_tree_usage(int dirfd, const char *name);
