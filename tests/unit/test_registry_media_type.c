/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define OCI "application/vnd.oci.image.layer.v1.tar"
#define NONDIST "application/vnd.oci.image.layer.nondistributable.v1.tar"
#define DOCKER "application/vnd.docker.image.rootfs.diff.tar"
#define FOREIGN "application/vnd.docker.image.rootfs.foreign.diff.tar"

static void assert_is(const char *type, enum sl_layer_compression compression, bool encrypted)
{
    struct sl_layer_media media = {.encrypted = !encrypted};
    struct sl_error err = {0};
    if (sl_layer_media_parse(type, &media, &err) != 0)
        fail_msg("%s: %s", type, err.msg);
    assert_int_equal(media.compression, compression);
    assert_int_equal(media.encrypted, encrypted);
    assert_int_equal(media.foreign, strstr(type, "nondistributable") || strstr(type, "foreign"));
}

static void assert_unhandled(const char *type)
{
    struct sl_layer_media media = {.compression = SL_LAYER_ZSTD, .encrypted = true};
    struct sl_error err = {0};
    char expected[256];
    (void)snprintf(expected, sizeof(expected), "unhandled media type: %s", type);
    assert_int_equal(sl_layer_media_parse(type, &media, &err), -ENOTSUP);
    assert_int_equal(err.code, SL_E_UNSUPPORTED);
    assert_string_equal(err.msg, expected);
    assert_int_equal(media.compression, SL_LAYER_ZSTD);
    assert_true(media.encrypted);
}

static void media_type_known_types_map(void **state)
{
    (void)state;
    assert_is(OCI, SL_LAYER_PLAIN, false);
    assert_is(NONDIST, SL_LAYER_PLAIN, false);
    assert_is(DOCKER ".gzip", SL_LAYER_GZIP, false);
    assert_is(OCI "+gzip", SL_LAYER_GZIP, false);
    assert_is(NONDIST "+gzip", SL_LAYER_GZIP, false);
    assert_is(OCI "+zstd", SL_LAYER_ZSTD, false);
    assert_is(NONDIST "+zstd", SL_LAYER_ZSTD, false);
}

static void media_type_unknown_types_fail(void **state)
{
    (void)state;
    assert_unhandled("");
    assert_unhandled("foo");
    assert_unhandled("foo/ bar");
}

static void media_type_encrypted_types_are_classified(void **state)
{
    (void)state;
    assert_is(OCI "+encrypted", SL_LAYER_PLAIN, true);
    assert_is(OCI "+gzip+encrypted", SL_LAYER_GZIP, true);
    assert_is(NONDIST "+encrypted", SL_LAYER_PLAIN, true);
    assert_is(NONDIST "+gzip+encrypted", SL_LAYER_GZIP, true);
}

static void media_type_others_are_not_encrypted(void **state)
{
    (void)state;
    assert_unhandled("");
    assert_unhandled("invalid");
    assert_unhandled("foo bar");
}

static void media_type_config_type_is_no_layer(void **state)
{
    (void)state;
    assert_unhandled("application/vnd.oci.image.config.v1+json");
}

static void media_type_docker_and_zstd_forms_are_read(void **state)
{
    (void)state;
    assert_is(DOCKER, SL_LAYER_PLAIN, false);
    assert_is(DOCKER ".zstd", SL_LAYER_ZSTD, false);
    assert_is(FOREIGN ".gzip", SL_LAYER_GZIP, false);
    assert_is(OCI "+zstd+encrypted", SL_LAYER_ZSTD, true);
    assert_is(NONDIST "+zstd+encrypted", SL_LAYER_ZSTD, true);
    assert_is(DOCKER "+encrypted", SL_LAYER_PLAIN, true);
    assert_is(DOCKER ".gzip+encrypted", SL_LAYER_GZIP, true);
    assert_is(DOCKER ".zstd+encrypted", SL_LAYER_ZSTD, true);
}

static void media_type_near_misses_fail(void **state)
{
    (void)state;
    assert_unhandled("+encrypted");
    assert_unhandled(OCI "+gzip+encrypted+encrypted");
    assert_unhandled(OCI "+encrypted+gzip");
    assert_unhandled(OCI "+gzip ");
    assert_unhandled(OCI "+gzi");
    assert_unhandled("application/vnd.wasm.content.layer.v1+wasm");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(media_type_known_types_map),
        cmocka_unit_test(media_type_unknown_types_fail),
        cmocka_unit_test(media_type_encrypted_types_are_classified),
        cmocka_unit_test(media_type_others_are_not_encrypted),
        cmocka_unit_test(media_type_config_type_is_no_layer),
        cmocka_unit_test(media_type_docker_and_zstd_forms_are_read),
        cmocka_unit_test(media_type_near_misses_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
