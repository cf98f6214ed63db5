/* SPDX-License-Identifier: Apache-2.0 */
/* Names, and the walk from a name to a verified manifest and config. */
#include "fake_docker_source.h"

#include "sluice/core/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scratch_dir.h"

#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define OTHER_DIGEST "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define CONFIG(os, arch, diff_ids)                                                                 \
    "{\"os\":\"" os "\",\"architecture\":\"" arch "\",\"rootfs\":{\"type\":\"layers\","            \
    "\"diff_ids\":[" diff_ids "]}}"

/* No engine is needed by the fake. */
static struct sl_registry *registry = (struct sl_registry *)&registry;

/* ---- documents ---- */

struct text_digest {
    char text[SL_DIGEST_TEXT_MAX];
};

static struct text_digest digest_of(const char *text)
{
    struct text_digest ret;
    struct sl_digest digest;
    assert_int_equal(sl_digest_of(SL_SHA256, sl_span_of(text), &digest, NULL), 0);
    sl_digest_format(&digest, ret.text);
    return ret;
}

/* All to be freed. */
static char *manifest_for(const char *config)
{
    return sl_strf("{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.image."
                   "config.v1+json\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[]}",
                   digest_of(config).text, strlen(config));
}

static char *index_of(const char *media_type, const char *document, const char *platform)
{
    return sl_strf("{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"%s\",\"digest\":\"%s\","
                   "\"size\":%zu%s}]}",
                   media_type, digest_of(document).text, strlen(document), platform);
}

#define FOR_AMD64 ",\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}"

static int resolve(const char *name, struct sl_resolved_image **ret, struct sl_error *err)
{
    char architecture[] = "amd64";
    const struct sl_platform platform = {.architecture = architecture};
    SL_AUTO(sl_image_source) src = NULL;
    int r = sl_image_source_open(registry, name, &src, err);
    return r < 0 ? r : sl_image_source_resolve(src, &platform, ret, err);
}

static struct sl_resolved_image *resolve_ok(const char *name)
{
    struct sl_resolved_image *image = NULL;
    struct sl_error err = {0};
    if (resolve(name, &image, &err) != 0)
        fail_msg("%s", err.msg);
    return image;
}

static void assert_resolve_fails(const char *name, enum sl_errc code, const char *part)
{
    struct sl_resolved_image *image = NULL;
    struct sl_error err = {0};
    int r = resolve(name, &image, &err);
    if (r >= 0)
        fail_msg("%s was resolved", name);
    assert_null(image);
    if (err.code != code || err.errnum != -r || !strstr(err.msg, part))
        fail_msg("%s: %s: %s", name, sl_errc_name(err.code), err.msg);
}

static void assert_digest_is(const struct sl_digest *digest, const char *expected)
{
    char text[SL_DIGEST_TEXT_MAX];
    sl_digest_format(digest, text);
    assert_string_equal(text, expected);
}

/* ---- names ---- */

static void assert_name(const char *text, const char *name)
{
    SL_AUTO(sl_image_source) src = NULL;
    struct sl_error err = {0};
    if (sl_image_source_open(registry, text, &src, &err) != 0)
        fail_msg("%s: %s", text, err.msg);
    assert_string_equal(sl_image_source_name(src), name);
}

static void assert_open_fails(const char *text, enum sl_errc code, const char *part)
{
    struct sl_image_source *src = NULL;
    struct sl_error err = {0};
    int r = sl_image_source_open(registry, text, &src, &err);
    assert_true(r < 0);
    assert_null(src);
    if (err.code != code || err.errnum != -r || !strstr(err.msg, part))
        fail_msg("%s: %s: %s", text, sl_errc_name(err.code), err.msg);
}

static void source_names_are_canonical(void **state)
{
    (void)state;
    assert_name("busybox", "docker.io/library/busybox:latest");
    assert_name("docker://busybox", "docker.io/library/busybox:latest");
    assert_string_equal(fake_docker_reference(), "docker.io/library/busybox:latest");
    assert_name("docker://test:5000/a/b:c", "test:5000/a/b:c");
    assert_name("oci:/tmp", "oci:/tmp");
    assert_name("oci:/tmp:a:b", "oci:/tmp:a:b");
    assert_name("oci:/tmp@" OTHER_DIGEST, "oci:/tmp@" OTHER_DIGEST);
}

