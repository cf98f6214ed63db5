/* SPDX-License-Identifier: Apache-2.0 */
#include "pull.h"

enum { PROGRESS_INTERVAL_MS = 200 };

int sl_pull_progress_timeout(const struct pull *pull)
{
    return pull->options->progress ? PROGRESS_INTERVAL_MS : -1;
}

static void collect(struct pull *pull)
{
    for (size_t i = 0; i < pull->n_layers; i++) {
        struct layer *l = &pull->layers[i];
        struct sl_blob_stream *stream = atomic_load(&l->stream);
        if (stream)
            l->report->received = sl_blob_stream_bytes(stream);
    }
    pull->report.seconds = (double)(sl_now_ns() - pull->started_ns) / 1e9;
}

void sl_pull_progress(struct pull *pull, bool now)
{
    uint64_t t = sl_now_ns();
    if (!now && t - pull->reported_ns < PROGRESS_INTERVAL_MS * UINT64_C(1000000))
        return;
    pull->reported_ns = t;
    collect(pull);
    if (pull->options->progress)
        pull->options->progress(pull->options->progress_arg, &pull->report);
}
