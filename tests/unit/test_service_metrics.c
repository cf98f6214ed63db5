/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct sl_metrics *metrics;
static struct sl_bytes text;

static int open_metrics(void **state)
{
    (void)state;
    return sl_metrics_new(&metrics, NULL);
}

static int close_metrics(void **state)
{
    (void)state;
    metrics = sl_metrics_free(metrics);
    sl_bytes_done(&text);
    text = (struct sl_bytes){0};
    return 0;
}

/* One whole line of what a scraper would see. */
static void assert_line(const char *line)
{
    char wanted[256];
    (void)snprintf(wanted, sizeof(wanted), "\n%s\n", line);
    if (!strstr((const char *)text.data, wanted))
        fail_msg("no line '%s' in:\n%s", line, (const char *)text.data);
}

static void format(void)
{
    static const struct sluice_usage usage = {.size = sizeof(usage),
                                              .buffer_bytes = 5,
                                              .buffers_peak = 7,
                                              .buffers_limit = 9,
                                              .store_free_bytes = 11,
                                              .store_total_bytes = 13};
    sl_bytes_done(&text);
    text = (struct sl_bytes){0};
    assert_int_equal(sl_metrics_format(metrics, &usage, /* jobs= */ 2, &text, NULL), 0);
}

static void count_change(void *arg)
{
    ++*(unsigned *)arg;
}

/* What the manager is told goes by these. */
static void changes_of_what_runs_are_told(void **state)
{
    (void)state;
    unsigned n = 0;
    sl_metrics_watch(metrics, count_change, &n);
    sl_metrics_begin_request(metrics);
    assert_int_equal(n, 1);
    assert_int_equal(sl_metrics_requests_in_flight(metrics), 1);
    sl_metrics_count_job(metrics, NULL, &(struct sluice_error){.code = SLUICE_E_NETWORK});
    assert_int_equal(n, 2);
    assert_int_equal(sl_metrics_pulls(metrics), 0);
    sl_metrics_count_request(metrics, NULL, 1);
    assert_int_equal(n, 3);
    assert_int_equal(sl_metrics_requests_in_flight(metrics), 0);
    sl_metrics_count_join(metrics);
    assert_int_equal(n, 3);
}

static void requests_are_told_apart_by_code(void **state)
{
    (void)state;
    sl_metrics_count_request(metrics, NULL, 0.02);
    sl_metrics_count_request(metrics, NULL, 0.5);
    sl_metrics_count_request(metrics, &(struct sluice_error){.code = SLUICE_E_NETWORK}, 5000);
    sl_metrics_count_request(metrics, &(struct sluice_error){.code = (enum sluice_code)77}, 0);
    format();
    assert_line("sluice_requests_total{code=\"ok\"} 2");
    assert_line("sluice_requests_total{code=\"network\"} 1");
    assert_line("sluice_requests_total{code=\"system\"} 1");
    assert_line("sluice_requests_total{code=\"policy\"} 0");
    assert_line("sluice_request_duration_seconds_bucket{le=\"0.01\"} 1");
    assert_line("sluice_request_duration_seconds_bucket{le=\"0.03\"} 2");
    assert_line("sluice_request_duration_seconds_bucket{le=\"1\"} 3");
    assert_line("sluice_request_duration_seconds_bucket{le=\"3000\"} 3");
    assert_line("sluice_request_duration_seconds_bucket{le=\"+Inf\"} 4");
    assert_line("sluice_request_duration_seconds_sum 5000.520000000");
    assert_line("sluice_request_duration_seconds_count 4");
}