static void link_to(const struct scratch_dir *d, const char *target, const char *name)
{
    SL_AUTO_FREE char *path = scratch_path(d, name);
    assert_int_equal(symlink(target, path), 0);
}

/* A policy must find the same scope by whatever way one comes. */
static void source_layouts_are_named_by_their_real_directory(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    scratch_write(&d, "real/file", "", 0644);
    scratch_write(&d, "a:b/file", "", 0644);
    scratch_write(&d, "a@sha256/file", "", 0644);
    link_to(&d, "real", "link");
    link_to(&d, "a:b", "colon");
    link_to(&d, "a@sha256", "digest");
    SL_AUTO_FREE char *name = sl_strf("oci:%s/real:tag", d.path);
    SL_AUTO_FREE char *by_digest = sl_strf("oci:%s/real@" OTHER_DIGEST, d.path);
    SL_AUTO_FREE char *was = getcwd(NULL, 0);
    assert_int_equal(chdir(d.path), 0);
    assert_name("oci:real:tag", name);
    assert_name("oci:./link/../link//:tag", name);
    assert_name("oci:link@" OTHER_DIGEST, by_digest);
    SL_AUTO_FREE char *canonical = sl_image_canonical_name("oci:link:tag");
    assert_string_equal(canonical, name);
    assert_null(sl_image_canonical_name("oci:none:tag"));
    assert_open_fails("oci:none:tag", SL_E_SYSTEM, "none");
    assert_open_fails("oci:colon:tag", SL_E_UNSUPPORTED, "rename it");
    assert_open_fails("oci:digest:tag", SL_E_UNSUPPORTED, "rename it");
    assert_int_equal(chdir(was), 0);
}

static void source_host_is_explicit_when_written_or_with_a_transport(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_explicit;
    } cases[] = {{"busybox", false},    {"a/b:tag", false},    {"docker.io/busybox", true},
                 {"localhost/b", true}, {"test:5000/a", true}, {"docker://busybox", true}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO(sl_image_source) src = NULL;
        assert_int_equal(sl_image_source_open(registry, cases[i].text, &src, NULL), 0);
        if (fake_docker_host_was_explicit() != cases[i].is_explicit)
            fail_msg("%s", cases[i].text);
    }
}

static void source_transports_of_others_are_refused(void **state)
{
    (void)state;
    assert_open_fails("docker-archive:/a.tar", SL_E_UNSUPPORTED, "transport");
    assert_open_fails("oci-archive:/a.tar", SL_E_UNSUPPORTED, "transport");
    assert_open_fails("dir:/a", SL_E_UNSUPPORTED, "transport");
    assert_open_fails("https://github.com/docker/docker", SL_E_UNSUPPORTED, "transport");
    assert_open_fails("docker://docker://a", SL_E_FORMAT, "image reference");
    assert_open_fails("docker://", SL_E_FORMAT, "empty");
    assert_open_fails("", SL_E_FORMAT, "empty");
    assert_open_fails("Busybox", SL_E_FORMAT, "lower case");
}

/* ---- resolving ---- */

static void resolve_manifest_by_tag_hashes_it(void **state)
{
    (void)state;
    static const char config[] = CONFIG("linux", "amd64", "");
    SL_AUTO_FREE char *manifest = manifest_for(config);
    const struct fake_document served[] = {{.text = manifest, .media_type = OCI_MANIFEST}, {0}};
    fake_docker_serve(served, config);
    SL_AUTO(sl_resolved_image) image = resolve_ok("busybox");
    assert_digest_is(&image->manifest_digest, digest_of(manifest).text);
    assert_false(image->has_index_digest);
    assert_string_equal((const char *)image->manifest_json.data, manifest);
    assert_string_equal((const char *)image->config_json.data, config);
    assert_string_equal(image->config->architecture, "amd64");
}

