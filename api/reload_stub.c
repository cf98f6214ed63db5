/* SPDX-License-Identifier: Apache-2.0 */
/* Until the engine can: its own takes this one's place. */
#include "sluice/pipeline.h"

__attribute__((weak)) int sl_engine_reload(struct sl_engine *engine,
                                           const struct sl_registry_options *registry,
                                           const struct sl_key_options *broker,
                                           struct sl_error *err)
{
    (void)engine;
    (void)registry;
    (void)broker;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOSYS, "reloading is not done yet");
}
