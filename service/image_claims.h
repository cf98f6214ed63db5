/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which stored images somebody is about to use: those that a job brings, and those that whoever has
 * waited for one has yet to mount. Others may be removed for room; one that is being removed is
 * claimed only when that is over. Any thread.
 */
#pragma once

#include "sluice/core/cleanup.h"
#include "sluice/core/error.h"

#include <stdbool.h>

struct sl_image_claims;
SL_MUST_CHECK int sl_image_claims_new(struct sl_image_claims **ret, struct sl_error *err);
/* Nothing is claimed any more. */
struct sl_image_claims *sl_image_claims_free(struct sl_image_claims *claims);
SL_DEFINE_AUTO(sl_image_claims, sl_image_claims_free)
/* fn is called whenever an image is claimed no more, on whichever thread; it must not block. Before
 * the first claim. */
void sl_image_claims_watch(struct sl_image_claims *claims, void (*fn)(void *arg), void *arg);

struct sl_image_claim;
/* manifest: a digest. Waits while the image is being removed. */
SL_MUST_CHECK int sl_image_claim_take(struct sl_image_claims *claims, const char *manifest,
                                      struct sl_image_claim **ret, struct sl_error *err);
/* One more for the same image. NULL is allowed, and gives NULL. */
struct sl_image_claim *sl_image_claim_share(struct sl_image_claim *claim);
struct sl_image_claim *sl_image_claim_drop(struct sl_image_claim *claim);

/* False when somebody claims it; otherwise it is being removed until the end is said, by the same
 * thread. One at a time: waits for the one before. */
bool sl_image_claims_begin_removal(struct sl_image_claims *claims, const char *manifest);
void sl_image_claims_end_removal(struct sl_image_claims *claims);
