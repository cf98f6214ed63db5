/* SPDX-License-Identifier: Apache-2.0 */
/* Ends what gpg does when its time is over. gpgme waits without end. */
#pragma once

#include "sluice/core/error.h"

#include <gpgme.h>
#include <stdbool.h>

struct sl_pgp_watch;

/* From now on. Borrows the context and the path of its home directory until it is freed. */
SL_MUST_CHECK int sl_pgp_watch_new(gpgme_ctx_t ctx, const char *dir, int deadline_ms,
                                   struct sl_pgp_watch **ret, struct sl_error *err);
struct sl_pgp_watch *sl_pgp_watch_free(struct sl_pgp_watch *watch);
/* Time was over: whatever gpg said since is about that. */
bool sl_pgp_watch_has_expired(struct sl_pgp_watch *watch);
