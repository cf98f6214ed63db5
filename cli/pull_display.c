/* SPDX-License-Identifier: Apache-2.0 */
#include "pull_display.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    BAR_WIDTH = 30,
    LINES_MAX = 20,    /* bars drawn at once; an image may have 500 layers */
    LINE_INTERVAL = 5, /* seconds between lines where there is no terminal */
};

static const char *const state_names[] = {
    [SL_LAYER_WAITING] = "waiting", [SL_LAYER_RUNNING] = "running", [SL_LAYER_CACHED] = "cached",
    [SL_LAYER_DONE] = "done",       [SL_LAYER_FAILED] = "failed",
};

void pull_display_init(struct pull_display *d)
{
    *d = (struct pull_display){.terminal = isatty(STDERR_FILENO) == 1, .next_line = LINE_INTERVAL};
}

static double fraction(const struct sl_layer_report *l)
{
    if (l->state == SL_LAYER_DONE || l->state == SL_LAYER_CACHED || l->size == 0)
        return 1;
    double f = (double)l->received / (double)l->size;
    return f > 1 ? 1 : f;
}

static void draw_bar(const struct sl_layer_report *l)
{
    char bar[BAR_WIDTH + 1], hex[2 * SL_DIGEST_MAX + 1], size[16];
    int full = (int)(fraction(l) * BAR_WIDTH);
    memset(bar, '#', sizeof(bar));
    memset(bar + full, '.', (size_t)(BAR_WIDTH - full));
    bar[BAR_WIDTH] = 0;
    sl_digest_hex(&l->blob, hex);
    fprintf(stderr, "\033[2K%.12s [%s] %9s %s%s\n", hex, bar, cli_format_size(l->size, size),
            state_names[l->state], l->encrypted ? ", encrypted" : "");
}

/* Layers that wait or run are the interesting ones when not all fit. */
static void draw_bars(struct pull_display *d, const struct sl_pull_report *r)
{
    bool all = r->n_layers <= LINES_MAX;
    unsigned lines = 0;
    if (d->lines)
        fprintf(stderr, "\033[%uA", d->lines);
    for (size_t i = 0; i < r->n_layers && lines < LINES_MAX; i++) {
        if (!all && r->layers[i].state != SL_LAYER_RUNNING)
            continue;
        draw_bar(&r->layers[i]);
        lines++;
    }
    fprintf(stderr, "\033[J");
    d->lines = lines;
}

static void print_line(struct pull_display *d, const struct sl_pull_report *r)
{
    uint64_t received = 0, total = 0;
    size_t done = 0;
    if (r->seconds < d->next_line)
        return;
    d->next_line = r->seconds + LINE_INTERVAL;
    for (size_t i = 0; i < r->n_layers; i++) {
        const struct sl_layer_report *l = &r->layers[i];
        total += l->size;
        received += (uint64_t)(fraction(l) * (double)l->size);
        done += l->state == SL_LAYER_DONE || l->state == SL_LAYER_CACHED;
    }
    char got[16], of[16];
    fprintf(stderr, "%s: %zu of %zu layers, %s of %s\n", r->name, done, r->n_layers,
            cli_format_size(received, got), cli_format_size(total, of));
}

void pull_display_progress(void *arg, const struct sl_pull_report *report)
{
    struct pull_display *d = arg;
    if (d->terminal)
        draw_bars(d, report);
    else
        print_line(d, report);
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
            fprintf(stderr, ", key by %s", l->protocol);
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

static void put_layer(struct sl_json_writer *w, const struct sl_layer_report *l)
{
    sl_json_open_object(w, NULL);
    sl_json_put_digest(w, "digest", &l->blob);
    sl_json_put_digest(w, "diffId", &l->diff_id);
    sl_json_put_int(w, "size", (int64_t)l->size);
    sl_json_put_int(w, "received", (int64_t)l->received);
    sl_json_put_string(w, "state", state_names[l->state]);
    sl_json_put_bool(w, "encrypted", l->encrypted);
    if (l->protocol)
        sl_json_put_string(w, "protocol", l->protocol);
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
