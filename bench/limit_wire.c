/* SPDX-License-Identifier: Apache-2.0 */
/* Receiving a blob: by our own stream, and by libcurl alone, which throws the bytes away. */
#include "limit_parts.h"

#include "sluice/core/flow.h"
#include "sluice/core/reference.h"

#include <curl/curl.h>
#include <semaphore.h>
#include <stdlib.h>

enum {
    RECEIVE_BUFFERS = 8,      /* as of a layer that is pulled */
    CURL_BUFFER = 512 * 1024, /* the largest that libcurl of all versions takes */
    CURL_TIMEOUT_S = 600,
};

struct transfer {
    struct sl_flow *flow;
    struct sl_blob_stream *stream;
    sem_t done;
    int result;
    struct sl_error error;
};

static void on_done(void *arg, int r, const struct sl_error *err)
{
    struct transfer *t = arg;
    t->result = r;
    t->error = *err;
    (void)sem_post(&t->done);
}

static int start(struct transfer *t, const struct limit_image *image,
                 const struct sl_descriptor *blob, struct sl_buf_lane *lane, struct sl_stage **sink,
                 struct sl_error *err)
{
    const struct sl_flow_events events = {.done = on_done, .arg = t};
    int r = sl_flow_new(image->worker, &events, &t->flow, err);
    if (r == 0)
        r = sl_flow_add(t->flow, sink, SL_NEW_SEGMENT, err);
    if (r < 0)
        return r;
    sl_flow_start(t->flow);
    return sl_image_source_stream(image->source, blob, lane, t->flow, &t->stream, err);
}

static int run(const struct limit_image *image, const struct sl_descriptor *blob,
               struct sl_stage **sink, struct sl_error *err)
{
    SL_AUTO(sl_buf_lane) lane = NULL;
    struct transfer t = {0};
    int r = sl_buf_lane_open(image->buffers, RECEIVE_BUFFERS, &lane, err);
    if (r < 0)
        return r;
    (void)sem_init(&t.done, 0, 0);
    r = start(&t, image, blob, lane, sink, err);
    while (r == 0 && sem_wait(&t.done) < 0)
        continue;
    (void)sl_blob_stream_close(t.stream);
    (void)sl_flow_free(t.flow);
    (void)sem_destroy(&t.done);
    if (r == 0 && t.result < 0) {
        *err = t.error;
        r = t.result;
    }
    return r;
}

/* ---- libcurl alone ---- */

static size_t throw_away(char *data, size_t size, size_t n, void *arg)
{
    (void)data;
    *(uint64_t *)arg += size * n;
    return size * n;
}

static char *blob_url(const struct limit_image *image, const struct sl_digest *digest)
{
    SL_AUTO(sl_reference) ref = NULL;
    char text[SL_DIGEST_TEXT_MAX];
    if (sl_reference_parse(image->name, &ref, NULL) < 0)
        return NULL;
    sl_digest_format(digest, text);
    return sl_strf("%s://%s/v2/%s/blobs/%s", image->insecure ? "http" : "https", ref->host,
                   ref->repository, text);
}

/* True when it brought all bytes: not where tokens are asked for, or layers lie in a folder. */
static bool curl_brings(const char *url, uint64_t size)
{
    CURL *easy = curl_easy_init();
    uint64_t received = 0;
    if (!easy)
        return false;
    (void)curl_easy_setopt(easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)CURL_TIMEOUT_S);
    (void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)CURL_BUFFER);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, throw_away);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, &received);
    bool good = curl_easy_perform(easy) == CURLE_OK && received == size;
    curl_easy_cleanup(easy);
    return good;
}

static void receive_by_curl(const struct limit_image *image, const struct limit_layer *l,
                            struct limit_cost costs[LIMIT_PARTS])
{
    SL_AUTO_FREE char *url = blob_url(image, &l->blob->digest);
    struct limit_cost ours = {.by = "libcurl"}, server = {.by = "libcurl"};
    double before = limit_process_cpu(image->server);
    struct limit_meter since = limit_meter_now();
    if (!url || !curl_brings(url, l->blob->size))
        return;
    limit_meter_add(&ours, since);
    limit_keep_best(&costs[LIMIT_RECEIVE], &ours);
    server.cpu = server.wall = limit_process_cpu(image->server) - before;
    if (image->server)
        limit_keep_best(&costs[LIMIT_SERVER], &server);
}

int limit_receive(const struct limit_image *image, const struct limit_layer *l,
                  struct sl_bytes *blob, struct limit_cost costs[LIMIT_PARTS], struct sl_error *err)
{
    SL_AUTO(sl_stage) sink = NULL;
    double keeping = 0;
    int r = limit_keeper_new(blob, l->blob->size, &keeping, &sink, err);
    if (r < 0)
        return r;
    struct limit_cost ours = {.by = "sluice"}, server = {.by = "sluice"};
    double before = limit_process_cpu(image->server);
    struct limit_meter since = limit_meter_now();
    r = run(image, l->blob, &sink, err);
    if (r < 0)
        return r;
    limit_meter_add(&ours, since);
    ours.cpu -= keeping;
    costs[LIMIT_RECEIVE] = ours;
    server.cpu = server.wall = limit_process_cpu(image->server) - before;
    if (image->server)
        costs[LIMIT_SERVER] = server;
    receive_by_curl(image, l, costs);
    return 0;
}