static void pull_counts_layers_and_stages(void **state)
{
    (void)state;
    const struct sluice_stage stages[] = {{"decrypt", 100, 250000000, 500000000, 125000000},
                                          {"untar", 400, 1500000000, 0, 0}};
    const struct sluice_layer fetched = {.bytes = 100,
                                         .received = 100,
                                         .state = SLUICE_LAYER_DONE,
                                         .seconds = 2,
                                         .n_stages = 2,
                                         .stages = stages};
    const struct sluice_layer cached = {.bytes = 50, .state = SLUICE_LAYER_CACHED};
    const struct sluice_layer *const layers[] = {&fetched, &cached, &fetched};
    const struct sluice_pull_report report = {.n_layers = 3, .layers = layers, .seconds = 2.5};
    sl_metrics_count_job(metrics, &report, NULL);
    sl_metrics_count_job(metrics, NULL, &(struct sluice_error){.code = SLUICE_E_POLICY});
    sl_metrics_count_job(metrics, NULL, &(struct sluice_error){.code = SLUICE_E_NETWORK});
    format();
    assert_line("sluice_pulls_total{code=\"ok\"} 1");
    assert_line("sluice_pulls_total{code=\"policy\"} 1");
    assert_line("sluice_verdicts_total{verdict=\"allowed\"} 1");
    assert_line("sluice_verdicts_total{verdict=\"denied\"} 1");
    assert_line("sluice_layers_total{origin=\"fetched\"} 2");
    assert_line("sluice_layers_total{origin=\"cached\"} 1");
    assert_line("sluice_layer_bytes_total{origin=\"fetched\"} 200");
    assert_line("sluice_layer_bytes_total{origin=\"cached\"} 50");
    assert_line("sluice_stage_bytes_total{stage=\"decrypt\"} 200");
    assert_line("sluice_stage_seconds_total{stage=\"untar\"} 3.000000000");
    assert_line("sluice_stage_stall_seconds_total{stage=\"decrypt\",on=\"input\"} 1.000000000");
    assert_line("sluice_stage_stall_seconds_total{stage=\"decrypt\",on=\"output\"} 0.250000000");
    assert_line("sluice_stage_stall_seconds_total{stage=\"untar\",on=\"input\"} 0.000000000");
    assert_line("sluice_pull_duration_seconds_count 1");
}

static void the_rest_is_counted(void **state)
{
    (void)state;
    sl_metrics_count_join(metrics);
    sl_metrics_count_forward(metrics, true);
    sl_metrics_count_forward(metrics, true);
    sl_metrics_count_forward(metrics, false);
    sl_metrics_count_reload(metrics, false);
    format();
    assert_line("sluice_joins_total 1");
    assert_line("sluice_forwards_total{result=\"ok\"} 2");
    assert_line("sluice_forwards_total{result=\"failed\"} 1");
    assert_line("sluice_reloads_total{result=\"failed\"} 1");
    assert_line("sluice_reloads_total{result=\"ok\"} 0");
    assert_line("sluice_jobs 2");
    assert_line("sluice_buffer_bytes 5");
    assert_line("sluice_buffer_peak_bytes 7");
    assert_line("sluice_store_free_bytes 11");
}

/* A library of another version may have other stages; a label is never made of what an image says,
 * and the answer keeps its size. */
static void stages_are_limited(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "stage%d", i);
        const struct sluice_stage stage = {name, 1, 1, 0, 0};
        const struct sluice_layer layer = {
            .state = SLUICE_LAYER_DONE, .n_stages = 1, .stages = &stage};
        const struct sluice_layer *const layers[] = {&layer};
        const struct sluice_pull_report report = {.n_layers = 1, .layers = layers};
        sl_metrics_count_job(metrics, &report, NULL);
    }
    format();
    assert_line("sluice_stage_bytes_total{stage=\"stage23\"} 1");
    assert_null(strstr((const char *)text.data, "stage24"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(changes_of_what_runs_are_told, open_metrics, close_metrics),
        cmocka_unit_test_setup_teardown(requests_are_told_apart_by_code, open_metrics,
                                        close_metrics),
        cmocka_unit_test_setup_teardown(pull_counts_layers_and_stages, open_metrics, close_metrics),
        cmocka_unit_test_setup_teardown(the_rest_is_counted, open_metrics, close_metrics),
        cmocka_unit_test_setup_teardown(stages_are_limited, open_metrics, close_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
