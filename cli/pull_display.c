/* SPDX-License-Identifier: Apache-2.0 */
#include "pull_display.h"

#include <stdio.h>

static const char *const state_names[] = {
    [SL_LAYER_WAITING] = "waiting", [SL_LAYER_RUNNING] = "running", [SL_LAYER_CACHED] = "cached",
    [SL_LAYER_DONE] = "done",       [SL_LAYER_FAILED] = "failed",
};

static void describe_layer(const void *report, size_t i, struct layer_bar *ret)
{
    const struct sl_layer_report *l = &((const struct sl_pull_report *)report)->layers[i];
    *ret = (struct layer_bar){.blob = &l->blob,
                              .size = l->size,
                              .done = l->received,
                              .is_done = l->state == SL_LAYER_DONE || l->state == SL_LAYER_CACHED,
                              .is_running = l->state == SL_LAYER_RUNNING,
                              .state = state_names[l->state],
                              .note = l->encrypted ? ", encrypted" : ""};
}

void pull_display_progress(void *arg, const struct sl_pull_report *report)
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

static void print_stages(const struct sl_layer_report *l)
{
    for (size_t i = 0; i < l->n_stages; i++) {
        double seconds = (double)l->stages[i].stats.nanoseconds / 1e9;
        fprintf(stderr, "    %-12s %8.1f MB in %7.3f s  %8.0f MB/s\n", l->stages[i].name,
                (double)l->stages[i].stats.bytes_in / 1e6, seconds,
                rate(l->stages[i].stats.bytes_in, seconds));
    }
}

void pull_display_stats(const struct sl_pull_report *report)
{
    uint64_t total = 0;
    for (size_t i = 0; i < report->n_layers; i++) {
        const struct sl_layer_report *l = &report->layers[i];
        char hex[2 * SL_DIGEST_MAX + 1], size[16];
        sl_digest_hex(&l->blob, hex);
        fprintf(stderr, "layer %zu/%zu %.12s %s, %s", i + 1, report->n_layers, hex,
                cli_format_size(l->size, size), state_names[l->state]);
        if (l->protocol)
            fprintf(stderr, ", key by %s%s%s", l->protocol, l->kid ? " " : "",
                    l->kid ? l->kid : "");
        if (l->n_stages)
            fprintf(stderr, ", %.3f s, %.0f MB/s", l->seconds, rate(l->received, l->seconds));
        fputc('\n', stderr);
        print_stages(l);
        total += l->received;
    }
    char size[16], peak[16];
    fprintf(stderr, "image: %s in %.3f s, %.0f MB/s; buffers at most %s\n",
            cli_format_size(total, size), report->seconds, rate(total, report->seconds),
            cli_format_size(report->peak_buffers_bytes, peak));
}

static void put_key(struct sl_json_writer *w, const struct sl_layer_report *l)
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

static void put_layer(struct sl_json_writer *w, const struct sl_layer_report *l)
{
    sl_json_open_object(w, NULL);
    sl_json_put_digest(w, "digest", &l->blob);
    sl_json_put_digest(w, "diffId", &l->diff_id);
    sl_json_put_int(w, "size", (int64_t)l->size);
    sl_json_put_int(w, "received", (int64_t)l->received);
    sl_json_put_string(w, "state", state_names[l->state]);
    sl_json_put_bool(w, "encrypted", l->encrypted);
    put_key(w, l);
    sl_json_put_decimal(w, "seconds", l->seconds);
    sl_json_open_array(w, "stages");
    for (size_t i = 0; i < l->n_stages; i++) {
        sl_json_open_object(w, NULL);
        sl_json_put_string(w, "name", l->stages[i].name);
        sl_json_put_int(w, "bytes", (int64_t)l->stages[i].stats.bytes_in);
        sl_json_put_decimal(w, "seconds", (double)l->stages[i].stats.nanoseconds / 1e9);
        sl_json_close_object(w);
    }
    sl_json_close_array(w);
    sl_json_close_object(w);
}

int pull_display_json(const struct sl_pull_report *report, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ true);
    sl_json_put_string(w, "name", report->name);
    sl_json_put_digest(w, "manifest", &report->manifest);
    sl_json_put_digest(w, "config", &report->config);
    sl_json_put_decimal(w, "seconds", report->seconds);
    sl_json_put_int(w, "peakBufferBytes", (int64_t)report->peak_buffers_bytes);
    sl_json_open_array(w, "layers");
    for (size_t i = 0; i < report->n_layers; i++)
        put_layer(w, &report->layers[i]);
    sl_json_close_array(w);
    return cli_print_json(w, err);
}
