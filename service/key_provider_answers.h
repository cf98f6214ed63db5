/* SPDX-License-Identifier: Apache-2.0 */
/* What a key provider answers to whom: from the bytes of a request to those of an answer. */
#pragma once

#include "sluice/kbc.h"
#include "sluice/key_unwrap.h"
#include "sluice/key_wrap.h"
#include "sluice/rpc.h"

struct sl_key_answers {
    const struct sl_key_ring *ring; /* has the broker's lookup */
    struct sl_kbc *kbc;
    bool allow_sample, allow_a256ctr;
};

/* Messages are protobuf. On failure *ret_status is what the caller is told. *ret may be secret. */
typedef int sl_key_answer_fn(const struct sl_key_answers *answers, struct sl_span request,
                             struct sl_bytes *ret, enum sl_rpc_status *ret_status,
                             struct sl_error *err);
sl_key_answer_fn sl_answer_wrap_key, sl_answer_unwrap_key, sl_answer_get_resource;
