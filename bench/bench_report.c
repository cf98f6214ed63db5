/* SPDX-License-Identifier: Apache-2.0 */
/* What cases of a benchmark took, as a table and as records. */
#include "bench_rivalry.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MIB = 1024 * 1024, TEXT_MAX = 32 };

static int by_value(const void *pa, const void *pb)
{
    double a = *(const double *)pa, b = *(const double *)pb;
    return (a > b) - (a < b);
}

static double median(const double *values, size_t n)
{
    double sorted[SL_BENCH_REPETITIONS_MAX];
    if (n == 0)
        return 0;
    memcpy(sorted, values, n * sizeof(*values));
    qsort(sorted, n, sizeof(*sorted), by_value);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static const struct sl_bench_result *find(const struct sl_bench_results *results, const char *name)
{
    for (size_t i = 0; i < results->n; i++)
        if (strcmp(results->list[i].c->name, name) == 0)
            return &results->list[i];
    return NULL;
}

/* Of the measure that the comparing case names, whosever case it is. */
static double ns_per_byte(const struct sl_bench_result *result, enum sl_bench_measure measure)
{
    const double *values = measure == SL_BENCH_WALL ? result->wall : result->cpu;
    return median(values, result->n) * 1e9 / (double)result->bytes;
}

/* 0: there is none. */
static double ratio(const struct sl_bench_result *own, const struct sl_bench_result *rival)
{
    if (!rival || rival->r < 0 || own->r < 0 || !rival->n || !own->n)
        return 0;
    double mine = ns_per_byte(own, own->c->measure);
    return mine > 0 ? ns_per_byte(rival, own->c->measure) / mine : 0;
}

/* ---- the table ---- */

static const char *megabytes(uint64_t bytes, char text[TEXT_MAX])
{
    if (bytes == SL_BENCH_UNKNOWN)
        return "-";
    (void)snprintf(text, TEXT_MAX, bytes < 10 * MIB ? "%.2f" : "%.0f", (double)bytes / MIB);
    return text;
}

static void print_line(const struct sl_bench_results *results, const struct sl_bench_result *x,
                       int width)
{
    if (x->r < 0) {
        printf("%-*s  %s: %s\n", width, x->c->name,
               x->err.code == SL_E_UNSUPPORTED ? "skipped" : "FAILED", x->err.msg);
        return;
    }
    double wall = median(x->wall, x->n);
    char peak[TEXT_MAX];
    printf("%-*s %10.0f %9.3f %9.3f %9s", width, x->c->name, (double)x->bytes / wall / 1e6,
           ns_per_byte(x, SL_BENCH_CPU), ns_per_byte(x, SL_BENCH_WALL),
           megabytes(x->peak_bytes, peak));
    const char *sep = "  ";
    for (const char *const *name = x->c->rivals; x->is_wanted && *name; name++) {
        double times = ratio(x, find(results, *name));
        if (times > 0)
            printf("%s%.2f x %s", sep, times, *name);
        sep = ", ";
    }
    printf("\n");
}

void sl_bench_print_table(const struct sl_bench_results *results)
{
    int width = 4;
    for (size_t i = 0; i < results->n; i++) {
        int len = (int)strlen(results->list[i].c->name);
        width = len > width ? len : width;
    }
    printf("%-*s %10s %9s %9s %9s  %s\n", width, "case", "MB/s wall", "CPU ns/B", "ns/B",
           "peak MiB", "times as fast as its rivals, by CPU or, where others take part, by wall");
    for (size_t i = 0; i < results->n; i++) {
        if (i && results->list[i].group != results->list[i - 1].group)
            printf("\n");
        print_line(results, &results->list[i], width);
    }
}

/* ---- the records ---- */

/* Names and messages of ours: quotes, backslashes and control characters do not survive. */
static void put_text(FILE *f, const char *text)
{
    (void)fputc('"', f);
    for (; *text; text++)
        (void)fputc(*text == '"' || *text == '\\' || (unsigned char)*text < ' ' ? '\'' : *text, f);
    (void)fputc('"', f);
}

static void put_failure(FILE *f, const struct sl_bench_result *x)
{
    fprintf(f, ", \"%s\": ", x->err.code == SL_E_UNSUPPORTED ? "skipped" : "failed");
    put_text(f, x->err.msg);
}

static void put_record(FILE *f, const struct sl_bench_results *results,
                       const struct sl_bench_result *x, const char *rival)
{
    const struct sl_bench_result *other = rival ? find(results, rival) : NULL;
    fprintf(f, "{\"name\": \"%s\", \"rival\": ", x->c->name);
    if (rival)
        put_text(f, rival);
    else
        fprintf(f, "null");
    if (x->r < 0 || (other && other->r < 0)) {
        put_failure(f, x->r < 0 ? x : other);
    } else {
        fprintf(f, ", \"bytes\": %" PRIu64 ", \"seconds\": %.9g, \"cpu_seconds\": %.9g", x->bytes,
                median(x->wall, x->n), median(x->cpu, x->n));
        if (x->peak_bytes == SL_BENCH_UNKNOWN)
            fprintf(f, ", \"peak_bytes\": null");
        else
            fprintf(f, ", \"peak_bytes\": %" PRIu64, x->peak_bytes);
        fprintf(f, ", \"measure\": \"%s\", \"ratio\": ",
                x->c->measure == SL_BENCH_WALL ? "wall" : "cpu");
        double times = ratio(x, other);
        if (times > 0)
            fprintf(f, "%.4g", times);
        else
            fprintf(f, "null");
    }
    fprintf(f, "}\n");
}

int sl_bench_write_records(const struct sl_bench_results *results, const char *path,
                           struct sl_error *err)
{
    FILE *f = fopen(path, "we");
    if (!f)
        return sl_error_set(err, SL_E_SYSTEM, errno, "cannot write %s", path);
    for (size_t i = 0; i < results->n; i++) {
        const struct sl_bench_result *x = &results->list[i];
        if (!x->is_wanted)
            continue;
        if (!x->c->rivals[0])
            put_record(f, results, x, /* rival= */ NULL);
        for (const char *const *name = x->c->rivals; *name; name++)
            put_record(f, results, x, *name);
    }
    bool failed = ferror(f) != 0;
    if (fclose(f) != 0 || failed)
        return sl_error_set(err, SL_E_SYSTEM, EIO, "cannot write %s", path);
    return 0;
}
