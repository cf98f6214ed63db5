/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives the docker transport from tests, without the program around it:
 *
 *   fetch_driver [OPTIONS] HOST REPOSITORY TAG manifest
 *   fetch_driver [OPTIONS] HOST REPOSITORY TAG small DIGEST SIZE
 *   fetch_driver [OPTIONS] HOST REPOSITORY TAG blob DIGEST SIZE [DIGEST SIZE]...
 *   fetch_driver [OPTIONS] HOST REPOSITORY TAG tagged TAG
 *   fetch_driver [OPTIONS] HOST REPOSITORY TAG attached DIGEST [SIZE]
 *   fetch_driver [OPTIONS] HOST REPOSITORY TAG referrers DIGEST
 *   fetch_driver [OPTIONS] HOST REPOSITORY TAG extension DIGEST
 *   fetch_driver [OPTIONS] HOST REPOSITORY TAG url URL
 *   fetch_driver [OPTIONS] HOST REPOSITORY TAG resolve TIMES
 *   fetch_driver [OPTIONS] HOST REPOSITORY TAG layer DIGEST SIZE
 *
 * The last five are about what lies beside the image: a manifest, or with a size a blob; lines of
 * "DIGEST SIZE TYPE"; the text. With --threads all of it several times at once. Exit status 3:
 * there is none. HOST may be an OCI layout, "oci:DIR"; then REPOSITORY is ignored.
 *
 * manifest and small print the document; blob streams all blobs at once through flows and prints
 * "sha256:HEX BYTES" for each. A failure is "CODE ERRNO: message" on stderr and exit status 1.
 *
 * resolve finds the image with its config, each time as a new one of the same engine, and prints
 * lines of "NAME DIGEST MICROSECONDS"; then it sleeps until stdin ends. layer is blob, behind that.
 * TAG may be a digest. With --known the documents in that folder, each named by its digest, need
 * not be fetched.
 *
 * With --ranges BYTES the registry is presumed to be a second away, and blobs of that size or more
 * are asked for by ranges of that size; --pool is how many buffers there are in all.
 *
 * With --cancel-image the image is cancelled when stdin ends, and stdout says "ended" when the verb
 * has. No limit of time ends it before, and without a byte from the server nothing wakes the loop.
 * With --other REPOSITORY the manifest of that one, by the same engine, is asked for meanwhile, and
 * the last line on stdout is "other: " and its size, or the error.
 */
#include "registry.h"
#include "sluice/attachments.h"
#include "sluice/core/digest.h"
#include "source_ops.h"

#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOBS_MAX = 16, THREADS_MAX = 16, NONE = 3 };

struct settings {
    struct sl_registry_options registry;
    unsigned base_ms, stall_s, file_ms, token_spare_s, document_ms, pace_ms;
    bool stop_at_eof, cancel_at_eof; /* of stdin; the first blob, all of them */
    char *media_type;                /* of blobs */
    unsigned hold_ms;                /* the sink keeps its first buffer so long */
    bool cancels_image;
    const char *other, *known;
    bool is_bare; /* as if the host had not been written */
    size_t lane, pool, limit, threads;
    uint64_t range;              /* bytes; 0: as the engine has it */
    uint64_t stop_at, cancel_at; /* bytes of the first blob; 0: never */
};

struct blob_run;

/* The end of a flow: sums the bytes up. */
struct sink {
    struct sl_stage base;
    struct blob_run *run;
    struct sl_hash *hash;
    uint64_t seen;
    bool is_past_mark;
};

struct blob_run {
    const struct settings *settings;
    struct sl_registry *registry;
    struct sl_descriptor blob;
    struct sl_buf_lane *lane;
    struct sl_flow *flow;
    struct sl_blob_stream *stream;
    pthread_mutex_t lock; /* guards stream against a stop that comes before it is known */
    pthread_cond_t cond;
    bool is_done;
    int r;
    struct sl_error err;
    char digest[SL_DIGEST_TEXT_MAX];
    uint64_t bytes;
};

static int fail(const struct sl_error *err)
{
    fprintf(stderr, "%s %d: %s\n", sl_errc_name(err->code), err->errnum, err->msg);
    return 1;
}

static void stop_stream(void *arg)
{
    struct blob_run *run = arg;
    pthread_mutex_lock(&run->lock);
    if (run->stream)
        run->stream->ops->stop(run->stream);
    pthread_mutex_unlock(&run->lock);
}

