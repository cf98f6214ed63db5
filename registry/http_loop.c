/* SPDX-License-Identifier: Apache-2.0 */
#include "http_loop.h"

#include "sluice/core/clock.h"
#include "sluice/core/curl_load.h"

#include <curl/curl.h>
#include <linux/tcp.h> /* glibc's knows no tcpi_min_rtt */
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX =
        32, /* kept for the next image; libcurl does not use those of two minutes ago */
    IDLE_MS = 60 * 60 * 1000, /* when no timer is armed; any number would do */
};

struct sl_http_loop {
    CURLM *multi;
    atomic_bool must_stop;
    atomic_bool is_cancelled;

    pthread_mutex_t thread_lock; /* guards these two; taken before the next */
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t lock; /* guards the jobs: list and is_queued */
    struct sl_http_job *jobs, **jobs_end;

    struct sl_http_timer *timers;  /* soonest first; loop thread */
    struct sl_http_watch *watches; /* loop thread */
};

/* Whose thread this is. */
static _Thread_local const struct sl_http_loop *current;

bool sl_http_loop_is_current_thread(const struct sl_http_loop *loop)
{
    return current == loop;
}

/* --- jobs --- */

void sl_http_loop_post(struct sl_http_loop *loop, struct sl_http_job *job)
{
    pthread_mutex_lock(&loop->lock);
    bool is_new = !job->is_queued;
    if (is_new) {
        job->is_queued = true;
        job->next = NULL;
        *loop->jobs_end = job;
        loop->jobs_end = &job->next;
    }
    pthread_mutex_unlock(&loop->lock);
    if (is_new)
        (void)curl_multi_wakeup(loop->multi);
}

void sl_http_loop_unpost(struct sl_http_loop *loop, struct sl_http_job *job)
{
    pthread_mutex_lock(&loop->lock);
    for (struct sl_http_job **p = &loop->jobs; job->is_queued && *p; p = &(*p)->next) {
        if (*p != job)
            continue;
        *p = job->next;
        if (!*p)
            loop->jobs_end = p;
        break;
    }
    job->is_queued = false;
    pthread_mutex_unlock(&loop->lock);
}

static struct sl_http_job *take_job(struct sl_http_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    struct sl_http_job *job = loop->jobs;
    if (job) {
        loop->jobs = job->next;
        if (!loop->jobs)
            loop->jobs_end = &loop->jobs;
        job->is_queued = false;
    }
    pthread_mutex_unlock(&loop->lock);
    return job;
}

struct call {
    struct sl_http_job job;
    void (*fn)(void *arg);
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool is_done;
};

static void run_call(struct sl_http_job *job)
{
    struct call *call = (struct call *)job;
    call->fn(call->arg);
    pthread_mutex_lock(&call->lock);
    call->is_done = true;
    pthread_cond_signal(&call->cond);
    pthread_mutex_unlock(&call->lock);
}

/* While there is no thread, and nobody can start it, this one stands for it. */
static bool call_without_thread(struct sl_http_loop *loop, void (*fn)(void *arg), void *arg)
{
    pthread_mutex_lock(&loop->thread_lock);
    bool has_thread = loop->has_thread;
    if (!has_thread)
        fn(arg);
    pthread_mutex_unlock(&loop->thread_lock);
    return !has_thread;
}

void sl_http_loop_call(struct sl_http_loop *loop, void (*fn)(void *arg), void *arg)
{
    if (sl_http_loop_is_current_thread(loop)) {
        fn(arg);
        return;
    }
    if (call_without_thread(loop, fn, arg))
        return;
    struct call call = {
        .job.run = run_call,
        .fn = fn,
        .arg = arg,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .cond = PTHREAD_COND_INITIALIZER,
    };
    sl_http_loop_post(loop, &call.job);
    pthread_mutex_lock(&call.lock);
    while (!call.is_done)
        pthread_cond_wait(&call.cond, &call.lock);
    pthread_mutex_unlock(&call.lock);
    pthread_mutex_destroy(&call.lock);
    pthread_cond_destroy(&call.cond);
}

/* --- timers --- */

void sl_http_loop_disarm(struct sl_http_loop *loop, struct sl_http_timer *timer)
{
    if (!timer->is_armed)
        return;
    struct sl_http_timer **p = &loop->timers;
    while (*p != timer)
        p = &(*p)->next;
    *p = timer->next;
    timer->is_armed = false;
}

