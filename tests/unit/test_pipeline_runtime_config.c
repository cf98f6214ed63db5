/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime_config.h"

#include "sluice/core/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct sl_json_doc *config_of(const char *image_json, const struct sl_process_user *user)
{
    struct sl_error err = {0};
    struct sl_image_config *image = NULL;
    struct sl_bytes text = {0};
    struct sl_json_doc *doc = NULL;
    if (sl_image_config_parse(sl_span_of(image_json), &image, &err) < 0 ||
        sl_runtime_config_format(image, user, &text, &err) < 0 ||
        sl_json_parse(sl_bytes_span(&text), "config.json", NULL, &doc, &err) < 0)
        fail_msg("%s", err.msg);
    (void)sl_image_config_free(image);
    sl_bytes_done(&text);
    return doc;
}

static const struct sl_json *at(const struct sl_json_doc *doc, const char *a, const char *b)
{
    const struct sl_json *node = sl_json_get(sl_json_root(doc), a);
    return b ? sl_json_get(node, b) : node;
}

static void assert_strings(const struct sl_json *list, const char *const *expected)
{
    size_t n = 0;
    for (; expected[n]; n++) {
        assert_non_null(sl_json_string(sl_json_at(list, n)));
        assert_string_equal(sl_json_string(sl_json_at(list, n)), expected[n]);
    }
    assert_int_equal(sl_json_count(list), n);
}

#define LAYERS "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}"

static void config_of_empty_image_config_has_the_defaults(void **state)
{
    (void)state;
    static const char *const args[] = {"sh", NULL};
    SL_AUTO(sl_json_doc)
    doc = config_of("{\"os\":\"linux\",\"architecture\":\"amd64\"," LAYERS "}",
                    &(struct sl_process_user){0});
    assert_string_equal(sl_json_string(at(doc, "ociVersion", NULL)), "1.0.2");
    assert_string_equal(sl_json_string(at(doc, "root", "path")), "rootfs");
    assert_string_equal(sl_json_string(at(doc, "process", "cwd")), "/");
    assert_strings(at(doc, "process", "args"), args);
    assert_string_equal(
        sl_json_string(at(doc, "annotations", "org.opencontainers.image.architecture")), "amd64");
}

static void config_of_full_image_config_carries_every_field(void **state)
{
    (void)state;
    static const char *const args[] = {"/entry", "-x", "arg", NULL};
    static const char *const env[] = {"A=1", "B=\"2\"", NULL};
    uint32_t groups[] = {7, 8};
    struct sl_process_user user = {.uid = 5, .gid = 6, .groups = groups, .n_groups = 2};
    SL_AUTO(sl_json_doc)
    doc = config_of(
        "{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\",\"author\":\"me\","
        "\"created\":\"2020-01-01T00:00:00Z\",\"os.version\":\"1\",\"os.features\":[\"a\",\"b\"],"
        "\"config\":{\"User\":\"app\",\"Env\":[\"A=1\",\"B=\\\"2\\\"\"],\"Entrypoint\":[\"/"
        "entry\",\"-x\"],"
        "\"Cmd\":[\"arg\"],\"WorkingDir\":\"/w\",\"StopSignal\":\"SIGUSR1\","
        "\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{}},\"Volumes\":{\"/data\":{}},"
        "\"Labels\":{\"k\":\"v\",\"org.opencontainers.image.author\":\"label\"}}," LAYERS "}",
        &user);
    int64_t uid;
    assert_true(sl_json_int64(sl_json_get(at(doc, "process", "user"), "uid"), &uid));
    assert_int_equal(uid, 5);
    assert_int_equal(sl_json_count(sl_json_get(at(doc, "process", "user"), "additionalGids")), 2);
    assert_strings(at(doc, "process", "args"), args);
    assert_strings(at(doc, "process", "env"), env);
    assert_string_equal(sl_json_string(at(doc, "process", "cwd")), "/w");
    const struct sl_json *mounts = at(doc, "mounts", NULL);
    const struct sl_json *last = sl_json_at(mounts, sl_json_count(mounts) - 1);
    assert_string_equal(sl_json_string(sl_json_get(last, "destination")), "/data");
    assert_string_equal(sl_json_string(sl_json_get(last, "type")), "tmpfs");
#define ANNOTATION(name) sl_json_string(at(doc, "annotations", "org.opencontainers.image." name))
    assert_string_equal(ANNOTATION("author"), "label");
    assert_string_equal(ANNOTATION("variant"), "v8");
    assert_string_equal(ANNOTATION("os.version"), "1");
    assert_string_equal(ANNOTATION("os.features"), "[\"a\",\"b\"]");
    assert_string_equal(ANNOTATION("exposedPorts"), "80/tcp,53/udp");
    assert_string_equal(ANNOTATION("stopSignal"), "SIGUSR1");
    assert_string_equal(sl_json_string(at(doc, "annotations", "k")), "v");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_of_empty_image_config_has_the_defaults),
        cmocka_unit_test(config_of_full_image_config_carries_every_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
