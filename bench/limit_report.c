/* SPDX-License-Identifier: Apache-2.0 */
#include "limit_parts.h"

#include "sluice/core/json_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- sums over layers and pulls ---- */

struct stage_sum {
    const char *name;
    double busy, stalled_in, stalled_out;
    uint64_t bytes;
};

static uint64_t blob_bytes(const struct limit_image *image)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < image->n_layers; i++)
        sum += image->layers[i].blob->size;
    return sum;
}

static uint64_t plain_bytes(const struct limit_image *image)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < image->n_layers; i++)
        sum += image->layers[i].plain_bytes;
    return sum;
}

static bool is_encrypted(const struct limit_image *image)
{
    for (size_t i = 0; i < image->n_layers; i++)
        if (image->layers[i].key)
            return true;
    return false;
}

static struct limit_cost part_sum(const struct limit_image *image, int part)
{
    struct limit_cost sum = {.by = image->layers[0].costs[part].by};
    for (size_t i = 0; i < image->n_layers; i++) {
        const struct limit_cost *cost = &image->layers[i].costs[part];
        sum.cpu += cost->cpu;
        sum.wall += cost->wall;
        if (cost->by && sum.by && strcmp(cost->by, sum.by) != 0)
            sum.by = "several";
    }
    return sum;
}

/* Stages of the same name, in the order of the path; of layers that were fetched. */
static size_t sum_stages(const struct sl_pull_report *report, struct stage_sum *sums)
{
    size_t n = 0;
    for (size_t i = 0; i < report->n_layers; i++) {
        const struct sl_layer_report *l = &report->layers[i];
        for (size_t k = 0; k < l->n_stages; k++) {
            size_t at = 0;
            while (at < n && strcmp(sums[at].name, l->stages[k].name) != 0)
                at++;
            if (at == SL_LAYER_STAGES_MAX)
                continue;
            if (at == n)
                sums[n++] = (struct stage_sum){.name = l->stages[k].name};
            sums[at].bytes += l->stages[k].stats.bytes_in;
            sums[at].busy += (double)l->stages[k].stats.nanoseconds / 1e9;
            sums[at].stalled_in += (double)l->stages[k].stats.stalled_in_ns / 1e9;
            sums[at].stalled_out += (double)l->stages[k].stats.stalled_out_ns / 1e9;
        }
    }
    return n;
}

/* The pull whose wall time is the median one, the slower of two. */
static const struct limit_pull *median_pull(const struct limit_result *r)
{
    for (unsigned i = 0; i < r->options->runs; i++) {
        unsigned faster = 0, equal = 0;
        for (unsigned k = 0; k < r->options->runs; k++) {
            faster += r->pulls[k].wall < r->pulls[i].wall;
            equal += r->pulls[k].wall <= r->pulls[i].wall;
        }
        if (faster <= r->options->runs / 2 && equal > r->options->runs / 2)
            return &r->pulls[i];
    }
    return &r->pulls[0];
}

/* Kernel threads work for the store where it is on a disk; elsewhere they work for others. */
static double busy_cpu(const struct limit_result *r, const struct limit_pull *p)
{
    return p->cpu + p->server_cpu + (r->is_volatile ? 0 : p->kernel_cpu);
}

/* ---- the columns of the bound ---- */

static const unsigned extrapolated[] = {4, 8};
enum { N_EXTRAPOLATED = sizeof(extrapolated) / sizeof(extrapolated[0]) };

/* Numbers of cores: 1 to those there are, then those there might be. */
static size_t columns(unsigned cores, unsigned ret[LIMIT_COLUMNS_MAX])
{
    size_t n = 0;
    for (unsigned i = 1; i <= cores && n + N_EXTRAPOLATED < LIMIT_COLUMNS_MAX; i++)
        ret[n++] = i;
    for (size_t i = 0; i < N_EXTRAPOLATED; i++)
        if (extrapolated[i] > cores)
            ret[n++] = extrapolated[i];
    return n;
}

