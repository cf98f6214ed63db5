/* SPDX-License-Identifier: Apache-2.0 */
#include "pull.h"

static void collect(struct pull *pull)
{
    for (size_t i = 0; i < pull->n_layers; i++) {
        struct layer *l = &pull->layers[i];
        struct sl_blob_stream *stream = atomic_load(&l->stream);
        if (stream)
            l->report->received = sl_blob_stream_bytes(stream);
    }
    pull->report.seconds = (double)(sl_clock_ns() - pull->started_ns) / 1e9;
}

void sl_pull_progress(struct pull *pull, bool now)
{
    if (!sl_progress_is_due(&pull->reported_ns, now))
        return;
    collect(pull);
    if (pull->options->progress)
        pull->options->progress(pull->options->progress_arg, &pull->report);
}
