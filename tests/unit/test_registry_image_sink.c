/* SPDX-License-Identifier: Apache-2.0 */
/* Names of sinks, URLs of uploads, and a layout that is written and taken back. */
#include "sluice/image_sink.h"
#include "upload_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "scratch_dir.h"

#define DIGEST "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" /* {} */

static const struct sl_span empty_object = {(const uint8_t *)"{}", 2};

/* ---- names ---- */

static void expect_name(const char *text, const char *name)
{
    SL_AUTO(sl_registry) registry = NULL;
    SL_AUTO(sl_image_sink) sink = NULL;
    assert_int_equal(sl_registry_new(NULL, &registry, NULL), 0);
    assert_int_equal(sl_image_sink_open(registry, text, &sink, NULL), 0);
    assert_string_equal(sl_image_sink_name(sink), name);
}

static void expect_refused(const char *text, enum sl_errc code)
{
    SL_AUTO(sl_image_sink) sink = NULL;
    struct sl_error err = {0};
    assert_true(sl_image_sink_open(NULL, text, &sink, &err) < 0);
    assert_int_equal(err.code, code);
    assert_null(sink);
}

static void names_are_completed(void **state)
{
    (void)state;
    expect_name("busybox", "docker.io/library/busybox:latest");
    expect_name("docker://quay.io/a/b:1", "quay.io/a/b:1");
    expect_name("oci:/tmp/nowhere", "oci:/tmp/nowhere");
    expect_name("oci:/tmp/nowhere:tag", "oci:/tmp/nowhere:tag");
    assert_int_not_equal(access("/tmp/nowhere", F_OK), 0);
}

static void digests_and_other_transports_are_refused(void **state)
{
    (void)state;
    expect_refused("quay.io/a/b@" DIGEST, SL_E_FORMAT);
    expect_refused("quay.io/a/b:1@" DIGEST, SL_E_FORMAT);
    expect_refused("oci:/tmp/nowhere@" DIGEST, SL_E_FORMAT);
    expect_refused("oci:", SL_E_FORMAT);
    expect_refused("oci:/tmp/nowhere:", SL_E_FORMAT);
    expect_refused("UPPER/case", SL_E_FORMAT);
    expect_refused("docker-archive:/tmp/x", SL_E_UNSUPPORTED);
    expect_refused("dir:/tmp/x", SL_E_UNSUPPORTED);
}

/* ---- URLs ---- */

static void expect_next(const char *asked, const char *location, const char *wanted)
{
    SL_AUTO_FREE char *next = NULL;
    assert_int_equal(sl_upload_url_next(asked, location, &next, NULL), 0);
    assert_string_equal(next, wanted);
}

static void expect_no_next(const char *asked, const char *location)
{
    SL_AUTO_FREE char *next = NULL;
    struct sl_error err = {0};
    assert_int_equal(sl_upload_url_next(asked, location, &next, &err), -EPROTO);
    assert_int_equal(err.code, SL_E_NETWORK);
    assert_null(next);
}

static void locations_are_resolved_and_checked(void **state)
{
    (void)state;
    static const char asked[] = "https://a.example/v2/b/blobs/uploads/";
    expect_next(asked, "/u/1?s=a%3D", "https://a.example/u/1?s=a%3D");
    expect_next(asked, "1?s=a", "https://a.example/v2/b/blobs/uploads/1?s=a");
    expect_next(asked, "https://b.example:1/u#x", "https://b.example:1/u");
    expect_next("http://a.example/", "https://a.example/u", "https://a.example/u");
    expect_no_next(asked, NULL);
    expect_no_next(asked, "http://a.example/u");
    expect_no_next(asked, "https://me:secret@b.example/u");
    expect_no_next(asked, "ftp://b.example/u");
}