void sl_http_loop_arm(struct sl_http_loop *loop, struct sl_http_timer *timer, uint64_t delay_ms)
{
    sl_http_loop_disarm(loop, timer);
    timer->due_ms = (uint64_t)sl_clock_ms() + delay_ms;
    struct sl_http_timer **p = &loop->timers;
    while (*p && (*p)->due_ms <= timer->due_ms)
        p = &(*p)->next;
    timer->next = *p;
    *p = timer;
    timer->is_armed = true;
}

/* Fires what is due; answers for how long the loop may sleep. */
static int fire_timers(struct sl_http_loop *loop)
{
    uint64_t now = (uint64_t)sl_clock_ms();
    while (loop->timers && loop->timers->due_ms <= now) {
        struct sl_http_timer *timer = loop->timers;
        sl_http_loop_disarm(loop, timer);
        timer->fire(timer);
    }
    if (!loop->timers || loop->timers->due_ms - now > IDLE_MS)
        return IDLE_MS;
    return (int)(loop->timers->due_ms - now);
}

/* --- cancellation --- */

void sl_http_loop_watch(struct sl_http_loop *loop, struct sl_http_watch *watch)
{
    watch->prev = NULL;
    watch->next = loop->watches;
    if (loop->watches)
        loop->watches->prev = watch;
    loop->watches = watch;
}

void sl_http_loop_unwatch(struct sl_http_loop *loop, struct sl_http_watch *watch)
{
    if (watch->prev)
        watch->prev->next = watch->next;
    else
        loop->watches = watch->next;
    if (watch->next)
        watch->next->prev = watch->prev;
}

void sl_http_loop_cancel(struct sl_http_loop *loop)
{
    atomic_store(&loop->is_cancelled, true);
    (void)curl_multi_wakeup(loop->multi);
}

bool sl_http_loop_is_cancelled(const struct sl_http_loop *loop)
{
    return atomic_load(&loop->is_cancelled);
}

/* --- groups --- */

static struct sl_http_watch *find_watch(const struct sl_http_group *group)
{
    struct sl_http_watch *watch = group->loop->watches;
    while (watch && watch->group != group)
        watch = watch->next;
    return watch;
}

/* From the front each time: what is cancelled takes others with it, or starts them. */
static void run_group_cancel(struct sl_http_job *job)
{
    const struct sl_http_group *group =
        (struct sl_http_group *)((char *)job - offsetof(struct sl_http_group, job));
    for (struct sl_http_watch *watch; (watch = find_watch(group));)
        watch->cancel(watch);
}

int sl_http_group_init(struct sl_http_group *group, struct sl_http_loop *loop, struct sl_error *err)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return sl_error_system(err, errno, "cannot make a descriptor to cancel by");
    *group = (struct sl_http_group){.loop = loop, .cancel_fd = fd, .job.run = run_group_cancel};
    return 0;
}

static void forget_group(void *arg)
{
    struct sl_http_group *group = arg;
    sl_http_loop_unpost(group->loop, &group->job);
}

void sl_http_group_done(struct sl_http_group *group)
{
    if (!group->loop)
        return;
    sl_http_loop_call(group->loop, forget_group, group);
    (void)close(group->cancel_fd);
    group->loop = NULL;
}

void sl_http_group_cancel(struct sl_http_group *group)
{
    if (atomic_exchange(&group->is_cancelled, true))
        return;
    (void)eventfd_write(group->cancel_fd, 1);
    sl_http_loop_post(group->loop, &group->job);
}

bool sl_http_group_is_cancelled(const struct sl_http_group *group)
{
    return group && atomic_load(&group->is_cancelled);
}

/* --- transfers --- */

int sl_http_loop_add(struct sl_http_loop *loop, struct sl_http_transfer *transfer,
                     struct sl_error *err)
{
    (void)curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, (void *)transfer);
    CURLMcode rc = curl_multi_add_handle(loop->multi, transfer->easy);
    if (rc != CURLM_OK)
        return sl_error_set(err, SL_E_SYSTEM, ENOMEM, "cannot start an HTTP transfer: %s",
                            curl_multi_strerror(rc));
    return 0;
}

void sl_http_loop_remove(struct sl_http_loop *loop, struct sl_http_transfer *transfer)
{
    (void)curl_multi_remove_handle(loop->multi, transfer->easy);
}

/* As the kernel has it for this connection, to a proxy where there is one; of a connection that is
 * closed already, what it took to open it. libcurl tells the socket only of what is done. */
