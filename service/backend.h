/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library as the service uses it: opened by the first pull, since its store may be a disk that
 * is mounted only after the service has started, and policies may come from a broker that is not
 * there yet. What fails to open is tried again by the next pull. Reloading makes a new generation
 * of the configuration; jobs keep the one they began with.
 */
#pragma once

#include "sluice.h"
#include "sluice/config.h"

struct sl_backend;
/* Takes the configuration. */
SL_MUST_CHECK int sl_backend_new(struct sl_loaded_config **config, struct sl_backend **ret,
                                 struct sl_error *err);
struct sl_backend *sl_backend_free(struct sl_backend *backend);
SL_DEFINE_AUTO(sl_backend, sl_backend_free)

/* One generation, held: the engine and options made of the configuration. */
struct sl_generation {
    struct sluice *sluice; /* open */
    const struct sl_config *config;
    uint64_t number;
    /* Ready for a pull: keys, policy, encryption_policy, verify_first, jobs are set. */
    struct sluice_pull_options pull;
};
/* Opens the engine if it is not, also anew when another file system was mounted at the store's root
 * meanwhile and nothing runs. While something runs the old one is used on: an image lies in one
 * store, and whoever waits for it mounts it from there. Blocks. SL_E_POLICY when a policy is
 * required and none is configured. */
SL_MUST_CHECK int sl_backend_hold(struct sl_backend *backend, struct sl_generation **ret,
                                  struct sl_error *err);
/* The same without opening anything: NULL when it is not open. */
struct sl_generation *sl_backend_peek(struct sl_backend *backend);
/* NULL is allowed. */
void sl_backend_release(struct sl_backend *backend, struct sl_generation *generation);
/* sluice_trim(), where an engine is open: for when all is quiet. Any thread; whoever wants to hold
 * the engine waits for it, so nobody's answer should. */
void sl_backend_trim(struct sl_backend *backend);
/* The newest for those who want the configuration alone; its engine is not theirs. Any thread, does
 * not block. */
struct sl_generation *sl_backend_hold_config(struct sl_backend *backend);
void sl_backend_release_config(struct sl_backend *backend, struct sl_generation *generation);
/* The number that whatever is held from now on will have at least. Any thread. */
uint64_t sl_backend_number(struct sl_backend *backend);

/* Takes the new configuration, of which addresses, memory, workers and the store's place do not
 * change before the next start (a warning says so). On failure the old one stays. */
SL_MUST_CHECK int sl_backend_reload(struct sl_backend *backend, struct sl_loaded_config **config,
                                    struct sl_error *err);
/* The present configuration; borrowed until the next reload. Main thread. */
const struct sl_config *sl_backend_config(struct sl_backend *backend);
/* Everything that runs ends soon, and nothing is opened any more: SL_E_CANCELLED with ESHUTDOWN for
 * those who would hold it. Any thread, does not block. */
void sl_backend_cancel(struct sl_backend *backend);
