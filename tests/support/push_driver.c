/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pushes an image from tests, without the program around it:
 *
 *   push_driver [OPTIONS] SOURCE DESTINATION
 *   push_driver [OPTIONS] put-blob DESTINATION FILE
 *   push_driver [OPTIONS] put-tagged DESTINATION FILE TAG MEDIA_TYPE
 *   push_driver [OPTIONS] put-referrer DESTINATION FILE
 *   push_driver [OPTIONS] find-tag DESTINATION TAG
 *
 * The last four put beside the image what FILE holds, or print what is there (exit status 3:
 * nothing).
 *
 * All layers at once, each through a flow of its own; then configs, manifests, and what names them.
 * Prints "skipped DIGEST" or "sent DIGEST BYTES" for each layer. A failure is "CODE ERRNO: message"
 * on stderr and exit status 1.
 */
#include "registry.h"
#include "sluice/attachment_push.h"
#include "sluice/core/json.h"

#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS_MAX = 16, INDEX_MEMBERS_MAX = 8, CONFIG_LIMIT = 1024 * 1024 };

struct settings {
    struct sl_registry_options registry;
    unsigned base_ms, stall_s, tries;
    size_t lane;
    uint64_t cancel_at, fail_at; /* bytes of a layer; 0: never */
    int64_t lie_about_size;      /* added to what is announced */
    bool lie_about_digest, no_commit, no_check;
};

struct pusher {
    const struct settings *settings;
    struct sl_registry *registry;
    struct sl_image_source *source;
    struct sl_image_sink *sink;
    struct sl_buf_pool *pool;
    struct sl_worker_pool *workers;
};

static int fail(const struct sl_error *err)
{
    fprintf(stderr, "%s %d: %s\n", sl_errc_name(err->code), err->errnum, err->msg);
    return 1;
}

/* ---- one layer ---- */

struct waiting {
    bool is_done;
    int r;
    struct sl_error err;
};

struct layer_run {
    const struct pusher *pusher;
    const struct sl_descriptor *layer;
    struct sl_buf_lane *lane;
    struct sl_flow *flow;
    struct sl_blob_stream *stream;
    struct sl_blob_upload *upload;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct waiting flowed, uploaded;
    struct waiting failed;     /* done: events.failed was called */
    pthread_mutex_t flow_lock; /* before the other: keeps the flow while it is being failed */
    bool is_flowing;           /* the flow can be failed; under flow_lock */
};

static void end_waiting(struct layer_run *run, struct waiting *w, int r, const struct sl_error *err)
{
    pthread_mutex_lock(&run->lock);
    w->r = r;
    if (r < 0)
        w->err = *err;
    w->is_done = true;
    pthread_cond_broadcast(&run->cond);
    pthread_mutex_unlock(&run->lock);
}

static int join_waiting(struct layer_run *run, struct waiting *w, struct sl_error *err)
{
    pthread_mutex_lock(&run->lock);
    while (!w->is_done)
        pthread_cond_wait(&run->cond, &run->lock);
    pthread_mutex_unlock(&run->lock);
    if (w->r < 0)
        *err = w->err;
    return w->r;
}

static void flow_done(void *arg, int r, const struct sl_error *err)
{
    struct layer_run *run = arg;
    end_waiting(run, &run->flowed, r, err);
}

static void upload_done(void *arg, int r, const struct sl_error *err)
{
    struct layer_run *run = arg;
    end_waiting(run, &run->uploaded, r, err);
}

/* The upload may fail while its flow is being built: then let_upload_fail() passes it on. */
static void upload_failed(void *arg, int r, const struct sl_error *err)
{
    struct layer_run *run = arg;
    end_waiting(run, &run->failed, r, err);
    pthread_mutex_lock(&run->flow_lock);
    if (run->is_flowing)
        sl_flow_fail(run->flow, r, err);
    pthread_mutex_unlock(&run->flow_lock);
}

static void let_upload_fail(struct layer_run *run)
{
    pthread_mutex_lock(&run->flow_lock);
    run->is_flowing = true;
    pthread_mutex_lock(&run->lock);
    bool has_failed = run->failed.is_done;
    pthread_mutex_unlock(&run->lock);
    if (has_failed)
        sl_flow_fail(run->flow, run->failed.r, &run->failed.err);
    pthread_mutex_unlock(&run->flow_lock);
}

/* An upload that fails from here on fails alone: the flow may be gone. */
static void flow_release(struct layer_run *run)
{
    pthread_mutex_lock(&run->flow_lock);
    run->is_flowing = false;
    pthread_mutex_unlock(&run->flow_lock);
    sl_blob_stream_close(run->stream);
    sl_flow_free(run->flow);
}

