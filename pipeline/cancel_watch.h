/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls a function when a descriptor says that its work is to stop (core/cancel.h): for work that
 * waits where no descriptor reaches. One thread for all, which begins with the first and sleeps.
 */
#pragma once

#include "sluice/core/cancel.h"
#include "sluice/core/cleanup.h"

struct sl_cancel_watch;
SL_MUST_CHECK int sl_cancel_watch_new(struct sl_cancel_watch **ret, struct sl_error *err);
/* Nothing may be watched any more. */
struct sl_cancel_watch *sl_cancel_watch_free(struct sl_cancel_watch *watch);
SL_DEFINE_AUTO(sl_cancel_watch, sl_cancel_watch_free)

/* The caller's, from add to remove. */
struct sl_cancel_target {
    int fd;                /* another one for each target; borrowed */
    void (*fn)(void *arg); /* called once, on the watch's thread; must not block */
    void *arg;
    struct sl_cancel_target *next; /* the watch's */
};
SL_MUST_CHECK int sl_cancel_watch_add(struct sl_cancel_watch *watch,
                                      struct sl_cancel_target *target, struct sl_error *err);
/* fn is not running afterwards, and will not be called. Harmless for what was not added. */
void sl_cancel_watch_remove(struct sl_cancel_watch *watch, struct sl_cancel_target *target);
