/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blob that waits in the store, decrypted and still compressed, until its size, digest and MAC
 * are known to be right: --verify-first. The file has no name and is gone with its descriptor.
 */
#pragma once

#include "sluice/core/flow.h"

struct sl_spool;
SL_MUST_CHECK int sl_spool_new(int dirfd, struct sl_spool **ret, struct sl_error *err);
/* No flow may use it any more. */
struct sl_spool *sl_spool_free(struct sl_spool *spool);
SL_DEFINE_AUTO(sl_spool, sl_spool_free)

/* The end of the first flow: writes what comes. The spool must outlive the stage. */
SL_MUST_CHECK int sl_stage_spool_new(struct sl_spool *spool, struct sl_stage **ret,
                                     struct sl_error *err);
/* The source of the second flow: feeds it what was written, on the workers, and ends it. */
void sl_spool_feed(struct sl_spool *spool, struct sl_worker_pool *workers, struct sl_buf_lane *lane,
                   struct sl_flow *flow);
/* Ends the second flow soon if it has failed; before there is one, nothing. Any thread. */
void sl_spool_wake(struct sl_spool *spool);
