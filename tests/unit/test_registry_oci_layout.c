/* SPDX-License-Identifier: Apache-2.0 */
/* Layouts as a source of documents and of streams. */
#include "sluice/image_source.h"

#include "layout_fixture.h"
#include "sluice/attachments.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define UMOCI SL_TEST_DATA "/layouts/umoci"
#define HELLO_MANIFEST "sha256:291e4f18845b9eb797cd7d520d371adc50a5b9a158487c69b7cd188e3272854c"
#define EMPTY_MANIFEST "sha256:d9408cb9f7c8b5648baedc4203e0adc6493dc20c169510cafbfce0bb4bf17853"

/* ---- documents ---- */

static int resolve(const char *text, struct sl_resolved_image **ret, struct sl_error *err)
{
    char architecture[] = "amd64";
    const struct sl_platform platform = {.architecture = architecture};
    SL_AUTO(sl_image_source) src = NULL;
    int r = sl_image_source_open(NULL, text, &src, err);
    return r < 0 ? r : sl_image_source_resolve(src, &platform, ret, err);
}

static void assert_resolves(const char *text, const char *manifest, size_t n_layers)
{
    SL_AUTO(sl_resolved_image) image = NULL;
    struct sl_error err = {0};
    if (resolve(text, &image, &err) != 0)
        fail_msg("%s", err.msg);
    char digest[SL_DIGEST_TEXT_MAX];
    sl_digest_format(&image->manifest_digest, digest);
    assert_string_equal(digest, manifest);
    assert_int_equal(image->manifest->n_layers, n_layers);
    assert_int_equal(image->config->n_diff_ids, n_layers);
    assert_false(image->has_index_digest);
}

static void assert_fails(const char *text, enum sl_errc code, const char *part)
{
    struct sl_resolved_image *image = NULL;
    struct sl_error err = {0};
    int r = resolve(text, &image, &err);
    if (r >= 0)
        fail_msg("%s was resolved", text);
    assert_null(image);
    if (err.code != code || err.errnum != -r || !strstr(err.msg, part))
        fail_msg("%s: %s: %s", text, sl_errc_name(err.code), err.msg);
}

static void layout_by_umoci_is_resolved_by_tag_and_digest(void **state)
{
    (void)state;
    assert_resolves("oci:" UMOCI ":hello", HELLO_MANIFEST, 1);
    assert_resolves("oci:" UMOCI ":empty", EMPTY_MANIFEST, 0);
    assert_resolves("oci:" UMOCI "@" HELLO_MANIFEST, HELLO_MANIFEST, 1);
}

static void layout_tag_that_is_missing_or_needed_fails(void **state)
{
    (void)state;
    assert_fails("oci:" UMOCI ":nope", SL_E_SYSTEM, "index.json has no entry 'nope'");
    assert_fails("oci:" UMOCI, SL_E_FORMAT, "has 2 entries");
    assert_fails("oci:" UMOCI "@sha256:aa", SL_E_FORMAT, "hex digits");
    assert_fails("oci:" UMOCI
                 "@sha256:0000000000000000000000000000000000000000000000000000000000000000",
                 SL_E_SYSTEM, "No such file");
    assert_fails("oci:/nonexistent/layout:a", SL_E_SYSTEM, "/nonexistent/layout");
    assert_fails("oci:", SL_E_FORMAT, "expected oci:DIR");
    assert_fails("oci:" UMOCI ":", SL_E_FORMAT, "expected oci:DIR");
}

#define CONFIG_TEXT                                                                                \
    "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":"   \
    "[]}}"
#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"

/* Adds an image without layers and gives the descriptor of its manifest, to be freed. */
static char *add_image(const struct layout_fixture *fx, const char *more)
{
    SL_AUTO_FREE char *config = layout_fixture_add_document(
        fx, "application/vnd.oci.image.config.v1+json", CONFIG_TEXT, "");
    SL_AUTO_FREE char *manifest =
        sl_strf("{\"schemaVersion\":2,\"config\":%s,\"layers\":[]}", config);
    return layout_fixture_add_document(fx, MANIFEST_TYPE, manifest, more);
}

static void layout_only_entry_needs_no_tag(void **state)
{
    struct layout_fixture *fx = *state;
    SL_AUTO_FREE char *image = add_image(fx, "");
    layout_fixture_write_index(fx, image);
    SL_AUTO_FREE char *text = sl_strf("oci:%s", fx->dir);
    SL_AUTO(sl_resolved_image) resolved = NULL;
    assert_int_equal(resolve(text, &resolved, NULL), 0);
}

