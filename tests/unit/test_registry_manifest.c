/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/limits.h"
#include "sluice/manifest.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define OCI_CONFIG "application/vnd.oci.image.config.v1+json"
/* Of "{}". */
#define EMPTY_DIGEST "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define CONFIG(type)                                                                               \
    "\"config\":{\"mediaType\":\"" type "\",\"digest\":\"" EMPTY_DIGEST "\",\"size\":2}"
#define LAYER "{\"mediaType\":\"x\",\"digest\":\"" EMPTY_DIGEST "\",\"size\":7}"
#define GOOD "{\"schemaVersion\":2," CONFIG(OCI_CONFIG) ",\"layers\":[" LAYER "]}"
#define WITH_LAYER(layer) "{\"schemaVersion\":2," CONFIG(OCI_CONFIG) ",\"layers\":[" layer "]}"

static struct sl_manifest *parse_ok(struct sl_span json, const char *media_type)
{
    struct sl_manifest *m = NULL;
    struct sl_error err = {0};
    if (sl_manifest_parse(json, media_type, &m, &err) != 0)
        fail_msg("%s", err.msg);
    return m;
}

static void assert_refused(const char *json, const char *media_type, enum sl_errc code,
                           const char *part_of_message)
{
    struct sl_manifest *m = NULL;
    struct sl_error err = {0};
    int r = sl_manifest_parse(sl_span_of(json), media_type, &m, &err);
    if (r >= 0)
        fail_msg("accepted: %s", json);
    assert_null(m);
    if (err.code != code || err.errnum != -r || !strstr(err.msg, part_of_message))
        fail_msg("%.200s: %s: %s", json, sl_errc_name(err.code), err.msg);
}

static void read_data(const char *path, struct sl_bytes *ret)
{
    struct sl_error err = {0};
    if (sl_read_file(AT_FDCWD, path, SL_MANIFEST_MAX, ret, &err) != 0)
        fail_msg("%s", err.msg);
}

static void manifest_by_umoci_is_read(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) json = {0};
    read_data(SL_TEST_DATA "/layouts/umoci/blobs/sha256/"
                           "291e4f18845b9eb797cd7d520d371adc50a5b9a158487c69b7cd188e3272854c",
              &json);
    SL_AUTO(sl_manifest) m = parse_ok(sl_bytes_span(&json), OCI_MANIFEST);
    char digest[SL_DIGEST_TEXT_MAX];
    sl_digest_format(&m->config.digest, digest);
    assert_string_equal(digest, "sha256:"
                                "ab90fcb1597f6129c16f0e5d3e0a0b8b349b35822f70c7c0b75c16477690f28c");
    assert_string_equal(m->media_type, OCI_MANIFEST);
    assert_int_equal(m->config.size, 523);
    assert_int_equal(m->n_layers, 1);
    assert_string_equal(m->layers[0].media_type, "application/vnd.oci.image.layer.v1.tar+gzip");
    assert_int_equal(m->layers[0].size, 98);
}

static void manifest_docker_schema2_by_skopeo_is_read(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) json = {0};
    read_data(SL_TEST_DATA "/manifests/skopeo-docker-v2s2.json", &json);
    SL_AUTO(sl_manifest) m = parse_ok(sl_bytes_span(&json), DOCKER_MANIFEST);
    assert_string_equal(m->media_type, DOCKER_MANIFEST);
    assert_int_equal(m->n_layers, 1);
    assert_string_equal(m->layers[0].media_type,
                        "application/vnd.docker.image.rootfs.diff.tar.gzip");
}

static void manifest_vague_content_types_say_nothing(void **state)
{
    (void)state;
    static const char *const types[] = {NULL,
                                        "",
                                        "application/json",
                                        "application/json; charset=utf-8",
                                        "text/plain",
                                        "application/octet-stream",
                                        OCI_MANIFEST "; charset=utf-8"};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        SL_AUTO(sl_manifest) m = parse_ok(sl_span_of(GOOD), types[i]);
        assert_string_equal(m->media_type, OCI_MANIFEST);
    }
}

