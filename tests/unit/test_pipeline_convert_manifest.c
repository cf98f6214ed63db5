/* SPDX-License-Identifier: Apache-2.0 */
/* A manifest as it is rewritten: what nobody here knows must come out as it went in. */
#include "conversion_stub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DIGEST(first) "sha256:" first "000000000000000000000000000000000000000000000000000000000000"
#define OCI "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."
#define CONFIG                                                                                     \
    "\"config\":{\"mediaType\":\"" OCI                                                             \
    "config.v1+json\",\"digest\":\"" DIGEST("0f0f") "\",\"size\":2}"
#define LAYER(type, rest)                                                                          \
    "{\"mediaType\":\"" type "\",\"digest\":\"" DIGEST("2020") "\",\"size\":7" rest "}"
#define MANIFEST(rest, layers) "{\"schemaVersion\":2," CONFIG rest ",\"layers\":[" layers "]}"
#define ENC "org.opencontainers.image.enc."
#define PUBOPTS                                                                                    \
    "eyJjaXBoZXIiOiJBRVNfMjU2X0NUUl9ITUFDX1NIQTI1NiIsImhtYWMiOiJBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB" \
    "QUFBQUFBQUFBQUFBQUFBPSIsImNpcGhlcm9wdGlvbnMiOnt9fQ=="
#define ENCRYPTED                                                                                  \
    ",\"annotations\":{\"" ENC "keys.jwe\":\"e30=\",\"" ENC "pubopts\":\"" PUBOPTS "\""

static struct sl_error failure;
static struct sl_bytes result;

/* The manifest, rewritten; NULL when it was refused. */
static const char *convert(const char *json, bool encrypts)
{
    struct sl_image_source src = {.texts = {sl_span_of(json)}, .n_texts = 1};
    struct stub_conversion s = {0};
    SL_AUTO(sl_manifest) manifest = NULL;
    sl_bytes_done(&result);
    failure = (struct sl_error){0};
    assert_int_equal(sl_manifest_parse(src.texts[0], NULL, &manifest, &failure), 0);
    assert_int_equal(stub_source_set_config(&src, manifest->n_layers, &failure), 0);
    int r = stub_conversion_run(&s, &src, encrypts, &failure);
    if (r >= 0)
        r = stub_conversion_check(&s, &failure);
    if (r >= 0) {
        struct sl_span text = sl_bytes_span(&s.c.documents[0]->bytes);
        assert_int_equal(sl_bytes_append(&result, text, SIZE_MAX, NULL), 0);
        assert_int_equal(
            sl_bytes_append(&result, (struct sl_span){(const uint8_t *)"", 1}, SIZE_MAX, NULL), 0);
    }
    stub_conversion_done(&s);
    stub_source_done(&src);
    return r < 0 ? NULL : (const char *)result.data;
}

static void assert_has(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("'%s' is not in %s", part, text ? text : failure.msg);
}

static void assert_has_not(const char *text, const char *part)
{
    if (!text || strstr(text, part))
        fail_msg("'%s' is in %s", part, text ? text : failure.msg);
}

static void unknown_members_stay_as_they_were(void **state)
{
    (void)state;
    static const char of_layer[] = "\"platform\":null,\"more\":[1,{\"a\":false}]";
    const char *json =
        MANIFEST(",\"x\":{\"list\":[null,true,\"\\u00e9\",{}],\"deep\":{\"e\":[]}}",
                 LAYER(OCI "layer.v1.tar+gzip", ",\"platform\":null,\"more\":[1,{\"a\":false}]"));
    for (int encrypts = 0; encrypts < 2; encrypts++) {
        const char *text = convert(json, encrypts);
        assert_has(text, "\"x\":{\"list\":[null,true,\"é\",{}],\"deep\":{\"e\":[]}}");
        assert_has(text, of_layer);
    }
}

static void numbers_stay_as_they_were_written(void **state)
{
    (void)state;
    static const char *const numbers[] = {
        "123456789012345678901234567890",      "-0", "1.50", "1e400", "18446744073709551616",
        "0.1000000000000000055511151231257827"};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char json[1024], member[64];
        (void)snprintf(member, sizeof(member), "\"n\":%s,", numbers[i]);
        (void)snprintf(json, sizeof(json), "{%s%s", member,
                       MANIFEST("", LAYER(OCI "layer.v1.tar", "")) + 1);
        assert_has(convert(json, /* encrypts= */ true), member);
    }
}