static void resolve_name_becomes_the_one_that_was_served(void **state)
{
    (void)state;
    static const char config[] = CONFIG("linux", "amd64", "");
    SL_AUTO_FREE char *manifest = manifest_for(config);
    const struct fake_document served[] = {{.text = manifest}, {0}};
    fake_docker_serve(served, config);
    fake_docker_serve_as("registry.example/team/busybox:latest");
    SL_AUTO(sl_image_source) src = NULL;
    SL_AUTO(sl_resolved_image) image = NULL;
    assert_int_equal(sl_image_source_open(registry, "busybox", &src, NULL), 0);
    assert_string_equal(sl_image_source_name(src), "docker.io/library/busybox:latest");
    assert_int_equal(sl_image_source_resolve(src, NULL, &image, NULL), 0);
    assert_string_equal(sl_image_source_name(src), "registry.example/team/busybox:latest");
}

static void resolve_promised_digest_is_checked(void **state)
{
    (void)state;
    static const char config[] = CONFIG("linux", "amd64", "");
    SL_AUTO_FREE char *manifest = manifest_for(config);
    struct text_digest right = digest_of(manifest);
    struct fake_document served[] = {{.text = manifest, .promised = OTHER_DIGEST}, {0}};
    fake_docker_serve(served, config);
    assert_resolve_fails("busybox", SL_E_INTEGRITY, "expected " OTHER_DIGEST);
    served[0].promised = right.text;
    SL_AUTO(sl_resolved_image) image = resolve_ok("busybox");
    assert_digest_is(&image->manifest_digest, right.text);
}

static void resolve_by_digest_never_trusts_the_answer(void **state)
{
    (void)state;
    static const char config[] = CONFIG("linux", "amd64", "");
    SL_AUTO_FREE char *manifest = manifest_for(config);
    struct text_digest right = digest_of(manifest);
    struct fake_document served[] = {{.digest = OTHER_DIGEST, .text = manifest}, {0}};
    fake_docker_serve(served, config);
    assert_resolve_fails("busybox:tag@" OTHER_DIGEST, SL_E_INTEGRITY, "expected " OTHER_DIGEST);
    /* Not even when the header agrees with the body. */
    served[0].promised = right.text;
    assert_resolve_fails("busybox:tag@" OTHER_DIGEST, SL_E_INTEGRITY, "expected " OTHER_DIGEST);
    served[0].digest = right.text;
    SL_AUTO_FREE char *name = sl_strf("busybox:tag@%s", right.text);
    SL_AUTO(sl_resolved_image) image = resolve_ok(name);
    assert_digest_is(&image->manifest_digest, right.text);
}

static void resolve_follows_an_index_by_platform(void **state)
{
    (void)state;
    static const char config[] = CONFIG("linux", "amd64", "");
    SL_AUTO_FREE char *manifest = manifest_for(config);
    SL_AUTO_FREE char *index = index_of(OCI_MANIFEST, manifest, FOR_AMD64);
    struct text_digest digest = digest_of(manifest);
    struct fake_document served[] = {
        {.text = index, .media_type = OCI_INDEX}, {.digest = digest.text, .text = manifest}, {0}};
    fake_docker_serve(served, config);
    SL_AUTO(sl_resolved_image) image = resolve_ok("busybox");
    assert_digest_is(&image->manifest_digest, digest.text);
    assert_true(image->has_index_digest);
    assert_digest_is(&image->index_digest, digest_of(index).text);
    assert_string_equal((const char *)image->index_json.data, index);
    /* Content and type of what the index led to are held against its promise. */
    served[1].media_type = DOCKER_MANIFEST;
    assert_resolve_fails("busybox", SL_E_FORMAT, "the index announces");
    served[1] = (struct fake_document){.digest = digest.text, .text = index};
    assert_resolve_fails("busybox", SL_E_INTEGRITY, "its descriptor says");
}

