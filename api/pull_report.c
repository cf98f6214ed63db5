/* SPDX-License-Identifier: Apache-2.0 */
#include "pull_report.h"

#include "pack.h"

#include <stdlib.h>

#define IS_SAME(state) _Static_assert((int)SLUICE_##state == (int)SL_##state, "states agree")
IS_SAME(LAYER_WAITING);
IS_SAME(LAYER_RUNNING);
IS_SAME(LAYER_CACHED);
IS_SAME(LAYER_DONE);
IS_SAME(LAYER_FAILED);

const char *sluice_layer_state_name(enum sluice_layer_state state)
{
    static const char *const names[] = {
        [SLUICE_LAYER_WAITING] = "waiting", [SLUICE_LAYER_RUNNING] = "running",
        [SLUICE_LAYER_CACHED] = "cached",   [SLUICE_LAYER_DONE] = "done",
        [SLUICE_LAYER_FAILED] = "failed",
    };
    return (size_t)state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}

static const struct sluice_stage *pack_stages(struct sl_pack *p, const struct sl_layer_report *l)
{
    struct sluice_stage stages[SL_LAYER_STAGES_MAX];
    for (size_t i = 0; i < l->n_stages; i++)
        stages[i] = (struct sluice_stage){.name = sl_pack_text(p, l->stages[i].name),
                                          .bytes = l->stages[i].stats.bytes_in,
                                          .nanoseconds = l->stages[i].stats.nanoseconds,
                                          .stalled_in_ns = l->stages[i].stats.stalled_in_ns,
                                          .stalled_out_ns = l->stages[i].stats.stalled_out_ns};
    return sl_pack_value(p, stages, l->n_stages * sizeof(stages[0]));
}

static const struct sluice_layer *pack_layer(struct sl_pack *p, const struct sl_layer_report *l)
{
    const struct sluice_layer layer = {
        .digest = sl_pack_digest(p, &l->blob),
        .diff_id = sl_pack_digest(p, &l->diff_id),
        .bytes = l->size,
        .received = l->received,
        .state = (enum sluice_layer_state)l->state,
        .encrypted = l->encrypted,
        .protocol = sl_pack_text(p, l->protocol),
        .provider = sl_pack_text(p, l->provider),
        .kid = sl_pack_text(p, l->kid),
        .wrap_type = sl_pack_text(p, l->wrap_type),
        .seconds = l->seconds,
        .n_stages = l->n_stages,
        .stages = pack_stages(p, l),
        .commit_seconds = l->commit_seconds,
        .sync_seconds = l->sync_seconds,
    };
    return sl_pack_value(p, &layer, sizeof(layer));
}

static void pack_report(struct sl_pack *p, const void *report)
{
    const struct sl_pull_report *from = report;
    struct sluice_pull_report *to = sl_pack_room(p, sizeof(*to));
    const struct sluice_layer **layers = sl_pack_room(p, from->n_layers * sizeof(void *));
    for (size_t i = 0; i < from->n_layers; i++) {
        const struct sluice_layer *layer = pack_layer(p, &from->layers[i]);
        if (layers)
            layers[i] = layer;
    }
    const struct sluice_pull_report value = {
        .name = sl_pack_text(p, from->name),
        .manifest = sl_pack_digest(p, &from->manifest),
        .config = sl_pack_digest(p, &from->config),
        .n_layers = from->n_layers,
        .layers = layers,
        .seconds = from->seconds,
        .peak_buffer_bytes = from->peak_buffers_bytes,
    };
    if (to)
        *to = value;
}

struct sluice_pull_report *sl_api_pull_report(const struct sl_pull_report *from)
{
    return sl_pack_make(pack_report, from);
}

struct sluice_pull_report *sluice_pull_report_free(struct sluice_pull_report *report)
{
    free(report);
    return NULL;
}
