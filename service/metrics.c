/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names follow the conventions of Prometheus: base units, _total for what only grows.
 * A number of values is fixed by tables here: what a registry or an image says never becomes a
 * label, except the names of our own stages.
 */
#include "metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    CODES = SLUICE_E_CANCELLED + 1,
    STAGES_MAX = 24,      /* kinds; there are about ten */
    STAGE_NAME_MAX = 32,  /* bytes */
    TEXT_MAX = 64 * 1024, /* bytes of an answer */
    LINE_BYTES_MAX = 512, /* of a line of it */
};

/* Seconds: a warm pull takes milliseconds, one of a model hours. */
static const double bounds[] = {0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000};
enum { BOUNDS = sizeof(bounds) / sizeof(bounds[0]) };

struct histogram {
    uint64_t counts[BOUNDS + 1]; /* the last one: above all bounds */
    double sum;
};

struct stage {
    char name[STAGE_NAME_MAX];
    uint64_t bytes;
    double seconds, stalled_in, stalled_out;
};

struct sl_metrics {
    pthread_mutex_t lock; /* guards all that follows */
    uint64_t requests[CODES], jobs[CODES];
    struct histogram request_seconds, job_seconds;
    uint64_t joins, forwards[2], reloads[2]; /* [ok] */
    uint64_t layers_fetched, layers_cached, bytes_fetched, bytes_cached;
    uint64_t allowed, denied;
    struct stage stages[STAGES_MAX];
    size_t n_stages;
    unsigned in_flight;
    int64_t started; /* seconds since the epoch */
    void (*changed)(void *arg);
    void *changed_arg;
};

int sl_metrics_new(struct sl_metrics **ret, struct sl_error *err)
{
    struct sl_metrics *m = calloc(1, sizeof(*m));
    if (!m)
        return sl_error_oom(err);
    pthread_mutex_init(&m->lock, NULL);
    m->started = (int64_t)time(NULL);
    *ret = m;
    return 0;
}

struct sl_metrics *sl_metrics_free(struct sl_metrics *m)
{
    if (m)
        pthread_mutex_destroy(&m->lock);
    free(m);
    return NULL;
}

void sl_metrics_watch(struct sl_metrics *m, void (*fn)(void *arg), void *arg)
{
    m->changed = fn;
    m->changed_arg = arg;
}

/* ---- counting ---- */

static void tell(const struct sl_metrics *m)
{
    if (m->changed)
        m->changed(m->changed_arg);
}

static void observe(struct histogram *h, double seconds)
{
    size_t i = 0;
    while (i < BOUNDS && seconds > bounds[i])
        i++;
    h->counts[i]++;
    h->sum += seconds;
}

static enum sluice_code code_of(const struct sluice_error *err)
{
    enum sluice_code code = err ? err->code : SLUICE_OK;
    return (unsigned)code < CODES ? code : SLUICE_E_SYSTEM;
}

void sl_metrics_count_request(struct sl_metrics *m, const struct sluice_error *err, double seconds)
{
    pthread_mutex_lock(&m->lock);
    m->requests[code_of(err)]++;
    observe(&m->request_seconds, seconds);
    m->in_flight -= m->in_flight > 0;
    pthread_mutex_unlock(&m->lock);
    tell(m);
}

void sl_metrics_begin_request(struct sl_metrics *m)
{
    pthread_mutex_lock(&m->lock);
    m->in_flight++;
    pthread_mutex_unlock(&m->lock);
    tell(m);
}

unsigned sl_metrics_requests_in_flight(struct sl_metrics *m)
{
    pthread_mutex_lock(&m->lock);
    unsigned n = m->in_flight;
    pthread_mutex_unlock(&m->lock);
    return n;
}

uint64_t sl_metrics_pulls(struct sl_metrics *m)
{
    pthread_mutex_lock(&m->lock);
    uint64_t n = m->jobs[SLUICE_OK];
    pthread_mutex_unlock(&m->lock);
    return n;
}

/* NULL when there are too many kinds. */
static struct stage *stage_of(struct sl_metrics *m, const char *name)
{
    for (size_t i = 0; i < m->n_stages; i++)
        if (strcmp(m->stages[i].name, name) == 0)
            return &m->stages[i];
    if (m->n_stages == STAGES_MAX || strlen(name) >= STAGE_NAME_MAX)
        return NULL;
    struct stage *s = &m->stages[m->n_stages++];
    (void)snprintf(s->name, sizeof(s->name), "%s", name);
    return s;
}

static void count_stages(struct sl_metrics *m, const struct sluice_layer *layer)
{
    for (size_t i = 0; i < layer->n_stages; i++) {
        const struct sluice_stage *from = &layer->stages[i];
        struct stage *to = stage_of(m, from->name);
        if (!to)
            continue;
        to->bytes += from->bytes;
        to->seconds += (double)from->nanoseconds / 1e9;
        to->stalled_in += (double)from->stalled_in_ns / 1e9;
        to->stalled_out += (double)from->stalled_out_ns / 1e9;
    }
}

