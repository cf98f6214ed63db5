/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server with one service, test.Echo, for tests that speak to it from outside:
 *
 *   rpc_echo_driver [OPTION=VALUE...] ADDRESS...
 *
 * prints the real addresses, one each line, and serves until its stdin is closed. Methods: Echo
 * answers the request, Upper answers it from another thread, Refuse refuses with the request as
 * text and PERMISSION_DENIED, Metadata answers the value of the header that the request names, Hold
 * answers when Release is called (the last one first), Never does not answer, Abandoned answers how
 * many of the calls that were held or never answered are abandoned, Deadline answers the
 * milliseconds left, Large answers as many bytes as the request says.
 */
#include "server.h"

#include "sluice/core/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HELD_MAX = 4096, DRAIN_MS = 2000 };

struct echo {
    struct sl_rpc_call *held[HELD_MAX];
    size_t n_held;
    struct sl_rpc_call *never[HELD_MAX];
    size_t n_never;
};

static void *answer_upper(void *arg)
{
    struct sl_rpc_call *call = arg;
    struct sl_bytes upper = {0};
    if (sl_bytes_append(&upper, sl_rpc_call_request(call), SL_RPC_MESSAGE_MAX, NULL) < 0)
        abort();
    for (size_t i = 0; i < upper.len; i++)
        if (upper.data[i] >= 'a' && upper.data[i] <= 'z')
            upper.data[i] = (uint8_t)(upper.data[i] - 'a' + 'A');
    sl_rpc_call_answer(call, sl_bytes_span(&upper));
    sl_bytes_done(&upper);
    return NULL;
}

static void do_echo(struct echo *echo, struct sl_rpc_call *call)
{
    (void)echo;
    sl_rpc_call_answer(call, sl_rpc_call_request(call));
}

static void do_upper(struct echo *echo, struct sl_rpc_call *call)
{
    pthread_t thread;
    (void)echo;
    if (pthread_create(&thread, NULL, answer_upper, call) != 0)
        abort();
    pthread_detach(thread);
}

static void do_refuse(struct echo *echo, struct sl_rpc_call *call)
{
    (void)echo;
    sl_rpc_call_refuse(call, SL_RPC_PERMISSION_DENIED,
                       (const char *)sl_rpc_call_request(call).data);
}

static void do_metadata(struct echo *echo, struct sl_rpc_call *call)
{
    (void)echo;
    const char *value = sl_rpc_call_metadata(call, (const char *)sl_rpc_call_request(call).data);
    if (value)
        sl_rpc_call_answer(call, sl_span_of(value));
    else
        sl_rpc_call_refuse(call, SL_RPC_NOT_FOUND, "no such header");
}

static void do_hold(struct echo *echo, struct sl_rpc_call *call)
{
    if (echo->n_held == HELD_MAX)
        abort();
    echo->held[echo->n_held++] = call;
}

static void do_release(struct echo *echo, struct sl_rpc_call *call)
{
    while (echo->n_held > 0) {
        struct sl_rpc_call *held = echo->held[--echo->n_held];
        sl_rpc_call_answer(held, sl_rpc_call_request(held));
    }
    sl_rpc_call_answer(call, sl_span_of(""));
}

static void do_never(struct echo *echo, struct sl_rpc_call *call)
{
    if (echo->n_never == HELD_MAX)
        abort();
    echo->never[echo->n_never++] = call;
}

static void do_abandoned(struct echo *echo, struct sl_rpc_call *call)
{
    size_t n = 0;
    char text[32];
    for (size_t i = 0; i < echo->n_held; i++)
        n += sl_rpc_call_is_abandoned(echo->held[i]);
    for (size_t i = 0; i < echo->n_never; i++)
        n += sl_rpc_call_is_abandoned(echo->never[i]);
    snprintf(text, sizeof(text), "%zu", n);
    sl_rpc_call_answer(call, sl_span_of(text));
}

