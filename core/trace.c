/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/trace.h"

#include "sluice/core/json_writer.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CHUNK_EVENTS = 1024,
    /* 256 Ki events: 10 MiB of memory, about 40 MB of text, some 8 GB of layers. The writer of JSON
     * takes no more than 64 MB. */
    CHUNKS_MAX = 256,
    THREAD_NAME_SIZE = 16, /* as pthread_getname_np(3) wants it */
};

struct chunk {
    struct chunk *next;
    size_t n;
    struct sl_trace_event events[CHUNK_EVENTS];
};

/* What one thread has recorded; touched by no other one before the end. */
struct track {
    struct track *next;
    pid_t tid;
    char name[THREAD_NAME_SIZE];
    unsigned number; /* among those of its name, from 1 */
    struct chunk *first, *last;
    uint64_t dropped;
};

struct sl_trace {
    uint64_t started_ns;
    atomic_uint n_chunks;
    atomic_ullong unplaced; /* events of threads that found no memory for a track */
    pthread_mutex_t lock;
    struct track *tracks; /* in order of their first events */
};

/* The track this thread used last. A later trace may lie where an earlier one was, but has not
 * begun at the same time. */
static _Thread_local struct {
    const struct sl_trace *trace;
    uint64_t started_ns;
    struct track *track;
} here;

/* ---- tracks ---- */

static struct track *append_track(struct track **at, pid_t tid, const char *name)
{
    struct track *track = calloc(1, sizeof(*track));
    if (!track)
        return NULL;
    track->tid = tid;
    (void)snprintf(track->name, sizeof(track->name), "%s", name);
    *at = track;
    return track;
}

static struct track *find_track(struct sl_trace *trace)
{
    char name[THREAD_NAME_SIZE] = "";
    pid_t tid = gettid();
    unsigned number = 1;
    (void)pthread_getname_np(pthread_self(), name, sizeof(name));
    pthread_mutex_lock(&trace->lock);
    struct track **at = &trace->tracks;
    for (; *at && (*at)->tid != tid; at = &(*at)->next)
        number += strcmp((*at)->name, name) == 0;
    struct track *track = *at;
    if (!track && (track = append_track(at, tid, name)))
        track->number = number;
    pthread_mutex_unlock(&trace->lock);
    return track;
}

static struct track *own_track(struct sl_trace *trace)
{
    if (here.trace == trace && here.started_ns == trace->started_ns)
        return here.track;
    struct track *track = find_track(trace);
    if (track) {
        here.trace = trace;
        here.started_ns = trace->started_ns;
        here.track = track;
    }
    return track;
}

/* ---- recording ---- */

static struct chunk *add_chunk(struct sl_trace *trace, struct track *track)
{
    if (atomic_load(&trace->n_chunks) >= CHUNKS_MAX ||
        atomic_fetch_add(&trace->n_chunks, 1) >= CHUNKS_MAX)
        return NULL;
    struct chunk *chunk = malloc(sizeof(*chunk));
    if (!chunk)
        return NULL;
    chunk->next = NULL;
    chunk->n = 0;
    if (track->last)
        track->last->next = chunk;
    else
        track->first = chunk;
    track->last = chunk;
    return chunk;
}

void sl_trace_add(struct sl_trace *trace, const struct sl_trace_event *event)
{
    struct track *track = trace ? own_track(trace) : NULL;
    if (!track) {
        if (trace)
            atomic_fetch_add(&trace->unplaced, 1);
        return;
    }
    struct chunk *chunk = track->last;
    if (!chunk || chunk->n == CHUNK_EVENTS)
        chunk = add_chunk(trace, track);
    if (chunk)
        chunk->events[chunk->n++] = *event;
    else
        track->dropped++;
}

void sl_trace_end(struct sl_trace *trace, const char *name, uint32_t layer, uint64_t begin_ns)
{
    if (trace)
        sl_trace_add(trace, &(struct sl_trace_event){.name = name,
                                                     .start_ns = begin_ns,
                                                     .end_ns = sl_clock_ns(),
                                                     .layer = layer});
}

/* ---- life ---- */

int sl_trace_new(struct sl_trace **ret, struct sl_error *err)
{
    struct sl_trace *trace = calloc(1, sizeof(*trace));
    if (!trace)
        return sl_error_oom(err);
    pthread_mutex_init(&trace->lock, NULL);
    trace->started_ns = sl_clock_ns();
    struct track *track = append_track(&trace->tracks, gettid(), "pull");
    if (!track) {
        (void)sl_trace_free(trace);
        return sl_error_oom(err);
    }
    track->number = 1;
    *ret = trace;
    return 0;
}

struct sl_trace *sl_trace_free(struct sl_trace *trace)
{
    if (!trace)
        return NULL;
    for (struct track *track; (track = trace->tracks);) {
        trace->tracks = track->next;
        for (struct chunk *chunk; (chunk = track->first);) {
            track->first = chunk->next;
            free(chunk);
        }
        free(track);
    }
    pthread_mutex_destroy(&trace->lock);
    free(trace);
    return NULL;
}

/* ---- the file ---- */

struct writer {
    struct sl_json_writer *w;
    const struct sl_trace *trace;
    pid_t pid;
};

/* Opens an event of a track; phase as the format has it. */
static void open_event(const struct writer *to, const char *phase, const char *name, pid_t tid)
{
    sl_json_open_object(to->w, NULL);
    sl_json_put_string(to->w, "name", name);
    sl_json_put_string(to->w, "ph", phase);
    sl_json_put_int(to->w, "pid", to->pid);
    sl_json_put_int(to->w, "tid", tid);
}