static void layout_of_other_version_is_refused(void **state)
{
    struct layout_fixture *fx = *state;
    SL_AUTO_FREE char *image = add_image(fx, "");
    layout_fixture_write_index(fx, image);
    SL_AUTO_FREE char *text = sl_strf("oci:%s", fx->dir);
    layout_fixture_write(fx, "oci-layout", sl_span_of("{\"imageLayoutVersion\":\"2.0.0\"}"));
    assert_fails(text, SL_E_UNSUPPORTED, "layout version '2.0.0'");
    layout_fixture_write(fx, "oci-layout", sl_span_of("{}"));
    assert_fails(text, SL_E_FORMAT, "is not an OCI layout");
    SL_AUTO_FREE char *path = sl_strf("%s/oci-layout", fx->dir);
    assert_int_equal(unlink(path), 0);
    assert_fails(text, SL_E_SYSTEM, "is not an OCI layout");
}

static void layout_manifest_changed_on_disk_fails_with_integrity(void **state)
{
    struct layout_fixture *fx = *state;
    SL_AUTO_FREE char *image = add_image(fx, "");
    layout_fixture_write_index(fx, image);
    SL_AUTO_FREE char *text = sl_strf("oci:%s", fx->dir);
    /* 71 characters of digest behind the name of the member. */
    char digest_text[72] = "";
    (void)snprintf(digest_text, sizeof(digest_text), "%s",
                   strstr(image, "\"digest\":\"") + strlen("\"digest\":\""));
    SL_AUTO_FREE char *by_digest = sl_strf("oci:%s@%s", fx->dir, digest_text);
    struct sl_digest digest;
    assert_int_equal(sl_digest_parse(digest_text, &digest, NULL), 0);
    SL_AUTO_FREE char *path = layout_fixture_blob_path(fx, &digest);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fputc(' ', f), ' ');
    assert_int_equal(fclose(f), 0);
    assert_fails(text, SL_E_INTEGRITY, "digest is sha256:");
    assert_fails(by_digest, SL_E_INTEGRITY, "digest is sha256:");
    assert_int_equal(truncate(path, 10), 0);
    assert_fails(text, SL_E_INTEGRITY, "has 10 bytes");
}

/* ---- streams ---- */

struct sink {
    struct sl_stage stage;
    struct sl_bytes got;
    struct sl_buf *kept[8]; /* never sent home before the end */
    size_t n_kept, keep;
    sem_t *all_kept;
    const char *truncate_path; /* cuts this file at the first buffer */
    size_t fail_at;            /* fails once it has seen so many bytes */
};

static int sink_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    struct sink *k = (struct sink *)stage;
    int r = sl_bytes_append(&k->got, sl_buf_span(*bufp), SIZE_MAX / 2, err);
    if (r < 0)
        return r;
    if (k->truncate_path && truncate(k->truncate_path, SL_BUF_SIZE) < 0)
        return sl_error_system(err, errno, "truncate");
    if (k->fail_at && k->got.len >= k->fail_at)
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG, "the sink has failed");
    if (k->n_kept < k->keep) {
        k->kept[k->n_kept++] = sl_steal(bufp);
        if (k->n_kept == k->keep)
            sem_post(k->all_kept);
        return 0;
    }
    sl_buf_release(bufp);
    return 0;
}

static int sink_finish(struct sl_stage *stage, struct sl_error *err)
{
    (void)stage;
    (void)err;
    return 0;
}

static void sink_close(struct sl_stage *stage)
{
    struct sink *k = (struct sink *)stage;
    while (k->n_kept > 0)
        sl_buf_release(&k->kept[--k->n_kept]);
}

static const struct sl_stage_ops sink_ops = {
    .name = "sink",
    .phase = SL_PHASE_BLOB,
    .push = sink_push,
    .finish = sink_finish,
    .close = sink_close,
};

struct transfer {
    struct sink sink;
    size_t lane_size;
    bool stop_when_kept, cancel_when_kept;
    sem_t all_kept, done;
    int result;
    struct sl_error error;
    uint64_t counted;
    _Atomic(struct sl_blob_stream *) stream;
};