static void resolve_same_size_other_content_fails_with_integrity(void **state)
{
    (void)state;
    static const char config[] = CONFIG("linux", "amd64", "");
    SL_AUTO_FREE char *manifest = manifest_for(config);
    SL_AUTO_FREE char *index = index_of(OCI_MANIFEST, manifest, FOR_AMD64);
    SL_AUTO_FREE char *forged = strdup(manifest);
    struct text_digest digest = digest_of(manifest);
    forged[strlen(forged) - 1] = ' ';
    const struct fake_document served[] = {
        {.text = index}, {.digest = digest.text, .text = forged}, {0}};
    fake_docker_serve(served, config);
    assert_resolve_fails("busybox", SL_E_INTEGRITY, digest.text);
}

/* A manifest below n indexes. */
static void serve_nested(struct fake_document *served, char **texts, struct text_digest *digests,
                         size_t n, const char *config)
{
    texts[0] = manifest_for(config);
    for (size_t i = 1; i <= n; i++)
        texts[i] = index_of(i == 1 ? OCI_MANIFEST : OCI_INDEX, texts[i - 1], "");
    for (size_t i = 0; i <= n; i++) {
        digests[i] = digest_of(texts[i]);
        served[i] =
            (struct fake_document){.digest = i < n ? digests[i].text : NULL, .text = texts[i]};
    }
    served[n + 1] = (struct fake_document){0};
    fake_docker_serve(served, config);
}

static void resolve_nested_indexes_up_to_a_depth(void **state)
{
    (void)state;
    static const char config[] = CONFIG("linux", "amd64", "");
    struct fake_document served[8];
    struct text_digest digests[8];
    for (size_t n = 1; n <= 5; n++) {
        char *texts[8] = {NULL};
        serve_nested(served, texts, digests, n, config);
        if (n <= 4) {
            SL_AUTO(sl_resolved_image) image = resolve_ok("busybox");
            assert_digest_is(&image->index_digest, digests[n].text);
            assert_digest_is(&image->index_digest,
                             digest_of((const char *)image->index_json.data).text);
            assert_digest_is(&image->manifest_digest, digests[0].text);
        } else {
            assert_resolve_fails("busybox", SL_E_LIMIT, "more than 4 indexes");
        }
        for (size_t i = 0; i < 8; i++)
            free(texts[i]);
    }
}

/* Whoever asks for signatures first does not read the config of an image he may refuse. */
static void find_leaves_the_config_until_it_is_fetched(void **state)
{
    (void)state;
    static const char config[] = CONFIG("linux", "amd64", "");
    SL_AUTO_FREE char *manifest = manifest_for(config);
    const struct fake_document served[] = {{.text = manifest, .media_type = OCI_MANIFEST}, {0}};
    SL_AUTO(sl_image_source) src = NULL;
    SL_AUTO(sl_resolved_image) image = NULL;
    struct sl_error err = {0};
    fake_docker_serve(served, "not the config");
    assert_int_equal(sl_image_source_open(registry, "busybox", &src, NULL), 0);
    assert_int_equal(sl_image_source_find(src, NULL, &image, NULL), 0);
    assert_digest_is(&image->manifest_digest, digest_of(manifest).text);
    assert_int_equal(sl_image_source_fetch_config(src, image, &err), -EBADMSG);
    assert_int_equal(err.code, SL_E_INTEGRITY);
    assert_null(image->config);
    assert_null(image->config_json.data);
    fake_docker_serve(served, config);
    assert_int_equal(sl_image_source_fetch_config(src, image, NULL), 0);
    assert_string_equal((const char *)image->config_json.data, config);
    assert_string_equal(image->config->architecture, "amd64");
}

struct kept {
    const char *texts[2];
    unsigned asked;
};

static bool find_kept(void *arg, const struct sl_digest *digest, struct sl_bytes *ret)
{
    struct kept *kept = arg;
    char text[SL_DIGEST_TEXT_MAX];
    sl_digest_format(digest, text);
    kept->asked++;
    for (size_t i = 0; i < 2; i++)
        if (kept->texts[i] && !strcmp(digest_of(kept->texts[i]).text, text))
            return sl_bytes_append(ret, sl_span_of(kept->texts[i]), SIZE_MAX / 2, NULL) == 0;
    return false;
}

