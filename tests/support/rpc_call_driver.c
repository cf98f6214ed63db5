/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks a server from outside: rpc_call_driver grpc|ttrpc TARGET SERVICE METHOD DEADLINE_MS
 * [TLS_OPTION=VALUE...]. Each line of stdin is a request; each answer is a line "ok ANSWER" or
 * "STATUS CODE ERRNO MESSAGE", where the status is -1 when there was none, the code an enum
 * sl_errc's name. TLS options: ca, cert, key, name, insecure; "tls=" alone says that there is TLS.
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

static bool set_option(struct sl_rpc_tls *tls, const char *arg)
{
    tls->enabled = true;
    if (strncmp(arg, "ca=", 3) == 0)
        tls->root_ca_file = arg + 3;
    else if (strncmp(arg, "cert=", 5) == 0)
        tls->cert_file = arg + 5;
    else if (strncmp(arg, "key=", 4) == 0)
        tls->key_file = arg + 4;
    else if (strncmp(arg, "name=", 5) == 0)
        tls->server_name = arg + 5;
    else if (strncmp(arg, "insecure=", 9) == 0)
        tls->insecure_skip_verify = true;
    else
        return strcmp(arg, "tls=") == 0;
    return true;
}

int main(int argc, char **argv)
{
    SL_AUTO(sl_rpc_client) client = NULL;
    SL_AUTO_FREE char *line = NULL;
    size_t size = 0;
    ssize_t len;
    struct sl_error err = {0};
    struct sl_rpc_tls tls = {.enabled = false};
    bool is_good = argc >= 6;
    for (int i = 6; i < argc; i++)
        is_good = is_good && set_option(&tls, argv[i]);
    if (!is_good || sl_rpc_client_new(strcmp(argv[1], "grpc") == 0 ? SL_RPC_GRPC : SL_RPC_TTRPC,
                                      argv[2], &tls, &client, &err) < 0) {
        fprintf(stderr, "rpc_call_driver: %s\n", is_good ? err.msg : "wants other arguments");
        return 2;
    }
    while ((len = getline(&line, &size, stdin)) > 0)
        ask(client, argv, (struct sl_span){(const uint8_t *)line, (size_t)len - 1});
    return 0;
}