static void on_done(void *arg, int r, const struct sl_error *err)
{
    struct transfer *t = arg;
    t->result = r;
    if (r < 0)
        t->error = *err;
    sem_post(&t->done);
}

static void on_stop(void *arg)
{
    struct transfer *t = arg;
    struct sl_blob_stream *stream = t->stream;
    if (stream)
        sl_blob_stream_stop(stream);
}

static void wait_for(sem_t *sem)
{
    while (sem_wait(sem) < 0)
        assert_int_equal(errno, EINTR);
}

/* Streams a blob of a layout into t->sink. */
static void run_transfer(struct transfer *t, const char *dir, const struct sl_descriptor *blob)
{
    SL_AUTO(sl_worker_pool) workers = NULL;
    SL_AUTO(sl_buf_pool) pool = NULL;
    SL_AUTO(sl_buf_lane) lane = NULL;
    SL_AUTO(sl_flow) flow = NULL;
    SL_AUTO(sl_image_source) src = NULL;
    const struct sl_flow_events events = {.done = on_done, .stop_source = on_stop, .arg = t};
    SL_AUTO_FREE char *text = sl_strf("oci:%s", dir);
    sem_init(&t->all_kept, 0, 0);
    sem_init(&t->done, 0, 0);
    t->sink.stage.ops = &sink_ops;
    t->sink.all_kept = &t->all_kept;
    struct sl_stage *stage = &t->sink.stage;

    assert_int_equal(sl_worker_pool_new(2, &workers, NULL), 0);
    assert_int_equal(sl_buf_pool_new(t->lane_size * SL_BUF_SIZE, &pool, NULL), 0);
    assert_int_equal(sl_buf_lane_open(pool, t->lane_size, &lane, NULL), 0);
    assert_int_equal(sl_flow_new(workers, &events, &flow, NULL), 0);
    assert_int_equal(sl_flow_add(flow, &stage, SL_NEW_SEGMENT, NULL), 0);
    assert_int_equal(sl_image_source_open(NULL, text, &src, NULL), 0);
    sl_flow_start(flow);
    struct sl_blob_stream *stream = NULL;
    assert_int_equal(sl_image_source_stream(src, blob, lane, flow, &stream, NULL), 0);
    t->stream = stream;
    if (sl_flow_has_failed(flow))
        sl_blob_stream_stop(stream);
    if (t->stop_when_kept || t->cancel_when_kept)
        wait_for(&t->all_kept);
    if (t->stop_when_kept)
        sl_blob_stream_stop(stream);
    if (t->cancel_when_kept)
        sl_image_source_cancel(src);
    wait_for(&t->done);
    t->counted = sl_blob_stream_bytes(stream);
    assert_null(sl_blob_stream_close(stream));
}

/* Bytes that no two places of a blob share. */
static uint8_t *make_bytes(size_t len)
{
    uint8_t *data = malloc(len ? len : 1);
    uint32_t x = 2463534242U;
    assert_non_null(data);
    for (size_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        data[i] = (uint8_t)x;
    }
    return data;
}

static void stream_gives_the_bytes_for_any_size_and_lane(void **state)
{
    struct layout_fixture *fx = *state;
    static const size_t sizes[] = {
        0, 1, SL_BUF_SIZE - 1, SL_BUF_SIZE, SL_BUF_SIZE + 1, 21 * SL_BUF_SIZE + 12345};
    static const size_t lanes[] = {1, 2, 16};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        SL_AUTO_FREE uint8_t *data = make_bytes(sizes[i]);
        struct sl_descriptor blob = {.size = sizes[i]};
        blob.digest =
            layout_fixture_add(fx, (struct sl_span){data, sizes[i]}, i % 2 ? SL_SHA512 : SL_SHA256);
        for (size_t j = 0; j < sizeof(lanes) / sizeof(lanes[0]); j++) {
            struct transfer t = {.lane_size = lanes[j]};
            run_transfer(&t, fx->dir, &blob);
            if (t.result != 0)
                fail_msg("%zu bytes, lane of %zu: %s", sizes[i], lanes[j], t.error.msg);
            assert_int_equal(t.sink.got.len, sizes[i]);
            assert_int_equal(t.counted, sizes[i]);
            if (sizes[i])
                assert_memory_equal(t.sink.got.data, data, sizes[i]);
            sl_bytes_done(&t.sink.got);
        }
    }
}