static int sink_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    (void)err;
    struct sink *sink = (struct sink *)stage;
    const struct settings *s = sink->run->settings;
    if (s->hold_ms && !sink->seen)
        (void)usleep(s->hold_ms * 1000);
    sl_hash_update(sink->hash, sl_buf_span(*bufp));
    sink->seen += (*bufp)->len;
    sl_buf_release(bufp);
    if (!sink->is_past_mark && s->stop_at && sink->seen >= s->stop_at) {
        sink->is_past_mark = true;
        stop_stream(sink->run);
    }
    if (!sink->is_past_mark && s->cancel_at && sink->seen >= s->cancel_at) {
        sink->is_past_mark = true;
        sl_registry_cancel(sink->run->registry);
    }
    return 0;
}

static int sink_finish(struct sl_stage *stage, struct sl_error *err)
{
    (void)err;
    struct sink *sink = (struct sink *)stage;
    struct sl_digest digest;
    sl_hash_final(sink->hash, &digest);
    sl_digest_format(&digest, sink->run->digest);
    sink->run->bytes = sink->seen;
    return 0;
}

static void sink_close(struct sl_stage *stage)
{
    struct sink *sink = (struct sink *)stage;
    sl_hash_free(sink->hash);
    free(sink);
}

static const struct sl_stage_ops sink_ops = {
    .name = "sink",
    .phase = SL_PHASE_BLOB,
    .push = sink_push,
    .finish = sink_finish,
    .close = sink_close,
};

static void flow_done(void *arg, int r, const struct sl_error *err)
{
    struct blob_run *run = arg;
    pthread_mutex_lock(&run->lock);
    run->r = r;
    if (r < 0)
        run->err = *err;
    run->is_done = true;
    pthread_cond_signal(&run->cond);
    pthread_mutex_unlock(&run->lock);
}

static int blob_start(struct blob_run *run, struct sl_source *src, struct sl_buf_pool *pool,
                      struct sl_worker_pool *workers, struct sl_error *err)
{
    const struct sl_flow_events events = {flow_done, stop_stream, run};
    struct sink *sink = calloc(1, sizeof(*sink));
    if (!sink)
        return sl_error_oom(err);
    sink->base.ops = &sink_ops;
    sink->run = run;
    struct sl_stage *stage = &sink->base;
    int r = sl_hash_new(SL_SHA256, &sink->hash, err);
    if (r == 0)
        r = sl_flow_new(workers, &events, &run->flow, err);
    if (r < 0) {
        sl_stage_close(stage);
        return r;
    }
    r = sl_flow_add(run->flow, &stage, SL_NEW_SEGMENT, err);
    if (r == 0)
        r = sl_buf_lane_open(pool, run->settings->lane, &run->lane, err);
    if (r < 0)
        return r;
    sl_flow_start(run->flow);
    pthread_mutex_lock(&run->lock);
    r = src->ops->stream(src, &run->blob, run->lane, run->flow, &run->stream, err);
    pthread_mutex_unlock(&run->lock);
    if (r < 0)
        sl_flow_end(run->flow, r, err);
    return 0;
}

static void blob_join(struct blob_run *run)
{
    pthread_mutex_lock(&run->lock);
    while (run->flow && !run->is_done)
        pthread_cond_wait(&run->cond, &run->lock);
    struct sl_blob_stream *stream = run->stream;
    pthread_mutex_unlock(&run->lock);
    if (stream)
        stream->ops->close(stream);
    sl_flow_free(run->flow);
    sl_buf_lane_close(run->lane);
}

static int run_blobs(const struct settings *settings, struct sl_registry *registry,
                     struct sl_source *src, char **args)
{
    SL_AUTO(sl_buf_pool) pool = NULL;
    SL_AUTO(sl_worker_pool) workers = NULL;
    static struct blob_run runs[BLOBS_MAX];
    struct sl_error err;
    size_t n = 0;
    if (sl_buf_pool_new(settings->pool ? settings->pool * SL_BUF_SIZE : SL_BUF_POOL_DEFAULT, &pool,
                        &err) < 0 ||
        sl_worker_pool_new(2, &workers, &err) < 0)
        return fail(&err);
    for (; n < BLOBS_MAX && args[2 * n] && args[2 * n + 1]; n++) {
        struct blob_run *run = &runs[n];
        run->settings = settings;
        run->registry = registry;
        run->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
        run->cond = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
        run->blob.media_type = settings->media_type;
        run->blob.size = strtoull(args[2 * n + 1], NULL, 10);
        if (sl_digest_parse(args[2 * n], &run->blob.digest, &err) < 0 ||
            blob_start(run, src, pool, workers, &err) < 0)
            return fail(&err);
    }
    if (settings->stop_at_eof || settings->cancel_at_eof)
        (void)getchar();
    if (settings->stop_at_eof)
        stop_stream(&runs[0]);
    if (settings->cancel_at_eof)
        sl_registry_cancel(registry);
    int status = 0;
    for (size_t i = 0; i < n; i++) {
        blob_join(&runs[i]);
        if (runs[i].r < 0)
            status = fail(&runs[i].err);
        else
            printf("%s %llu\n", runs[i].digest, (unsigned long long)runs[i].bytes);
    }
    return status;
}

