/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks a key provider to unwrap, over one connection, and prints calls per second and the 50th and
 * 99th percentile of the time of a call:
 *
 *   keyprovider_load grpc|ttrpc TARGET REQUEST-FILE COUNT
 *
 * The file holds the JSON of one request.
 */
#include "sluice/rpc.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEADLINE_MS = 10 * 1000, REQUEST_MAX = 64 * 1024 };

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_time(const void *pa, const void *pb)
{
    double a = *(const double *)pa, b = *(const double *)pb;
    return (a > b) - (a < b);
}

static int call(struct sl_rpc_client *client, struct sl_span request, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) answer = {0};
    return sl_rpc_call(client, "keyprovider.KeyProviderService", "UnWrapKey", request, DEADLINE_MS,
                       &answer, /* ret_status= */ NULL, err);
}

static int load(struct sl_rpc_client *client, const char *file, size_t n, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) json = {0};
    SL_AUTO_DONE(sl_bytes) message = {0};
    SL_AUTO_FREE double *times = calloc(n, sizeof(*times));
    if (!times)
        return sl_error_oom(err);
    int r = sl_read_file(AT_FDCWD, file, REQUEST_MAX, &json, err);
    if (r == 0)
        r = sl_rpc_bytes_message_pack(sl_bytes_span(&json), &message, err);
    if (r == 0)
        r = call(client, sl_bytes_span(&message), err); /* opens the connection */
    double start = now();
    for (size_t i = 0; r == 0 && i < n; i++) {
        double before = now();
        r = call(client, sl_bytes_span(&message), err);
        times[i] = now() - before;
    }
    if (r < 0)
        return r;
    double all = now() - start;
    qsort(times, n, sizeof(*times), by_time);
    printf("%.0f calls/s, p50 %.3f ms, p99 %.3f ms, max %.3f ms\n", (double)n / all,
           times[n / 2] * 1e3, times[n * 99 / 100] * 1e3, times[n - 1] * 1e3);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    struct sl_error err = {0};
    SL_AUTO(sl_rpc_client) client = NULL;
    enum sl_rpc_protocol protocol = strcmp(argv[1], "grpc") == 0 ? SL_RPC_GRPC : SL_RPC_TTRPC;
    size_t n = strtoul(argv[4], NULL, 10);
    int r = n ? sl_rpc_client_new(protocol, argv[2], /* tls= */ NULL, &client, &err) : -EINVAL;
    if (r == 0)
        r = load(client, argv[3], n, &err);
    if (r < 0)
        fprintf(stderr, "keyprovider_load: %s\n", err.msg);
    return r < 0;
}
