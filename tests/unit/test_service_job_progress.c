/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a pull while it runs, by a clock that the test moves. */
#include "assert_result.h"

#include "job_progress.h"
#include "sluice/core/log.h"

static int64_t the_time;
static unsigned n_lines;
static char last_line[256];
static uint64_t last_job;

int64_t __wrap_sl_clock_ms(void);
int64_t __wrap_sl_clock_ms(void)
{
    return the_time;
}

void __wrap_sl_log_of(enum sl_log_level level, const struct sl_log_about *about, const char *fmt,
                      ...) __attribute__((format(printf, 3, 4)));
void __wrap_sl_log_of(enum sl_log_level level, const struct sl_log_about *about, const char *fmt,
                      ...)
{
    va_list ap;
    assert_int_equal(level, SL_LOG_INFO);
    assert_string_equal(about->image, "alpine");
    last_job = about->job;
    n_lines++;
    va_start(ap, fmt);
    (void)vsnprintf(last_line, sizeof(last_line), fmt, ap);
    va_end(ap);
}

static void progress_counts_layers_by_their_state(void **state)
{
    (void)state;
    const struct sluice_layer layers[] = {
        {.bytes = 1, .received = 0, .state = SLUICE_LAYER_CACHED},
        {.bytes = 20, .received = 20, .state = SLUICE_LAYER_DONE},
        {.bytes = 300, .received = 100, .state = SLUICE_LAYER_RUNNING},
        {.bytes = 4000, .received = 0, .state = SLUICE_LAYER_WAITING},
        {.bytes = 50000, .received = 0, .state = SLUICE_LAYER_WAITING},
        {.bytes = 600000, .received = 5000, .state = SLUICE_LAYER_FAILED},
    };
    const struct sluice_layer *list[6];
    for (size_t i = 0; i < 6; i++)
        list[i] = &layers[i];
    const struct sluice_pull_report report = {.n_layers = 6, .layers = list};
    struct sl_job_progress p = sl_job_progress_of(&report);
    assert_int_equal(p.n_layers, 6);
    assert_int_equal(p.layers_done, 2);
    assert_int_equal(p.n_running, 1);
    assert_int_equal(p.n_waiting, 2);
    assert_int_equal(p.bytes, 654321);
    assert_int_equal(p.received, 5121);
}

static void expect_text(struct sl_job_progress p, double speed, const char *want)
{
    char text[200];
    sl_job_progress_text(&p, speed, text, sizeof(text));
    assert_string_equal(text, want);
}

static void progress_says_what_is_waited_for(void **state)
{
    (void)state;
    struct sl_job_progress p = {0};
    expect_text(
        p, 0, "0 of 0 layers, 0.0 of 0.0 MB, 0.0 MB/s, waits for the image's manifest and config");
    p = (struct sl_job_progress){.n_layers = 3,
                                 .layers_done = 1,
                                 .n_running = 1,
                                 .n_waiting = 1,
                                 .bytes = 5500000,
                                 .received = 2200000};
    expect_text(p, 1200000, "1 of 3 layers, 2.2 of 5.5 MB, 1.2 MB/s, fetches");
    expect_text(p, 0, "1 of 3 layers, 2.2 of 5.5 MB, 0.0 MB/s, waits for the registry");
    p.n_running = 0;
    expect_text(p, 0,
                "1 of 3 layers, 2.2 of 5.5 MB, 0.0 MB/s, waits for keys, for memory, or for "
                "another pull of the same layers");
    p.n_waiting = 0;
    expect_text(p, 0, "1 of 3 layers, 2.2 of 5.5 MB, 0.0 MB/s, finishes");
}

static void log_speaks_once_in_its_interval_and_tells_the_speed_since(void **state)
{
    (void)state;
    struct sl_job_log log = {.id = 7, .image = "alpine", .interval_s = 5, .told_ms = 1000};
    struct sl_job_progress p = {.n_layers = 1, .n_running = 1, .bytes = 90000000};
    n_lines = 0;
    the_time = 1000 + 4999;
    sl_job_log_progress(&log, &p);
    assert_int_equal(n_lines, 0);
    the_time = 1000 + 5000;
    p.received = 15000000;
    sl_job_log_progress(&log, &p);
    assert_int_equal(n_lines, 1);
    assert_int_equal(last_job, 7);
    assert_non_null(strstr(last_line, "15.0 of 90.0 MB, 3.0 MB/s, fetches"));
    the_time += 4999;
    sl_job_log_progress(&log, &p);
    assert_int_equal(n_lines, 1);
    the_time += 5001;
    p.received = 35000000;
    sl_job_log_progress(&log, &p);
    assert_non_null(strstr(last_line, "35.0 of 90.0 MB, 2.0 MB/s, fetches"));
    the_time += 10000;
    p.received = 30000000; /* a layer began anew */
    sl_job_log_progress(&log, &p);
    assert_non_null(strstr(last_line, "30.0 of 90.0 MB, 0.0 MB/s, waits for the registry"));
    assert_int_equal(n_lines, 3);
}

static void log_without_an_interval_is_silent(void **state)
{
    (void)state;
    struct sl_job_log log = {.image = "alpine"};
    const struct sl_job_progress p = {0};
    n_lines = 0;
    the_time = INT64_MAX / 2;
    sl_job_log_progress(&log, &p);
    assert_int_equal(n_lines, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(progress_counts_layers_by_their_state),
        cmocka_unit_test(progress_says_what_is_waited_for),
        cmocka_unit_test(log_speaks_once_in_its_interval_and_tells_the_speed_since),
        cmocka_unit_test(log_without_an_interval_is_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