static int run_verb(const struct settings *settings, struct sl_registry *registry,
                    struct sl_source *src, const char *verb, char **args)
{
    SL_AUTO_DONE(sl_source_document) doc = {0};
    struct sl_error err;
    if (strcmp(verb, "small") != 0) {
        if (src->ops->fetch_manifest(src, NULL, &doc, &err) < 0)
            return fail(&err);
        if (!strcmp(verb, "blob"))
            return run_blobs(settings, registry, src, args);
        char digest[SL_DIGEST_TEXT_MAX] = "none";
        if (doc.has_promised)
            sl_digest_format(&doc.promised, digest);
        fprintf(stderr, "media type %s, promised %s\n", doc.media_type ? doc.media_type : "none",
                digest);
    } else {
        struct sl_descriptor blob = {.size = strtoull(args[1], NULL, 10)};
        if (sl_digest_parse(args[0], &blob.digest, &err) < 0 ||
            src->ops->fetch_blob(src, &blob, &doc.bytes, &err) < 0)
            return fail(&err);
    }
    (void)fwrite(doc.bytes.data, 1, doc.bytes.len, stdout);
    return 0;
}

/* ---- cancelling one of two ---- */

struct canceller {
    struct sl_source *src;
    pthread_t thread;
};

static void *cancel_at_eof(void *arg)
{
    struct canceller *c = arg;
    while (getchar() != EOF)
        ;
    c->src->ops->cancel(c->src);
    return NULL;
}

static void canceller_start(struct canceller *c, const struct settings *s, struct sl_source *src)
{
    c->src = src;
    if (s->cancels_image && pthread_create(&c->thread, NULL, cancel_at_eof, c) != 0)
        abort();
}

/* A cancellation that waits for any of these is not heard before the test gives up. */
static void wait_for_ever(struct sl_http_settings *settings)
{
    enum { HOUR_MS = 60 * 60 * 1000 };
    settings->connect_timeout_ms = HOUR_MS;
    settings->document_timeout_ms = HOUR_MS;
    settings->file_timeout_ms = HOUR_MS;
    settings->pace_window_ms = 0;
    settings->stall_timeout_s = 0;
}

/* The verb is through. */
static void canceller_end(struct canceller *c, const struct settings *s)
{
    if (!s->cancels_image)
        return;
    (void)pthread_join(c->thread, NULL);
    printf("ended\n");
    (void)fflush(stdout);
}

struct other {
    struct sl_source *src;
    pthread_t thread;
    struct sl_source_document doc;
    int r;
    struct sl_error err;
};

static void *get_other(void *arg)
{
    struct other *o = arg;
    o->r = o->src->ops->fetch_manifest(o->src, NULL, &o->doc, &o->err);
    return NULL;
}

static void other_start(struct other *o, const struct settings *s, struct sl_registry *registry,
                        char *host)
{
    if (!s->other)
        return;
    char tag[] = "latest";
    struct sl_reference ref = {.host = host, .repository = (char *)s->other, .tag = tag};
    if (sl_docker_source_open(registry, &ref, true, &o->src, &o->err) < 0 ||
        pthread_create(&o->thread, NULL, get_other, o) != 0)
        abort();
}

static void other_end(struct other *o)
{
    if (!o->src)
        return;
    (void)pthread_join(o->thread, NULL);
    if (o->r < 0)
        printf("other: %s\n", o->err.msg);
    else
        printf("other: %zu\n", o->doc.bytes.len);
    sl_source_document_done(&o->doc);
    o->src->ops->close(o->src);
}

/* ---- what lies beside ---- */

struct beside {
    struct sl_registry *registry;
    struct sl_image_source *src;
    const char *verb;
    char **args;
    size_t limit;
    int r;
    struct sl_bytes text; /* the answer */
    struct sl_error err;
};

