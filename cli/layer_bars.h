/* SPDX-License-Identifier: Apache-2.0 */
/* What a person sees of layers on their way: a bar for each on a terminal, a line now and then
 * elsewhere. All on stderr. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct layer_bars {
    bool terminal;
    unsigned lines;   /* drawn last time, to be drawn over */
    double next_line; /* seconds of the run at which the next line is due */
};

/* One layer. Everything is borrowed. */
struct layer_bar {
    const char *digest;
    uint64_t size, done; /* bytes */
    bool is_done, is_running;
    const char *state; /* "running" */
    const char *note;  /* ", encrypted" or "" */
};

struct layer_bars_run {
    const char *name; /* of the image */
    double seconds;
    size_t n_layers;
    void (*layer)(const void *report, size_t i, struct layer_bar *ret);
    const void *report;
};

void layer_bars_init(struct layer_bars *bars);
void layer_bars_show(struct layer_bars *bars, const struct layer_bars_run *run);
