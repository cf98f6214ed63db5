/* SPDX-License-Identifier: Apache-2.0 */
#include "signal_watch.h"

static void *watch(void *arg)
{
    struct signal_watch *w = arg;
    int sig;
    while (sigwait(&w->signals, &sig) == 0 && sig != SIGUSR1)
        sluice_cancel(w->sluice);
    return NULL;
}

void signals_block(sigset_t *ret)
{
    sigemptyset(ret);
    sigaddset(ret, SIGINT);
    sigaddset(ret, SIGTERM);
    sigaddset(ret, SIGHUP);
    sigaddset(ret, SIGUSR1); /* our own: the run is over */
    (void)pthread_sigmask(SIG_BLOCK, ret, NULL);
}

int signal_watch_start(struct signal_watch *w, const struct sluice_options *options,
                       struct sluice **ret, struct sl_error *err)
{
    SL_AUTO(sluice) sluice = NULL;
    struct sluice_error why = {0};
    signals_block(&w->signals);
    int r = sl_error_from_api(sluice_open(options, &sluice, &why), &why, err);
    if (r < 0)
        return r;
    w->sluice = sluice;
    r = pthread_create(&w->thread, NULL, watch, w);
    if (r)
        return sl_error_system(err, r, "start a thread");
    *ret = sl_steal(&sluice);
    return 0;
}

void signal_watch_stop(struct signal_watch *w)
{
    (void)pthread_kill(w->thread, SIGUSR1);
    (void)pthread_join(w->thread, NULL);
}