static void digest_is_added_to_the_query(void **state)
{
    (void)state;
    struct sl_digest digest;
    assert_int_equal(sl_digest_parse(DIGEST, &digest, NULL), 0);
    SL_AUTO_FREE char *bare = sl_upload_url_end("https://a/u", &digest);
    SL_AUTO_FREE char *more = sl_upload_url_end("https://a/u?s=%2F", &digest);
    assert_string_equal(bare, "https://a/u?digest=sha256%3A"
                              "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    assert_memory_equal(more, "https://a/u?s=%2F&digest=sha256%3A44", 36);
}

static void stored_digest_must_be_ours_if_it_is_told(void **state)
{
    (void)state;
    struct sl_digest digest;
    struct sl_error err = {0};
    assert_int_equal(sl_digest_parse(DIGEST, &digest, NULL), 0);
    assert_int_equal(sl_upload_check_digest(DIGEST, &digest, &err), 0);
    assert_int_equal(sl_upload_check_digest(NULL, &digest, &err), 0);
    assert_int_equal(sl_upload_check_digest("md5:1", &digest, &err), 0);
    digest.bytes[0] ^= 1;
    assert_int_equal(sl_upload_check_digest(DIGEST, &digest, &err), -EBADMSG);
    assert_int_equal(err.code, SL_E_INTEGRITY);
}

/* ---- layouts ---- */

static struct sl_image_sink *open_layout(const struct scratch_dir *d, const char *name)
{
    struct sl_image_sink *sink = NULL;
    SL_AUTO_FREE char *text = sl_strf("oci:%s/%s", d->path, name);
    assert_int_equal(sl_image_sink_open(NULL, text, &sink, NULL), 0);
    return sink;
}

static bool exists(const struct scratch_dir *d, const char *name)
{
    SL_AUTO_FREE char *path = scratch_path(d, name);
    return access(path, F_OK) == 0;
}

static struct sl_descriptor descriptor_of(size_t size)
{
    struct sl_descriptor d = {.size = size};
    assert_int_equal(sl_digest_parse(DIGEST, &d.digest, NULL), 0);
    return d;
}

static void layout_without_a_name_is_taken_back(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    struct sl_image_sink *sink = open_layout(&d, "a/b");
    struct sl_descriptor blob = descriptor_of(2);
    assert_int_equal(sl_image_sink_put_blob(sink, empty_object, &blob.digest, NULL), 0);
    assert_int_equal(sl_image_sink_put_manifest(sink, empty_object, "m", &blob.digest,
                                                /* named= */ false, NULL),
                     0);
    assert_int_equal(sl_image_sink_has_blob(sink, NULL, &blob, NULL), 1);
    assert_true(exists(&d, "a/b/oci-layout"));
    sl_image_sink_close(sink);
    assert_false(exists(&d, "a"));
}

static void layout_with_a_name_stays(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    struct sl_image_sink *sink = open_layout(&d, "a:t");
    struct sl_descriptor blob = descriptor_of(2);
    assert_int_equal(sl_image_sink_put_manifest(sink, empty_object, "m", &blob.digest,
                                                /* named= */ true, NULL),
                     0);
    sl_image_sink_close(sink);
    assert_true(exists(&d, "a/index.json"));
    assert_true(exists(&d, "a/blobs/sha256/"
                           "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"));
}

static void wrong_bytes_are_refused(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    struct sl_image_sink *sink = open_layout(&d, "a");
    struct sl_descriptor blob = descriptor_of(2);
    struct sl_error err = {0};
    assert_int_equal(sl_image_sink_put_blob(sink, sl_span_of("[]"), &blob.digest, &err), -EBADMSG);
    assert_int_equal(err.code, SL_E_INTEGRITY);
    sl_image_sink_close(sink);
    assert_false(exists(&d, "a"));
}

static void blob_cut_short_counts_as_missing(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    struct sl_image_sink *sink = open_layout(&d, "a");
    struct sl_descriptor blob = descriptor_of(2), larger = descriptor_of(3);
    assert_int_equal(sl_image_sink_put_blob(sink, empty_object, &blob.digest, NULL), 0);
    assert_int_equal(sl_image_sink_has_blob(sink, NULL, &larger, NULL), 0);
    sl_image_sink_close(sink);
}

static void layout_of_another_version_is_left_alone(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    scratch_write(&d, "a/oci-layout", "{\"imageLayoutVersion\":\"2.0.0\"}", 0644);
    struct sl_image_sink *sink = open_layout(&d, "a");
    struct sl_descriptor blob = descriptor_of(2);
    struct sl_error err = {0};
    assert_true(sl_image_sink_put_blob(sink, empty_object, &blob.digest, &err) < 0);
    assert_int_equal(err.code, SL_E_UNSUPPORTED);
    sl_image_sink_close(sink);
    assert_true(exists(&d, "a/oci-layout"));
    assert_false(exists(&d, "a/blobs"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_completed),
        cmocka_unit_test(digests_and_other_transports_are_refused),
        cmocka_unit_test(locations_are_resolved_and_checked),
        cmocka_unit_test(digest_is_added_to_the_query),
        cmocka_unit_test(stored_digest_must_be_ours_if_it_is_told),
        cmocka_unit_test(layout_without_a_name_is_taken_back),
        cmocka_unit_test(layout_with_a_name_stays),
        cmocka_unit_test(wrong_bytes_are_refused),
        cmocka_unit_test(blob_cut_short_counts_as_missing),
        cmocka_unit_test(layout_of_another_version_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
