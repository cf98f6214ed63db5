/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judging an image by the operator's policy, beside whatever else is done with it: look for
 * signatures, and ask the policy about them. On a thread of its own unless nobody has to be asked.
 */
#pragma once

#include "engine.h"
#include "image_policy.h"

/* All borrowed until the judgement is freed. Of image only what sl_image_source_find() gives. */
struct sl_judgement_options {
    const struct sl_visit *visit;
    const struct sl_image_policy *policy;
    const char *asked;              /* the image as the user wrote it */
    struct sl_image_source *source; /* resolved */
    const struct sl_resolved_image *image;
    int event_fd; /* an eventfd to write to when it is over; -1: none */
};

struct sl_judgement;
SL_MUST_CHECK int sl_judgement_start(const struct sl_judgement_options *options,
                                     struct sl_judgement **ret, struct sl_error *err);
/* Does not block. */
bool sl_judgement_is_over(const struct sl_judgement *judgement);
/* Once; waits for the end. 0: allowed, *ret is the proof. Otherwise as sl_signature_policy_judge(),
 * or SL_E_CANCELLED. */
SL_MUST_CHECK int sl_judgement_take(struct sl_judgement *judgement, struct sl_approval **ret,
                                    struct sl_error *err);
/* What the policy has said, after sl_judgement_take(); the caller's. NULL: no policy was asked. */
struct sl_policy_verdict *sl_judgement_steal_verdict(struct sl_judgement *judgement);
/* One that is not over makes no more requests, and is waited for. */
struct sl_judgement *sl_judgement_free(struct sl_judgement *judgement);
SL_DEFINE_AUTO(sl_judgement, sl_judgement_free)
