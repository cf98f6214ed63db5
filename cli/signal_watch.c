/* SPDX-License-Identifier: Apache-2.0 */
#include "signal_watch.h"

static void *watch(void *arg)
{
    struct signal_watch *w = arg;
    int sig;
    while (sigwait(&w->signals, &sig) == 0 && sig != SIGUSR1)
        sl_engine_cancel(w->engine);
    return NULL;
}

void signal_watch_block(struct signal_watch *w)
{
    sigemptyset(&w->signals);
    sigaddset(&w->signals, SIGINT);
    sigaddset(&w->signals, SIGTERM);
    sigaddset(&w->signals, SIGHUP);
    sigaddset(&w->signals, SIGUSR1); /* our own: the run is over */
    (void)pthread_sigmask(SIG_BLOCK, &w->signals, NULL);
}

int signal_watch_start(struct signal_watch *w, struct sl_engine *engine, struct sl_error *err)
{
    w->engine = engine;
    int r = pthread_create(&w->thread, NULL, watch, w);
    return r ? sl_error_system(err, r, "start a thread") : 0;
}

void signal_watch_stop(struct signal_watch *w)
{
    (void)pthread_kill(w->thread, SIGUSR1);
    (void)pthread_join(w->thread, NULL);
}
