/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/ring.h"

#include <liburing.h>

#include <stdlib.h>
#include <unistd.h>

/* One request: free, or in flight. Kept so that a read the kernel gives back can be done over. */
struct slot {
    int fd;
    void *data;
    size_t len;
    uint64_t offset;
    void *tag;
    struct slot *next; /* in the list of the free, or of the plain ones in flight */
};

struct sl_ring {
    struct io_uring uring;
    bool has_uring;
    unsigned in_flight;
    struct slot *free;
    struct slot *head, *tail; /* plain requests, first in, first out */
    struct slot slots[];
};

/* ---- io_uring ---- */

#ifdef __SANITIZE_THREAD__
/* liburing maps and unmaps by bare system calls, which the sanitizer does not see: it takes a ring
 * for another thread's that was at the same address before. The kernel has ordered the two. */
#include <sanitizer/tsan_interface.h>
static char mappings;
#define AFTER_MAPPING() __tsan_acquire(&mappings)
#define BEFORE_UNMAPPING() __tsan_release(&mappings)
#else
#define AFTER_MAPPING() (void)0
#define BEFORE_UNMAPPING() (void)0
#endif

/* A kernel from before 5.6 has rings without plain reads. */
static bool uring_can_read(struct io_uring *uring)
{
    struct io_uring_probe *probe = io_uring_get_probe_ring(uring);
    bool can = probe && io_uring_opcode_supported(probe, IORING_OP_READ);
    io_uring_free_probe(probe);
    return can;
}

static void uring_close(struct io_uring *uring)
{
    BEFORE_UNMAPPING();
    io_uring_queue_exit(uring);
}

/* The newest ways to set up a ring are the cheapest; each older kernel refuses some of them. */
static bool uring_open(struct io_uring *uring, unsigned entries)
{
    static const unsigned flags[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, /* 6.1 */
        IORING_SETUP_COOP_TASKRUN,                               /* 5.19 */
        0,
    };
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        int r = io_uring_queue_init(entries, uring, flags[i]);
        if (r == 0)
            AFTER_MAPPING();
        if (r == 0 && uring_can_read(uring))
            return true;
        if (r == 0)
            uring_close(uring);
        else if (r != -EINVAL)
            return false; /* forbidden, or missing altogether */
    }
    return false;
}

static void uring_queue(struct sl_ring *ring, struct slot *slot)
{
    /* Cannot be NULL: there are as many entries as slots, and what is in flight left the queue. */
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    io_uring_prep_read(sqe, slot->fd, slot->data, (unsigned)slot->len, slot->offset);
    io_uring_sqe_set_data(sqe, slot);
}

/* ---- pread ---- */

static int64_t plain_read(const struct slot *slot)
{
    for (;;) {
        ssize_t n = pread(slot->fd, slot->data, slot->len, (off_t)slot->offset);
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return -errno;
    }
}

static void plain_queue(struct sl_ring *ring, struct slot *slot)
{
    slot->next = NULL;
    if (ring->tail)
        ring->tail->next = slot;
    else
        ring->head = slot;
    ring->tail = slot;
}

static struct slot *plain_take(struct sl_ring *ring)
{
    struct slot *slot = ring->head;
    ring->head = slot->next;
    if (!ring->head)
        ring->tail = NULL;
    return slot;
}

/* ---- both ---- */

int sl_ring_new(unsigned entries, unsigned flags, struct sl_ring **ret, struct sl_error *err)
{
    if (entries == 0 || entries > SL_RING_ENTRIES_MAX)
        return sl_error_set(err, SL_E_SYSTEM, EINVAL, "a ring of %u entries", entries);
    struct sl_ring *ring = calloc(1, sizeof(*ring) + entries * sizeof(ring->slots[0]));
    if (!ring)
        return sl_error_oom(err);
    for (unsigned i = entries; i-- > 0;) {
        ring->slots[i].next = ring->free;
        ring->free = &ring->slots[i];
    }
    ring->has_uring = !(flags & SL_RING_PLAIN) && uring_open(&ring->uring, entries);
    *ret = ring;
    return 0;
}

struct sl_ring *sl_ring_free(struct sl_ring *ring)
{
    if (!ring)
        return NULL;
    int saved = errno;
    struct sl_ring_done dropped;
    /* Until then the kernel may write into the memory of the requests. Plain ones have not begun.
     */
    while (ring->has_uring && ring->in_flight > 0 && sl_ring_wait(ring, &dropped, NULL) == 0)
        continue;
    if (ring->has_uring)
        uring_close(&ring->uring);
    free(ring);
    errno = saved;
    return NULL;
}

bool sl_ring_is_plain(const struct sl_ring *ring)
{
    return !ring->has_uring;
}

unsigned sl_ring_in_flight(const struct sl_ring *ring)
{
    return ring->in_flight;
}

int sl_ring_read(struct sl_ring *ring, int fd, void *data, size_t len, uint64_t offset, void *tag,
                 struct sl_error *err)
{
    if (len > SL_RING_READ_MAX || offset > INT64_MAX - len)
        return sl_error_set(err, SL_E_SYSTEM, EINVAL, "a read of %zu bytes at %llu", len,
                            (unsigned long long)offset);
    struct slot *slot = ring->free;
    if (!slot)
        return -EAGAIN;
    ring->free = slot->next;
    *slot = (struct slot){.fd = fd, .data = data, .len = len, .offset = offset, .tag = tag};
    ring->in_flight++;
    if (ring->has_uring)
        uring_queue(ring, slot);
    else
        plain_queue(ring, slot);
    return 0;
}

/* Takes one completion off the kernel's queue. */
static int uring_wait(struct sl_ring *ring, struct slot **ret, int64_t *ret_result,
                      struct sl_error *err)
{
    struct io_uring_cqe *cqe = NULL;
    int r = io_uring_submit_and_wait(&ring->uring, 1);
    /* A signal may end the wait alone: then this goes on waiting, and else it is no system call. */
    if (r >= 0 || r == -EINTR) {
        do {
            r = io_uring_wait_cqe(&ring->uring, &cqe);
        } while (r == -EINTR);
    }
    if (r < 0) /* no memory for requests is not flow control */
        return sl_error_system(err, r == -EAGAIN ? ENOMEM : -r, "io_uring");
    *ret = io_uring_cqe_get_data(cqe);
    *ret_result = cqe->res;
    io_uring_cqe_seen(&ring->uring, cqe);
    return 0;
}

int sl_ring_wait(struct sl_ring *ring, struct sl_ring_done *ret, struct sl_error *err)
{
    if (ring->in_flight == 0)
        return sl_error_set(err, SL_E_SYSTEM, EINVAL, "waiting for a ring with nothing in flight");
    struct slot *slot = NULL;
    int64_t result = 0;
    if (ring->has_uring) {
        int r = uring_wait(ring, &slot, &result, err);
        if (r < 0)
            return r;
        if (result == -EINTR || result == -EAGAIN || result == -EOPNOTSUPP)
            result = plain_read(slot); /* some file systems only know the old way */
    } else {
        slot = plain_take(ring);
        result = plain_read(slot);
    }
    *ret = (struct sl_ring_done){.tag = slot->tag, .result = result};
    slot->next = ring->free;
    ring->free = slot;
    ring->in_flight--;
    return 0;
}