static void resolve_takes_what_is_known_from_the_caller(void **state)
{
    (void)state;
    static const char config[] = CONFIG("linux", "amd64", "");
    SL_AUTO_FREE char *manifest = manifest_for(config);
    SL_AUTO_FREE char *index = index_of(OCI_MANIFEST, manifest, FOR_AMD64);
    const struct fake_document served[] = {{.text = index, .media_type = OCI_INDEX}, {0}};
    struct kept kept = {.texts = {manifest, config}};
    const struct sl_known_documents known = {.find = find_kept, .arg = &kept};
    char architecture[] = "amd64";
    const struct sl_platform platform = {.architecture = architecture};
    SL_AUTO(sl_image_source) src = NULL;
    SL_AUTO(sl_resolved_image) image = NULL;
    struct sl_error err = {0};
    fake_docker_serve(served, "not the config");
    assert_int_equal(sl_image_source_open(registry, "busybox", &src, NULL), 0);
    sl_image_source_set_known(src, &known);
    if (sl_image_source_resolve(src, &platform, &image, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(kept.asked, 2);
    assert_string_equal((const char *)image->manifest_json.data, manifest);
    assert_string_equal((const char *)image->config_json.data, config);
    assert_true(image->has_index_digest);
}

/* Also where the name has its digest: whoever may not have the image must hear so. */
static void resolve_can_be_told_to_fetch_the_first_document_always(void **state)
{
    (void)state;
    static const char config[] = CONFIG("linux", "amd64", "");
    static const struct fake_document nothing[] = {{0}};
    SL_AUTO_FREE char *manifest = manifest_for(config);
    struct text_digest digest = digest_of(manifest);
    const struct fake_document served[] = {
        {.digest = digest.text, .text = manifest, .media_type = OCI_MANIFEST}, {0}};
    struct kept kept = {.texts = {manifest, config}};
    const struct sl_known_documents known = {
        .find = find_kept, .arg = &kept, .first_is_fetched = true};
    SL_AUTO_FREE char *name = sl_strf("busybox@%s", digest.text);
    SL_AUTO(sl_image_source) src = NULL;
    SL_AUTO(sl_resolved_image) image = NULL;
    fake_docker_serve(nothing, "not the config");
    assert_int_equal(sl_image_source_open(registry, name, &src, NULL), 0);
    sl_image_source_set_known(src, &known);
    assert_true(sl_image_source_resolve(src, NULL, &image, NULL) < 0);
    assert_int_equal(kept.asked, 0);
    fake_docker_serve(served, "not the config");
    assert_int_equal(sl_image_source_resolve(src, NULL, &image, NULL), 0);
    assert_int_equal(kept.asked, 1);
    assert_string_equal((const char *)image->config_json.data, config);
}

static void resolve_config_with_other_digest_fails_with_integrity(void **state)
{
    (void)state;
    static const char config[] = CONFIG("linux", "amd64", "");
    SL_AUTO_FREE char *manifest = manifest_for(config);
    const struct fake_document served[] = {{.text = manifest}, {0}};
    fake_docker_serve(served, CONFIG("linux", "arm64", ""));
    assert_resolve_fails("busybox", SL_E_INTEGRITY, "image config: digest is");
}

static void resolve_config_too_large_is_not_fetched(void **state)
{
    (void)state;
    static const char manifest[] =
        "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+"
        "json\",\"digest\":\"" OTHER_DIGEST "\",\"size\":4194305},\"layers\":[]}";
    const struct fake_document served[] = {{.text = manifest}, {0}};
    fake_docker_serve(served, "{}");
    assert_resolve_fails("busybox", SL_E_LIMIT, "image config of 4194305 bytes");
}

static void assert_config_refused(const char *config, const char *platform, enum sl_errc code,
                                  const char *part)
{
    SL_AUTO_FREE char *manifest = manifest_for(config);
    SL_AUTO_FREE char *index = index_of(OCI_MANIFEST, manifest, platform ? platform : "");
    struct text_digest digest = digest_of(manifest);
    struct fake_document served[] = {
        {.text = platform ? index : manifest}, {.digest = digest.text, .text = manifest}, {0}};
    fake_docker_serve(served, config);
    assert_resolve_fails("busybox", code, part);
}

static void resolve_config_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    assert_config_refused(CONFIG("windows", "amd64", ""), NULL, SL_E_UNSUPPORTED, "'windows'");
    assert_config_refused("{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}", NULL,
                          SL_E_UNSUPPORTED, "only linux");
    assert_config_refused(CONFIG("linux", "amd64", "\"" OTHER_DIGEST "\""), NULL, SL_E_FORMAT,
                          "1 diff_ids for 0 layers");
    assert_config_refused(CONFIG("windows", "amd64", ""), FOR_AMD64, SL_E_UNSUPPORTED, "'windows'");
}

static void resolve_other_architecture_without_index_is_allowed(void **state)
{
    (void)state;
    static const char config[] = CONFIG("linux", "s390x", "");
    SL_AUTO_FREE char *manifest = manifest_for(config);
    const struct fake_document served[] = {{.text = manifest}, {0}};
    fake_docker_serve(served, config);
    SL_AUTO(sl_resolved_image) image = resolve_ok("busybox");
    assert_string_equal(image->config->architecture, "s390x");
}

/* As containers/image, which only warns. */
static void resolve_other_architecture_than_the_index_says_is_allowed(void **state)
{
    (void)state;
    static const char config[] = CONFIG("linux", "arm64", "");
    SL_AUTO_FREE char *manifest = manifest_for(config);
    SL_AUTO_FREE char *index = index_of(OCI_MANIFEST, manifest, FOR_AMD64);
    struct text_digest digest = digest_of(manifest);
    const struct fake_document served[] = {
        {.text = index}, {.digest = digest.text, .text = manifest}, {0}};
    fake_docker_serve(served, config);
    SL_AUTO(sl_resolved_image) image = resolve_ok("busybox");
    assert_string_equal(image->config->architecture, "arm64");
}

static void resolve_errors_begin_with_the_name(void **state)
{
    (void)state;
    const struct fake_document served[] = {{0}};
    fake_docker_serve(served, "");
    assert_resolve_fails("busybox", SL_E_NETWORK, "docker.io/library/busybox:latest: manifest");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(source_names_are_canonical),
        cmocka_unit_test(source_layouts_are_named_by_their_real_directory),
        cmocka_unit_test(source_host_is_explicit_when_written_or_with_a_transport),
        cmocka_unit_test(source_transports_of_others_are_refused),
        cmocka_unit_test(resolve_manifest_by_tag_hashes_it),
        cmocka_unit_test(resolve_name_becomes_the_one_that_was_served),
        cmocka_unit_test(resolve_promised_digest_is_checked),
        cmocka_unit_test(resolve_by_digest_never_trusts_the_answer),
        cmocka_unit_test(resolve_follows_an_index_by_platform),
        cmocka_unit_test(resolve_same_size_other_content_fails_with_integrity),
        cmocka_unit_test(resolve_nested_indexes_up_to_a_depth),
        cmocka_unit_test(find_leaves_the_config_until_it_is_fetched),
        cmocka_unit_test(resolve_takes_what_is_known_from_the_caller),
        cmocka_unit_test(resolve_can_be_told_to_fetch_the_first_document_always),
        cmocka_unit_test(resolve_config_with_other_digest_fails_with_integrity),
        cmocka_unit_test(resolve_config_too_large_is_not_fetched),
        cmocka_unit_test(resolve_config_that_does_not_fit_is_refused),
        cmocka_unit_test(resolve_other_architecture_without_index_is_allowed),
        cmocka_unit_test(resolve_other_architecture_than_the_index_says_is_allowed),
        cmocka_unit_test(resolve_errors_begin_with_the_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