static void stop_source(void *arg)
{
    struct layer_run *run = arg;
    pthread_mutex_lock(&run->lock);
    if (run->stream)
        sl_blob_stream_stop(run->stream);
    pthread_mutex_unlock(&run->lock);
}

/* A stage that makes trouble at a mark. */
struct mark {
    struct sl_stage base;
    const struct pusher *pusher;
    uint64_t seen;
};

static int mark_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    struct mark *mark = (struct mark *)stage;
    const struct settings *s = mark->pusher->settings;
    uint64_t before = mark->seen;
    mark->seen += (*bufp)->len;
    if (s->cancel_at && before < s->cancel_at && mark->seen >= s->cancel_at)
        sl_registry_cancel(mark->pusher->registry);
    if (s->fail_at && mark->seen >= s->fail_at) {
        sl_buf_release(bufp);
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG, "the mark is reached");
    }
    return sl_stage_push(stage->next, bufp, err);
}

static int mark_finish(struct sl_stage *stage, struct sl_error *err)
{
    return sl_stage_finish(stage->next, err);
}

static void mark_close(struct sl_stage *stage)
{
    free(stage);
}

static const struct sl_stage_ops mark_ops = {
    .name = "mark",
    .phase = SL_PHASE_BLOB,
    .push = mark_push,
    .finish = mark_finish,
    .close = mark_close,
};

static int add_stages(struct layer_run *run, struct sl_error *err)
{
    struct mark *mark = calloc(1, sizeof(*mark));
    if (!mark)
        return sl_error_oom(err);
    mark->base.ops = &mark_ops;
    mark->pusher = run->pusher;
    struct sl_stage *stage = &mark->base;
    int r = sl_flow_add(run->flow, &stage, SL_NEW_SEGMENT, err);
    if (r == 0)
        r = sl_stage_upload_new(run->upload, &stage, err);
    return r < 0 ? r : sl_flow_add(run->flow, &stage, SL_SAME_SEGMENT, err);
}

static int layer_start(struct layer_run *run, struct sl_error *err)
{
    const struct pusher *p = run->pusher;
    const struct sl_flow_events flow_events = {flow_done, stop_source, run};
    const struct sl_upload_events upload_events = {upload_done, upload_failed, run};
    int r = sl_flow_new(p->workers, &flow_events, &run->flow, err);
    if (r == 0)
        r = sl_buf_lane_open(p->pool, p->settings->lane, &run->lane, err);
    if (r == 0)
        r = sl_image_sink_upload(p->sink, run->layer->size + (uint64_t)p->settings->lie_about_size,
                                 &upload_events, &run->upload, err);
    if (r == 0)
        r = add_stages(run, err);
    if (r < 0) {
        end_waiting(run, &run->flowed, r, err);
        return r;
    }
    sl_flow_start(run->flow);
    pthread_mutex_lock(&run->lock);
    r = sl_image_source_stream(p->source, run->layer, run->lane, run->flow, &run->stream, err);
    pthread_mutex_unlock(&run->lock);
    if (r < 0)
        sl_flow_end(run->flow, r, err);
    let_upload_fail(run);
    return 0;
}

static int layer_join(struct layer_run *run, struct sl_error *err)
{
    struct sl_digest digest = run->layer->digest;
    if (run->pusher->settings->lie_about_digest)
        digest.bytes[0] ^= 1;
    int r = join_waiting(run, &run->flowed, err);
    flow_release(run);
    if (r == 0 && !run->pusher->settings->no_commit) {
        sl_blob_upload_commit(run->upload, &digest);
        r = join_waiting(run, &run->uploaded, err);
    }
    if (r == 0) {
        char text[SL_DIGEST_TEXT_MAX];
        sl_digest_format(&digest, text);
        printf("sent %s %llu\n", text, (unsigned long long)sl_blob_upload_bytes(run->upload));
    }
    sl_blob_upload_close(run->upload);
    sl_buf_lane_close(run->lane);
    return r;
}

