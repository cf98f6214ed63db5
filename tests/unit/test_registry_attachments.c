/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests of artifacts, lists of referrers, and the header that leads to their next page. */
#include "link_header.h"
#include "referrers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEX "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define DIGEST "sha256:" HEX
#define MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define CONFIG "\"config\":{\"mediaType\":\"c/t\",\"digest\":\"" DIGEST "\",\"size\":2}"
#define LAYER "{\"mediaType\":\"l/t\",\"digest\":\"" DIGEST "\",\"size\":2"
#define ARTIFACT(more) "{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST "\"," more "}"
#define INDEX(entries) "{\"schemaVersion\":2,\"manifests\":[" entries "]}"
#define ENTRY(digit, more)                                                                         \
    "{\"mediaType\":\"" MANIFEST "\",\"digest\":\"sha256:" digit                                   \
    "4136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":7" more "}"

/* ---- artifacts ---- */

static void assert_refused(const char *json, enum sl_errc code, const char *part)
{
    struct sl_artifact *artifact = NULL;
    struct sl_error err = {0};
    int r = sl_artifact_parse(sl_span_of(json), &artifact, &err);
    if (r >= 0)
        fail_msg("accepted: %.200s", json);
    assert_null(artifact);
    if (err.code != code || err.errnum != -r || !strstr(err.msg, part))
        fail_msg("%.200s: %s: %s", json, sl_errc_name(err.code), err.msg);
}

static struct sl_artifact *parse_ok(const char *json)
{
    struct sl_artifact *artifact = NULL;
    struct sl_error err = {0};
    if (sl_artifact_parse(sl_span_of(json), &artifact, &err) < 0)
        fail_msg("%s", err.msg);
    return artifact;
}

static void artifact_type_is_its_own_or_its_configs(void **state)
{
    (void)state;
    static const struct {
        const char *json, *type;
    } cases[] = {
        {ARTIFACT(CONFIG ",\"layers\":[]"), "c/t"},
        {ARTIFACT(CONFIG ",\"layers\":[],\"artifactType\":\"a/t\""), "a/t"},
        {ARTIFACT(CONFIG ",\"layers\":[],\"artifactType\":\"\""), "c/t"},
        {ARTIFACT(CONFIG ",\"layers\":[],\"artifactType\":null"), "c/t"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO(sl_artifact) artifact = parse_ok(cases[i].json);
        assert_string_equal(artifact->artifact_type, cases[i].type);
    }
    assert_refused(ARTIFACT(CONFIG ",\"layers\":[],\"artifactType\":7"), SL_E_FORMAT,
                   "artifactType");
    assert_refused(ARTIFACT("\"layers\":[]"), SL_E_FORMAT, "config");
}

static void artifact_layers_and_subject_are_read(void **state)
{
    (void)state;
    SL_AUTO(sl_artifact) artifact =
        parse_ok(ARTIFACT(CONFIG ",\"layers\":[" LAYER ",\"urls\":[]}," LAYER
                                 ",\"annotations\":{\"k\":\"v\"}}],\"subject\":" LAYER "}"));
    struct sl_digest digest;
    assert_int_equal(sl_digest_parse(DIGEST, &digest, NULL), 0);
    assert_int_equal(artifact->n_layers, 2);
    assert_string_equal(artifact->layers[0].media_type, "l/t");
    assert_string_equal(sl_descriptor_annotation(&artifact->layers[1], "k"), "v");
    assert_true(artifact->has_subject);
    assert_true(sl_digest_is_equal(&artifact->subject, &digest));
    SL_AUTO(sl_artifact) other = parse_ok(ARTIFACT(CONFIG ",\"layers\":[],\"subject\":null"));
    assert_false(other->has_subject);
    assert_refused(ARTIFACT(CONFIG ",\"layers\":[],\"subject\":{\"digest\":\"sha256:../x\"}"),
                   SL_E_FORMAT, "subject");
    assert_refused(ARTIFACT(CONFIG ",\"layers\":[],\"subject\":7"), SL_E_FORMAT, "subject");
}

static void artifact_that_is_none_is_refused(void **state)
{
    (void)state;
    assert_refused("{", SL_E_FORMAT, "");
    assert_refused(ARTIFACT(CONFIG), SL_E_FORMAT, "layers");
    assert_refused(ARTIFACT(CONFIG ",\"layers\":[],\"manifests\":[]"), SL_E_FORMAT, "ambiguous");
    assert_refused(INDEX(""), SL_E_UNSUPPORTED, "OCI image manifest");
    assert_refused("{\"schemaVersion\":2,\"mediaType\":\"application/vnd.docker.distribution."
                   "manifest.v2+json\"," CONFIG ",\"layers\":[]}",
                   SL_E_UNSUPPORTED, "docker");
    assert_refused(ARTIFACT(CONFIG ",\"layers\":[" LAYER ",\"urls\":[\"http://a/\"]}]"),
                   SL_E_FORMAT, "urls");
    assert_refused(ARTIFACT(CONFIG ",\"layers\":[" LAYER ",\"urls\":\"http://a/\"}]"), SL_E_FORMAT,
                   "urls");
}

/* n layers; each with annotations that hold so many bytes. */
static char *artifact_of(size_t n, size_t annotation)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    SL_AUTO_FREE char *value = calloc(1, annotation + 1);
    assert_non_null(value);
    memset(value, 'x', annotation);
    SL_AUTO_FREE char *layer =
        sl_strf("%s,\"annotations\":{\"a\":\"%s\",\"b\":\"y\"}}", LAYER, value);
    static const char begin[] = "{\"schemaVersion\":2," CONFIG ",\"layers\":[";
    assert_int_equal(sl_bytes_append(&text, sl_span_of(begin), SIZE_MAX / 2, NULL), 0);
    for (size_t i = 0; i < n; i++) {
        if (i)
            assert_int_equal(sl_bytes_append(&text, sl_span_of(","), SIZE_MAX / 2, NULL), 0);
        assert_int_equal(sl_bytes_append(&text, sl_span_of(layer), SIZE_MAX / 2, NULL), 0);
    }
    assert_int_equal(sl_bytes_append(&text, sl_span_of("]}"), SIZE_MAX / 2, NULL), 0);
    return strdup((const char *)text.data);
}

