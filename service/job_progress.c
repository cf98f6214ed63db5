/* SPDX-License-Identifier: Apache-2.0 */
#include "job_progress.h"

#include "sluice/core/clock.h"
#include "sluice/core/log.h"

#include <stdio.h>

struct sl_job_progress sl_job_progress_of(const struct sluice_pull_report *report)
{
    struct sl_job_progress p = {.n_layers = report->n_layers};
    for (size_t i = 0; i < report->n_layers; i++) {
        const struct sluice_layer *layer = report->layers[i];
        bool is_cached = layer->state == SLUICE_LAYER_CACHED;
        p.bytes += layer->bytes;
        p.missing += is_cached ? 0 : layer->bytes;
        p.received += is_cached ? layer->bytes : layer->received;
        p.layers_done += is_cached || layer->state == SLUICE_LAYER_DONE;
        p.n_running += layer->state == SLUICE_LAYER_RUNNING;
        p.n_waiting += layer->state == SLUICE_LAYER_WAITING;
    }
    return p;
}

static const char *waits_for(const struct sl_job_progress *p, double speed)
{
    if (!p->n_layers)
        return "waits for the image's manifest and config";
    if (p->n_running)
        return speed > 0 ? "fetches" : "waits for the registry";
    if (p->n_waiting)
        return "waits for keys, for memory, or for another pull of the same layers";
    return "finishes";
}

void sl_job_progress_text(const struct sl_job_progress *p, double speed, char *out, size_t size)
{
    enum { MB = 1000 * 1000 };
    (void)snprintf(out, size, "%zu of %zu layers, %.1f of %.1f MB, %.1f MB/s, %s", p->layers_done,
                   p->n_layers, (double)p->received / MB, (double)p->bytes / MB, speed / MB,
                   waits_for(p, speed));
}

void sl_job_log_progress(struct sl_job_log *log, const struct sl_job_progress *progress)
{
    int64_t now = sl_clock_ms();
    int64_t since = now - log->told_ms;
    if (!log->interval_s || since < (int64_t)log->interval_s * 1000)
        return;
    uint64_t more = progress->received > log->told_bytes ? progress->received - log->told_bytes : 0;
    char text[200];
    sl_job_progress_text(progress, (double)more * 1000 / (double)since, text, sizeof(text));
    const struct sl_log_about about = {.job = log->id, .image = log->image};
    sl_log_of(SL_LOG_INFO, &about, "%s", text);
    log->told_ms = now;
    log->told_bytes = progress->received;
}