static bool has_layer(enum limit_reason reason)
{
    return reason != LIMIT_BY_CPU && reason != LIMIT_BY_LINK;
}

/* ---- the table ---- */

static void print_row(const char *name, const struct limit_cost costs[LIMIT_PARTS], uint64_t blob,
                      uint64_t plain)
{
    double sum = 0;
    printf("%-14s %8.1f %9.1f", name, (double)blob / 1e6, (double)plain / 1e6);
    for (int part = 0; part < LIMIT_PARTS; part++) {
        if (costs[part].by)
            printf(" %9.3f", costs[part].cpu);
        else
            printf(" %9s", "-");
        sum += costs[part].cpu;
    }
    printf(" %9.3f\n", sum);
}

static void print_parts(const struct limit_image *image)
{
    struct limit_cost all[LIMIT_PARTS];
    printf("CPU seconds    %8s %9s", "blob MB", "plain MB");
    for (int part = 0; part < LIMIT_PARTS; part++)
        printf(" %9s", limit_part_name((enum limit_part)part));
    printf(" %9s\n", "sum");
    for (size_t i = 0; i < image->n_layers; i++) {
        char name[32], hex[2 * SL_DIGEST_MAX + 1];
        sl_digest_hex(&image->layers[i].blob->digest, hex);
        (void)snprintf(name, sizeof(name), "%zu/%zu %.8s", i + 1, image->n_layers, hex);
        print_row(name, image->layers[i].costs, image->layers[i].blob->size,
                  image->layers[i].plain_bytes);
    }
    for (int part = 0; part < LIMIT_PARTS; part++)
        all[part] = part_sum(image, part);
    print_row("all", all, blob_bytes(image), plain_bytes(image));
    printf("%-33s", "by");
    for (int part = 0; part < LIMIT_PARTS; part++)
        printf(" %9s", all[part].by ? all[part].by : "-");
    printf("\n\n");
}

static void print_bounds(const struct limit_result *r)
{
    unsigned cores[LIMIT_COLUMNS_MAX];
    size_t n = columns(r->cores, cores);
    printf("cores   bound s  plain MB/s  set by\n");
    for (size_t i = 0; i < n; i++) {
        struct limit_bound bound = limit_bound_of(r->image, cores[i]);
        printf("%5u %9.3f %11.0f  %s", cores[i], bound.seconds,
               bound.seconds > 0 ? (double)plain_bytes(r->image) / bound.seconds / 1e6 : 0,
               limit_reason_name(bound.reason));
        if (has_layer(bound.reason))
            printf(" of layer %zu/%zu", bound.layer + 1, r->image->n_layers);
        printf("%s\n", cores[i] > r->cores ? " (extrapolated)" : "");
    }
    putchar('\n');
}

static void print_stages(const struct limit_pull *p)
{
    struct stage_sum sums[SL_LAYER_STAGES_MAX];
    size_t n = sum_stages(p->report, sums);
    printf("stage         busy s  for input s  for room s       MB\n");
    for (size_t i = 0; i < n; i++)
        printf("%-12s %7.3f %12.3f %11.3f %8.1f\n", sums[i].name, sums[i].busy, sums[i].stalled_in,
               sums[i].stalled_out, (double)sums[i].bytes / 1e6);
}

static void print_pull(const struct limit_result *r)
{
    const struct limit_pull *p = median_pull(r);
    struct limit_bound bound = limit_bound_of(r->image, r->cores);
    double busy = busy_cpu(r, p), all = p->wall * r->cores;
    printf("pull %.3f s (", p->wall);
    for (unsigned i = 0; i < r->options->runs; i++)
        printf("%s%.3f", i ? ", " : "", r->pulls[i].wall);
    printf("), bound %.3f s with %u cores: ratio %.2f\n", bound.seconds, r->cores,
           p->wall / bound.seconds);
    printf("CPU %.3f s of %.3f: sluice %.3f, registry %.3f, kernel threads %.3f%s; parts alone "
           "%.3f, more %.3f, idle %.3f\n",
           busy, all, p->cpu, p->server_cpu, p->kernel_cpu, r->is_volatile ? " (not counted)" : "",
           limit_total_cpu(r->image), busy - limit_total_cpu(r->image), all - busy);
    printf("before the first layer %.3f s, longest commit %.3f s, behind the last byte %.3f s; "
           "buffers at "
           "most %.1f MiB\n",
           p->before, p->commit, p->after, (double)p->report->peak_buffers_bytes / (1024.0 * 1024));
    print_stages(p);
}

