/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening an endpoint for streams, which live on the loop thread and must not block there: reading
 * files, running a credential helper and waiting for a ping happen on a thread of their own, once
 * for all streams that wait for the same endpoint. Loop thread, unless stated.
 */
#pragma once

#include "docker_endpoint.h"

/* Embedded in whoever waits. */
struct sl_docker_waiter {
    /* The endpoint is ready, or with r < 0 will not be. */
    void (*opened)(struct sl_docker_waiter *waiter, int r, const struct sl_error *err);
    struct sl_docker_opener *opener; /* NULL: not waiting */
    struct sl_docker_waiter *next;
};

/* 0: it is ready. -EAGAIN: opened() will be called. */
SL_MUST_CHECK int sl_docker_opener_wait(struct sl_docker_endpoint *ep,
                                        struct sl_docker_waiter *waiter, struct sl_error *err);
void sl_docker_waiter_leave(struct sl_docker_waiter *waiter);

/* Joins the thread that still opens ep, if there is one. Nobody may be waiting. Any other thread;
 * blocks for as long as a credential helper runs. */
void sl_docker_opener_join(struct sl_docker_endpoint *ep);