static void keep(struct sl_bytes *text, const char *line)
{
    if (!line || sl_bytes_append(text, sl_span_of(line), SIZE_MAX / 2, NULL) < 0)
        abort();
}

static int list_referrers(struct beside *b, const struct sl_digest *digest)
{
    SL_AUTO_DONE(sl_referrers) list = {0};
    int r = sl_attachment_referrers(b->src, digest, &list, &b->err);
    for (size_t i = 0; r > 0 && i < list.n; i++) {
        char text[SL_DIGEST_TEXT_MAX];
        sl_digest_format(&list.items[i].descriptor.digest, text);
        SL_AUTO_FREE char *line =
            sl_strf("%s %llu %s\n", text, (unsigned long long)list.items[i].descriptor.size,
                    list.items[i].artifact_type);
        keep(&b->text, line);
    }
    return r;
}

static int get_attached(struct beside *b, const struct sl_digest *digest)
{
    char no_type[] = "";
    const char *size = b->args[1];
    const struct sl_descriptor blob = {
        .media_type = no_type, .digest = *digest, .size = size ? strtoull(size, NULL, 10) : 0};
    if (size)
        return sl_attachment_blob(b->src, &blob, b->limit, &b->text, &b->err);
    SL_AUTO_DONE(sl_image_document) doc = {0};
    int r = sl_attachment_by_digest(b->src, digest, &doc, &b->err);
    if (r > 0)
        keep(&b->text, (const char *)doc.bytes.data);
    return r;
}

static int get_tagged(struct beside *b)
{
    SL_AUTO_DONE(sl_image_document) doc = {0};
    int r = sl_attachment_by_tag(b->src, b->args[0], &doc, &b->err);
    if (r > 0)
        keep(&b->text, (const char *)doc.bytes.data);
    return r;
}

static void *get_beside(void *arg)
{
    struct beside *b = arg;
    struct sl_digest digest;
    if (!strcmp(b->verb, "tagged"))
        b->r = get_tagged(b);
    else if (!strcmp(b->verb, "url"))
        b->r = sl_attachment_get_url(b->src, b->args[0], b->limit, &b->text, &b->err);
    else if ((b->r = sl_digest_parse(b->args[0], &digest, &b->err)) < 0)
        return NULL;
    else if (!strcmp(b->verb, "attached"))
        b->r = get_attached(b, &digest);
    else if (!strcmp(b->verb, "referrers"))
        b->r = list_referrers(b, &digest);
    else
        b->r = sl_attachment_extension(b->src, &digest, b->limit, &b->text, &b->err);
    return NULL;
}

static int print_beside(const struct beside *b)
{
    if (b->r < 0)
        return fail(&b->err);
    if (b->text.len)
        (void)fwrite(b->text.data, 1, b->text.len, stdout);
    return b->r == 0 ? NONE : 0;
}

static int run_beside(const struct settings *settings, struct sl_registry *registry,
                      struct sl_image_source *src, char **args)
{
    struct beside all[THREADS_MAX] = {0};
    pthread_t threads[THREADS_MAX];
    int status = 0;
    size_t n = settings->threads < THREADS_MAX ? settings->threads : THREADS_MAX;
    for (size_t i = 0; i < n; i++) {
        all[i] = (struct beside){.registry = registry,
                                 .src = src,
                                 .verb = args[0],
                                 .args = args + 1,
                                 .limit = settings->limit};
        if (pthread_create(&threads[i], NULL, get_beside, &all[i]) != 0)
            abort();
    }
    for (size_t i = 0; i < n; i++) {
        (void)pthread_join(threads[i], NULL);
        int one = print_beside(&all[i]);
        status = one ? one : status;
        sl_bytes_done(&all[i].text);
    }
    return status;
}

static bool is_beside(const char *verb)
{
    return !strcmp(verb, "tagged") || !strcmp(verb, "attached") || !strcmp(verb, "referrers") ||
           !strcmp(verb, "resolve") || !strcmp(verb, "layer") || !strcmp(verb, "extension") ||
           !strcmp(verb, "url");
}

/* ---- resolving ---- */

static bool find_known(void *arg, const struct sl_digest *digest, struct sl_bytes *ret)
{
    char text[SL_DIGEST_TEXT_MAX];
    sl_digest_format(digest, text);
    SL_AUTO_FREE char *path = sl_strf("%s/%s", (const char *)arg, strchr(text, ':') + 1);
    return path && sl_read_file(AT_FDCWD, path, SIZE_MAX / 2, ret, NULL) == 0;
}

