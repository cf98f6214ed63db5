/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a blob is asked for by several ranges at once, how many, and how large.
 *
 * A connection carries in each round trip at most what its sender keeps until it is acknowledged:
 * with Linux's 4 MiB (tcp_wmem) 2.7 MB were seen, whatever the receiver's window. Where round trips
 * are long that is less than the link, and each connection also begins with ten packets and doubles
 * them once a round trip. Several connections add up, until they take the link from each other:
 * eight carried most of 1 Gbit/s at 100 ms, twelve less. Where round trips are short one is enough,
 * and costs the registry less.
 *
 * Bytes are handed on in order, so that a range which is ahead of others needs memory until its
 * turn comes. More ranges are out than are asked for at once: one that is slow must not leave the
 * other connections without work. What finds no memory stays with the kernel, whose buffers for a
 * connection hold as much.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
    SL_RANGES_MAX = 8,  /* requests at once, of all blobs of a registry */
    SL_RANGES_OUT = 32, /* those, and what has come ahead of its turn */
};

struct sl_range_limits {
    uint64_t blob_min;    /* bytes of a blob that is worth it */
    uint64_t range_min;   /* bytes: a shorter range is not worth its request */
    uint64_t range_max;   /* bytes */
    uint64_t goal;        /* bytes a second: more than this is not aimed at */
    uint64_t window;      /* bytes that a connection is sure to carry in a round trip */
    unsigned presumed_us; /* a round trip, whatever is measured; 0: as measured */
};
extern const struct sl_range_limits sl_range_limits_default;

struct sl_range_plan {
    unsigned width; /* requests at once, at least one: then there is nothing to be planned */
    unsigned out;   /* ranges that are asked for or wait for their turn; at least width */
    uint64_t size;  /* bytes of each range; the last one of the blob may be shorter */
};

/* How many requests a registry should have, for what is left of a blob; rtt_us 0: unknown, which
 * is 1. At most SL_RANGES_MAX. */
unsigned sl_range_width(const struct sl_range_limits *limits, uint64_t left, unsigned rtt_us);
/* What can be done with so many bytes of memory for ranges that are ahead, and at most so many
 * requests. */
struct sl_range_plan sl_range_plan(const struct sl_range_limits *limits, unsigned width,
                                   uint64_t memory);
/* Behind the last byte of the range that begins at start. */
uint64_t sl_range_end(const struct sl_range_plan *plan, uint64_t start, uint64_t blob);
