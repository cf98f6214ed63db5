/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP loop: one thread that owns libcurl's multi handle and everything hung on it. Whatever
 * is marked "loop thread" below needs no lock, because only this thread touches it. The thread
 * sleeps in curl_multi_poll() until a socket, a timer or sl_http_loop_post() wakes it.
 */
#pragma once

#include "sluice/core/cleanup.h"
#include "sluice/core/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sl_http_loop;

SL_MUST_CHECK int sl_http_loop_new(struct sl_http_loop **ret, struct sl_error *err);
/* The thread begins with the first request, not with the loop: many engines never make one. Whoever
 * makes a request calls this before it posts anything; done again it does nothing. Any thread. */
SL_MUST_CHECK int sl_http_loop_start(struct sl_http_loop *loop, struct sl_error *err);
/* Nothing may be in flight any more. Joins the thread. */
struct sl_http_loop *sl_http_loop_free(struct sl_http_loop *loop);
SL_DEFINE_AUTO(sl_http_loop, sl_http_loop_free)
bool sl_http_loop_is_current_thread(const struct sl_http_loop *loop);

/* Work handed to the loop thread; embedded in whatever it is about. */
struct sl_http_job {
    void (*run)(struct sl_http_job *job);
    struct sl_http_job *next; /* the loop's */
    bool is_queued;           /* the loop's */
};
/* run() will be called once on the loop thread, once that has begun; a job that is queued already
 * stays where it is.
 * Any thread, does not block. */
void sl_http_loop_post(struct sl_http_loop *loop, struct sl_http_job *job);
/* Runs fn on the loop thread and waits until it has returned; directly when called there, or while
 * there is no such thread: fn may not call this then. */
void sl_http_loop_call(struct sl_http_loop *loop, void (*fn)(void *arg), void *arg);
/* Takes back a job that has not run. Loop thread. */
void sl_http_loop_unpost(struct sl_http_loop *loop, struct sl_http_job *job);

struct sl_http_timer {
    void (*fire)(struct sl_http_timer *timer);
    uint64_t due_ms;            /* the loop's */
    struct sl_http_timer *next; /* the loop's */
    bool is_armed;              /* the loop's */
};
/* Loop thread. */
void sl_http_loop_arm(struct sl_http_loop *loop, struct sl_http_timer *timer, uint64_t delay_ms);
void sl_http_loop_disarm(struct sl_http_loop *loop, struct sl_http_timer *timer);

/* What is cancelled together, beside others of the loop: the requests of one image. */
struct sl_http_group {
    struct sl_http_loop *loop;
    atomic_bool is_cancelled;
    int cancel_fd;          /* see core/cancel.h: for what waits off the loop thread */
    struct sl_http_job job; /* tells the loop */
};
SL_MUST_CHECK int sl_http_group_init(struct sl_http_group *group, struct sl_http_loop *loop,
                                     struct sl_error *err);
/* None of its requests may be in flight, and nobody may still cancel it. Accepts a zeroed one. Not
 * on the loop thread. */
void sl_http_group_done(struct sl_http_group *group);
/* Calls cancel() of everything watched for the group, now and for ever after. Any thread, does not
 * block. */
void sl_http_group_cancel(struct sl_http_group *group);
/* NULL, no group, never is. Any thread. */
bool sl_http_group_is_cancelled(const struct sl_http_group *group);

/* Something that must hear of a cancellation. Loop thread. */
struct sl_http_watch {
    void (*cancel)(struct sl_http_watch *watch); /* leaves the list before it returns */
    const struct sl_http_group *group;           /* NULL: only the whole loop's ends it */
    struct sl_http_watch *prev, *next;           /* the loop's */
};
void sl_http_loop_watch(struct sl_http_loop *loop, struct sl_http_watch *watch);
void sl_http_loop_unwatch(struct sl_http_loop *loop, struct sl_http_watch *watch);
/* Calls cancel() of everything watched, now and for ever after. Any thread, does not block. */
void sl_http_loop_cancel(struct sl_http_loop *loop);
bool sl_http_loop_is_cancelled(const struct sl_http_loop *loop);

/* One easy handle (a CURL *) under way; curl_code is a CURLcode. */
struct sl_http_transfer {
    void *easy;
    void (*done)(struct sl_http_transfer *transfer, int curl_code);
    unsigned rtt_us; /* of the connection of the last one that is done; 0: unknown */
};
/* Loop thread. The handle's CURLOPT_PRIVATE is taken. */
SL_MUST_CHECK int sl_http_loop_add(struct sl_http_loop *loop, struct sl_http_transfer *transfer,
                                   struct sl_error *err);
/* Stops a transfer whose done() has not been called. Loop thread, not from within a callback of
 * libcurl. */
void sl_http_loop_remove(struct sl_http_loop *loop, struct sl_http_transfer *transfer);