static void artifact_limits_hold_at_their_edge(void **state)
{
    (void)state;
    SL_AUTO_FREE char *full = artifact_of(128, 1);
    SL_AUTO(sl_artifact) artifact = parse_ok(full);
    assert_int_equal(artifact->n_layers, 128);
    SL_AUTO_FREE char *more = artifact_of(129, 1);
    assert_refused(more, SL_E_LIMIT, "129 layers");
    SL_AUTO_FREE char *wide = artifact_of(1, 256 * 1024 - 3);
    SL_AUTO(sl_artifact) other = parse_ok(wide);
    assert_int_equal(other->n_layers, 1);
    SL_AUTO_FREE char *wider = artifact_of(1, 256 * 1024 - 2);
    assert_refused(wider, SL_E_LIMIT, "annotations");
}

/* ---- lists ---- */

static void list_passes_over_what_it_cannot_read(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_referrers) list = {0};
    static const char page[] =
        INDEX("7,{}," ENTRY("1", ",\"artifactType\":\"a/t\"") "," ENTRY("2", "") "," ENTRY(
            "3", ",\"artifactType\":{}") "," ENTRY("4", ",\"annotations\":[]") "," ENTRY("1", ""));
    assert_int_equal(sl_referrers_parse(sl_span_of(page), NULL, 128, &list, NULL), 0);
    assert_int_equal(list.n, 2);
    assert_string_equal(list.items[0].artifact_type, "a/t");
    assert_string_equal(list.items[1].artifact_type, "");
    assert_int_equal(list.items[1].descriptor.size, 7);
}

static void list_has_a_limit_over_all_pages(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_referrers) list = {0};
    struct sl_error err = {0};
    static const char one[] = INDEX(ENTRY("1", "")), two[] = INDEX(ENTRY("2", "")),
                      three[] = INDEX(ENTRY("3", ""));
    assert_int_equal(sl_referrers_parse(sl_span_of(one), NULL, 2, &list, NULL), 0);
    assert_int_equal(sl_referrers_parse(sl_span_of(two), NULL, 2, &list, NULL), 0);
    assert_int_equal(sl_referrers_parse(sl_span_of(one), NULL, 2, &list, NULL), 0);
    assert_int_equal(sl_referrers_parse(sl_span_of(three), NULL, 2, &list, &err), -E2BIG);
    assert_int_equal(err.code, SL_E_LIMIT);
    assert_int_equal(list.n, 2);
}