static int push_layers_once(const struct pusher *p, const struct sl_manifest *m,
                            struct sl_error *err)
{
    struct layer_run *runs = calloc(LAYERS_MAX, sizeof(*runs));
    size_t n = 0;
    int r = runs ? 0 : sl_error_oom(err);
    for (size_t i = 0; r == 0 && i < m->n_layers && n < LAYERS_MAX; i++) {
        r = p->settings->no_check ? 0
                                  : sl_image_sink_has_blob(p->sink, p->source, &m->layers[i], err);
        if (r == 1) {
            char text[SL_DIGEST_TEXT_MAX];
            sl_digest_format(&m->layers[i].digest, text);
            printf("skipped %s\n", text);
            r = 0;
        } else if (r == 0) {
            runs[n] = (struct layer_run){.pusher = p,
                                         .layer = &m->layers[i],
                                         .lock = PTHREAD_MUTEX_INITIALIZER,
                                         .flow_lock = PTHREAD_MUTEX_INITIALIZER,
                                         .cond = PTHREAD_COND_INITIALIZER};
            r = layer_start(&runs[n++], err);
        }
    }
    for (size_t i = 0; i < n; i++) {
        struct sl_error why = {0};
        int joined = layer_join(&runs[i], &why);
        if (r == 0 && joined < 0) {
            r = joined;
            *err = why;
        }
    }
    free(runs);
    return r;
}

static int push_layers(const struct pusher *p, const struct sl_manifest *m, struct sl_error *err)
{
    int r = -EIO;
    for (unsigned i = 0; i < p->settings->tries; i++) {
        r = push_layers_once(p, m, err);
        if (r == 0 || err->code != SL_E_NETWORK)
            break;
    }
    return r;
}

/* ---- documents ---- */

static int push_image(const struct pusher *p, const struct sl_image_document *doc, bool named,
                      struct sl_error *err)
{
    SL_AUTO(sl_manifest) m = NULL;
    SL_AUTO_DONE(sl_bytes) config = {0};
    int r = sl_manifest_parse(sl_bytes_span(&doc->bytes), doc->media_type, &m, err);
    if (r == 0)
        r = push_layers(p, m, err);
    if (r == 0)
        r = sl_image_source_blob(p->source, &m->config, CONFIG_LIMIT, &config, err);
    if (r == 0)
        r = sl_image_sink_put_blob(p->sink, sl_bytes_span(&config), &m->config.digest, err);
    return r < 0 ? r
                 : sl_image_sink_put_manifest(p->sink, sl_bytes_span(&doc->bytes), doc->media_type,
                                              &doc->digest, named, err);
}

static int push_member(const struct pusher *p, const char *text, struct sl_error *err)
{
    SL_AUTO_DONE(sl_image_document) doc = {0};
    struct sl_digest digest;
    int r = sl_digest_parse(text, &digest, err);
    if (r == 0)
        r = sl_image_source_document(p->source, &digest, &doc, err);
    return r < 0 ? r : push_image(p, &doc, /* named= */ false, err);
}

static int push_index(const struct pusher *p, const struct sl_image_document *doc,
                      struct sl_error *err)
{
    SL_AUTO(sl_json_doc) json = NULL;
    int r = sl_json_parse(sl_bytes_span(&doc->bytes), "index", NULL, &json, err);
    const struct sl_json *list = sl_json_get(sl_json_root(json), "manifests");
    for (size_t i = 0; r == 0 && i < sl_json_count(list) && i < INDEX_MEMBERS_MAX; i++)
        r = push_member(p, sl_json_string(sl_json_get(sl_json_at(list, i), "digest")), err);
    return r < 0 ? r
                 : sl_image_sink_put_manifest(p->sink, sl_bytes_span(&doc->bytes), doc->media_type,
                                              &doc->digest, /* named= */ true, err);
}

static int push(const struct pusher *p, struct sl_error *err)
{
    SL_AUTO_DONE(sl_image_document) doc = {0};
    int r = sl_image_source_document(p->source, NULL, &doc, err);
    if (r < 0)
        return r;
    return doc.is_index ? push_index(p, &doc, err) : push_image(p, &doc, /* named= */ true, err);
}

/* ---- beside it ---- */

static int find_tag(struct sl_image_sink *sink, const char *tag)
{
    SL_AUTO_DONE(sl_image_document) doc = {0};
    struct sl_error err = {0};
    int r = sl_image_sink_find_tag(sink, tag, &doc, &err);
    if (r < 0)
        return fail(&err);
    if (r > 0)
        (void)fwrite(doc.bytes.data, 1, doc.bytes.len, stdout);
    return r > 0 ? 0 : 3;
}

static int put_beside(struct sl_image_sink *sink, char **args, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) bytes = {0};
    struct sl_digest digest;
    int r = sl_read_file(AT_FDCWD, args[2], CONFIG_LIMIT, &bytes, err);
    struct sl_span span = sl_bytes_span(&bytes);
    if (r == 0)
        r = sl_digest_of(SL_SHA256, span, &digest, err);
    if (r < 0)
        return r;
    if (!strcmp(args[0], "put-blob"))
        return sl_image_sink_put_blob(sink, span, &digest, err);
    if (!strcmp(args[0], "put-tagged"))
        return sl_image_sink_put_tagged(sink, args[3], span, args[4], &digest, err);
    return sl_image_sink_put_referrer(sink, span, &digest, err);
}