static void assert_stream_fails(struct transfer *t, enum sl_errc code, const char *part)
{
    if (t->result >= 0)
        fail_msg("the stream succeeded");
    if (t->error.code != code || t->error.errnum != -t->result || !strstr(t->error.msg, part))
        fail_msg("%s: %s", sl_errc_name(t->error.code), t->error.msg);
    sl_bytes_done(&t->sink.got);
}

static void stream_of_wrong_size_fails_with_integrity_before_the_first_byte(void **state)
{
    struct layout_fixture *fx = *state;
    struct sl_descriptor blob = {.digest = layout_fixture_add(fx, sl_span_of("12345"), SL_SHA256)};
    struct transfer t = {.lane_size = 2};
    blob.size = 6;
    run_transfer(&t, fx->dir, &blob);
    assert_int_equal(t.sink.got.len, 0);
    assert_stream_fails(&t, SL_E_INTEGRITY, "has 5 bytes, its descriptor says 6");
    t = (struct transfer){.lane_size = 2};
    blob.size = 4;
    run_transfer(&t, fx->dir, &blob);
    assert_int_equal(t.sink.got.len, 0);
    assert_stream_fails(&t, SL_E_INTEGRITY, "has 5 bytes, its descriptor says 4");
}

static void stream_of_file_that_shrinks_fails_with_integrity(void **state)
{
    struct layout_fixture *fx = *state;
    const size_t len = 4 * SL_BUF_SIZE;
    SL_AUTO_FREE uint8_t *data = make_bytes(len);
    struct sl_descriptor blob = {.size = len};
    blob.digest = layout_fixture_add(fx, (struct sl_span){data, len}, SL_SHA256);
    SL_AUTO_FREE char *path = layout_fixture_blob_path(fx, &blob.digest);
    /* One buffer: the second read begins after the first buffer is home. */
    struct transfer t = {.lane_size = 1, .sink.truncate_path = path};
    run_transfer(&t, fx->dir, &blob);
    assert_int_equal(t.sink.got.len, SL_BUF_SIZE);
    assert_stream_fails(&t, SL_E_INTEGRITY, "has 262144 bytes, its descriptor says 1048576");
}

static void stream_stopped_while_it_waits_for_buffers_ends_cancelled(void **state)
{
    struct layout_fixture *fx = *state;
    const size_t len = 9 * SL_BUF_SIZE;
    SL_AUTO_FREE uint8_t *data = make_bytes(len);
    struct sl_descriptor blob = {.size = len};
    blob.digest = layout_fixture_add(fx, (struct sl_span){data, len}, SL_SHA256);
    struct transfer t = {.lane_size = 3, .sink.keep = 3, .stop_when_kept = true};
    run_transfer(&t, fx->dir, &blob);
    assert_int_equal(t.counted, 3 * SL_BUF_SIZE);
    assert_stream_fails(&t, SL_E_CANCELLED, "stopped");
}

static void stream_of_cancelled_image_ends_while_it_waits_for_buffers(void **state)
{
    struct layout_fixture *fx = *state;
    const size_t len = 8 * SL_BUF_SIZE;
    SL_AUTO_FREE uint8_t *data = make_bytes(len);
    struct sl_descriptor blob = {.size = len};
    blob.digest = layout_fixture_add(fx, (struct sl_span){data, len}, SL_SHA256);
    struct transfer t = {.lane_size = 3, .sink.keep = 3, .cancel_when_kept = true};
    run_transfer(&t, fx->dir, &blob);
    assert_stream_fails(&t, SL_E_CANCELLED, "stopped");
}

static void assert_cancelled(int r, const struct sl_error *err)
{
    assert_int_equal(r, -ECANCELED);
    assert_int_equal(err->code, SL_E_CANCELLED);
}

static void cancelled_layout_reads_nothing_more(void **state)
{
    (void)state;
    SL_AUTO(sl_image_source) src = NULL;
    SL_AUTO(sl_resolved_image) image = NULL;
    SL_AUTO_DONE(sl_image_document) doc = {0};
    SL_AUTO_DONE(sl_referrers) list = {0};
    struct sl_error err = {0};
    const char *name = "oci:" SL_TEST_DATA "/layouts/umoci:hello";
    assert_int_equal(sl_image_source_open(NULL, name, &src, &err), 0);
    assert_int_equal(sl_image_source_resolve(src, NULL, &image, &err), 0);
    sl_image_source_cancel(src);
    struct sl_resolved_image *again = NULL;
    assert_cancelled(sl_image_source_resolve(src, NULL, &again, &err), &err);
    assert_cancelled(sl_attachment_by_digest(src, &image->manifest_digest, &doc, &err), &err);
    assert_cancelled(sl_attachment_referrers(src, &image->manifest_digest, &list, &err), &err);
}

