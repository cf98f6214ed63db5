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

#define DIFF_ID "sha256:38182c0b9d6c0eaa2494f77816d8f8216addf48a29c676cab115c34820128b8d"
#define ROOTFS "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" DIFF_ID "\"]}"

static struct sl_image_config *parse_ok(struct sl_span json)
{
    struct sl_image_config *c = NULL;
    struct sl_error err = {0};
    if (sl_image_config_parse(json, &c, &err) != 0)
        fail_msg("%s", err.msg);
    return c;
}

static void assert_refused(const char *json, enum sl_errc code, const char *part)
{
    struct sl_image_config *c = NULL;
    struct sl_error err = {0};
    int r = sl_image_config_parse(sl_span_of(json), &c, &err);
    if (r >= 0)
        fail_msg("accepted: %.300s", json);
    assert_null(c);
    if (err.code != code || err.errnum != -r || !strstr(err.msg, part))
        fail_msg("%.200s: %s: %s", json, sl_errc_name(err.code), err.msg);
}

static void config_by_umoci_is_read(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) json = {0};
    assert_int_equal(
        sl_read_file(AT_FDCWD,
                     SL_TEST_DATA
                     "/layouts/umoci/blobs/sha256/"
                     "ab90fcb1597f6129c16f0e5d3e0a0b8b349b35822f70c7c0b75c16477690f28c",
                     SL_CONFIG_MAX, &json, NULL),
        0);
    SL_AUTO(sl_image_config) c = parse_ok(sl_bytes_span(&json));
    assert_string_equal(c->os, "linux");
    assert_string_equal(c->architecture, "amd64");
    assert_null(c->variant);
    assert_string_equal(c->created, "2026-11-22T05:58:33.770380293Z");
    char digest[SL_DIGEST_TEXT_MAX];
    assert_int_equal(c->n_diff_ids, 1);
    sl_digest_format(&c->diff_ids[0], digest);
    assert_string_equal(digest, DIFF_ID);
    assert_string_equal(c->user, "1:2");
    assert_string_equal(c->working_dir, "/w");
    assert_string_equal(c->env[0], "A=b");
    assert_null(c->env[1]);
    assert_string_equal(c->entrypoint[0], "/hello");
    assert_null(c->cmd);
    assert_string_equal(c->exposed_ports[0], "80/tcp");
    assert_null(c->exposed_ports[1]);
    assert_string_equal(c->volumes[0], "/data");
    assert_int_equal(c->n_labels, 1);
    assert_string_equal(c->labels[0].name, "x");
    assert_string_equal(c->labels[0].value, "y");
}

static void config_members_docker_leaves_null_are_absent(void **state)
{
    (void)state;
    SL_AUTO(sl_image_config)
    c = parse_ok(sl_span_of(
        "{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\",\"os.version\":\"1\","
        "\"os.features\":[\"a\",\"b\"],\"author\":null,\"config\":{\"User\":\"\",\"Env\":null,"
        "\"Cmd\":[],\"Entrypoint\":null,\"Labels\":null,\"Volumes\":null,\"ExposedPorts\":{},"
        "\"StopSignal\":\"SIGTERM\",\"Healthcheck\":{\"Test\":[]}},\"history\":[{}]," ROOTFS "}"));
    assert_string_equal(c->variant, "v7");
    assert_string_equal(c->os_version, "1");
    assert_string_equal(c->os_features[1], "b");
    assert_null(c->author);
    assert_string_equal(c->user, "");
    assert_null(c->env);
    assert_non_null(c->cmd);
    assert_null(c->cmd[0]);
    assert_null(c->entrypoint);
    assert_int_equal(c->n_labels, 0);
    assert_null(c->exposed_ports[0]);
    assert_string_equal(c->stop_signal, "SIGTERM");
}

static void config_without_execution_part_is_read(void **state)
{
    (void)state;
    SL_AUTO(sl_image_config) c = parse_ok(sl_span_of("{" ROOTFS "}"));
    assert_null(c->os);
    assert_null(c->env);
    SL_AUTO(sl_image_config)
    empty = parse_ok(sl_span_of("{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":null}}"));
    assert_int_equal(empty->n_diff_ids, 0);
}

static void config_malformed_is_refused(void **state)
{
    (void)state;
    assert_refused("", SL_E_FORMAT, "image config");
    assert_refused("[]", SL_E_FORMAT, "not a JSON object");
    assert_refused("{}", SL_E_FORMAT, "'rootfs'");
    assert_refused("{\"rootfs\":{\"diff_ids\":[]}}", SL_E_FORMAT, "type");
    assert_refused("{\"rootfs\":{\"type\":\"tree\",\"diff_ids\":[]}}", SL_E_FORMAT, "type");
    assert_refused("{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":{}}}", SL_E_FORMAT, "diff_ids");
    assert_refused("{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"\"]}}", SL_E_FORMAT,
                   "diff_id 1/1");
    assert_refused("{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[7]}}", SL_E_FORMAT,
                   "diff_id 1/1");
    assert_refused("{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"md5:00\"]}}", SL_E_UNSUPPORTED,
                   "diff_id 1/1");
    assert_refused("{\"os\":7," ROOTFS "}", SL_E_FORMAT, "'os'");
    assert_refused("{\"config\":[]," ROOTFS "}", SL_E_FORMAT, "'config'");
    assert_refused("{\"config\":{\"Env\":\"A=b\"}," ROOTFS "}", SL_E_FORMAT, "'Env'");
    assert_refused("{\"config\":{\"Env\":[1]}," ROOTFS "}", SL_E_FORMAT, "'Env'");
    assert_refused("{\"config\":{\"Volumes\":[]}," ROOTFS "}", SL_E_FORMAT, "'Volumes'");
    assert_refused("{\"config\":{\"Labels\":{\"a\":1}}," ROOTFS "}", SL_E_FORMAT, "'Labels'");
    assert_refused("{\"config\":{\"Env\":[\"a\\u0000b\"]}," ROOTFS "}", SL_E_FORMAT, "NUL");
}

/* n copies of item between before and after. */
static void assert_limit(const char *before, const char *item, size_t n, const char *after,
                         const char *part)
{
    SL_AUTO_DONE(sl_bytes) json = {0};
    const size_t max = SL_CONFIG_MAX;
    int r = sl_bytes_append(&json, sl_span_of(before), max, NULL);
    for (size_t i = 0; i < n; i++) {
        r |= sl_bytes_append(&json, sl_span_of(i ? "," : ""), max, NULL);
        r |= sl_bytes_append(&json, sl_span_of(item), max, NULL);
    }
    r |= sl_bytes_append(&json, sl_span_of(after), max, NULL);
    assert_int_equal(r, 0);
    assert_refused((const char *)json.data, SL_E_LIMIT, part);
}

static void config_lists_are_limited(void **state)
{
    (void)state;
    assert_limit("{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[", "\"" DIFF_ID "\"",
                 SL_LAYERS_MAX + 1, "]}}", "501 diff_ids");
    assert_limit("{\"config\":{\"Env\":[", "\"A=b\"", 8193, "]}," ROOTFS "}", "8193 entries");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_by_umoci_is_read),
        cmocka_unit_test(config_members_docker_leaves_null_are_absent),
        cmocka_unit_test(config_without_execution_part_is_read),
        cmocka_unit_test(config_malformed_is_refused),
        cmocka_unit_test(config_lists_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
