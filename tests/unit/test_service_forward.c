/* SPDX-License-Identifier: Apache-2.0 */
/* A front that has no services of its own, and an upstream hub behind it: both are real servers. */
#include "forward.h"

#include "sluice/core/clock.h"

#include "assert_result.h"
#include "scratch_dir.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { LONG_MS = 20000, SOON_MS = 100, MANY = 40, KEPT_MAX = 64, THREADS_MAX = 32 };

#define assert_ok(r) assert_int_equal((r), 0)

static atomic_uint n_good, n_bad;

void sl_metrics_count_forward(struct sl_metrics *metrics, bool ok)
{
    (void)metrics;
    atomic_fetch_add(ok ? &n_good : &n_bad, 1);
}

struct fixture {
    char *dir, *upstream_address, *front_address, *front_target;
    struct sl_rpc_server *upstream, *front;
    struct sl_forward *forward;
    struct sl_rpc_client *client;
    pthread_mutex_t lock;
    struct sl_rpc_call *kept[KEPT_MAX];
    size_t n_kept;
    sem_t is_kept, has_left;
};

/* The hub: echoes, refuses with what no enum has a name for, or keeps the call. */
static void hub(void *arg, struct sl_rpc_call *call)
{
    struct fixture *f = arg;
    const char *method = sl_rpc_call_method(call);
    if (strcmp(method, "Keep") == 0) {
        pthread_mutex_lock(&f->lock);
        assert_true(f->n_kept < KEPT_MAX);
        f->kept[f->n_kept++] = call;
        pthread_mutex_unlock(&f->lock);
        sem_post(&f->is_kept);
    } else if (strcmp(method, "Refuse") == 0) {
        const struct sl_rpc_reply reply = {
            .status = 99,
            .text = {.data = (uint8_t *)(uintptr_t) "no\xc3\xa9", .len = 4},
            .details = {.data = (uint8_t *)(uintptr_t) "\x1a\x02\x0a\x00\x1a\x00", .len = 6},
        };
        sl_rpc_call_relay(call, &reply);
    } else if (strcmp(method, "Metadata") == 0) {
        const char *value = sl_rpc_call_metadata(call, "user-agent");
        sl_rpc_call_answer(call, sl_span_of(value ? value : "none"));
    } else {
        sl_rpc_call_answer(call, sl_rpc_call_request(call));
    }
}

static struct sl_rpc_server *serve(const char *address, sl_rpc_handler_fn *handle, void *arg)
{
    static const struct sl_rpc_service none[] = {{.name = NULL}};
    struct sl_rpc_server *server = NULL;
    const struct sl_rpc_server_options options = {
        .services = none, .handle_unknown = handle, .unknown_arg = arg};
    struct sl_error err = {0};
    assert_done(sl_rpc_server_new(&options, &server, &err));
    assert_done(sl_rpc_server_listen(server, address, NULL, &err));
    assert_done(sl_rpc_server_start(server, &err));
    return server;
}

static struct scratch_dir dir;

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    dir = scratch_make();
    f->upstream_address = sl_strf("ttrpc+unix://%s/hub", dir.path);
    f->front_address = sl_strf("ttrpc+unix://%s/front", dir.path);
    pthread_mutex_init(&f->lock, NULL);
    sem_init(&f->is_kept, 0, 0);
    sem_init(&f->has_left, 0, 0);
    struct sl_error err = {0};
    assert_done(sl_forward_new(strchr(f->upstream_address, '+') + 1, (struct sl_metrics *)f,
                               &f->forward, &err));
    f->upstream = serve(f->upstream_address, hub, f);
    f->front = serve(f->front_address, sl_forward_handle, f->forward);
    assert_done(
        sl_rpc_client_new(SL_RPC_TTRPC, strchr(f->front_address, '+') + 1, NULL, &f->client, &err));
    atomic_store(&n_good, 0);
    atomic_store(&n_bad, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    sl_rpc_server_stop(f->front, /* drain_ms= */ 0);
    sl_forward_free(f->forward);
    sl_rpc_server_free(f->front);
    sl_rpc_server_free(f->upstream);
    sl_rpc_client_free(f->client);
    pthread_mutex_destroy(&f->lock);
    sem_destroy(&f->is_kept);
    sem_destroy(&f->has_left);
    free(f->upstream_address);
    free(f->front_address);
    free(f);
    scratch_remove(&dir);
    return 0;
}

