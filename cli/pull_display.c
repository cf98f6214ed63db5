/* SPDX-License-Identifier: Apache-2.0 */
#include "pull_display.h"

#include <stdio.h>

static void describe_layer(const void *report, size_t i, struct layer_bar *ret)
{
    const struct sluice_layer *l = ((const struct sluice_pull_report *)report)->layers[i];
    *ret = (struct layer_bar){.digest = l->digest,
                              .size = l->bytes,
                              .done = l->received,
                              .is_done =
                                  l->state == SLUICE_LAYER_DONE || l->state == SLUICE_LAYER_CACHED,
                              .is_running = l->state == SLUICE_LAYER_RUNNING,
                              .state = sluice_layer_state_name(l->state),
                              .note = l->encrypted ? ", encrypted" : ""};
}

void pull_display_progress(void *arg, const struct sluice_pull_report *report)
{
    const struct layer_bars_run run = {.name = report->name,
                                       .seconds = report->seconds,
                                       .n_layers = report->n_layers,
                                       .layer = describe_layer,
                                       .report = report};
    layer_bars_show(arg, &run);
}

/* ---- statistics ---- */

static double rate(uint64_t bytes, double seconds)
{
    return seconds > 0 ? (double)bytes / seconds / 1e6 : 0;
}

static void print_stages(const struct sluice_layer *l)
{
    for (size_t i = 0; i < l->n_stages; i++) {
        const struct sluice_stage *stage = &l->stages[i];
        double seconds = (double)stage->nanoseconds / 1e9;
        fprintf(stderr, "    %-12s %8.1f MB in %7.3f s  %8.0f MB/s", stage->name,
                (double)stage->bytes / 1e6, seconds, rate(stage->bytes, seconds));
        if (stage->stalled_in_ns || stage->stalled_out_ns)
            fprintf(stderr, "; waited %.3f s for input, %.3f s for room",
                    (double)stage->stalled_in_ns / 1e9, (double)stage->stalled_out_ns / 1e9);
        fputc('\n', stderr);
    }
}

void pull_display_stats(const struct sluice_pull_report *report)
{
    uint64_t total = 0;
    for (size_t i = 0; i < report->n_layers; i++) {
        const struct sluice_layer *l = report->layers[i];
        char size[16];
        fprintf(stderr, "layer %zu/%zu %.12s %s, %s", i + 1, report->n_layers,
                cli_digest_hex(l->digest), cli_format_size(l->bytes, size),
                sluice_layer_state_name(l->state));
        if (l->protocol)
            fprintf(stderr, ", key by %s%s%s", l->protocol, l->kid ? " " : "",
                    l->kid ? l->kid : "");
        if (l->n_stages)
            fprintf(stderr, ", %.3f s, %.0f MB/s", l->seconds, rate(l->received, l->seconds));
        fputc('\n', stderr);
        print_stages(l);
        if (l->state == SLUICE_LAYER_DONE)
            fprintf(stderr, "    commit       %24.3f s, of which %.3f s for the disk\n",
                    l->commit_seconds, l->sync_seconds);
        total += l->received;
    }
    char size[16], peak[16];
    fprintf(stderr, "image: %s in %.3f s, %.0f MB/s; buffers at most %s\n",
            cli_format_size(total, size), report->seconds, rate(total, report->seconds),
            cli_format_size(report->peak_buffer_bytes, peak));
}

static void put_key(struct sl_json_writer *w, const struct sluice_layer *l)
{
    const struct {
        const char *name, *value;
    } words[] = {{"protocol", l->protocol},
                 {"provider", l->provider},
                 {"kid", l->kid},
                 {"wrapType", l->wrap_type}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (words[i].value)
            sl_json_put_string(w, words[i].name, words[i].value);
}

static void put_layer(struct sl_json_writer *w, const struct sluice_layer *l)
{
    sl_json_open_object(w, NULL);
    sl_json_put_string(w, "digest", l->digest);
    sl_json_put_string(w, "diffId", l->diff_id);
    sl_json_put_int(w, "size", (int64_t)l->bytes);
    sl_json_put_int(w, "received", (int64_t)l->received);
    sl_json_put_string(w, "state", sluice_layer_state_name(l->state));
    sl_json_put_bool(w, "encrypted", l->encrypted);
    put_key(w, l);
    sl_json_put_decimal(w, "seconds", l->seconds);
    sl_json_put_decimal(w, "commitSeconds", l->commit_seconds);
    sl_json_put_decimal(w, "syncSeconds", l->sync_seconds);
    sl_json_open_array(w, "stages");
    for (size_t i = 0; i < l->n_stages; i++) {
        sl_json_open_object(w, NULL);
        sl_json_put_string(w, "name", l->stages[i].name);
        sl_json_put_int(w, "bytes", (int64_t)l->stages[i].bytes);
        sl_json_put_decimal(w, "seconds", (double)l->stages[i].nanoseconds / 1e9);
        sl_json_put_decimal(w, "stalledForInputSeconds", (double)l->stages[i].stalled_in_ns / 1e9);
        sl_json_put_decimal(w, "stalledForOutputSeconds",
                            (double)l->stages[i].stalled_out_ns / 1e9);
        sl_json_close_object(w);
    }
    sl_json_close_array(w);
    sl_json_close_object(w);
}

int pull_display_json(const struct sluice_pull_report *report, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ true);
    sl_json_put_string(w, "name", report->name);
    sl_json_put_string(w, "manifest", report->manifest);
    sl_json_put_string(w, "config", report->config);
    sl_json_put_decimal(w, "seconds", report->seconds);
    sl_json_put_int(w, "peakBufferBytes", (int64_t)report->peak_buffer_bytes);
    sl_json_open_array(w, "layers");
    for (size_t i = 0; i < report->n_layers; i++)
        put_layer(w, report->layers[i]);
    sl_json_close_array(w);
    return cli_print_json(w, err);
}
