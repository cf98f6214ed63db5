/* SPDX-License-Identifier: Apache-2.0 */
/* What integration.trace does not see: limits, threads that come late, and a trace in the place of
 * another. */
#include "sluice/core/stage.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { EVENTS_MAX = 256 * 1024 }; /* as the man page says */

/* A trace that was freed is to be seen in the place of the next one. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "quarantine_size_mb=0:thread_local_quarantine_size_kb=0";
}

static void add(struct sl_trace *trace, const char *name, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sl_trace_end(trace, name, /* layer= */ 1, sl_trace_begin(trace));
}

static struct sl_trace *new_trace(void)
{
    struct sl_trace *trace = NULL;
    assert_int_equal(sl_trace_new(&trace, NULL), 0);
    return trace;
}

/* Not by memmem(): sanitizers look at all that is left, each time. */
static size_t count(const struct sl_bytes *text, const char *part)
{
    size_t n = 0, len = strlen(part);
    const char *p = (const char *)text->data, *end = p + text->len;
    for (; (p = memchr(p, part[0], (size_t)(end - p))); p++)
        n += (size_t)(end - p) >= len && memcmp(p, part, len) == 0;
    return n;
}

static void expect(struct sl_trace *trace, const char *part, size_t times)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    assert_int_equal(sl_trace_format(trace, &text, NULL), 0);
    assert_int_equal(count(&text, part), times);
}

static void trace_above_its_limit_counts_what_it_drops(void **state)
{
    (void)state;
    SL_AUTO(sl_trace) trace = new_trace();
    add(trace, "early", EVENTS_MAX);
    expect(trace, "\"events_dropped\":0}", 1);
    add(trace, "late", 7);
    SL_AUTO_DONE(sl_bytes) text = {0}; /* once: it takes seconds under a sanitizer */
    assert_int_equal(sl_trace_format(trace, &text, NULL), 0);
    assert_int_equal(count(&text, "\"events_dropped\":7}"), 1);
    assert_int_equal(count(&text, "\"name\":\"early\""), EVENTS_MAX);
    assert_int_equal(count(&text, "\"name\":\"late\""), 0);
}

static void trace_that_nobody_wants_costs_nothing(void **state)
{
    (void)state;
    assert_int_equal(sl_trace_begin(NULL), 0);
    add(NULL, "nothing", 1);
    assert_null(sl_trace_free(NULL));
}

static void *record(void *arg)
{
    (void)pthread_setname_np(pthread_self(), "helper");
    add(arg, "help", 2000);
    return NULL;
}

static void trace_of_threads_has_a_track_for_each(void **state)
{
    (void)state;
    enum { THREADS = 3 };
    SL_AUTO(sl_trace) trace = new_trace();
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, record, trace), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    expect(trace, "\"name\":\"help\"", (size_t)THREADS * 2000);
    /* Those that begin after one has ended may be given its number, and then its track. */
    SL_AUTO_DONE(sl_bytes) text = {0};
    assert_int_equal(sl_trace_format(trace, &text, NULL), 0);
    assert_int_equal(count(&text, "\"args\":{\"name\":\"pull\"}"), 1);
    assert_int_equal(count(&text, "\"args\":{\"name\":\"helper\"}"), 1);
    assert_int_equal(count(&text, "\"name\":\"thread_name\""),
                     count(&text, "\"name\":\"thread_sort_index\""));
}

/* A worker outlives the traces it records for. */
static void trace_in_the_place_of_another_gets_its_own_events(void **state)
{
    (void)state;
    for (size_t i = 1; i <= 3; i++) {
        SL_AUTO(sl_trace) trace = new_trace();
        add(trace, "mine", i);
        expect(trace, "\"name\":\"mine\"", i);
    }
    SL_AUTO(sl_trace) a = new_trace();
    SL_AUTO(sl_trace) b = new_trace();
    add(a, "mine", 1);
    add(b, "other", 1);
    add(a, "mine", 1);
    expect(a, "\"name\":\"mine\"", 2);
    expect(b, "\"name\":\"mine\"", 0);
}

static void trace_events_have_the_form_of_their_kind(void **state)
{
    (void)state;
    SL_AUTO(sl_trace) trace = new_trace();
    const uint64_t t = sl_trace_begin(trace);
    for (int kind = SL_TRACE_SLICE; kind <= SL_TRACE_COUNT; kind++)
        sl_trace_add(trace, &(struct sl_trace_event){.kind = (enum sl_trace_kind)kind,
                                                     .name = "x",
                                                     .start_ns = t,
                                                     .end_ns = t + 1500,
                                                     .amount = 9,
                                                     .layer = 2});
    expect(trace, "\"dur\":1.500000,\"args\":{\"layer\":2,\"bytes\":9}}", 1);
    expect(trace, "\"args\":{\"in use\":9}}", 1);
    expect(trace, "\"name\":\"x 2\",\"ph\":\"b\"", 1);
    expect(trace, "\"name\":\"x 2\",\"ph\":\"e\"", 1);
}

/* Takes half of what it is offered, and then the rest. */
static int push_halves(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    (void)err;
    if (stage->stats.bytes_in > 0) {
        *bufp = NULL;
        return 0;
    }
    sl_buf_consume(*bufp, (*bufp)->len / 2);
    return -EAGAIN;
}

static void trace_of_a_stage_tells_what_it_took_each_time(void **state)
{
    (void)state;
    static const struct sl_stage_ops ops = {.name = "halves", .push = push_halves};
    SL_AUTO(sl_trace) trace = new_trace();
    struct sl_stage stage = {.ops = &ops, .trace = trace, .layer = 3};
    struct sl_buf buf = {.len = 100};
    struct sl_buf *offered = &buf;
    assert_int_equal(sl_stage_push(&stage, &offered, NULL), -EAGAIN);
    assert_int_equal(sl_stage_push(&stage, &offered, NULL), 0);
    expect(trace, "\"args\":{\"layer\":3,\"bytes\":50}}", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trace_above_its_limit_counts_what_it_drops),
        cmocka_unit_test(trace_that_nobody_wants_costs_nothing),
        cmocka_unit_test(trace_of_threads_has_a_track_for_each),
        cmocka_unit_test(trace_in_the_place_of_another_gets_its_own_events),
        cmocka_unit_test(trace_events_have_the_form_of_their_kind),
        cmocka_unit_test(trace_of_a_stage_tells_what_it_took_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
