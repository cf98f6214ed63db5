/* SPDX-License-Identifier: Apache-2.0 */
#include "waiting.h"

void sl_waiting_init(struct sl_waiting *w)
{
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->cond, NULL);
    w->is_done = false;
}

void sl_waiting_end(struct sl_waiting *w, int r, const struct sl_error *err)
{
    pthread_mutex_lock(&w->lock);
    w->r = r;
    w->err = *err;
    w->is_done = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->lock);
}

int sl_waiting_join(struct sl_waiting *w, struct sl_error *err)
{
    pthread_mutex_lock(&w->lock);
    while (!w->is_done)
        pthread_cond_wait(&w->cond, &w->lock);
    pthread_mutex_unlock(&w->lock);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->cond);
    if (w->r < 0 && err)
        *err = w->err;
    return w->r;
}