/* Microseconds since the trace began, as the format wants them. */
static void put_time(const struct writer *to, uint64_t ns)
{
    sl_json_put_decimal(to->w, "ts", (double)(ns - to->trace->started_ns) / 1e3);
}

static void put_arg(const struct writer *to, const char *name, uint64_t value)
{
    sl_json_open_object(to->w, "args");
    sl_json_put_int(to->w, name, (int64_t)value);
    sl_json_close_object(to->w);
}

static void put_slice(const struct writer *to, const struct track *track,
                      const struct sl_trace_event *e)
{
    open_event(to, "X", e->name, track->tid);
    put_time(to, e->start_ns);
    sl_json_put_decimal(to->w, "dur", (double)(e->end_ns - e->start_ns) / 1e3);
    if (e->layer) {
        sl_json_open_object(to->w, "args");
        sl_json_put_int(to->w, "layer", e->layer);
        sl_json_put_int(to->w, "bytes", (int64_t)e->amount);
        sl_json_close_object(to->w);
    }
    sl_json_close_object(to->w);
}

/* Those of one layer are told apart from those of others by their id. */
static void put_span_end(const struct writer *to, const struct track *track, const char *phase,
                         const struct sl_trace_event *e)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "%s %u", e->name, e->layer);
    open_event(to, phase, text, track->tid);
    sl_json_put_string(to->w, "cat", e->name);
    sl_json_put_int(to->w, "id", e->layer);
    put_time(to, phase[0] == 'b' ? e->start_ns : e->end_ns);
    sl_json_close_object(to->w);
}

static void put_count(const struct writer *to, const struct track *track,
                      const struct sl_trace_event *e)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "layer %u: %s", e->layer, e->name);
    open_event(to, "C", text, track->tid);
    put_time(to, e->start_ns);
    put_arg(to, "in use", e->amount);
    sl_json_close_object(to->w);
}

static void put_event(const struct writer *to, const struct track *track,
                      const struct sl_trace_event *e)
{
    switch (e->kind) {
    case SL_TRACE_SLICE:
        put_slice(to, track, e);
        break;
    case SL_TRACE_SPAN:
        put_span_end(to, track, "b", e);
        put_span_end(to, track, "e", e);
        break;
    case SL_TRACE_COUNT:
        put_count(to, track, e);
        break;
    }
}

static void put_track(const struct writer *to, const struct track *track, unsigned place)
{
    char text[THREAD_NAME_SIZE + 16];
    (void)snprintf(text, sizeof(text), track->number > 1 ? "%s %u" : "%s", track->name,
                   track->number);
    open_event(to, "M", "thread_name", track->tid);
    sl_json_open_object(to->w, "args");
    sl_json_put_string(to->w, "name", text);
    sl_json_close_object(to->w);
    sl_json_close_object(to->w);
    open_event(to, "M", "thread_sort_index", track->tid);
    put_arg(to, "sort_index", place);
    sl_json_close_object(to->w);
    for (const struct chunk *chunk = track->first; chunk; chunk = chunk->next)
        for (size_t i = 0; i < chunk->n; i++)
            put_event(to, track, &chunk->events[i]);
}

static uint64_t count_dropped(const struct sl_trace *trace)
{
    uint64_t n = atomic_load(&trace->unplaced);
    for (const struct track *track = trace->tracks; track; track = track->next)
        n += track->dropped;
    return n;
}

int sl_trace_format(const struct sl_trace *trace, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    const struct writer to = {.w = w, .trace = trace, .pid = getpid()};
    unsigned place = 0;
    sl_json_put_string(w, "displayTimeUnit", "ms");
    sl_json_open_object(w, "otherData");
    sl_json_put_string(w, "version", "sluice " SL_VERSION);
    sl_json_put_int(w, "events_dropped", (int64_t)count_dropped(trace));
    sl_json_close_object(w);
    sl_json_open_array(w, "traceEvents");
    open_event(&to, "M", "process_name", to.pid);
    sl_json_open_object(w, "args");
    sl_json_put_string(w, "name", "sluice pull");
    sl_json_close_object(w);
    sl_json_close_object(w);
    for (const struct track *track = trace->tracks; track; track = track->next)
        put_track(&to, track, place++);
    sl_json_close_array(w);
    return sl_json_end(w, ret, err);
}

/* The folder, and the name in it. */
static int open_place(const char *path, const char **ret_name, struct sl_error *err)
{
    struct stat st;
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    SL_AUTO_FREE char *folder =
        slash ? sl_strf("%.*s", (int)(slash - path + 1), path) : sl_strf(".");
    if (!folder)
        return sl_error_oom(err);
    SL_AUTO_FD fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return sl_error_system(err, errno, "%s", folder);
    if (!*name)
        return sl_error_set(err, SL_E_SYSTEM, EISDIR, "%s names a folder", path);
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode))
        return sl_error_set(err, SL_E_SYSTEM, EEXIST, "%s is no regular file", path);
    *ret_name = name;
    return sl_steal_fd(&fd);
}

int sl_trace_write(const struct sl_trace *trace, const char *path, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    const char *name = NULL;
    int r = sl_trace_format(trace, &text, err);
    if (r < 0)
        return r;
    SL_AUTO_FD dir = open_place(path, &name, err);
    return dir < 0 ? dir : sl_replace_file(dir, name, sl_bytes_span(&text), 0644, err);
}