static unsigned round_trip_us(CURL *easy)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);
    if (curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd) == CURLE_OK && fd != CURL_SOCKET_BAD &&
        getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0)
        return info.tcpi_min_rtt ? info.tcpi_min_rtt : 1;
    curl_off_t looked_up = 0, connected = 0;
    (void)curl_easy_getinfo(easy, CURLINFO_NAMELOOKUP_TIME_T, &looked_up);
    (void)curl_easy_getinfo(easy, CURLINFO_CONNECT_TIME_T, &connected);
    return connected > looked_up ? (unsigned)(connected - looked_up) : 0;
}

static void reap_transfers(struct sl_http_loop *loop)
{
    int left;
    for (CURLMsg *msg; (msg = curl_multi_info_read(loop->multi, &left));) {
        if (msg->msg != CURLMSG_DONE)
            continue;
        CURLcode code = msg->data.result; /* msg dies with the removal below */
        void *transfer = NULL;
        (void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &transfer);
        unsigned rtt_us = round_trip_us(msg->easy_handle);
        (void)curl_multi_remove_handle(loop->multi, msg->easy_handle);
        ((struct sl_http_transfer *)transfer)->rtt_us = rtt_us;
        ((struct sl_http_transfer *)transfer)->done(transfer, code);
    }
}

/* --- the thread --- */

static void *run_loop(void *arg)
{
    struct sl_http_loop *loop = arg;
    current = loop;
    (void)pthread_setname_np(pthread_self(), "network");
    while (!atomic_load(&loop->must_stop)) {
        for (struct sl_http_job *job; (job = take_job(loop));)
            job->run(job);
        while (atomic_load(&loop->is_cancelled) && loop->watches)
            loop->watches->cancel(loop->watches);
        int running;
        (void)curl_multi_perform(loop->multi, &running);
        reap_transfers(loop);
        int sleep_ms = fire_timers(loop);
        (void)curl_multi_poll(loop->multi, NULL, 0, sleep_ms, NULL);
    }
    return NULL;
}

/* Signals belong to the program's own threads; SIGPIPE, which CURLOPT_NOSIGNAL leaves to us, stays
 * blocked here and a write to a closed socket is an ordinary error. */
static int start_thread(struct sl_http_loop *loop, struct sl_error *err)
{
    sigset_t all, old;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    int e = pthread_create(&loop->thread, NULL, run_loop, loop);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (e)
        return sl_error_system(err, e, "cannot start the HTTP thread");
    loop->has_thread = true;
    return 0;
}

int sl_http_loop_start(struct sl_http_loop *loop, struct sl_error *err)
{
    if (sl_http_loop_is_current_thread(loop))
        return 0;
    pthread_mutex_lock(&loop->thread_lock);
    int r = loop->has_thread ? 0 : start_thread(loop, err);
    pthread_mutex_unlock(&loop->thread_lock);
    return r;
}

int sl_http_loop_new(struct sl_http_loop **ret, struct sl_error *err)
{
    int r = sl_curl_start(err);
    if (r < 0)
        return r;
    SL_AUTO(sl_http_loop) loop = calloc(1, sizeof(*loop));
    if (!loop) {
        curl_global_cleanup();
        return sl_error_oom(err);
    }
    pthread_mutex_init(&loop->thread_lock, NULL);
    pthread_mutex_init(&loop->lock, NULL);
    loop->jobs_end = &loop->jobs;
    loop->multi = curl_multi_init();
    if (!loop->multi)
        return sl_error_oom(err);
    /* Without descriptors libcurl does without the pair that wakes it, and the loop would sleep
     * over all that it is given. */
    if (curl_multi_wakeup(loop->multi) != CURLM_OK)
        return sl_error_system(err, EMFILE, "cannot wake libcurl");
    (void)curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
    *ret = sl_steal(&loop);
    return 0;
}

struct sl_http_loop *sl_http_loop_free(struct sl_http_loop *loop)
{
    if (!loop)
        return NULL;
    if (loop->has_thread) {
        atomic_store(&loop->must_stop, true);
        (void)curl_multi_wakeup(loop->multi);
        (void)pthread_join(loop->thread, NULL);
    }
    if (loop->multi)
        (void)curl_multi_cleanup(loop->multi);
    pthread_mutex_destroy(&loop->lock);
    pthread_mutex_destroy(&loop->thread_lock);
    free(loop);
    curl_global_cleanup();
    return NULL;
}