static void docker_types_become_oci_when_encrypted_and_stay_when_decrypted(void **state)
{
    (void)state;
    const char *json =
        "{\"schemaVersion\":2,\"mediaType\":\"" DOCKER
        "distribution.manifest.v2+json\",\"config\":{\"mediaType\":\"" DOCKER
        "container.image.v1+json\",\"digest\":\"" DIGEST(
            "0f0f") "\",\"size\":2},"
                    "\"layers\":[" LAYER(DOCKER "image.rootfs.foreign.diff.tar.gzip", "") "]}";
    const char *text = convert(json, /* encrypts= */ true);
    assert_has(text, "\"mediaType\":\"" OCI "manifest.v1+json\"");
    assert_has(text, "\"mediaType\":\"" OCI "config.v1+json\"");
    assert_has(text, OCI "layer.nondistributable.v1.tar+gzip+encrypted\"");
    assert_has_not(text, "docker");
    text = convert(json, /* encrypts= */ false);
    assert_has(text, DOCKER "distribution.manifest.v2+json");
    assert_has(text, DOCKER "image.rootfs.foreign.diff.tar.gzip\"");
    assert_has_not(text, "oci");
}

static void docker_type_below_the_suffix_is_renamed_or_shortened(void **state)
{
    (void)state;
    const char *json =
        MANIFEST("", LAYER(DOCKER "image.rootfs.diff.tar.gzip+encrypted", ENCRYPTED "}"));
    assert_has(convert(json, /* encrypts= */ true), OCI "layer.v1.tar+gzip+encrypted\"");
    assert_has(convert(json, /* encrypts= */ false), DOCKER "image.rootfs.diff.tar.gzip\"");
}

static void annotations_null_are_none(void **state)
{
    (void)state;
    const char *json =
        MANIFEST(",\"annotations\":null", LAYER(OCI "layer.v1.tar", ",\"annotations\":null"));
    const char *text = convert(json, /* encrypts= */ true);
    assert_has(text, "\"annotations\":null,\"layers\"");
    assert_has(text, "\"annotations\":{\"" ENC "keys.jwe\"");
    /* A layer that is copied keeps even that. */
    assert_has(convert(json, /* encrypts= */ false), "\"size\":7,\"annotations\":null}");
}

static void annotations_of_encryption_come_and_go_alone(void **state)
{
    (void)state;
    const char *text =
        convert(MANIFEST("", LAYER(OCI "layer.v1.tar", ",\"annotations\":{\"a\":\"b\"}")),
                /* encrypts= */ true);
    assert_has(text, "{\"a\":\"b\",\"" ENC "keys.jwe\":");
    text = convert(MANIFEST("", LAYER(OCI "layer.v1.tar+encrypted", ENCRYPTED ",\"a\":\"b\"}")),
                   /* encrypts= */ false);
    assert_has(text, "\"annotations\":{\"a\":\"b\"}}");
    text = convert(MANIFEST("", LAYER(OCI "layer.v1.tar+encrypted", ENCRYPTED "}")),
                   /* encrypts= */ false);
    assert_has_not(text, "annotations");
}

static void copies_of_other_bytes_go(void **state)
{
    (void)state;
    static const char rest[] = ",\"urls\":[\"https://example.com/\"]";
    const char *json =
        MANIFEST("", LAYER(OCI "layer.v1.tar", ",\"urls\":[\"https://example.com/\"]"));
    assert_has_not(convert(json, /* encrypts= */ true), "urls");
    assert_has(convert(json, /* encrypts= */ false), rest);
}

static void no_layers_are_no_layers(void **state)
{
    (void)state;
    for (int encrypts = 0; encrypts < 2; encrypts++)
        assert_has(convert(MANIFEST("", ""), encrypts), "\"layers\":[]}");
}

static void what_is_no_layer_is_named(void **state)
{
    (void)state;
    const char *json = MANIFEST("", LAYER("application/vnd.in-toto+json", ""));
    assert_null(convert(json, /* encrypts= */ true));
    assert_int_equal(failure.code, SL_E_UNSUPPORTED);
    assert_has(failure.msg, "layer 1/1 sha256:202000000000: cannot be encrypted: ");
    assert_has(convert(json, /* encrypts= */ false), "application/vnd.in-toto+json");
}

static void annotations_without_the_type_are_refused(void **state)
{
    (void)state;
    for (int encrypts = 0; encrypts < 2; encrypts++) {
        assert_null(convert(MANIFEST("", LAYER(OCI "layer.v1.tar", ENCRYPTED "}")), encrypts));
        assert_int_equal(failure.code, SL_E_FORMAT);
        assert_has(failure.msg, "has encryption annotations, but its media type");
    }
}

static int teardown(void **state)
{
    (void)state;
    sl_bytes_done(&result);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_members_stay_as_they_were),
        cmocka_unit_test(numbers_stay_as_they_were_written),
        cmocka_unit_test(docker_types_become_oci_when_encrypted_and_stay_when_decrypted),
        cmocka_unit_test(docker_type_below_the_suffix_is_renamed_or_shortened),
        cmocka_unit_test(annotations_null_are_none),
        cmocka_unit_test(annotations_of_encryption_come_and_go_alone),
        cmocka_unit_test(copies_of_other_bytes_go),
        cmocka_unit_test(no_layers_are_no_layers),
        cmocka_unit_test(what_is_no_layer_is_named),
        cmocka_unit_test(annotations_without_the_type_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
