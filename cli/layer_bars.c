/* SPDX-License-Identifier: Apache-2.0 */
#include "layer_bars.h"
#include "cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    BAR_WIDTH = 30,
    LINES_MAX = 20,    /* bars drawn at once; an image may have 500 layers */
    LINE_INTERVAL = 5, /* seconds between lines where there is no terminal */
};

void layer_bars_init(struct layer_bars *bars)
{
    *bars = (struct layer_bars){.terminal = isatty(STDERR_FILENO) == 1, .next_line = LINE_INTERVAL};
}

static double fraction(const struct layer_bar *l)
{
    if (l->is_done || l->size == 0)
        return 1;
    double f = (double)l->done / (double)l->size;
    return f > 1 ? 1 : f;
}

static void draw_bar(const struct layer_bar *l)
{
    char bar[BAR_WIDTH + 1], size[16];
    int full = (int)(fraction(l) * BAR_WIDTH);
    memset(bar, '#', sizeof(bar));
    memset(bar + full, '.', (size_t)(BAR_WIDTH - full));
    bar[BAR_WIDTH] = 0;
    fprintf(stderr, "\033[2K%.12s [%s] %9s %s%s\n", cli_digest_hex(l->digest), bar,
            cli_format_size(l->size, size), l->state, l->note);
}

/* Layers that run are the interesting ones when not all fit. */
static void draw_bars(struct layer_bars *bars, const struct layer_bars_run *run)
{
    bool all = run->n_layers <= LINES_MAX;
    unsigned lines = 0;
    if (bars->lines)
        fprintf(stderr, "\033[%uA", bars->lines);
    for (size_t i = 0; i < run->n_layers && lines < LINES_MAX; i++) {
        struct layer_bar l;
        run->layer(run->report, i, &l);
        if (!all && !l.is_running)
            continue;
        draw_bar(&l);
        lines++;
    }
    fprintf(stderr, "\033[J");
    bars->lines = lines;
}

static void print_line(struct layer_bars *bars, const struct layer_bars_run *run)
{
    uint64_t moved = 0, total = 0;
    size_t done = 0;
    if (run->seconds < bars->next_line)
        return;
    bars->next_line = run->seconds + LINE_INTERVAL;
    for (size_t i = 0; i < run->n_layers; i++) {
        struct layer_bar l;
        run->layer(run->report, i, &l);
        total += l.size;
        moved += (uint64_t)(fraction(&l) * (double)l.size);
        done += l.is_done;
    }
    char got[16], of[16];
    fprintf(stderr, "%s: %zu of %zu layers, %s of %s\n", run->name, done, run->n_layers,
            cli_format_size(moved, got), cli_format_size(total, of));
}

void layer_bars_show(struct layer_bars *bars, const struct layer_bars_run *run)
{
    if (bars->terminal)
        draw_bars(bars, run);
    else
        print_line(bars, run);
}
