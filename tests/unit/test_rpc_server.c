/* SPDX-License-Identifier: Apache-2.0 */
/* The server's threads, lives and ends; what it says on the wire is tested from outside. */
#include "server.h"

#include "sluice/core/clock.h"

#include "rpc_vectors.h"

#include <sched.h>
#include <semaphore.h>
#include <sys/eventfd.h>

enum { THREADS = 4, CALLS = 100, SOON_MS = 50, LONG_MS = 20000 };

/* A service that answers from another thread, or keeps the call. */
struct desk {
    struct sl_rpc_call *kept;
    sem_t is_kept;
    char *target;
    struct sl_rpc_server *server;
    struct sl_rpc_client *client;
};

static void *answer(void *arg)
{
    struct sl_rpc_call *call = arg;
    assert_false(sl_rpc_call_is_abandoned(call));
    sl_rpc_call_answer(call, sl_rpc_call_request(call));
    return NULL;
}

static void handle(void *arg, struct sl_rpc_call *call)
{
    struct desk *desk = arg;
    pthread_t thread;
    if (strcmp(sl_rpc_call_method(call), "Keep") == 0) {
        desk->kept = call;
        sem_post(&desk->is_kept);
        return;
    }
    assert_int_equal(pthread_create(&thread, NULL, answer, call), 0);
    pthread_detach(thread);
}

static const char *const methods[] = {"Echo", "Keep", NULL};

static int set_up(void **state)
{
    static struct sl_rpc_service services[2];
    struct desk *desk = calloc(1, sizeof(*desk));
    char *address = NULL;
    services[0] = (struct sl_rpc_service){"test.Desk", methods, handle, desk};
    sem_init(&desk->is_kept, 0, 0);
    *state = desk;
    assert_ok(sl_rpc_server_new(&(struct sl_rpc_server_options){.services = services},
                                &desk->server, NULL));
    assert_ok(sl_rpc_server_listen(desk->server, "ttrpc://127.0.0.1:0", &address, NULL));
    desk->target = sl_strf("tcp%s", address + strlen("ttrpc"));
    free(address);
    assert_ok(sl_rpc_server_start(desk->server, NULL));
    assert_ok(sl_rpc_client_new(SL_RPC_TTRPC, desk->target, NULL, &desk->client, NULL));
    return 0;
}

static int tear_down(void **state)
{
    struct desk *desk = *state;
    sl_rpc_client_free(desk->client);
    sl_rpc_server_free(desk->server);
    free(desk->target);
    sem_destroy(&desk->is_kept);
    free(desk);
    return 0;
}

static int call(struct desk *desk, const char *method, const char *request, int deadline_ms,
                struct sl_error *err)
{
    struct sl_bytes got = {0};
    enum sl_rpc_status status = SL_RPC_UNKNOWN;
    int r = sl_rpc_call(desk->client, "test.Desk", method, sl_span_of(request), deadline_ms, &got,
                        &status, err);
    if (r == 0) {
        assert_int_equal(status, SL_RPC_OK);
        assert_bytes(sl_bytes_span(&got), (const uint8_t *)request, strlen(request));
    }
    sl_bytes_wipe(&got);
    return r;
}

static void *call_often(void *arg)
{
    for (int i = 0; i < CALLS; i++) {
        char text[32];
        snprintf(text, sizeof(text), "%p %d", (void *)&i, i);
        assert_ok(call(arg, "Echo", text, LONG_MS, NULL));
    }
    return NULL;
}

static void calls_of_several_threads_go_side_by_side(void **state)
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, *state), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void refusal_is_an_auth_failure_with_its_text(void **state)
{
    struct desk *desk = *state;
    struct sl_bytes got = {0};
    enum sl_rpc_status status = SL_RPC_OK;
    struct sl_error err = {0};
    assert_fails(sl_rpc_call(desk->client, "test.Chair", "Echo", sl_span_of("x"), LONG_MS, &got,
                             &status, &err),
                 EPROTO, err, SL_E_AUTH);
    assert_int_equal(status, SL_RPC_UNIMPLEMENTED);
    assert_string_equal(err.msg, "test.Chair service does not exist");
    assert_null(got.data);
}

static void call_that_is_kept_ends_at_its_deadline_and_is_abandoned(void **state)
{
    struct desk *desk = *state;
    struct sl_error err = {0};
    int r = call(desk, "Keep", "x", SOON_MS, &err);
    /* Whoever looks at the clock first: the server refuses, or the client gives up. */
    assert_true((r == -ETIMEDOUT && err.code == SL_E_NETWORK) ||
                (r == -EPROTO && err.code == SL_E_AUTH));
    sem_wait(&desk->is_kept);
    while (!sl_rpc_call_is_abandoned(desk->kept))
        sched_yield(); /* the server has not yet heard that the client is gone */
    sl_rpc_call_answer(desk->kept, sl_span_of("too late"));
    assert_ok(call(desk, "Echo", "next", LONG_MS, NULL));
}

