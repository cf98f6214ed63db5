/* SPDX-License-Identifier: Apache-2.0 */
#include "pull_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pack.h"

static struct sl_digest digest_of(const char *text)
{
    struct sl_digest digest;
    assert_int_equal(sl_digest_of(SL_SHA256, sl_span_of(text), &digest, NULL), 0);
    return digest;
}

static void assert_is_digest(const char *text, const struct sl_digest *digest)
{
    char expected[SL_DIGEST_TEXT_MAX];
    sl_digest_format(digest, expected);
    assert_string_equal(text, expected);
}

static void report_holds_all_texts_after_its_source_is_gone(void **state)
{
    (void)state;
    char name[] = "docker.io/library/x:1", kid[] = "kbs:///a/b/c";
    struct sl_layer_report layers[2] = {
        {.blob = digest_of("0"), .diff_id = digest_of("d0"), .size = 10, .received = 4},
        {.blob = digest_of("1"),
         .diff_id = digest_of("d1"),
         .size = 20,
         .received = 20,
         .state = SL_LAYER_DONE,
         .encrypted = true,
         .protocol = "provider",
         .provider = "attestation-agent",
         .kid = kid,
         .wrap_type = "A256GCM",
         .seconds = 1.5,
         .n_stages = 2,
         .stages = {{.name = "blob", .stats = {.bytes_in = 20, .nanoseconds = 7}},
                    {.name = "decrypt",
                     .stats = {.bytes_in = 19,
                               .nanoseconds = 8,
                               .stalled_in_ns = 11,
                               .stalled_out_ns = 12}}}},
    };
    const struct sl_digest blob = layers[1].blob, diff_id = layers[1].diff_id;
    const struct sl_pull_report from = {.name = name,
                                        .manifest = digest_of("m"),
                                        .config = digest_of("c"),
                                        .n_layers = 2,
                                        .layers = layers,
                                        .seconds = 2.5,
                                        .peak_buffers_bytes = 1 << 20};
    struct sluice_pull_report *report = sl_api_pull_report(&from);
    assert_non_null(report);
    memset(name, 'x', sizeof(name) - 1);
    memset(kid, 'x', sizeof(kid) - 1);
    memset(layers, 0xff, sizeof(layers));

    assert_string_equal(report->name, "docker.io/library/x:1");
    assert_is_digest(report->manifest, &from.manifest);
    assert_is_digest(report->config, &from.config);
    assert_int_equal(report->n_layers, 2);
    assert_int_equal(report->peak_buffer_bytes, 1 << 20);
    const struct sluice_layer *plain = report->layers[0], *encrypted = report->layers[1];
    assert_int_equal(plain->bytes, 10);
    assert_int_equal(plain->received, 4);
    assert_null(plain->protocol);
    assert_null(plain->kid);
    assert_int_equal(plain->n_stages, 0);
    assert_is_digest(encrypted->digest, &blob);
    assert_is_digest(encrypted->diff_id, &diff_id);
    assert_int_equal(encrypted->state, SLUICE_LAYER_DONE);
    assert_true(encrypted->encrypted);
    assert_string_equal(encrypted->protocol, "provider");
    assert_string_equal(encrypted->provider, "attestation-agent");
    assert_string_equal(encrypted->kid, "kbs:///a/b/c");
    assert_string_equal(encrypted->wrap_type, "A256GCM");
    assert_int_equal(encrypted->n_stages, 2);
    assert_string_equal(encrypted->stages[1].name, "decrypt");
    assert_int_equal(encrypted->stages[1].bytes, 19);
    assert_int_equal(encrypted->stages[1].nanoseconds, 8);
    assert_int_equal(encrypted->stages[1].stalled_in_ns, 11);
    assert_int_equal(encrypted->stages[1].stalled_out_ns, 12);
    assert_null(sluice_pull_report_free(report));
    assert_null(sluice_pull_report_free(NULL));
}

static void report_of_an_image_without_layers_is_one(void **state)
{
    (void)state;
    const struct sl_pull_report from = {.name = "x", .manifest = digest_of("m")};
    struct sluice_pull_report *report = sl_api_pull_report(&from);
    assert_non_null(report);
    assert_int_equal(report->n_layers, 0);
    assert_null(sluice_pull_report_free(report));
}

/* Whoever tells more the second time than the first must not write behind the end. */
static void fill_more_each_time(struct sl_pack *pack, const void *from)
{
    (void)from;
    (void)sl_pack_room(pack, 8);
    const char *more = sl_pack_text(pack, pack->base ? "longer than at first" : "short");
    if (pack->base)
        assert_null(more);
}

static void pack_never_exceeds_what_was_measured(void **state)
{
    (void)state;
    free(sl_pack_make(fill_more_each_time, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report_holds_all_texts_after_its_source_is_gone),
        cmocka_unit_test(report_of_an_image_without_layers_is_one),
        cmocka_unit_test(pack_never_exceeds_what_was_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