static void stream_into_failing_flow_keeps_the_first_failure(void **state)
{
    struct layout_fixture *fx = *state;
    const size_t len = 30 * SL_BUF_SIZE;
    SL_AUTO_FREE uint8_t *data = make_bytes(len);
    struct sl_descriptor blob = {.size = len};
    blob.digest = layout_fixture_add(fx, (struct sl_span){data, len}, SL_SHA256);
    struct transfer t = {.lane_size = 2, .sink.fail_at = 3 * SL_BUF_SIZE};
    run_transfer(&t, fx->dir, &blob);
    assert_stream_fails(&t, SL_E_INTEGRITY, "the sink has failed");
}

static void stream_of_what_is_no_regular_file_fails(void **state)
{
    struct layout_fixture *fx = *state;
    struct sl_descriptor blob = {.size = 5};
    blob.digest = layout_fixture_add(fx, sl_span_of("12345"), SL_SHA256);
    SL_AUTO_FREE char *path = layout_fixture_blob_path(fx, &blob.digest);
    assert_int_equal(unlink(path), 0);
    struct transfer missing = {.lane_size = 1};
    run_transfer(&missing, fx->dir, &blob);
    assert_stream_fails(&missing, SL_E_SYSTEM, "No such file");
    assert_int_equal(mkfifo(path, 0600), 0);
    struct transfer fifo = {.lane_size = 1};
    run_transfer(&fifo, fx->dir, &blob);
    assert_stream_fails(&fifo, SL_E_FORMAT, "is not a regular file");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    struct transfer folder = {.lane_size = 1};
    run_transfer(&folder, fx->dir, &blob);
    assert_stream_fails(&folder, SL_E_FORMAT, "is not a regular file");
}

static void stream_follows_a_link_to_a_regular_file(void **state)
{
    struct layout_fixture *fx = *state;
    struct sl_descriptor blob = {.size = 5};
    blob.digest = layout_fixture_add(fx, sl_span_of("12345"), SL_SHA256);
    SL_AUTO_FREE char *path = layout_fixture_blob_path(fx, &blob.digest);
    SL_AUTO_FREE char *target = sl_strf("%s/elsewhere", fx->dir);
    assert_int_equal(rename(path, target), 0);
    assert_int_equal(symlink(target, path), 0);
    struct transfer t = {.lane_size = 1};
    run_transfer(&t, fx->dir, &blob);
    assert_int_equal(t.result, 0);
    assert_string_equal((const char *)t.sink.got.data, "12345");
    sl_bytes_done(&t.sink.got);
}

static int set_up(void **state)
{
    struct layout_fixture *fx = malloc(sizeof(*fx));
    if (!fx)
        return -1;
    layout_fixture_new(fx);
    *state = fx;
    return 0;
}

static int tear_down(void **state)
{
    layout_fixture_free(*state);
    free(*state);
    return 0;
}

#define WITH_LAYOUT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout_by_umoci_is_resolved_by_tag_and_digest),
        cmocka_unit_test(layout_tag_that_is_missing_or_needed_fails),
        WITH_LAYOUT(layout_only_entry_needs_no_tag),
        WITH_LAYOUT(layout_of_other_version_is_refused),
        WITH_LAYOUT(layout_manifest_changed_on_disk_fails_with_integrity),
        WITH_LAYOUT(stream_gives_the_bytes_for_any_size_and_lane),
        WITH_LAYOUT(stream_of_wrong_size_fails_with_integrity_before_the_first_byte),
        WITH_LAYOUT(stream_of_file_that_shrinks_fails_with_integrity),
        WITH_LAYOUT(stream_stopped_while_it_waits_for_buffers_ends_cancelled),
        WITH_LAYOUT(stream_of_cancelled_image_ends_while_it_waits_for_buffers),
        cmocka_unit_test(cancelled_layout_reads_nothing_more),
        WITH_LAYOUT(stream_into_failing_flow_keeps_the_first_failure),
        WITH_LAYOUT(stream_of_what_is_no_regular_file_fails),
        WITH_LAYOUT(stream_follows_a_link_to_a_regular_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
