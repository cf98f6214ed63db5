/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads of regular files, several in flight: through io_uring where the kernel has it and lets
 * us, by pread where not. Callers cannot tell the difference but by speed.
 *
 * A ring belongs to the thread that made it: every call, also the last, comes from there. Rings
 * are never shared.
 */
#pragma once

#include "sluice/core/cleanup.h"
#include "sluice/core/error.h"

#include <stdbool.h>
#include <stdint.h>

struct sl_ring;

enum sl_ring_flags {
    SL_RING_PLAIN = 1 << 0, /* do not even try io_uring */
};

enum {
    SL_RING_ENTRIES_MAX = 256,
    SL_RING_READ_MAX = 1024 * 1024 * 1024, /* bytes of one request */
};

struct sl_ring_done {
    void *tag;      /* as given with the request */
    int64_t result; /* bytes read, fewer than asked for or 0 at the end of file; or -errno */
};

/* entries is how many requests may be in flight, 1 to SL_RING_ENTRIES_MAX. That io_uring is not
 * available, for whatever reason, is no error. */
SL_MUST_CHECK int sl_ring_new(unsigned entries, unsigned flags, struct sl_ring **ret,
                              struct sl_error *err);
/* Waits for what is in flight and drops its results. */
struct sl_ring *sl_ring_free(struct sl_ring *ring);
SL_DEFINE_AUTO(sl_ring, sl_ring_free)
/* True when reads go through pread. */
bool sl_ring_is_plain(const struct sl_ring *ring);
unsigned sl_ring_in_flight(const struct sl_ring *ring);

/* Queues a read of up to len bytes at offset; memory and fd must stay until its completion. It
 * starts with the next sl_ring_wait(). -EAGAIN (err not set) when all entries are in flight. */
SL_MUST_CHECK int sl_ring_read(struct sl_ring *ring, int fd, void *data, size_t len,
                               uint64_t offset, void *tag, struct sl_error *err);
/* Starts what is queued and blocks for one completion, in any order. Never call it with nothing in
 * flight: -EINVAL. */
SL_MUST_CHECK int sl_ring_wait(struct sl_ring *ring, struct sl_ring_done *ret,
                               struct sl_error *err);
