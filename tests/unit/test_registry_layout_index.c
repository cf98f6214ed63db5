/* SPDX-License-Identifier: Apache-2.0 */
/* The index.json of a layout before and after. */
#include "layout_index.h"
#include "sluice/core/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#define ZERO "0000000000000000000000000000000000000000000000000000000000000000"
#define NAMED(name) "\"annotations\":{\"org.opencontainers.image.ref.name\":\"" name "\"}"
#define NEW "{\"mediaType\":\"m\",\"digest\":\"sha256:" ZERO "\",\"size\":7"
#define NEW_T NEW "," NAMED("t") "}"
#define NEW_BARE NEW "}"

static const struct sl_layout_entry tagged = {.media_type = "m", .size = 7, .tag = "t"};
static const struct sl_layout_entry bare = {.media_type = "m", .size = 7};

static void expect(const char *old, const struct sl_layout_entry *entry, const char *wanted)
{
    SL_AUTO_DONE(sl_bytes) out = {0};
    struct sl_error err = {0};
    assert_int_equal(sl_layout_index_put(sl_span_of(old), entry, &out, &err), 0);
    assert_string_equal((const char *)out.data, wanted);
}

static void expect_failure(const char *old, enum sl_errc code)
{
    SL_AUTO_DONE(sl_bytes) out = {0};
    struct sl_error err = {0};
    assert_true(sl_layout_index_put(sl_span_of(old), &tagged, &out, &err) < 0);
    assert_int_equal(err.code, code);
    assert_null(out.data);
}

static void no_index_yet_gives_one_entry(void **state)
{
    (void)state;
    expect("", &tagged, "{\"schemaVersion\":2,\"manifests\":[" NEW_T "]}");
    expect("", &bare, "{\"schemaVersion\":2,\"manifests\":[" NEW_BARE "]}");
}

static void other_entries_and_members_stay_as_they_are(void **state)
{
    (void)state;
    expect(
        "{ \"x\" : [\"]\\\"\", 1.5e3], \"manifests\" : [ { \"a\" : 1.0 } , {\"b\":\"\\u00e4\"} ]"
        " , \"z\":{}}\n",
        &tagged,
        "{ \"x\" : [\"]\\\"\", 1.5e3], \"manifests\" : [{ \"a\" : 1.0 },{\"b\":\"\\u00e4\"}," NEW_T
        "] , \"z\":{}}\n");
    expect("{\"manifests\":[ ]}", &tagged, "{\"manifests\":[" NEW_T "]}");
}

static void entries_of_the_same_tag_are_replaced_in_their_place(void **state)
{
    (void)state;
    expect("{\"manifests\":[{" NAMED("t") "},{" NAMED("u") "},{" NAMED("\\u0074") "}]}", &tagged,
           "{\"manifests\":[" NEW_T ",{" NAMED("u") "}]}");
}

static void without_a_tag_only_the_same_unnamed_image_is_replaced(void **state)
{
    (void)state;
    expect("{\"manifests\":[{\"digest\":\"sha256:" ZERO
           "\"," NAMED("t") "},{\"digest\":\"sha256:" ZERO "\"},{\"digest\":\"other\"}]}",
           &bare,
           "{\"manifests\":[{\"digest\":\"sha256:" ZERO
           "\"," NAMED("t") "}," NEW_BARE ",{\"digest\":\"other\"}]}");
}

static void members_are_found_by_meaning(void **state)
{
    (void)state;
    expect("{\"a\":\"\\\\\",\"b\":{\"manifests\":[1]},\"\\u006danifests\":[2]}", &bare,
           "{\"a\":\"\\\\\",\"b\":{\"manifests\":[1]},\"\\u006danifests\":[2," NEW_BARE "]}");
}

static void hostile_texts_are_refused(void **state)
{
    (void)state;
    expect_failure("{", SL_E_FORMAT);
    expect_failure("[]", SL_E_FORMAT);
    expect_failure("{\"manifests\":{}}", SL_E_FORMAT);
    expect_failure("{\"a\":{\"manifests\":[]}}", SL_E_FORMAT);
    expect_failure("{\"manifests\":[],\"manifests\":[]}", SL_E_FORMAT);
    expect_failure("{\"manifests\":[]} x", SL_E_FORMAT);
}

static void size_is_limited_before_and_after(void **state)
{
    (void)state;
    static const char head[] = "{\"manifests\":[\"", tail[] = "\"]}";
    for (size_t spare = 0; spare < 2; spare++) {
        size_t len = SL_MANIFEST_MAX + 1 - spare;
        char *text = malloc(len + 1);
        assert_non_null(text);
        memset(text, 'x', len);
        memcpy(text, head, strlen(head));
        memcpy(text + len - strlen(tail), tail, sizeof(tail));
        expect_failure(text, SL_E_LIMIT);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_index_yet_gives_one_entry),
        cmocka_unit_test(other_entries_and_members_stay_as_they_are),
        cmocka_unit_test(entries_of_the_same_tag_are_replaced_in_their_place),
        cmocka_unit_test(without_a_tag_only_the_same_unnamed_image_is_replaced),
        cmocka_unit_test(members_are_found_by_meaning),
        cmocka_unit_test(hostile_texts_are_refused),
        cmocka_unit_test(size_is_limited_before_and_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
