/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "signal_watch.h"
#include "sluice/key_provider_service.h"

#include <stdio.h>

/* One address a line, so that a script can read where a port of 0 has led. */
static void print_addresses(void *arg, const char *const *addresses)
{
    (void)arg;
    for (; *addresses; addresses++)
        puts(*addresses);
    (void)fflush(stdout);
}

int verb_keyprovider_check(const struct cli_options *o, struct sl_error *err)
{
    return o->listen ? 0
                     : sl_error_set(err, SL_E_FORMAT, EINVAL,
                                    "nothing to listen on: --listen grpc://127.0.0.1:PORT");
}

int verb_keyprovider(const struct cli_options *o, struct sl_error *err)
{
    const struct sl_key_service_options options = {
        .listen = o->listen,
        .allow_any_address = o->listen_anywhere,
        .keys = o->keys,
        .ready = print_addresses,
    };
    SL_AUTO(sl_key_service) service = NULL;
    sigset_t signals;
    signals_block(&signals);
    int r = sl_key_service_start(&options, &service, err);
    if (r < 0)
        return r;
    int sig;
    (void)sigwait(&signals, &sig);
    return 0;
}