static int run_beside(struct sl_registry *registry, char **args)
{
    SL_AUTO(sl_image_sink) sink = NULL;
    struct sl_error err = {0};
    if (sl_image_sink_open(registry, args[1], &sink, &err) < 0)
        return fail(&err);
    if (!strcmp(args[0], "find-tag"))
        return find_tag(sink, args[2]);
    return put_beside(sink, args, &err) < 0 ? fail(&err) : 0;
}

/* ---- the program ---- */

static int set_option(struct settings *s, int option)
{
    switch (option) {
    case 'a':
        s->registry.authfile = optarg;
        return 0;
    case 'c':
        s->registry.creds = optarg;
        return 0;
    case 'd':
        s->registry.cert_dir = optarg;
        return 0;
    case 'r':
        s->registry.registries_conf = optarg;
        return 0;
    case 'i':
        s->registry.insecure = true;
        return 0;
    case 'n':
        s->registry.max_attempts = (unsigned)strtoul(optarg, NULL, 10);
        return 0;
    case 's':
        s->stall_s = (unsigned)strtoul(optarg, NULL, 10);
        return 0;
    case 't':
        s->tries = (unsigned)strtoul(optarg, NULL, 10);
        return 0;
    case 'l':
        s->lane = strtoul(optarg, NULL, 10);
        return 0;
    case 'x':
        s->fail_at = strtoull(optarg, NULL, 10);
        return 0;
    case 'X':
        s->cancel_at = strtoull(optarg, NULL, 10);
        return 0;
    case 'S':
        s->lie_about_size = strtoll(optarg, NULL, 10);
        return 0;
    case 'D':
        s->lie_about_digest = true;
        return 0;
    case 'C':
        s->no_commit = true;
        return 0;
    case 'H':
        s->no_check = true;
        return 0;
    default:
        return -1;
    }
}

static int run(const struct settings *settings, char **args)
{
    struct sl_error err = {0};
    SL_AUTO(sl_registry) registry = NULL;
    SL_AUTO(sl_buf_pool) pool = NULL;
    SL_AUTO(sl_worker_pool) workers = NULL;
    SL_AUTO(sl_image_source) source = NULL;
    SL_AUTO(sl_image_sink) sink = NULL;
    if (sl_registry_new(&settings->registry, &registry, &err) < 0)
        return fail(&err);
    registry->settings.retry_base_ms = settings->base_ms;
    if (settings->stall_s)
        registry->settings.stall_timeout_s = settings->stall_s;
    if (args[2])
        return run_beside(registry, args);
    if (sl_buf_pool_new(SL_BUF_POOL_DEFAULT, &pool, &err) < 0 ||
        sl_worker_pool_new(2, &workers, &err) < 0 ||
        sl_image_source_open(registry, args[0], &source, &err) < 0 ||
        sl_image_sink_open(registry, args[1], &sink, &err) < 0)
        return fail(&err);
    const struct pusher p = {settings, registry, source, sink, pool, workers};
    if (push(&p, &err) < 0)
        return fail(&err);
    printf("pushed %s\n", sl_image_sink_name(sink));
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"authfile", required_argument, NULL, 'a'},
        {"creds", required_argument, NULL, 'c'},
        {"cert-dir", required_argument, NULL, 'd'},
        {"registries-conf", required_argument, NULL, 'r'},
        {"insecure", no_argument, NULL, 'i'},
        {"attempts", required_argument, NULL, 'n'},
        {"stall-s", required_argument, NULL, 's'},
        {"tries", required_argument, NULL, 't'},
        {"lane", required_argument, NULL, 'l'},
        {"fail-at", required_argument, NULL, 'x'},
        {"cancel-at", required_argument, NULL, 'X'},
        {"lie-about-size", required_argument, NULL, 'S'},
        {"lie-about-digest", no_argument, NULL, 'D'},
        {"no-commit", no_argument, NULL, 'C'},
        {"no-check", no_argument, NULL, 'H'},
        {0},
    };
    struct settings settings = {.base_ms = 1, .lane = 4, .tries = 1};
    for (int o; (o = getopt_long(argc, argv, "+", options, NULL)) != -1;)
        if (set_option(&settings, o) < 0)
            return 2;
    if (argc - optind < 2)
        return 2;
    return run(&settings, argv + optind);
}
