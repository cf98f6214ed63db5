/* SPDX-License-Identifier: Apache-2.0 */
/* The server's threads, lives and ends; what it says on the wire is tested from outside. */
#include "address.h"
#include "server.h"
#include "ttrpc_frame.h"

#include "sluice/core/clock.h"

#include "rpc_vectors.h"

#include <sched.h>
#include <semaphore.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

enum { THREADS = 4, CALLS = 100, SOON_MS = 50, LONG_MS = 20000 };

/* A service that answers from another thread, or keeps the call. */
struct desk {
    struct sl_rpc_call *kept;
    sem_t is_kept;
    char *target;
    struct sl_rpc_server *server;
    struct sl_rpc_client *client;
    sem_t is_blocked, goes_on; /* the server's thread */
    sem_t has_left;            /* once for each time that it was told of */
    bool answers_who_left;
};

static void note_leaving(void *arg)
{
    struct desk *desk = arg;
    if (desk->answers_who_left)
        sl_rpc_call_answer(desk->kept, sl_span_of("you have left"));
    sem_post(&desk->has_left);
}

static unsigned times_told(struct desk *desk)
{
    int n;
    sem_getvalue(&desk->has_left, &n);
    return (unsigned)n;
}

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
    if (strcmp(sl_rpc_call_method(call), "Block") == 0) {
        sem_post(&desk->is_blocked);
        sem_wait(&desk->goes_on);
        sl_rpc_call_answer(call, sl_span_of(""));
        return;
    }
    if (strcmp(sl_rpc_call_method(call), "Keep") == 0) {
        sl_rpc_call_watch(call, note_leaving, desk);
        desk->kept = call;
        sem_post(&desk->is_kept);
        return;
    }
    assert_int_equal(pthread_create(&thread, NULL, answer, call), 0);
    pthread_detach(thread);
}

static const char *const methods[] = {"Echo", "Keep", "Block", NULL};