static void count_layer(struct sl_metrics *m, const struct sluice_layer *layer)
{
    if (layer->state == SLUICE_LAYER_CACHED) {
        m->layers_cached++;
        m->bytes_cached += layer->bytes;
        return;
    }
    m->layers_fetched += layer->state == SLUICE_LAYER_DONE;
    m->bytes_fetched += layer->received;
    count_stages(m, layer);
}

void sl_metrics_count_job(struct sl_metrics *m, const struct sluice_pull_report *report,
                          const struct sluice_error *err)
{
    enum sluice_code code = code_of(err);
    pthread_mutex_lock(&m->lock);
    m->jobs[code]++;
    m->allowed += code == SLUICE_OK;
    m->denied += code == SLUICE_E_POLICY;
    if (report)
        observe(&m->job_seconds, report->seconds);
    for (size_t i = 0; report && i < report->n_layers; i++)
        count_layer(m, report->layers[i]);
    pthread_mutex_unlock(&m->lock);
    tell(m);
}

static void count(struct sl_metrics *m, uint64_t *counter)
{
    pthread_mutex_lock(&m->lock);
    (*counter)++;
    pthread_mutex_unlock(&m->lock);
}

void sl_metrics_count_join(struct sl_metrics *m)
{
    count(m, &m->joins);
}

void sl_metrics_count_forward(struct sl_metrics *m, bool ok)
{
    count(m, &m->forwards[ok]);
}

void sl_metrics_count_reload(struct sl_metrics *m, bool ok)
{
    count(m, &m->reloads[ok]);
}

/* ---- telling ---- */

struct text {
    struct sl_bytes bytes;
    int r; /* the first failure; nothing is added behind it */
    struct sl_error *err;
};

static void put(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *t, const char *fmt, ...)
{
    char line[LINE_BYTES_MAX];
    va_list ap;
    if (t->r < 0)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    t->r = sl_bytes_append(&t->bytes, sl_span_of(line), TEXT_MAX, t->err);
}

