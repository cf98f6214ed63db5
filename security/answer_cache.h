/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request for each question, however many ask it at once. What was answered is kept in locked
 * memory until the cache is freed, and what was refused if the cache is told so; any other failure
 * is told to those who waited, and the next one asks again.
 */
#pragma once

#include "sluice/core/bytes.h"

struct sl_answer_cache;
SL_MUST_CHECK int sl_answer_cache_new(bool keeps_refusals, struct sl_answer_cache **ret,
                                      struct sl_error *err);
/* Wipes. Nobody may be asking. */
struct sl_answer_cache *sl_answer_cache_free(struct sl_answer_cache *cache);
SL_DEFINE_AUTO(sl_answer_cache, sl_answer_cache_free)

/* Asks whoever knows. May block. *ret is secret. */
typedef int sl_ask_fn(void *arg, struct sl_bytes *ret, struct sl_error *err);
/* Any thread. ask is called, without a lock, unless the answer is known or under way. *ret is a
 * copy, secret, and must be empty. */
SL_MUST_CHECK int sl_answer_cache_get(struct sl_answer_cache *cache, struct sl_span question,
                                      sl_ask_fn *ask, void *arg, struct sl_bytes *ret,
                                      struct sl_error *err);