void limit_print(const struct limit_result *r)
{
    const struct limit_image *image = r->image;
    double tar_cpu = 0, tar_wall = 0;
    for (size_t i = 0; i < image->n_layers; i++) {
        tar_cpu += image->layers[i].gnu_tar_cpu;
        tar_wall += image->layers[i].gnu_tar_wall;
    }
    printf("%s: %.1f MB in %zu layers, %.1f MB plain%s; %u cores; files on %s (%s); best parts and "
           "median pull of %u\n",
           image->name, (double)blob_bytes(image) / 1e6, image->n_layers,
           (double)plain_bytes(image) / 1e6, is_encrypted(image) ? ", encrypted" : "", r->cores,
           r->is_volatile ? "memory" : "a disk", r->options->root, r->options->runs);
    printf("memory to memory %.1f GB/s; %s; GNU tar makes the trees in %.3f s (CPU %.3f)\n\n",
           r->copy_rate / 1e9,
           image->server ? "the registry is on this machine"
                         : "no registry on this machine: its link counts",
           tar_wall, tar_cpu);
    print_parts(image);
    print_bounds(r);
    print_pull(r);
}

/* ---- JSON ---- */

static void put_costs(struct sl_json_writer *w, const struct limit_cost costs[LIMIT_PARTS])
{
    sl_json_open_object(w, "parts");
    for (int part = 0; part < LIMIT_PARTS; part++) {
        if (!costs[part].by)
            continue;
        sl_json_open_object(w, limit_part_name((enum limit_part)part));
        sl_json_put_decimal(w, "cpu_seconds", costs[part].cpu);
        sl_json_put_decimal(w, "seconds", costs[part].wall);
        sl_json_put_string(w, "by", costs[part].by);
        sl_json_close_object(w);
    }
    sl_json_close_object(w);
}

static void put_layers(struct sl_json_writer *w, const struct limit_image *image)
{
    sl_json_open_array(w, "layers");
    for (size_t i = 0; i < image->n_layers; i++) {
        const struct limit_layer *l = &image->layers[i];
        sl_json_open_object(w, NULL);
        sl_json_put_digest(w, "digest", &l->blob->digest);
        sl_json_put_int(w, "bytes", (int64_t)l->blob->size);
        sl_json_put_int(w, "plain_bytes", (int64_t)l->plain_bytes);
        sl_json_put_bool(w, "encrypted", l->key != NULL);
        sl_json_put_decimal(w, "cpu_seconds", limit_layer_cpu(l));
        sl_json_put_decimal(w, "gnu_tar_seconds", l->gnu_tar_wall);
        put_costs(w, l->costs);
        sl_json_close_object(w);
    }
    sl_json_close_array(w);
}

static void put_bounds(struct sl_json_writer *w, const struct limit_result *r)
{
    unsigned cores[LIMIT_COLUMNS_MAX];
    size_t n = columns(r->cores, cores);
    sl_json_open_array(w, "bounds");
    for (size_t i = 0; i < n; i++) {
        struct limit_bound bound = limit_bound_of(r->image, cores[i]);
        sl_json_open_object(w, NULL);
        sl_json_put_int(w, "cores", cores[i]);
        sl_json_put_decimal(w, "seconds", bound.seconds);
        sl_json_put_string(w, "set_by", limit_reason_name(bound.reason));
        if (has_layer(bound.reason))
            sl_json_put_int(w, "layer", (int64_t)bound.layer + 1);
        sl_json_put_bool(w, "extrapolated", cores[i] > r->cores);
        sl_json_close_object(w);
    }
    sl_json_close_array(w);
}