static void do_deadline(struct echo *echo, struct sl_rpc_call *call)
{
    char text[32];
    int64_t deadline = sl_rpc_call_deadline(call);
    (void)echo;
    snprintf(text, sizeof(text), "%lld", deadline ? (long long)(deadline - sl_clock_ms()) : 0LL);
    sl_rpc_call_answer(call, sl_span_of(text));
}

static void do_large(struct echo *echo, struct sl_rpc_call *call)
{
    size_t len = strtoul((const char *)sl_rpc_call_request(call).data, NULL, 10);
    uint8_t *bytes = malloc(len + 1);
    (void)echo;
    if (!bytes)
        abort();
    memset(bytes, 'x', len);
    sl_rpc_call_answer(call, (struct sl_span){bytes, len});
    free(bytes);
}

static const char *const methods[] = {"Echo",     "Upper",   "Refuse", "Metadata",
                                      "Hold",     "Release", "Never",  "Abandoned",
                                      "Deadline", "Large",   NULL};

static void handle(void *arg, struct sl_rpc_call *call)
{
    static void (*const doers[])(struct echo *, struct sl_rpc_call *) = {
        do_echo,    do_upper, do_refuse,    do_metadata, do_hold,
        do_release, do_never, do_abandoned, do_deadline, do_large};
    for (size_t i = 0; methods[i]; i++)
        if (strcmp(methods[i], sl_rpc_call_method(call)) == 0) {
            doers[i](arg, call);
            return;
        }
    abort();
}

static bool set_option(struct sl_rpc_server *server, const char *arg)
{
    struct sl_server_limits *limits = &server->limits;
    const char *value = strchr(arg, '=');
    if (!value)
        return false;
    unsigned long n = strtoul(value + 1, NULL, 10);
    if (strncmp(arg, "connections=", 12) == 0)
        limits->connections = (unsigned)n;
    else if (strncmp(arg, "calls=", 6) == 0)
        limits->calls = (unsigned)n;
    else if (strncmp(arg, "connection_calls=", 17) == 0)
        limits->connection_calls = (unsigned)n;
    else if (strncmp(arg, "call_bytes=", 11) == 0)
        limits->call_bytes = n;
    else if (strncmp(arg, "unread_bytes=", 13) == 0)
        limits->unread_bytes = n;
    else if (strncmp(arg, "held_bytes=", 11) == 0)
        limits->held_bytes = n;
    else if (strncmp(arg, "all_unread_bytes=", 17) == 0)
        limits->all_unread_bytes = n;
    else if (strncmp(arg, "request_ms=", 11) == 0)
        limits->request_ms = (int)n;
    else if (strncmp(arg, "stall_ms=", 9) == 0)
        limits->stall_ms = (int)n;
    else if (strncmp(arg, "any_address=", 12) == 0)
        server->allow_any_address = n;
    else
        return false;
    return true;
}

static int prepare(struct sl_rpc_server *server, char **args, struct sl_error *err)
{
    int r = 0;
    for (; *args && r == 0; args++) {
        char *real = NULL;
        if (set_option(server, *args))
            continue;
        r = sl_rpc_server_listen(server, *args, &real, err);
        if (r == 0)
            puts(real);
        free(real);
    }
    return r < 0 ? r : sl_rpc_server_start(server, err);
}

int main(int argc, char **argv)
{
    static struct echo echo;
    const struct sl_rpc_service services[] = {
        {.name = "test.Echo", .methods = methods, .handle = handle, .arg = &echo}, {.name = NULL}};
    const struct sl_rpc_server_options options = {.services = services};
    struct sl_error err = {0};
    SL_AUTO(sl_rpc_server) server = NULL;
    char byte;
    if (argc < 2 || sl_rpc_server_new(&options, &server, &err) < 0 ||
        prepare(server, argv + 1, &err) < 0) {
        fprintf(stderr, "rpc_echo_driver: %s\n", argc < 2 ? "wants an address" : err.msg);
        return 1;
    }
    fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    sl_rpc_server_stop(server, DRAIN_MS);
    return 0;
}