static int set_up(void **state)
{
    static struct sl_rpc_service services[2];
    struct desk *desk = calloc(1, sizeof(*desk));
    char *address = NULL;
    services[0] = (struct sl_rpc_service){"test.Desk", methods, handle, desk};
    sem_init(&desk->is_kept, 0, 0);
    sem_init(&desk->has_left, 0, 0);
    sem_init(&desk->is_blocked, 0, 0);
    sem_init(&desk->goes_on, 0, 0);
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
    sem_destroy(&desk->has_left);
    sem_destroy(&desk->is_blocked);
    sem_destroy(&desk->goes_on);
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

/* ---- watching ---- */

static int dial(const struct desk *desk)
{
    struct sl_address address;
    int fd;
    assert_ok(sl_address_tcp(desk->target + strlen("tcp://"), desk->target, &address, NULL));
    fd = socket(address.name.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_ok(connect(fd, (const struct sockaddr *)&address.name, address.len));
    return fd;
}

static void ask_raw(int fd, const char *method)
{
    SL_AUTO_DONE(sl_bytes) frame = {0};
    const struct sl_ttrpc_request request = {.service = sl_span_of("test.Desk"),
                                             .method = sl_span_of(method)};
    assert_ok(sl_ttrpc_request_frame(1, &request, &frame, NULL));
    assert_int_equal(send(fd, frame.data, frame.len, 0), frame.len);
}

static void watcher_is_told_once_of_a_deadline(void **state)
{
    struct desk *desk = *state;
    struct sl_error err = {0};
    assert_true(call(desk, "Keep", "x", SOON_MS, &err) < 0);
    sem_wait(&desk->is_kept);
    sem_wait(&desk->has_left);
    assert_true(sl_rpc_call_is_abandoned(desk->kept));
    sl_rpc_call_answer(desk->kept, sl_span_of("too late"));
    assert_ok(call(desk, "Echo", "next", LONG_MS, NULL));
    assert_int_equal(times_told(desk), 0);
}

static void watcher_that_comes_late_is_told_at_once(void **state)
{
    struct desk *desk = *state;
    struct sl_error err = {0};
    assert_true(call(desk, "Keep", "x", SOON_MS, &err) < 0);
    sem_wait(&desk->is_kept);
    sem_wait(&desk->has_left);
    sl_rpc_call_watch(desk->kept, note_leaving, desk);
    assert_int_equal(times_told(desk), 1);
    desk->answers_who_left = true;
    sl_rpc_call_watch(desk->kept, note_leaving, desk);
    assert_int_equal(times_told(desk), 2);
    desk->answers_who_left = false;
    assert_ok(call(desk, "Echo", "next", LONG_MS, NULL));
}

static void watcher_may_answer(void **state)
{
    struct desk *desk = *state;
    struct sl_error err = {0};
    desk->answers_who_left = true;
    assert_true(call(desk, "Keep", "x", SOON_MS, &err) < 0);
    sem_wait(&desk->is_kept);
    sem_wait(&desk->has_left);
    desk->answers_who_left = false;
    assert_ok(call(desk, "Echo", "next", LONG_MS, NULL));
}

static void watcher_is_not_told_once_the_answer_is_given(void **state)
{
    struct desk *desk = *state;
    pthread_t asks;
    assert_int_equal(pthread_create(&asks, NULL, keep, desk), 0);
    sem_wait(&desk->is_kept);
    answer(desk->kept);
    pthread_join(asks, NULL);
    sl_rpc_server_stop(desk->server, LONG_MS);
    assert_int_equal(times_told(desk), 0);
}

/* The client goes while the server's thread is busy with another call, and is answered meanwhile:
 * when the thread hears of it, its watcher has been promised silence. */
static void watcher_is_not_told_of_who_goes_after_his_answer(void **state)
{
    struct desk *desk = *state;
    SL_AUTO_FD goes = dial(desk);
    SL_AUTO_FD blocks = dial(desk), blocks_again = dial(desk);
    ask_raw(goes, "Keep");
    sem_wait(&desk->is_kept);
    ask_raw(blocks, "Block");
    sem_wait(&desk->is_blocked);
    ask_raw(blocks_again, "Block"); /* waits in the same round as the end that follows it */
    shutdown(goes, SHUT_RDWR);
    sem_post(&desk->goes_on);
    sem_wait(&desk->is_blocked);
    sl_rpc_call_answer(desk->kept, sl_span_of("x"));
    sem_post(&desk->goes_on);
    assert_ok(call(desk, "Echo", "next", LONG_MS, NULL));
    assert_int_equal(times_told(desk), 0);
}

/* Memory that is gone as soon as the answer is given: who is told later, or is still being told,
 * is seen by the sanitizers. */
static void note_in_memory(void *arg)
{
    ++*(unsigned *)arg;
}

static void *answer_watched(void *arg)
{
    struct sl_rpc_call *call = arg;
    unsigned *told = calloc(1, sizeof(*told));
    assert_non_null(told);
    sl_rpc_call_watch(call, note_in_memory, told);
    sched_yield();
    sl_rpc_call_answer(call, sl_span_of("x"));
    assert_true(*told <= 1);
    free(told);
    return NULL;
}

struct race {
    pthread_t thread;
    bool has_begun;
};

static void handle_watched(void *arg, struct sl_rpc_call *call)
{
    struct race *race = arg;
    race->has_begun = true;
    assert_int_equal(pthread_create(&race->thread, NULL, answer_watched, call), 0);
}

/* Clients that leave while they are answered, which is before, while or after they are forgotten.
 */
static void watcher_is_gone_when_the_answer_is_given(void **state)
{
    (void)state;
    static const char *const race_methods[] = {"Race", NULL};
    struct race race;
    const struct sl_rpc_service services[] = {{"test.Race", race_methods, handle_watched, &race},
                                              {.name = NULL}};
    for (int i = 0; i < CALLS; i++) {
        SL_AUTO(sl_rpc_server) server = NULL;
        SL_AUTO(sl_rpc_client) client = NULL;
        SL_AUTO_FREE char *address = NULL, *target = NULL;
        struct sl_bytes got = {0};
        race.has_begun = false;
        assert_ok(sl_rpc_server_new(&(struct sl_rpc_server_options){.services = services}, &server,
                                    NULL));
        assert_ok(sl_rpc_server_listen(server, "ttrpc://127.0.0.1:0", &address, NULL));
        assert_ok(sl_rpc_server_start(server, NULL));
        target = sl_strf("tcp%s", address + strlen("ttrpc"));
        assert_ok(sl_rpc_client_new(SL_RPC_TTRPC, target, NULL, &client, NULL));
        /* The server hears of the deadline by itself. */
        int r =
            sl_rpc_call(client, "test.Race", "Race", sl_span_of("x"), 1 + i % 3, &got, NULL, NULL);
        sl_bytes_wipe(&got);
        sl_rpc_server_stop(server, /* drain_ms= */ i % 2);
        (void)r; /* answered, too late, or never asked: all are meant to happen */
        if (race.has_begun)
            pthread_join(race.thread, NULL);
    }
}

/* ---- others' calls ---- */

static void tell_name(void *arg, struct sl_rpc_call *call)
{
    (void)arg;
    SL_AUTO_FREE char *text = sl_strf("%s/%s", sl_rpc_call_service(call), sl_rpc_call_method(call));
    sl_rpc_call_answer(call, sl_span_of(text));
}

static void unknown_calls_have_a_handler_of_their_own(void **state)
{
    struct desk *desk = *state;
    static const char *const names[][2] = {{"test.Chair", "Sit"}, {"test.Desk", "Sit"}};
    desk->server->handle_unknown = tell_name;
    for (size_t i = 0; i < 2; i++) {
        SL_AUTO_DONE(sl_bytes) got = {0};
        SL_AUTO_FREE char *want = sl_strf("%s/%s", names[i][0], names[i][1]);
        assert_ok(sl_rpc_call(desk->client, names[i][0], names[i][1], sl_span_of("x"), LONG_MS,
                              &got, NULL, NULL));
        assert_bytes(sl_bytes_span(&got), (const uint8_t *)want, strlen(want));
    }
    assert_ok(call(desk, "Echo", "x", LONG_MS, NULL));
}

static void names_that_nobody_could_read_are_not_passed_on(void **state)
{
    struct desk *desk = *state;
    static char name[1 << 20];
    memset(name, 0xff, sizeof(name) - 1);
    desk->server->handle_unknown = tell_name;
    const char *const names[][2] = {{name, "Sit"}, {"test.Desk", name}, {"", "Sit"}, {"a", ""}};
    for (size_t i = 0; i < 4; i++) {
        struct sl_bytes got = {0};
        struct sl_error err = {0};
        enum sl_rpc_status status = SL_RPC_OK;
        assert_fails(sl_rpc_call(desk->client, names[i][0], names[i][1], sl_span_of("x"), LONG_MS,
                                 &got, &status, &err),
                     EPROTO, err, SL_E_AUTH);
        assert_int_equal(status, SL_RPC_UNIMPLEMENTED);
        assert_true(i > 1 || strstr(err.msg, "????????"));
    }
}

static void thread_that_comes_round_is_alive(void **state)
{
    struct desk *desk = *state;
    while (!sl_rpc_server_is_alive(desk->server))
        sched_yield(); /* it has just begun */
    while (!sl_rpc_server_is_alive(desk->server))
        sched_yield(); /* nobody but this wakes it */
    sl_rpc_server_stop(desk->server, /* drain_ms= */ 0);
    (void)sl_rpc_server_is_alive(desk->server);
    assert_false(sl_rpc_server_is_alive(desk->server));
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
        server_test(watcher_is_told_once_of_a_deadline),
        server_test(watcher_that_comes_late_is_told_at_once),
        server_test(watcher_may_answer),
        server_test(watcher_is_not_told_once_the_answer_is_given),
        server_test(watcher_is_not_told_of_who_goes_after_his_answer),
        cmocka_unit_test(watcher_is_gone_when_the_answer_is_given),
        server_test(unknown_calls_have_a_handler_of_their_own),
        server_test(names_that_nobody_could_read_are_not_passed_on),
        server_test(thread_that_comes_round_is_alive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