static void list_that_is_none_is_refused(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_referrers) list = {0};
    struct sl_error err = {0};
    static const char artifact[] = ARTIFACT(CONFIG ",\"layers\":[]");
    assert_true(sl_referrers_parse(sl_span_of(artifact), NULL, 2, &list, &err) < 0);
    assert_int_equal(err.code, SL_E_FORMAT);
    static const char no_list[] = "{\"schemaVersion\":2,\"mediaType\":"
                                  "\"application/vnd.oci.image.index.v1+json\",\"manifests\":{}}";
    assert_true(sl_referrers_parse(sl_span_of(no_list), NULL, 2, &list, &err) < 0);
    assert_int_equal(err.code, SL_E_FORMAT);
    assert_int_equal(list.n, 0);
}

/* The spec cuts the name of long digests. */
static void list_tag_is_the_digest(void **state)
{
    (void)state;
    struct sl_digest digest;
    assert_int_equal(sl_digest_parse(DIGEST, &digest, NULL), 0);
    SL_AUTO_FREE char *tag = sl_referrers_tag(&digest);
    assert_string_equal(tag, "sha256-" HEX);
    assert_int_equal(sl_digest_parse("sha512:" HEX HEX, &digest, NULL), 0);
    SL_AUTO_FREE char *cut = sl_referrers_tag(&digest);
    assert_string_equal(cut, "sha512-" HEX);
}

/* ---- the header ---- */

#define BASE "http://a.test/v2/x/referrers/y?n=1"

static void link_next_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *lines, *url;
    } cases[] = {
        {"", NULL},
        {"\n", NULL},
        {"</p>; rel=\"next\"\n", "http://a.test/p"},
        {"</p>;rel=next\n", "http://a.test/p"},
        {"<?last=2>; REL = \"Next\"\n", "http://a.test/v2/x/referrers/y?last=2"},
        {"<http://b.test/p>; rel=next\n", "http://b.test/p"},
        {"</a>; rel=\"prev\", </b>; title=\"x, <y>; rel=next\"; rel=\"last next\"\n",
         "http://a.test/b"},
        {"</a>; rel=preconnect\n</b>; rel=next\n", "http://a.test/b"},
        {"</a>; rel=prev; rel=next\n", NULL},
        {"</a>; rel=nextish\n", NULL},
        {"</a>; rev=next\n", NULL},
        {"</a>\n", NULL},
        {"</a>;;; ;rel=next;x\n", "http://a.test/a"},
        {"</a>; title=\"open; rel=next\n</b>; rel=next\n", "http://a.test/b"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_FREE char *url = NULL;
        struct sl_error err = {0};
        if (sl_link_next(sl_span_of(cases[i].lines), BASE, &url, &err) < 0)
            fail_msg("%s: %s", cases[i].lines, err.msg);
        if (!url != !cases[i].url || (url && strcmp(url, cases[i].url) != 0))
            fail_msg("%s: %s", cases[i].lines, url ? url : "none");
    }
}

static void link_without_sense_is_an_error(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "next\n",
        "<\n",
        "</a; rel=next\n",
        "</a>; rel=prev, oops\n",
        "<file:///etc/passwd>; rel=next\n",
        "<http://u@a.test/>; rel=next\n",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        SL_AUTO_FREE char *url = NULL;
        struct sl_error err = {0};
        if (sl_link_next(sl_span_of(lines[i]), BASE, &url, &err) != -EPROTO)
            fail_msg("%s: %s", lines[i], url ? url : "none");
        assert_int_equal(err.code, SL_E_NETWORK);
        assert_null(url);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(artifact_type_is_its_own_or_its_configs),
        cmocka_unit_test(artifact_layers_and_subject_are_read),
        cmocka_unit_test(artifact_that_is_none_is_refused),
        cmocka_unit_test(artifact_limits_hold_at_their_edge),
        cmocka_unit_test(list_passes_over_what_it_cannot_read),
        cmocka_unit_test(list_has_a_limit_over_all_pages),
        cmocka_unit_test(list_that_is_none_is_refused),
        cmocka_unit_test(list_tag_is_the_digest),
        cmocka_unit_test(link_next_is_found),
        cmocka_unit_test(link_without_sense_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
