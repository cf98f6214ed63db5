/* SPDX-License-Identifier: Apache-2.0 */
/* Our client and our server in one process: calls of several threads, and one server after another.
 */
#include "sluice/rpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>

#include "scratch_dir.h"

enum { N_THREADS = 16, N_CALLS = 10, DEADLINE_MS = 10000 };

static const char *const methods[] = {"UnWrapKey", NULL};

static void echo(void *arg, struct sl_rpc_call *call)
{
    (void)arg;
    sl_rpc_call_answer(call, sl_rpc_call_request(call));
}

static const struct sl_rpc_service services[] = {
    {.name = "keyprovider.KeyProviderService", .methods = methods, .handle = echo}, {.name = NULL}};

static struct sl_rpc_server *serve(const char *socket)
{
    const struct sl_rpc_server_options options = {.services = services};
    struct sl_rpc_server *server = NULL;
    SL_AUTO_FREE char *address = sl_strf("grpc+unix://%s", socket);
    assert_int_equal(sl_rpc_server_new(&options, &server, NULL), 0);
    assert_int_equal(sl_rpc_server_listen(server, address, NULL, NULL), 0);
    assert_int_equal(sl_rpc_server_start(server, NULL), 0);
    return server;
}

static struct sl_rpc_client *dial(const char *socket)
{
    SL_AUTO_FREE char *target = sl_strf("unix://%s", socket);
    struct sl_rpc_client *client = NULL;
    assert_int_equal(sl_rpc_client_new(SL_RPC_GRPC, target, NULL, &client, NULL), 0);
    return client;
}

static int ask(struct sl_rpc_client *client, const char *method, struct sl_span request,
               struct sl_bytes *ret, enum sl_rpc_status *ret_status, struct sl_error *err)
{
    return sl_rpc_call(client, "keyprovider.KeyProviderService", method, request, DEADLINE_MS, ret,
                       ret_status, err);
}

/* Calls with a text of its own each time; how many came back wrong. */
static void *ask_often(void *arg)
{
    uintptr_t n_wrong = 0;
    for (int i = 0; i < N_CALLS; i++) {
        char text[64];
        struct sl_bytes got = {0};
        (void)snprintf(text, sizeof(text), "%p call %d", (void *)text, i);
        if (ask(arg, "UnWrapKey", sl_span_of(text), &got, NULL, NULL) < 0 ||
            strcmp((const char *)got.data, text) != 0)
            n_wrong++;
        sl_bytes_wipe(&got);
    }
    return (void *)n_wrong; // NOLINT(performance-no-int-to-ptr)
}

static void threads_share_a_client(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    SL_AUTO_FREE char *socket = scratch_path(&dir, "s");
    SL_AUTO(sl_rpc_server) server = serve(socket);
    SL_AUTO(sl_rpc_client) client = dial(socket);
    pthread_t threads[N_THREADS];
    for (size_t i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, client), 0);
    for (size_t i = 0; i < N_THREADS; i++) {
        void *n_wrong;
        assert_int_equal(pthread_join(threads[i], &n_wrong), 0);
        assert_null(n_wrong);
    }
    sl_rpc_server_stop(server, 0);
}

static void client_finds_the_next_server(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    SL_AUTO_FREE char *socket = scratch_path(&dir, "s");
    SL_AUTO(sl_rpc_client) client = dial(socket);
    struct sl_error err;
    for (int i = 0; i < 3; i++) {
        SL_AUTO(sl_rpc_server) server = serve(socket);
        struct sl_bytes got = {0};
        enum sl_rpc_status status = SL_RPC_ABORTED;
        assert_int_equal(
            ask(client, "UnWrapKey", sl_span_of("\x0a\x0a{\"op\":\"x\"}"), &got, &status, &err), 0);
        assert_string_equal((const char *)got.data, "\x0a\x0a{\"op\":\"x\"}");
        assert_int_equal(status, SL_RPC_OK);
        sl_bytes_wipe(&got);
        sl_rpc_server_stop(server, 0);
        assert_int_equal(ask(client, "UnWrapKey", sl_span_of("x"), &got, &status, &err),
                         -ECONNREFUSED);
        assert_int_equal(err.code, SL_E_NETWORK);
        assert_null(got.data);
    }
}

static void unknown_method_is_told_with_its_status(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    SL_AUTO_FREE char *socket = scratch_path(&dir, "s");
    SL_AUTO(sl_rpc_server) server = serve(socket);
    SL_AUTO(sl_rpc_client) client = dial(socket);
    struct sl_bytes got = {0};
    struct sl_error err;
    enum sl_rpc_status status = SL_RPC_OK;
    assert_true(ask(client, "WrapKey", sl_span_of("x"), &got, &status, &err) < 0);
    assert_int_equal(err.code, SL_E_AUTH);
    assert_int_equal(status, SL_RPC_UNIMPLEMENTED);
    assert_null(got.data);
    sl_rpc_server_stop(server, 0);
}

static void wrong_options_are_refused(void **state)
{
    (void)state;
    static const struct sl_rpc_tls half = {.enabled = true, .cert_file = "/c"};
    static const struct sl_rpc_tls name = {.enabled = true, .server_name = "a/b"};
    struct sl_rpc_client *client = NULL;
    struct sl_error err;
    assert_int_equal(sl_rpc_client_new(SL_RPC_GRPC, "h:1", &half, &client, &err), -EINVAL);
    assert_int_equal(err.code, SL_E_FORMAT);
    assert_int_equal(sl_rpc_client_new(SL_RPC_GRPC, "h:1", &name, &client, &err), -EINVAL);
    assert_int_equal(err.code, SL_E_FORMAT);
    assert_int_equal(sl_rpc_client_new(SL_RPC_GRPC, "h", NULL, &client, &err), -EINVAL);
    assert_int_equal(err.code, SL_E_FORMAT);
    assert_null(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_share_a_client),
        cmocka_unit_test(client_finds_the_next_server),
        cmocka_unit_test(unknown_method_is_told_with_its_status),
        cmocka_unit_test(wrong_options_are_refused),
    };
    return cmocka_run_group_tests_name("rpc.grpc_client", tests, NULL, NULL);
}