static void manifest_without_own_type_takes_the_content_type(void **state)
{
    (void)state;
    SL_AUTO(sl_manifest) m = parse_ok(sl_span_of(GOOD), DOCKER_MANIFEST);
    assert_string_equal(m->media_type, DOCKER_MANIFEST);
}

static void manifest_annotations_are_found_by_name(void **state)
{
    (void)state;
    SL_AUTO(sl_manifest)
    m = parse_ok(sl_span_of(WITH_LAYER("{\"digest\":\"" EMPTY_DIGEST
                                       "\",\"size\":0,\"annotations\":{\"a\":\"1\",\"b\":\"\"}}")),
                 NULL);
    assert_string_equal(m->layers[0].media_type, "");
    assert_string_equal(sl_descriptor_annotation(&m->layers[0], "a"), "1");
    assert_string_equal(sl_descriptor_annotation(&m->layers[0], "b"), "");
    assert_null(sl_descriptor_annotation(&m->layers[0], "A"));
    assert_null(sl_descriptor_annotation(&m->config, "a"));
}

static void manifest_schema1_is_refused_with_advice(void **state)
{
    (void)state;
    assert_refused("{\"schemaVersion\":1,\"name\":\"a\",\"fsLayers\":[],\"history\":[]}", NULL,
                   SL_E_UNSUPPORTED, "docker schema 1 is not supported: ");
    assert_refused("{\"schemaVersion\":1}",
                   "application/vnd.docker.distribution.manifest.v1+prettyjws", SL_E_UNSUPPORTED,
                   "push it again");
    assert_refused(GOOD, "application/vnd.docker.distribution.manifest.v1+json", SL_E_UNSUPPORTED,
                   "docker schema 1");
}

static void manifest_that_is_also_an_index_is_refused(void **state)
{
    (void)state;
#define BOTH "{\"schemaVersion\":2," CONFIG(OCI_CONFIG) ",\"layers\":[],\"manifests\":[]}"
    assert_refused(BOTH, OCI_MANIFEST, SL_E_FORMAT, "ambiguous");
    assert_refused(BOTH, OCI_INDEX, SL_E_FORMAT, "ambiguous");
    assert_refused(BOTH, NULL, SL_E_FORMAT, "ambiguous");
    assert_refused("{\"schemaVersion\":2," CONFIG(OCI_CONFIG) ",\"layers\":[],\"fsLayers\":[]}",
                   NULL, SL_E_FORMAT, "ambiguous");
}

static void manifest_types_that_disagree_are_refused(void **state)
{
    (void)state;
#define TYPED(type)                                                                                \
    "{\"schemaVersion\":2,\"mediaType\":\"" type "\"," CONFIG(OCI_CONFIG) ",\"layers\":[]}"
    assert_refused(TYPED(OCI_MANIFEST), DOCKER_MANIFEST, SL_E_FORMAT, "was served as");
    assert_refused(TYPED(OCI_MANIFEST), OCI_INDEX, SL_E_FORMAT, "was served as");
    assert_refused(TYPED(OCI_INDEX), NULL, SL_E_FORMAT, "ambiguous");
    assert_refused(TYPED("text/html"), NULL, SL_E_UNSUPPORTED, "mediaType 'text/html'");
    assert_refused(GOOD, "text/html; charset=utf-8", SL_E_UNSUPPORTED, "Content-Type 'text/html");
    SL_AUTO(sl_manifest) m = parse_ok(sl_span_of(TYPED(OCI_MANIFEST)), OCI_MANIFEST);
    assert_int_equal(m->n_layers, 0);
}

static void manifest_index_in_its_place_is_refused(void **state)
{
    (void)state;
    assert_refused("{\"schemaVersion\":2,\"manifests\":[]}", NULL, SL_E_FORMAT, "an index stands");
}