static int open_image(const struct settings *s, struct sl_registry *registry, const char *name,
                      struct sl_image_source **ret, struct sl_error *err)
{
    const struct sl_known_documents known = {.find = find_known, .arg = (void *)s->known};
    int r = sl_image_source_open(registry, name, ret, err);
    if (r == 0 && s->known)
        sl_image_source_set_known(*ret, &known);
    return r;
}

static int resolve_once(const struct settings *s, struct sl_registry *registry, const char *name)
{
    SL_AUTO(sl_image_source) src = NULL;
    SL_AUTO(sl_resolved_image) image = NULL;
    struct sl_error err;
    struct timespec from, to;
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    if (open_image(s, registry, name, &src, &err) < 0 ||
        sl_image_source_resolve(src, NULL, &image, &err) < 0)
        return fail(&err);
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    char digest[SL_DIGEST_TEXT_MAX];
    sl_digest_format(&image->manifest_digest, digest);
    printf("%s %s %lld\n", sl_image_source_name(src), digest,
           (long long)(to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000);
    return 0;
}

static int resolve_often(const struct settings *s, struct sl_registry *registry, const char *name,
                         unsigned long times)
{
    for (unsigned long i = 0; i < times; i++)
        if (resolve_once(s, registry, name) != 0)
            return 1;
    (void)fflush(stdout);
    while (getchar() != EOF)
        ;
    return 0;
}

static int open_beside(const struct settings *settings, struct sl_registry *registry, char **args)
{
    SL_AUTO(sl_image_source) src = NULL;
    SL_AUTO_DONE(sl_image_document) doc = {0};
    SL_AUTO(sl_resolved_image) image = NULL;
    const char *sign = strchr(args[2], ':') ? "@" : ":";
    SL_AUTO_FREE char *name = !strncmp(args[0], "oci:", 4)
                                  ? sl_strf("%s%s%s", args[0], sign, args[2])
                                  : sl_strf("%s%s/%s%s%s", settings->is_bare ? "" : "docker://",
                                            args[0], args[1], sign, args[2]);
    struct sl_error err;
    if (!name || !args[4])
        return 2;
    if (!strcmp(args[3], "resolve"))
        return resolve_often(settings, registry, name, strtoul(args[4], NULL, 10));
    if (open_image(settings, registry, name, &src, &err) < 0)
        return fail(&err);
    bool is_found = !strcmp(args[3], "url");
    if (settings->known && sl_image_source_resolve(src, NULL, &image, &err) < 0)
        return fail(&err);
    if (!settings->known && !is_found && sl_image_source_document(src, NULL, &doc, &err) < 0)
        return fail(&err);
    if (!strcmp(args[3], "layer"))
        return run_blobs(settings, registry, sl_image_source_transport(src), args + 4);
    struct canceller canceller = {0};
    canceller_start(&canceller, settings, sl_image_source_transport(src));
    int status = run_beside(settings, registry, src, args + 3);
    canceller_end(&canceller, settings);
    return status;
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
    case 'b':
        s->base_ms = (unsigned)strtoul(optarg, NULL, 10);
        return 0;
    case 's':
        s->stall_s = (unsigned)strtoul(optarg, NULL, 10);
        return 0;
    case 'f':
        s->file_ms = (unsigned)strtoul(optarg, NULL, 10);
        return 0;
    case 't':
        s->token_spare_s = (unsigned)strtoul(optarg, NULL, 10);
        return 0;
    case 'm':
        s->media_type = optarg;
        return 0;
    case 'e':
        s->stop_at_eof = true;
        return 0;
    case 'E':
        s->cancel_at_eof = true;
        return 0;
    case 'C':
        s->cancels_image = true;
        return 0;
    case 'o':
        s->other = optarg;
        return 0;
    case 'k':
        s->known = optarg;
        return 0;
    case 'p':
        s->registry.http_proxy = optarg;
        return 0;
    case 'P':
        s->registry.https_proxy = optarg;
        return 0;
    case 'N':
        s->registry.no_proxy = optarg;
        return 0;
    case 'D':
        s->document_ms = (unsigned)strtoul(optarg, NULL, 10);
        return 0;
    case 'H':
        s->hold_ms = (unsigned)strtoul(optarg, NULL, 10);
        return 0;
    case 'w':
        s->pace_ms = (unsigned)strtoul(optarg, NULL, 10);
        return 0;
    case 'h':
        s->is_bare = true;
        return 0;
    case 'R':
        s->range = strtoull(optarg, NULL, 10);
        return 0;
    case 'S':
        s->pool = strtoul(optarg, NULL, 10);
        return 0;
    case 'l':
        s->lane = strtoul(optarg, NULL, 10);
        return 0;
    case 'L':
        s->limit = strtoul(optarg, NULL, 10);
        return 0;
    case 'T':
        s->threads = strtoul(optarg, NULL, 10);
        return 0;
    case 'x':
        s->stop_at = strtoull(optarg, NULL, 10);
        return 0;
    case 'X':
        s->cancel_at = strtoull(optarg, NULL, 10);
        return 0;
    default:
        return -1;
    }
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
        {"base-ms", required_argument, NULL, 'b'},
        {"stall-s", required_argument, NULL, 's'},
        {"file-ms", required_argument, NULL, 'f'},
        {"token-spare-s", required_argument, NULL, 't'},
        {"media-type", required_argument, NULL, 'm'},
        {"stop-at-eof", no_argument, NULL, 'e'},
        {"cancel-at-eof", no_argument, NULL, 'E'},
        {"cancel-image", no_argument, NULL, 'C'},
        {"other", required_argument, NULL, 'o'},
        {"known", required_argument, NULL, 'k'},
        {"http-proxy", required_argument, NULL, 'p'},
        {"https-proxy", required_argument, NULL, 'P'},
        {"no-proxy", required_argument, NULL, 'N'},
        {"document-ms", required_argument, NULL, 'D'},
        {"hold-ms", required_argument, NULL, 'H'},
        {"pace-ms", required_argument, NULL, 'w'},
        {"bare", no_argument, NULL, 'h'},
        {"lane", required_argument, NULL, 'l'},
        {"ranges", required_argument, NULL, 'R'},
        {"pool", required_argument, NULL, 'S'},
        {"limit", required_argument, NULL, 'L'},
        {"threads", required_argument, NULL, 'T'},
        {"stop-at", required_argument, NULL, 'x'},
        {"cancel-at", required_argument, NULL, 'X'},
        {0},
    };
    char no_media_type[] = "";
    struct settings settings = {
        .base_ms = 1, .lane = 8, .limit = 65536, .threads = 1, .media_type = no_media_type};
    for (int o; (o = getopt_long(argc, argv, "+", options, NULL)) != -1;)
        if (set_option(&settings, o) < 0)
            return 2;
    if (argc - optind < 4)
        return 2;
    char **args = argv + optind;
    struct sl_error err;
    SL_AUTO(sl_registry) registry = NULL;
    if (sl_registry_new(&settings.registry, &registry, &err) < 0)
        return fail(&err);
    registry->settings.retry_base_ms = settings.base_ms;
    if (settings.range)
        registry->settings.ranges = (struct sl_range_limits){.blob_min = settings.range,
                                                             .range_min = settings.range,
                                                             .range_max = settings.range,
                                                             .goal = UINT64_C(1) << 30,
                                                             .window = 1 << 20,
                                                             .presumed_us = 1000 * 1000};
    if (settings.file_ms)
        registry->settings.file_timeout_ms = settings.file_ms;
    if (settings.document_ms)
        registry->settings.document_timeout_ms = settings.document_ms;
    if (settings.pace_ms)
        registry->settings.pace_window_ms = settings.pace_ms;
    if (settings.stall_s)
        registry->settings.stall_timeout_s = settings.stall_s;
    if (settings.token_spare_s)
        registry->settings.token_spare_s = settings.token_spare_s;
    if (settings.cancels_image)
        wait_for_ever(&registry->settings);
    if (is_beside(args[3]))
        return open_beside(&settings, registry, args);
    struct sl_reference ref = {.host = args[0], .repository = args[1], .tag = args[2]};
    struct sl_source *src = NULL;
    if (sl_docker_source_open(registry, &ref, !settings.is_bare, &src, &err) < 0)
        return fail(&err);
    struct canceller canceller = {0};
    struct other other = {0};
    canceller_start(&canceller, &settings, src);
    other_start(&other, &settings, registry, args[0]);
    int status = run_verb(&settings, registry, src, args[3], args + 4);
    canceller_end(&canceller, &settings);
    other_end(&other);
    src->ops->close(src);
    return status;
}
