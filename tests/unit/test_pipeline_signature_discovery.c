/* SPDX-License-Identifier: Apache-2.0 */
/* What ends a search. What one finds is for tests with real registries and real signatures. */
#include "signature_discovery.h"

#include "assert_result.h"
#include "scratch_dir.h"

#define MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define COSIGN "application/vnd.dev.cosign.simplesigning.v1+json"

struct trial {
    struct scratch_dir dir;
    struct sl_image_source *source;
    struct sl_judged_image image;
    struct sl_signatures found;
    atomic_bool stop;
};

/* "digest":…,"size":… of a blob that it adds. */
static char *add_blob(const struct trial *t, const char *text)
{
    struct sl_digest digest;
    struct sl_error err = {0};
    char hex[2 * SL_DIGEST_MAX + 1];
    assert_done(sl_digest_of(SL_SHA256, sl_span_of(text), &digest, &err));
    sl_digest_hex(&digest, hex);
    SL_AUTO_FREE char *name = sl_strf("blobs/sha256/%s", hex);
    scratch_write(&t->dir, name, text, 0644);
    return sl_strf("\"digest\":\"sha256:%s\",\"size\":%zu", hex, strlen(text));
}

/* A layout whose image has one signature by cosign's tag. */
static void open_trial(struct trial *t)
{
    struct sl_error err = {0};
    char hex[2 * SL_DIGEST_MAX + 1];
    *t = (struct trial){.dir = scratch_make(), .image = {.name = "oci:/x"}};
    assert_done(sl_digest_of(SL_SHA256, sl_span_of("image"), &t->image.manifest_digest, &err));
    sl_digest_hex(&t->image.manifest_digest, hex);
    SL_AUTO_FREE char *payload = add_blob(t, "{}");
    SL_AUTO_FREE char *artifact = sl_strf(
        "{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST
        "\",\"config\":{\"mediaType\":\"c/t\",%s},\"layers\":[{\"mediaType\":\"" COSIGN "\",%s}]}",
        payload, payload);
    SL_AUTO_FREE char *manifest = add_blob(t, artifact);
    SL_AUTO_FREE char *index = sl_strf(
        "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" MANIFEST
        "\",%s,\"annotations\":{\"org.opencontainers.image.ref.name\":\"sha256-%s.sig\"}}]}",
        manifest, hex);
    scratch_write(&t->dir, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}", 0644);
    scratch_write(&t->dir, "index.json", index, 0644);
    SL_AUTO_FREE char *name = sl_strf("oci:%s", t->dir.path);
    assert_done(sl_image_source_open(/* registry= */ NULL, name, &t->source, &err));
}

static void search(struct trial *t, int64_t deadline_ms)
{
    struct sl_error err = {0};
    const struct sl_signature_search search = {.source = t->source,
                                               .image = &t->image,
                                               .needs = {.sigstore = true},
                                               .stop = &t->stop,
                                               .deadline_ms = deadline_ms};
    assert_done(sl_signatures_discover(&search, &t->found, &err));
}

static void trial_done(struct trial *t)
{
    sl_signatures_done(&t->found);
    (void)sl_image_source_close(t->source);
    scratch_remove(&t->dir);
}

static void signature_is_found_in_time(void **state)
{
    (void)state;
    struct trial t;
    open_trial(&t);
    search(&t, sl_clock_ms() + 60 * 1000);
    assert_int_equal(t.found.n, 1);
    assert_int_equal(t.found.sigstore_failure.code, SL_OK);
    trial_done(&t);
}

static void nothing_is_asked_for_after_the_deadline(void **state)
{
    (void)state;
    struct trial t;
    open_trial(&t);
    search(&t, sl_clock_ms() - 1);
    assert_int_equal(t.found.n, 0);
    assert_int_equal(t.found.sigstore_failure.code, SL_E_NETWORK);
    assert_int_equal(t.found.sigstore_failure.errnum, ETIMEDOUT);
    trial_done(&t);
}

static void nothing_is_asked_for_once_it_is_stopped(void **state)
{
    (void)state;
    struct trial t;
    open_trial(&t);
    atomic_store(&t.stop, true);
    search(&t, sl_clock_ms() + 60 * 1000);
    assert_int_equal(t.found.n, 0);
    assert_int_equal(t.found.sigstore_failure.code, SL_E_CANCELLED);
    trial_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signature_is_found_in_time),
        cmocka_unit_test(nothing_is_asked_for_after_the_deadline),
        cmocka_unit_test(nothing_is_asked_for_once_it_is_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