static void manifest_of_artifact_is_refused(void **state)
{
    (void)state;
#define HELM "application/vnd.cncf.helm.config.v1+json"
#define EMPTY "application/vnd.oci.empty.v1+json"
#define ARTIFACT "\"artifactType\":\"application/x.chart\","
    assert_refused("{\"schemaVersion\":2," ARTIFACT CONFIG(EMPTY) ",\"layers\":[]}", NULL,
                   SL_E_UNSUPPORTED, "application/x.chart");
    assert_refused("{\"schemaVersion\":2," CONFIG(HELM) ",\"layers\":[]}", NULL, SL_E_UNSUPPORTED,
                   "not a container image");
}

static void manifest_bad_members_are_refused(void **state)
{
    (void)state;
#define D "\"digest\":\"" EMPTY_DIGEST "\""
    static const struct {
        const char *json;
        enum sl_errc code;
        const char *part;
    } cases[] = {
        {"", SL_E_FORMAT, "manifest"},
        {"[]", SL_E_FORMAT, "not a JSON object"},
        {"{}", SL_E_FORMAT, "schemaVersion"},
        {"{\"schemaVersion\":\"2\"}", SL_E_FORMAT, "schemaVersion"},
        {"{\"schemaVersion\":3}", SL_E_UNSUPPORTED, "schemaVersion 3"},
        {"{\"schemaVersion\":2}", SL_E_FORMAT, "config: not an object"},
        {"{\"schemaVersion\":2,\"mediaType\":7}", SL_E_FORMAT, "mediaType"},
        {"{\"schemaVersion\":2," CONFIG(OCI_CONFIG) "}", SL_E_FORMAT, "'layers'"},
        {"{\"schemaVersion\":2," CONFIG(OCI_CONFIG) ",\"layers\":{}}", SL_E_FORMAT, "'layers'"},
        {WITH_LAYER("7"), SL_E_FORMAT, "layer 1/1: not an object"},
        {WITH_LAYER("{\"size\":1}"), SL_E_FORMAT, "layer 1/1"},
        {WITH_LAYER("{\"digest\":\"sha256:..\",\"size\":1}"), SL_E_FORMAT, "layer 1/1"},
        {WITH_LAYER("{\"digest\":\"sha256:../../../etc/passwd\",\"size\":1}"), SL_E_FORMAT, "1/1"},
        {WITH_LAYER("{" D "}"), SL_E_FORMAT, "size"},
        {WITH_LAYER("{" D ",\"size\":-1}"), SL_E_FORMAT, "size"},
        {WITH_LAYER("{" D ",\"size\":1.5}"), SL_E_FORMAT, "size"},
        {WITH_LAYER("{" D ",\"size\":\"1\"}"), SL_E_FORMAT, "size"},
        {WITH_LAYER("{" D ",\"size\":9223372036854775808}"), SL_E_FORMAT, "size"},
        {WITH_LAYER("{" D ",\"size\":1,\"size\":2}"), SL_E_FORMAT, "manifest"},
        {WITH_LAYER("{" D ",\"size\":1,\"mediaType\":[]}"), SL_E_FORMAT, "mediaType"},
        {WITH_LAYER("{" D ",\"size\":1,\"annotations\":[1]}"), SL_E_FORMAT, "annotations"},
        {WITH_LAYER("{" D ",\"size\":1,\"annotations\":{\"a\":1}}"), SL_E_FORMAT, "'a'"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_refused(cases[i].json, NULL, cases[i].code, cases[i].part);
}

static void manifest_embedded_data_is_verified(void **state)
{
    (void)state;
#define DATA(size, data) "{" D ",\"size\":" size ",\"data\":" data "}"
    SL_AUTO(sl_manifest) m = parse_ok(sl_span_of(WITH_LAYER(DATA("2", "\"e30=\""))), NULL);
    assert_int_equal(m->n_layers, 1);
    assert_refused(WITH_LAYER(DATA("2", "\"e31=\"")), NULL, SL_E_FORMAT, "data");
    assert_refused(WITH_LAYER(DATA("2", "\"W10=\"")), NULL, SL_E_INTEGRITY, "digest is");
    assert_refused(WITH_LAYER(DATA("3", "\"e30=\"")), NULL, SL_E_INTEGRITY, "2 bytes");
    assert_refused(WITH_LAYER(DATA("2", "{}")), NULL, SL_E_FORMAT, "data");
}

/* A manifest with n layers, the first of which has an annotation of len bytes. */
static void build(struct sl_bytes *b, size_t n, size_t annotation)
{
    const size_t max = 64 * 1024 * 1024;
    int r = sl_bytes_append(b, sl_span_of("{\"schemaVersion\":2," CONFIG(OCI_CONFIG)), max, NULL);
    r |= sl_bytes_append(b, sl_span_of(",\"layers\":[{" D ",\"size\":1,\"annotations\":{\"a\":\""),
                         max, NULL);
    for (size_t i = 0; i < annotation; i++)
        r |= sl_bytes_append(b, sl_span_of("x"), max, NULL);
    r |= sl_bytes_append(b, sl_span_of("\"}}"), max, NULL);
    for (size_t i = 1; i < n; i++)
        r |= sl_bytes_append(b, sl_span_of("," LAYER), max, NULL);
    r |= sl_bytes_append(b, sl_span_of("]}"), max, NULL);
    assert_int_equal(r, 0);
}

static void manifest_layers_are_limited(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) most = {0};
    build(&most, SL_LAYERS_MAX, 1);
    SL_AUTO(sl_manifest) m = parse_ok(sl_bytes_span(&most), NULL);
    assert_int_equal(m->n_layers, SL_LAYERS_MAX);
    SL_AUTO_DONE(sl_bytes) more = {0};
    build(&more, SL_LAYERS_MAX + 1, 1);
    assert_refused((const char *)more.data, NULL, SL_E_LIMIT, "501 layers, the limit is 500");
}

static void manifest_annotation_values_are_limited(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) most = {0};
    build(&most, 1, 256 * 1024);
    SL_AUTO(sl_manifest) m = parse_ok(sl_bytes_span(&most), NULL);
    assert_int_equal(strlen(sl_descriptor_annotation(&m->layers[0], "a")), 256 * 1024);
    SL_AUTO_DONE(sl_bytes) more = {0};
    build(&more, 1, 256 * 1024 + 1);
    assert_refused((const char *)more.data, NULL, SL_E_LIMIT, "too long");
}

static void manifest_text_is_limited(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) json = {0};
    build(&json, 1, SL_MANIFEST_MAX);
    assert_refused((const char *)json.data, NULL, SL_E_LIMIT, "manifest");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manifest_by_umoci_is_read),
        cmocka_unit_test(manifest_docker_schema2_by_skopeo_is_read),
        cmocka_unit_test(manifest_vague_content_types_say_nothing),
        cmocka_unit_test(manifest_without_own_type_takes_the_content_type),
        cmocka_unit_test(manifest_annotations_are_found_by_name),
        cmocka_unit_test(manifest_schema1_is_refused_with_advice),
        cmocka_unit_test(manifest_that_is_also_an_index_is_refused),
        cmocka_unit_test(manifest_types_that_disagree_are_refused),
        cmocka_unit_test(manifest_index_in_its_place_is_refused),
        cmocka_unit_test(manifest_of_artifact_is_refused),
        cmocka_unit_test(manifest_bad_members_are_refused),
        cmocka_unit_test(manifest_embedded_data_is_verified),
        cmocka_unit_test(manifest_layers_are_limited),
        cmocka_unit_test(manifest_annotation_values_are_limited),
        cmocka_unit_test(manifest_text_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
