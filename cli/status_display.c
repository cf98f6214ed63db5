/* SPDX-License-Identifier: Apache-2.0 */
#include "status_display.h"
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>

enum { BAR_WIDTH = 20, IMAGE_WIDTH = 44, SHOWN_MAX = 20 };

static double number(const struct sl_json *object, const char *name)
{
    const char *text = sl_json_number(sl_json_get(object, name));
    return text ? strtod(text, NULL) : 0;
}

static const char *text(const struct sl_json *object, const char *name)
{
    const char *value = sl_json_string(sl_json_get(object, name));
    return value ? value : "";
}

static const char *size(const struct sl_json *object, const char *name, char out[16])
{
    return cli_format_size((uint64_t)number(object, name), out);
}

/* Names come from requests and images: no byte of theirs may steer the terminal. */
static void print_name(const char *name, int width)
{
    struct sl_error clean;
    (void)sl_error_set(&clean, SL_E_FORMAT, EINVAL, "%s", name);
    printf("%-*.*s", width, width, clean.msg);
}

static void print_duration(double seconds)
{
    unsigned long s = (unsigned long)seconds;
    if (s >= 86400)
        printf("%lu d %lu h", s / 86400, s / 3600 % 24);
    else if (s >= 3600)
        printf("%lu h %lu min", s / 3600, s / 60 % 60);
    else if (s >= 60)
        printf("%lu min %lu s", s / 60, s % 60);
    else
        printf("%lu s", s);
}

static void print_bar(double part)
{
    int full = part > 1 ? BAR_WIDTH : (int)(part * BAR_WIDTH);
    putchar('[');
    for (int i = 0; i < BAR_WIDTH; i++)
        putchar(i < full ? '#' : '.');
    putchar(']');
}

static void print_job(const struct sl_json *job)
{
    char got[16], of[16];
    double bytes = number(job, "bytes");
    printf("%6.0f  ", number(job, "id"));
    print_name(text(job, "image"), IMAGE_WIDTH);
    printf("  %-9s ", text(job, "state"));
    print_bar(bytes > 0 ? number(job, "received") / bytes : 0);
    printf(" %s of %s, layers %.0f/%.0f, ", size(job, "received", got), size(job, "bytes", of),
           number(job, "layersDone"), number(job, "layers"));
    print_duration(number(job, "seconds"));
    printf("%s\n", number(job, "waiters") > 1 ? ", joined" : "");
}

static void print_jobs(const struct sl_json *jobs)
{
    size_t n = sl_json_count(jobs);
    if (n == 0) {
        printf("no pulls\n");
        return;
    }
    printf("%6s  %-*s  %s\n", "PULL", IMAGE_WIDTH, "IMAGE", "STATE");
    for (size_t i = 0; i < n && i < SHOWN_MAX; i++)
        print_job(sl_json_at(jobs, i));
    if (n > SHOWN_MAX)
        printf("and %zu more\n", n - SHOWN_MAX);
}

static void print_store(const struct sl_json *status)
{
    char a[16], b[16];
    const struct sl_json *store = sl_json_get(status, "store");
    const struct sl_json *buffers = sl_json_get(status, "buffers");
    if (!store) {
        printf("store: not open before the first pull\n");
        return;
    }
    printf("store: %s, %zu images, %zu mounts, %s of %s free\n", text(store, "root"),
           sl_json_count(sl_json_get(status, "images")),
           sl_json_count(sl_json_get(status, "mounts")), size(store, "free", a),
           size(store, "size", b));
    printf("buffers: %s of %s, ", size(buffers, "bytes", a), size(buffers, "limit", b));
    printf("at most %s so far\n", size(buffers, "peak", a));
}

void status_print(const struct sl_json *status)
{
    printf("sluiced %s, pid %.0f, up ", text(status, "version"), number(status, "pid"));
    print_duration(number(status, "uptime"));
    printf(", configuration %s, generation %.0f\n",
           *text(status, "config") ? text(status, "config") : "without file",
           number(status, "generation"));
    print_store(status);
    print_jobs(sl_json_get(status, "jobs"));
}
