/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics_endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], path[96], address[112];
static struct sl_metrics_endpoint *endpoint;
static bool is_well, is_broken;

static int give_metrics(void *arg, struct sl_bytes *ret, struct sl_error *err)
{
    (void)arg;
    return is_broken ? sl_error_oom(err)
                     : sl_bytes_append(ret, sl_span_of("sluice_jobs 2\n"), 100, err);
}

static bool give_health(void *arg)
{
    (void)arg;
    return is_well;
}

static int start(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/test-endpoint-XXXXXX");
    if (!mkdtemp(folder))
        return 1;
    (void)snprintf(path, sizeof(path), "%s/socket", folder);
    (void)snprintf(address, sizeof(address), "unix://%s", path);
    is_well = true;
    is_broken = false;
    const struct sl_metrics_endpoint_options options = {
        .address = address, .metrics = give_metrics, .is_healthy = give_health};
    return sl_metrics_endpoint_start(&options, &endpoint, NULL, NULL);
}

static int stop(void **state)
{
    (void)state;
    endpoint = sl_metrics_endpoint_stop(endpoint);
    return rmdir(folder); /* the socket file is gone */
}

static const char *ask(const char *request)
{
    static char answer[4096];
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    memcpy(name.sun_path, path, strlen(path));
    SL_AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    size_t len = 0;
    for (ssize_t n;
         len < sizeof(answer) - 1 && (n = recv(fd, answer + len, sizeof(answer) - 1 - len, 0)) > 0;)
        len += (size_t)n;
    answer[len] = 0;
    return answer;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static void assert_answer(const char *request, const char *status, const char *part)
{
    const char *answer = ask(request);
    if (strncmp(answer, status, strlen(status)) != 0 || !strstr(answer, part))
        fail_msg("not %s with %s: %s", status, part, answer);
}

static void metrics_and_health_are_answered(void **state)
{
    (void)state;
    assert_answer(GET("/metrics"), "HTTP/1.1 200", "\r\n\r\nsluice_jobs 2\n");
    assert_answer(GET("/metrics"), "HTTP/1.1 200", "text/plain; version=0.0.4");
    assert_answer(GET("/healthz"), "HTTP/1.1 200", "\r\n\r\nok\n");
    is_well = false;
    assert_answer(GET("/healthz"), "HTTP/1.1 503", "ending\n");
    is_broken = true;
    assert_answer(GET("/metrics"), "HTTP/1.1 500", "out of memory");
}

static void all_else_is_refused(void **state)
{
    (void)state;
    assert_answer(GET("/"), "HTTP/1.1 404", "/healthz");
    assert_answer(GET("/metrics/.."), "HTTP/1.1 404", "/healthz");
    assert_answer("DELETE /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                  "HTTP/1.1 405", "Allow: GET, HEAD");
    (void)ask("nonsense\r\n\r\n");
    assert_answer(GET("/healthz"), "HTTP/1.1 200", "ok\n");
}

static void long_request_is_refused_and_the_next_is_served(void **state)
{
    (void)state;
    char request[20000];
    memset(request, 'a', sizeof(request));
    memcpy(request, "GET /", 5);
    request[sizeof(request) - 1] = 0;
    (void)ask(request);
    assert_answer(GET("/healthz"), "HTTP/1.1 200", "ok\n");
}

static void socket_is_private(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void only_this_machine_is_listened_to(void **state)
{
    (void)state;
    struct sl_metrics_endpoint *other = NULL;
    struct sl_error err = {0};
    struct sl_metrics_endpoint_options options = {
        .address = "0.0.0.0:0", .metrics = give_metrics, .is_healthy = give_health};
    assert_int_equal(sl_metrics_endpoint_start(&options, &other, NULL, &err), -EPERM);
    assert_int_equal(err.code, SL_E_POLICY);
    options.address = "127.0.0.1:0";
    SL_AUTO_FREE char *real = NULL;
    assert_int_equal(sl_metrics_endpoint_start(&options, &other, &real, &err), 0);
    assert_memory_equal(real, "127.0.0.1:", 10);
    assert_string_not_equal(real, "127.0.0.1:0");
    other = sl_metrics_endpoint_stop(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(metrics_and_health_are_answered, start, stop),
        cmocka_unit_test_setup_teardown(all_else_is_refused, start, stop),
        cmocka_unit_test_setup_teardown(long_request_is_refused_and_the_next_is_served, start,
                                        stop),
        cmocka_unit_test_setup_teardown(socket_is_private, start, stop),
        cmocka_unit_test_setup_teardown(only_this_machine_is_listened_to, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