static void put_stages(struct sl_json_writer *w, const struct sl_layer_report *l)
{
    sl_json_open_array(w, "stages");
    for (size_t i = 0; i < l->n_stages; i++) {
        const struct sl_stage_stats *stats = &l->stages[i].stats;
        sl_json_open_object(w, NULL);
        sl_json_put_string(w, "name", l->stages[i].name);
        sl_json_put_int(w, "bytes", (int64_t)stats->bytes_in);
        sl_json_put_decimal(w, "busy", (double)stats->nanoseconds / 1e9);
        sl_json_put_decimal(w, "stalled_in", (double)stats->stalled_in_ns / 1e9);
        sl_json_put_decimal(w, "stalled_out", (double)stats->stalled_out_ns / 1e9);
        sl_json_close_object(w);
    }
    sl_json_close_array(w);
}

static void put_pull(struct sl_json_writer *w, const struct limit_result *r)
{
    const struct limit_pull *p = median_pull(r);
    sl_json_open_object(w, "pull");
    sl_json_put_decimal(w, "sluice_cpu_seconds", p->cpu);
    sl_json_put_decimal(w, "registry_cpu_seconds", p->server_cpu);
    sl_json_put_decimal(w, "kernel_cpu_seconds", p->kernel_cpu);
    sl_json_put_decimal(w, "idle_cpu_seconds", p->wall * r->cores - busy_cpu(r, p));
    sl_json_put_decimal(w, "before_seconds", p->before);
    sl_json_put_decimal(w, "commit_seconds", p->commit);
    sl_json_put_decimal(w, "after_seconds", p->after);
    sl_json_open_array(w, "layers");
    for (size_t i = 0; i < p->report->n_layers; i++) {
        sl_json_open_object(w, NULL);
        sl_json_put_decimal(w, "began", p->report->layers[i].began);
        sl_json_put_decimal(w, "seconds", p->report->layers[i].seconds);
        put_stages(w, &p->report->layers[i]);
        sl_json_close_object(w);
    }
    sl_json_close_array(w);
    sl_json_close_object(w);
}

/* "limit/single:enc" of "127.0.0.1:5000/single:enc": ports are not the same the next time. */
static char *record_name(const char *image)
{
    const char *slash = strrchr(image, '/');
    return sl_strf("limit/%s", slash ? slash + 1 : image);
}

int limit_print_json(const struct limit_result *r, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    SL_AUTO_DONE(sl_bytes) text = {0};
    SL_AUTO_FREE char *name = record_name(r->image->name);
    const struct limit_pull *p = median_pull(r);
    struct limit_bound bound = limit_bound_of(r->image, r->cores);
    sl_json_put_string(w, "name", name ? name : "limit");
    sl_json_put_string(w, "rival", "bound");
    sl_json_put_int(w, "bytes", (int64_t)plain_bytes(r->image));
    sl_json_put_decimal(w, "seconds", p->wall);
    sl_json_put_decimal(w, "cpu_seconds", busy_cpu(r, p));
    sl_json_put_int(w, "peak_bytes", (int64_t)p->report->peak_buffers_bytes);
    sl_json_put_decimal(w, "ratio", bound.seconds / p->wall); /* the rival's time to ours */
    sl_json_put_decimal(w, "pull_to_bound", p->wall / bound.seconds);
    sl_json_put_decimal(w, "bound_seconds", bound.seconds);
    sl_json_put_decimal(w, "bound_cpu_seconds", limit_total_cpu(r->image));
    sl_json_put_int(w, "cores", r->cores);
    sl_json_put_bool(w, "in_memory", r->is_volatile);
    sl_json_put_decimal(w, "copy_bytes_per_second", r->copy_rate);
    put_bounds(w, r);
    put_layers(w, r->image);
    put_pull(w, r);
    int r2 = sl_json_end(w, &text, err);
    if (r2 == 0)
        fputs((const char *)text.data, stdout);
    return r2;
}
