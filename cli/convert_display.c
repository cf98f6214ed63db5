/* SPDX-License-Identifier: Apache-2.0 */
#include "convert_display.h"

#include <stdio.h>

static void describe_layer(const void *report, size_t i, struct layer_bar *ret)
{
    const struct sluice_convert_layer *l =
        ((const struct sluice_convert_report *)report)->layers[i];
    bool is_done = l->skipped || l->seconds > 0;
    *ret = (struct layer_bar){.digest = l->from,
                              .size = l->bytes,
                              .done = l->done,
                              .is_done = is_done,
                              .is_running = !is_done && l->done > 0,
                              .state = l->skipped ? "was there" : l->action,
                              .note = ""};
}

void convert_display_progress(void *arg, const struct sluice_convert_report *report)
{
    const struct layer_bars_run run = {.name = report->source,
                                       .seconds = report->seconds,
                                       .n_layers = report->n_layers,
                                       .layer = describe_layer,
                                       .report = report};
    layer_bars_show(arg, &run);
}

void convert_display_summary(const struct sluice_convert_report *report)
{
    uint64_t moved = 0;
    char size[16];
    for (size_t i = 0; i < report->n_layers; i++)
        moved += report->layers[i]->skipped ? 0 : report->layers[i]->bytes;
    fprintf(stderr, "%s: %zu layers, %s moved in %.1f s\n", report->destination, report->n_layers,
            cli_format_size(moved, size), report->seconds);
    if (report->n_dropped)
        fprintf(stderr, "%zu attestations were left out: they speak of the old digests\n",
                report->n_dropped);
}

static void put_layer(struct sl_json_writer *w, const struct sluice_convert_layer *l)
{
    sl_json_open_object(w, NULL);
    sl_json_put_string(w, "from", l->from);
    sl_json_put_string(w, "to", l->to);
    sl_json_put_int(w, "size", (int64_t)l->bytes);
    sl_json_put_string(w, "action", l->action);
    sl_json_put_bool(w, "skipped", l->skipped);
    sl_json_put_decimal(w, "seconds", l->seconds);
    sl_json_close_object(w);
}

int convert_display_json(const struct sluice_convert_report *report, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ true);
    sl_json_put_string(w, "source", report->source);
    sl_json_put_string(w, "destination", report->destination);
    sl_json_put_string(w, "digest", report->digest);
    sl_json_put_bool(w, "isIndex", report->is_index);
    sl_json_put_int(w, "images", (int64_t)report->n_images);
    sl_json_put_int(w, "dropped", (int64_t)report->n_dropped);
    sl_json_put_decimal(w, "seconds", report->seconds);
    sl_json_put_int(w, "peakBufferBytes", (int64_t)report->peak_buffer_bytes);
    sl_json_open_array(w, "layers");
    for (size_t i = 0; i < report->n_layers; i++)
        put_layer(w, report->layers[i]);
    sl_json_close_array(w);
    return cli_print_json(w, err);
}
