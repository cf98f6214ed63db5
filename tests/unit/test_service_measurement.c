/* SPDX-License-Identifier: Apache-2.0 */
/* The text that a verifier of the event log hashes; what goes over the wire is tested with a real
 * agent's stub. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "measurement.h"
#include "scratch_dir.h"
#include "sluice/core/json.h"

#include <stdlib.h>
#include <string.h>

static void measurement_of_an_ordinary_name_is_byte_exact(void **state)
{
    (void)state;
    char *text = sl_measurement_text("quay.io/a/b@sha256:00", "sha256:11");
    assert_string_equal(text, "{\"image\":\"quay.io/a/b@sha256:00\", \"digest\":\"sha256:11\"}");
    free(text);
}

static void measurement_of_an_odd_name_is_json(void **state)
{
    (void)state;
    static const char odd[] = "a\"b\\c\n\t\x01\x1f\x7f\u00e4/\b\f\r";
    struct sl_json_doc *doc = NULL;
    char *text = sl_measurement_text(odd, "d");
    assert_string_equal(text, "{\"image\":\"a\\\"b\\\\c\\n\\t\\u0001\\u001f\x7f\u00e4/\\b\\f\\r\", "
                              "\"digest\":\"d\"}");
    assert_int_equal(sl_json_parse(sl_span_of(text), "text", NULL, &doc, NULL), 0);
    assert_string_equal(sl_json_string(sl_json_get(sl_json_root(doc), "image")), odd);
    (void)sl_json_free(doc);
    free(text);
}

static void measurement_without_an_agent_is_no_error(void **state)
{
    (void)state;
    assert_int_equal(sl_measure_pull("unix:///nonexistent/aa.sock", "a", "d", NULL), 0);
    assert_int_equal(sl_measure_pull(NULL, "a", "d", NULL), 0);
}

/* Whoever can put a link there must not decide that nothing is measured. */
static void measurement_by_a_link_to_nothing_fails(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    struct sl_error err = {0};
    char *path = scratch_path(&d, "aa.sock"), *target = sl_strf("unix://%s", path);
    assert_int_equal(symlink("nothing", path), 0);
    assert_true(sl_measure_pull(target, "a", "d", &err) < 0);
    assert_int_equal(unlink(path), 0);
    scratch_write(&d, "aa.sock", "", 0600);
    assert_true(sl_measure_pull(target, "a", "d", &err) < 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(sl_measure_pull(target, "a", "d", &err), 0);
    free(path);
    free(target);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measurement_of_an_ordinary_name_is_byte_exact),
        cmocka_unit_test(measurement_of_an_odd_name_is_json),
        cmocka_unit_test(measurement_without_an_agent_is_no_error),
        cmocka_unit_test(measurement_by_a_link_to_nothing_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