static int ask(struct fixture *f, const char *method, struct sl_span request, int deadline_ms,
               enum sl_rpc_status *ret_status, struct sl_error *err)
{
    struct sl_bytes got = {0};
    int r = sl_rpc_call(f->client, "api.SecureMountService", method, request, deadline_ms, &got,
                        ret_status, err);
    if (r == 0)
        assert_true(sl_span_is_equal(sl_bytes_span(&got), request));
    sl_bytes_wipe(&got);
    return r;
}

static void call_goes_over_and_its_answer_comes_back(void **state)
{
    struct fixture *f = *state;
    static uint8_t large[SL_RPC_MESSAGE_MAX - 1000];
    struct sl_error err = {0};
    assert_done(ask(f, "Echo", sl_span_of("x\xff"), LONG_MS, NULL, &err));
    assert_done(ask(f, "Echo", (struct sl_span){0}, LONG_MS, NULL, &err));
    assert_done(ask(f, "Echo", (struct sl_span){large, sizeof(large)}, LONG_MS, NULL, &err));
    assert_int_equal(n_good, 3);
    assert_int_equal(n_bad, 0);
}

/* The status, the text and what the client calls itself go from one protocol to the other. */
static void call_that_came_by_grpc_goes_over_by_ttrpc(void **state)
{
    struct fixture *f = *state;
    SL_AUTO_FREE char *address = sl_strf("grpc+unix://%s/grpc", dir.path);
    SL_AUTO(sl_rpc_server) front = NULL;
    SL_AUTO_DONE(sl_bytes) agent = {0};
    enum sl_rpc_status status = SL_RPC_OK;
    struct sl_error err = {0};
    front = serve(address, sl_forward_handle, f->forward);
    sl_rpc_client_free(f->client);
    assert_done(sl_rpc_client_new(SL_RPC_GRPC, strstr(address, "unix"), NULL, &f->client, &err));
    assert_done(ask(f, "Echo", sl_span_of("x\xff"), LONG_MS, NULL, &err));
    assert_done(
        sl_rpc_call(f->client, "a.B", "Metadata", sl_span_of("x"), LONG_MS, &agent, NULL, &err));
    assert_string_equal((const char *)agent.data, "sluice/" SL_VERSION);
    assert_error(ask(f, "Refuse", sl_span_of("x"), LONG_MS, &status, &err), EPROTO, SL_E_AUTH,
                 "no\xc3\xa9");
    assert_int_equal(status, SL_RPC_UNKNOWN); /* to our client of gRPC; 99 on the wire */
    sl_rpc_server_stop(front, /* drain_ms= */ 0);
}

static void status_that_nobody_knows_comes_back(void **state)
{
    struct fixture *f = *state;
    enum sl_rpc_status status = SL_RPC_OK;
    struct sl_error err = {0};
    assert_error(ask(f, "Refuse", sl_span_of("x"), LONG_MS, &status, &err), EPROTO, SL_E_AUTH,
                 "no\xc3\xa9");
    assert_int_equal(status, 99);
}

static void dead_hub_is_said_at_once_by_its_name(void **state)
{
    struct fixture *f = *state;
    enum sl_rpc_status status = SL_RPC_OK;
    struct sl_error err = {0};
    f->upstream = sl_rpc_server_free(f->upstream);
    int64_t start = sl_clock_ms();
    assert_error(ask(f, "Echo", sl_span_of("x"), LONG_MS, &status, &err), EPROTO, SL_E_AUTH,
                 "[CDH] [ERROR]: api.SecureMountService/Echo could not be passed on");
    assert_int_equal(status, SL_RPC_UNAVAILABLE);
    assert_int_equal(n_good, 0);
    assert_int_equal(n_bad, 1);
    assert_non_null(strstr(err.msg, strchr(f->upstream_address, '+') + 1));
    assert_true(sl_clock_ms() - start < LONG_MS / 2);
    /* And is found when it is there again. */
    f->upstream = serve(f->upstream_address, hub, f);
    assert_done(ask(f, "Echo", sl_span_of("x"), LONG_MS, NULL, &err));
}

static void note_leaving(void *arg)
{
    struct fixture *f = arg;
    sem_post(&f->has_left);
}

static struct sl_rpc_call *take_kept(struct fixture *f)
{
    sem_wait(&f->is_kept);
    pthread_mutex_lock(&f->lock);
    struct sl_rpc_call *call = f->kept[--f->n_kept];
    pthread_mutex_unlock(&f->lock);
    return call;
}