static void *keep(void *arg)
{
    struct sl_error err = {0};
    return (void *)(intptr_t)call(arg, "Keep", "x", LONG_MS, &err);
}

struct canceller {
    struct desk *desk;
    int cancel_fd;
};

static void *cancel_when_kept(void *arg)
{
    struct canceller *c = arg;
    sem_wait(&c->desk->is_kept);
    (void)eventfd_write(c->cancel_fd, 1);
    return NULL;
}

static void call_that_is_cancelled_ends_at_once(void **state)
{
    struct desk *desk = *state;
    SL_AUTO_FD cancel = eventfd(0, EFD_CLOEXEC);
    struct canceller c = {desk, cancel};
    struct sl_error err = {0};
    pthread_t thread;
    sl_rpc_client_set_cancel_fd(desk->client, cancel);
    assert_ok(call(desk, "Echo", "x", LONG_MS, NULL));
    assert_int_equal(pthread_create(&thread, NULL, cancel_when_kept, &c), 0);
    int r = call(desk, "Keep", "x", LONG_MS, &err);
    pthread_join(thread, NULL);
    assert_fails(r, ECANCELED, err, SL_E_CANCELLED);
    assert_non_null(strstr(err.msg, ": cancelled"));
    sl_rpc_call_answer(desk->kept, sl_span_of("too late"));
}

/* Or it would be told that there is no such server. */
static void call_after_the_cancellation_is_not_made(void **state)
{
    struct desk *desk = *state;
    SL_AUTO_FD cancel = eventfd(1, EFD_CLOEXEC);
    struct sl_error err = {0};
    sl_rpc_client_free(desk->client);
    assert_ok(sl_rpc_client_new(SL_RPC_TTRPC, "unix:///nonexistent", NULL, &desk->client, NULL));
    sl_rpc_client_set_cancel_fd(desk->client, cancel);
    assert_fails(call(desk, "Echo", "x", LONG_MS, &err), ECANCELED, err, SL_E_CANCELLED);
}

static void *stop(void *arg)
{
    sl_rpc_server_stop(arg, LONG_MS);
    return NULL;
}

/* And no longer, though the client keeps its connection. */
static void stop_waits_for_a_call_in_flight(void **state)
{
    struct desk *desk = *state;
    pthread_t asks, stops;
    void *result;
    int64_t start = sl_clock_ms();
    assert_int_equal(pthread_create(&asks, NULL, keep, desk), 0);
    sem_wait(&desk->is_kept);
    assert_int_equal(pthread_create(&stops, NULL, stop, desk->server), 0);
    while (call(desk, "Echo", "are you there", LONG_MS, NULL) == 0)
        sched_yield(); /* it has not yet begun to stop */
    answer(desk->kept);
    pthread_join(stops, NULL);
    pthread_join(asks, &result);
    assert_int_equal((intptr_t)result, 0);
    assert_true(sl_clock_ms() - start < LONG_MS);
}

static void answer_after_the_stop_goes_nowhere(void **state)
{
    struct desk *desk = *state;
    pthread_t asks;
    void *result;
    assert_int_equal(pthread_create(&asks, NULL, keep, desk), 0);
    sem_wait(&desk->is_kept);
    sl_rpc_server_stop(desk->server, /* drain_ms= */ 0);
    pthread_join(asks, &result);
    assert_int_equal((intptr_t)result, -ECONNRESET);
    assert_true(sl_rpc_call_is_abandoned(desk->kept));
    sl_rpc_call_refuse(desk->kept, SL_RPC_OK, NULL);
    struct sl_error err = {0};
    assert_fails(call(desk, "Echo", "x", LONG_MS, &err), ECONNREFUSED, err, SL_E_NETWORK);
}

static void call_never_answered_goes_with_the_server(void **state)
{
    struct desk *desk = *state;
    pthread_t asks;
    assert_int_equal(pthread_create(&asks, NULL, keep, desk), 0);
    sem_wait(&desk->is_kept);
    desk->server = sl_rpc_server_free(desk->server);
    pthread_join(asks, NULL);
}

#define server_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        server_test(calls_of_several_threads_go_side_by_side),
        server_test(refusal_is_an_auth_failure_with_its_text),
        server_test(call_that_is_kept_ends_at_its_deadline_and_is_abandoned),
        server_test(call_that_is_cancelled_ends_at_once),
        server_test(call_after_the_cancellation_is_not_made),
        server_test(stop_waits_for_a_call_in_flight),
        server_test(answer_after_the_stop_goes_nowhere),
        server_test(call_never_answered_goes_with_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
