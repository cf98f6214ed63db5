/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of a container's files when it has gone: nobody tells, but the kernel says that the
 * table of mounts has changed. Upper directories of mounts that are no more go; and where the
 * configuration says so, images that nothing uses any more. What a service that was killed has left
 * is taken over: its store is opened for that.
 */
#pragma once

#include "backend.h"
#include "image_claims.h"
#include "sluice/core/worker_pool.h"

struct sl_mount_watch;
/* backend, claims: borrowed. */
SL_MUST_CHECK int sl_mount_watch_new(struct sl_backend *backend, struct sl_image_claims *claims,
                                     struct sl_worker_pool *pool, struct sl_mount_watch **ret,
                                     struct sl_error *err);
/* Waits for what it does. */
struct sl_mount_watch *sl_mount_watch_free(struct sl_mount_watch *watch);
SL_DEFINE_AUTO(sl_mount_watch, sl_mount_watch_free)
/* For poll(): POLLPRI when the table has changed, once for each change. */
int sl_mount_watch_fd(const struct sl_mount_watch *watch);
/* Looks, on the pool; a burst is looked at once or twice. Does not block. */
void sl_mount_watch_look(struct sl_mount_watch *watch);
/* An image is claimed no more: what was put off because of it is done now. Does not block; costs
 * nothing while nothing was. Any thread. */
void sl_mount_watch_settle(struct sl_mount_watch *watch);