static void hanging_hub_is_left_at_the_deadline(void **state)
{
    struct fixture *f = *state;
    struct sl_error err = {0};
    assert_true(ask(f, "Keep", sl_span_of("x"), SOON_MS, NULL, &err) < 0);
    struct sl_rpc_call *kept = take_kept(f);
    assert_true(sl_rpc_call_deadline(kept) > 0);
    assert_true(sl_rpc_call_deadline(kept) <= sl_clock_ms() + SOON_MS);
    sl_rpc_call_watch(kept, note_leaving, f);
    sem_wait(&f->has_left);
    sl_rpc_call_answer(kept, sl_span_of("too late"));
}

struct asker {
    struct fixture *f;
    int deadline_ms, cancel_fd, result;
};

static void *keep(void *arg)
{
    struct asker *asker = arg;
    struct sl_error err = {0};
    asker->result = ask(asker->f, "Keep", sl_span_of("x"), asker->deadline_ms, NULL, &err);
    return NULL;
}

/* The hub hears of it long before any deadline. */
static void client_that_leaves_ends_the_call_at_the_hub(void **state)
{
    struct fixture *f = *state;
    struct asker asker = {.f = f, .deadline_ms = LONG_MS};
    SL_AUTO_FD cancel = eventfd(0, EFD_CLOEXEC);
    pthread_t thread;
    int64_t start = sl_clock_ms();
    sl_rpc_client_set_cancel_fd(f->client, cancel);
    assert_ok(pthread_create(&thread, NULL, keep, &asker));
    struct sl_rpc_call *kept = take_kept(f);
    sl_rpc_call_watch(kept, note_leaving, f);
    assert_ok(eventfd_write(cancel, 1));
    pthread_join(thread, NULL);
    assert_int_equal(asker.result, -ECANCELED);
    sem_wait(&f->has_left);
    assert_true(sl_clock_ms() - start < LONG_MS);
    sl_rpc_call_answer(kept, sl_span_of("too late"));
}

static size_t count_threads(void)
{
    size_t n = 0;
    DIR *d = opendir("/proc/self/task");
    assert_non_null(d);
    for (struct dirent *entry; (entry = readdir(d));)
        n += entry->d_name[0] != '.';
    closedir(d);
    return n;
}

/* As many as there may be, the others behind them; and none when there is nothing to do. */
static void couriers_are_few_and_go_when_idle(void **state)
{
    struct fixture *f = *state;
    static struct asker askers[MANY];
    pthread_t threads[MANY];
    size_t before = count_threads();
    for (size_t i = 0; i < MANY; i++) {
        askers[i] = (struct asker){.f = f, .deadline_ms = LONG_MS};
        assert_ok(pthread_create(&threads[i], NULL, keep, &askers[i]));
    }
    for (size_t i = 0; i < THREADS_MAX; i++)
        sem_wait(&f->is_kept);
    assert_true(count_threads() <= before + MANY + THREADS_MAX);
    for (size_t i = 0; i < THREADS_MAX; i++)
        sem_post(&f->is_kept);
    for (size_t i = 0; i < MANY; i++)
        sl_rpc_call_answer(take_kept(f), sl_span_of("x"));
    for (size_t i = 0; i < MANY; i++) {
        pthread_join(threads[i], NULL);
        assert_ok(askers[i].result);
    }
    while (count_threads() > before)
        sched_yield();
    /* And come again. */
    struct sl_error err = {0};
    assert_done(ask(f, "Echo", sl_span_of("x"), LONG_MS, NULL, &err));
}

static void front_that_stops_waits_for_no_hub(void **state)
{
    struct fixture *f = *state;
    struct asker asker = {.f = f, .deadline_ms = LONG_MS};
    pthread_t thread;
    assert_ok(pthread_create(&thread, NULL, keep, &asker));
    struct sl_rpc_call *kept = take_kept(f);
    int64_t start = sl_clock_ms();
    sl_rpc_server_stop(f->front, /* drain_ms= */ 0);
    f->forward = sl_forward_free(f->forward);
    assert_true(sl_clock_ms() - start < LONG_MS);
    pthread_join(thread, NULL);
    assert_int_equal(asker.result, -ECONNRESET);
    sl_rpc_call_answer(kept, sl_span_of("too late"));
}

#define forward_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        forward_test(call_goes_over_and_its_answer_comes_back),
        forward_test(call_that_came_by_grpc_goes_over_by_ttrpc),
        forward_test(status_that_nobody_knows_comes_back),
        forward_test(dead_hub_is_said_at_once_by_its_name),
        forward_test(hanging_hub_is_left_at_the_deadline),
        forward_test(client_that_leaves_ends_the_call_at_the_hub),
        forward_test(couriers_are_few_and_go_when_idle),
        forward_test(front_that_stops_waits_for_no_hub),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
