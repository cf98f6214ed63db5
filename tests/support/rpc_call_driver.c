/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks a server from outside: rpc_call_driver grpc|ttrpc TARGET SERVICE METHOD DEADLINE_MS. Each
 * line of stdin is a request; each answer is a line "ok ANSWER" or "STATUS CODE ERRNO MESSAGE",
 * where the status is -1 when there was none, the code an enum sl_errc's name.
 */
#include "sluice/rpc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void ask(struct sl_rpc_client *client, char **argv, struct sl_span request)
{
    struct sl_bytes answer = {0};
    enum sl_rpc_status status = (enum sl_rpc_status) - 1;
    struct sl_error err = {0};
    int r = sl_rpc_call(client, argv[3], argv[4], request, (int)strtol(argv[5], NULL, 10), &answer,
                        &status, &err);
    if (r < 0) {
        printf("%d %s %s %s\n", (int)status, sl_errc_name(err.code), strerrorname_np(-r), err.msg);
    } else {
        fputs("ok ", stdout);
        if (answer.len)
            fwrite(answer.data, 1, answer.len, stdout);
        putchar('\n');
    }
    fflush(stdout);
    sl_bytes_wipe(&answer);
}

int main(int argc, char **argv)
{
    SL_AUTO(sl_rpc_client) client = NULL;
    SL_AUTO_FREE char *line = NULL;
    size_t size = 0;
    ssize_t len;
    struct sl_error err = {0};
    if (argc != 6 || sl_rpc_client_new(strcmp(argv[1], "grpc") == 0 ? SL_RPC_GRPC : SL_RPC_TTRPC,
                                       argv[2], NULL, &client, &err) < 0) {
        fprintf(stderr, "rpc_call_driver: %s\n", argc == 6 ? err.msg : "wants five arguments");
        return 2;
    }
    while ((len = getline(&line, &size, stdin)) > 0)
        ask(client, argv, (struct sl_span){(const uint8_t *)line, (size_t)len - 1});
    return 0;
}