static void put_head(struct text *t, const char *name, const char *type, const char *help)
{
    put(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_counter(struct text *t, const char *name, const char *help, uint64_t value)
{
    put_head(t, name, "counter", help);
    put(t, "%s %" PRIu64 "\n", name, value);
}

static void put_gauge(struct text *t, const char *name, const char *help, uint64_t value)
{
    put_head(t, name, "gauge", help);
    put(t, "%s %" PRIu64 "\n", name, value);
}

static void put_codes(struct text *t, const char *name, const char *help,
                      const uint64_t counts[CODES])
{
    put_head(t, name, "counter", help);
    for (size_t i = 0; i < CODES; i++)
        put(t, "%s{code=\"%s\"} %" PRIu64 "\n", name, sluice_code_name((enum sluice_code)i),
            counts[i]);
}

static void put_pair(struct text *t, const char *name, const char *help, const char *label,
                     const char *const values[2], const uint64_t counts[2])
{
    put_head(t, name, "counter", help);
    for (size_t i = 0; i < 2; i++)
        put(t, "%s{%s=\"%s\"} %" PRIu64 "\n", name, label, values[i], counts[i]);
}

static void put_histogram(struct text *t, const char *name, const char *help,
                          const struct histogram *h)
{
    uint64_t below = 0;
    put_head(t, name, "histogram", help);
    for (size_t i = 0; i < BOUNDS; i++) {
        below += h->counts[i];
        put(t, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, bounds[i], below);
    }
    below += h->counts[BOUNDS];
    put(t, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, below);
    put(t, "%s_sum %.9f\n%s_count %" PRIu64 "\n", name, h->sum, name, below);
}

static void put_pulls(struct text *t, const struct sl_metrics *m)
{
    static const char *const origins[] = {"fetched", "cached"};
    static const char *const verdicts[] = {"allowed", "denied"};
    put_codes(t, "sluice_requests_total", "Requests for an image, by how they ended.", m->requests);
    put_histogram(t, "sluice_request_duration_seconds", "From a request to its answer.",
                  &m->request_seconds);
    put_codes(t, "sluice_pulls_total", "Pulls, by how they ended.", m->jobs);
    put_histogram(t, "sluice_pull_duration_seconds", "Time of pulls that have reported.",
                  &m->job_seconds);
    put_gauge(t, "sluice_requests", "Requests for an image that wait for their answer.",
              m->in_flight);
    put_counter(t, "sluice_joins_total", "Requests that joined a pull on its way.", m->joins);
    put_pair(t, "sluice_verdicts_total", "What policies said of images.", "verdict", verdicts,
             (const uint64_t[]){m->allowed, m->denied});
    put_pair(t, "sluice_layers_total", "Layers, by where they came from.", "origin", origins,
             (const uint64_t[]){m->layers_fetched, m->layers_cached});
    put_pair(t, "sluice_layer_bytes_total", "Bytes of blobs, by where they came from.", "origin",
             origins, (const uint64_t[]){m->bytes_fetched, m->bytes_cached});
}

static void put_stages(struct text *t, const struct sl_metrics *m)
{
    static const char bytes[] = "sluice_stage_bytes_total";
    static const char seconds[] = "sluice_stage_seconds_total";
    static const char stall[] = "sluice_stage_stall_seconds_total";
    put_head(t, bytes, "counter", "Bytes that came into a stage of the data path.");
    for (size_t i = 0; i < m->n_stages; i++)
        put(t, "%s{stage=\"%s\"} %" PRIu64 "\n", bytes, m->stages[i].name, m->stages[i].bytes);
    put_head(t, seconds, "counter", "Time in which a stage was at work.");
    for (size_t i = 0; i < m->n_stages; i++)
        put(t, "%s{stage=\"%s\"} %.9f\n", seconds, m->stages[i].name, m->stages[i].seconds);
    put_head(t, stall, "counter",
             "Time in which a stage, and those on its worker, waited for input or output buffers.");
    for (size_t i = 0; i < m->n_stages; i++) {
        const struct stage *s = &m->stages[i];
        put(t, "%s{stage=\"%s\",on=\"input\"} %.9f\n", stall, s->name, s->stalled_in);
        put(t, "%s{stage=\"%s\",on=\"output\"} %.9f\n", stall, s->name, s->stalled_out);
    }
}

static void put_others(struct text *t, const struct sl_metrics *m)
{
    static const char *const results[] = {"failed", "ok"};
    put_pair(t, "sluice_forwards_total", "Calls passed on to the upstream hub.", "result", results,
             m->forwards);
    put_pair(t, "sluice_reloads_total", "Times the configuration was read again.", "result",
             results, m->reloads);
}

static void put_usage(struct text *t, const struct sluice_usage *u)
{
    put_gauge(t, "sluice_buffer_bytes", "Buffers that pulls have reserved.", u->buffer_bytes);
    put_gauge(t, "sluice_buffer_peak_bytes", "Buffers reserved at most so far.", u->buffers_peak);
    put_gauge(t, "sluice_buffer_limit_bytes", "Buffers that may be reserved.", u->buffers_limit);
    put_gauge(t, "sluice_store_free_bytes", "Free space of the store's file system.",
              u->store_free_bytes);
    put_gauge(t, "sluice_store_size_bytes", "Size of the store's file system.",
              u->store_total_bytes);
}

/* ---- of the process, by the names that every client library of Prometheus uses ---- */

static void put_memory(struct text *t)
{
    unsigned long long size, resident;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%llu %llu", &size, &resident) == 2) {
        const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
        put_gauge(t, "process_virtual_memory_bytes", "Virtual memory.", size * page);
        put_gauge(t, "process_resident_memory_bytes", "Resident memory.", resident * page);
    }
    if (f)
        (void)fclose(f);
}

static void put_descriptors(struct text *t)
{
    struct rlimit limit;
    uint64_t n = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (dir) {
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): the stream is this call's */
        while (readdir(dir))
            n++;
        (void)closedir(dir);
        put_gauge(t, "process_open_fds", "Open file descriptors.", n > 3 ? n - 3 : 0);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        put_gauge(t, "process_max_fds", "Limit of open file descriptors.", limit.rlim_cur);
}

static void put_process(struct text *t, int64_t started)
{
    struct rusage used;
    put_memory(t);
    put_descriptors(t);
    if (getrusage(RUSAGE_SELF, &used) == 0) {
        put_head(t, "process_cpu_seconds_total", "counter", "CPU time, user and system.");
        put(t, "process_cpu_seconds_total %lld.%06ld\n",
            (long long)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000000,
            (long)((used.ru_utime.tv_usec + used.ru_stime.tv_usec) % 1000000));
    }
    put_gauge(t, "process_start_time_seconds", "When the process started, since the epoch.",
              (uint64_t)started);
}

int sl_metrics_format(struct sl_metrics *m, const struct sluice_usage *usage, unsigned jobs,
                      struct sl_bytes *ret, struct sl_error *err)
{
    struct text t = {.err = err};
    put_head(&t, "sluice_build_info", "gauge", "Always 1; the label says what runs.");
    put(&t, "sluice_build_info{version=\"%s\"} 1\n", sluice_version());
    put_gauge(&t, "sluice_jobs", "Pulls that run or wait for their turn.", jobs);
    pthread_mutex_lock(&m->lock);
    put_pulls(&t, m);
    put_stages(&t, m);
    put_others(&t, m);
    pthread_mutex_unlock(&m->lock);
    if (usage)
        put_usage(&t, usage);
    put_process(&t, m->started);
    if (t.r < 0) {
        sl_bytes_done(&t.bytes);
        return t.r;
    }
    *ret = t.bytes;
    return 0;
}
