/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one pool of buffers, shared fairly by all who work in an engine. Whoever asks in vain waits:
 * when memory comes home, the next share is for the guest that holds the fewest, and among equals
 * for the one that has waited longest. Nobody overtakes, so nobody starves; a guest that is woken
 * and wants nothing any more says so.
 */
#pragma once

#include "sluice/core/buf.h"

struct sl_memory_share;
/* Nobody else may draw from the pool, which is borrowed. */
SL_MUST_CHECK int sl_memory_share_new(struct sl_buf_pool *pool, struct sl_memory_share **ret,
                                      struct sl_error *err);
/* Everybody has left. */
struct sl_memory_share *sl_memory_share_free(struct sl_memory_share *share);
SL_DEFINE_AUTO(sl_memory_share, sl_memory_share_free)

/* A pull or a conversion: one thread's. The members are memory_share.c's. */
struct sl_memory_guest {
    struct sl_memory_share *share; /* NULL: has not joined */
    int event_fd;
    unsigned n_shares;
    size_t wanted; /* buffers that are waited for; 0: none */
    uint64_t ticket;
    struct sl_memory_guest *next;
};
/* event_fd: an eventfd, written to when the guest's turn has come; borrowed until it leaves. */
void sl_memory_join(struct sl_memory_share *share, struct sl_memory_guest *guest, int event_fd);
/* Holds nothing any more. Harmless for one that did not join. */
void sl_memory_leave(struct sl_memory_guest *guest);

/* One share: a lane of each of the n counts of buffers, all or none. -EAGAIN (err not set): others
 * hold the memory; the guest waits for its turn, and then asks again. SL_E_LIMIT: the share is more
 * than there is. */
SL_MUST_CHECK int sl_memory_take(struct sl_memory_guest *guest, const size_t *counts, size_t n,
                                 struct sl_buf_lane **lanes, struct sl_error *err);
/* Closes the lanes of one share and sets them to NULL. All NULL: nothing happens. */
void sl_memory_give(struct sl_memory_guest *guest, struct sl_buf_lane **lanes, size_t n);
/* The guest does not wait any more. */
void sl_memory_withdraw(struct sl_memory_guest *guest);
