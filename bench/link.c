/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A link between two network namespaces, for machines whose kernel has no netem:
 *
 *   bench-link NAMESPACE_A NAMESPACE_B RTT_US RATE_MBIT
 *
 * Makes a TUN device "link0" in each of the two namespaces (paths, as below /run/netns) and carries
 * packets from one to the other. A packet leaves when those before it have left at RATE_MBIT, and
 * arrives half of RTT_US later; the queue before the link holds one product of bandwidth and delay,
 * and segments that find it full are dropped, those before them in the same frame are not. Prints
 * "ready" when both devices exist; ends with stdin, and then prints a line of JSON: for each
 * direction bytes and frames carried and segments dropped, and CPU seconds.
 *
 * Offloads are on, so that a frame of the stack is up to 64 KiB and CPU is small. The rate is that
 * of IP: headers that segments of such a frame will have are counted, those of Ethernet are not.
 * Nothing is routed anywhere: the namespaces see each other, and nobody else. Needs root.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <malloc.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    FRAME_MAX = 65536 + sizeof(struct virtio_net_hdr) + 64,
    QUEUE_MIN = 256 * 1024, /* bytes: of a link without delay */
    TICK_NS = 50 * 1000,    /* arrivals are late by at most so much, and fewer wake-ups */
    BATCH = 64,             /* frames taken from one side before the other has its turn */
};

struct frame {
    struct frame *next;
    int64_t arrives_ns;
    size_t len;
    uint8_t data[];
};

struct direction {
    int from, to;
    struct frame *first, **last;
    int64_t free_ns; /* when what was accepted will have left */
    uint64_t bytes, frames, dropped;
};

struct link {
    int64_t delay_ns;
    double ns_per_byte;
    int64_t queue_ns; /* a full queue takes so long to leave */
    struct direction dirs[2];
};

static int64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "bench-link: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* The device belongs to the namespace this thread is in. */
static int open_device(const char *namespace_path)
{
    int ns = open(namespace_path, O_RDONLY | O_CLOEXEC);
    if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
        die(namespace_path);
    (void)close(ns);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
    strcpy(request.ifr_name, "link0"); // NOLINT: fits
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0 ||
        ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
        die("/dev/net/tun");
    return fd;
}

/* A frame of the stack's, from its virtio_net_hdr on. */
struct shape {
    size_t packet;   /* bytes of IP */
    size_t headers;  /* bytes that each segment has */
    size_t payload;  /* bytes of a full segment */
    size_t segments; /* at least one */
};

static struct shape shape_of(const uint8_t *data, size_t len)
{
    struct virtio_net_hdr hdr;
    memcpy(&hdr, data, sizeof(hdr));
    struct shape s = {.packet = len - sizeof(hdr), .segments = 1};
    if (hdr.gso_type == VIRTIO_NET_HDR_GSO_NONE || !hdr.gso_size || hdr.hdr_len >= s.packet)
        return s;
    s.headers = hdr.hdr_len;
    s.payload = hdr.gso_size;
    s.segments = (s.packet - s.headers + s.payload - 1) / s.payload;
    return s;
}

static size_t wire_bytes(const struct shape *s)
{
    return s->packet + (s->segments - 1) * s->headers;
}

/* The IPv4 header says how long the packet is, and has a sum of its own. That of TCP is still to be
 * made, or nobody looks: what comes from here is local. */
static void say_length(uint8_t *ip, size_t packet)
{
    ip[2] = (uint8_t)(packet >> 8);
    ip[3] = (uint8_t)packet;
    ip[10] = ip[11] = 0;
    uint32_t sum = 0;
    for (size_t i = 0; i < (size_t)(ip[0] & 15) * 4; i += 2)
        sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~((sum & 0xffff) + (sum >> 16));
    ip[10] = (uint8_t)(sum >> 8);
    ip[11] = (uint8_t)sum;
}

/* Leaves the segments in front for which there is room; how many there are. */
static size_t cut_to_room(struct shape *s, uint8_t *data, double room)
{
    uint8_t *ip = data + sizeof(struct virtio_net_hdr);
    if (room <= 0)
        return 0;
    size_t fit = s->payload ? 1 + (size_t)(room / (double)(s->headers + s->payload)) : 1;
    if (fit >= s->segments || ip[0] >> 4 != 4)
        return s->segments;
    s->segments = fit;
    s->packet = s->headers + fit * s->payload;
    say_length(ip, s->packet);
    return fit;
}

static void accept_frame(struct link *link, struct direction *dir, uint8_t *data, size_t len)
{
    int64_t now = now_ns();
    struct shape shape = shape_of(data, len);
    size_t segments = shape.segments;
    if (dir->free_ns < now)
        dir->free_ns = now;
    double room = (double)(link->queue_ns - (dir->free_ns - now)) / link->ns_per_byte;
    size_t fit = cut_to_room(&shape, data, room);
    dir->dropped += segments - fit;
    if (!fit)
        return;
    len = sizeof(struct virtio_net_hdr) + shape.packet;
    struct frame *frame = malloc(sizeof(*frame) + len);
    if (!frame)
        die("memory");
    size_t wire = wire_bytes(&shape);
    dir->free_ns += (int64_t)((double)wire * link->ns_per_byte);
    dir->bytes += wire;
    dir->frames++;
    *frame = (struct frame){.arrives_ns = dir->free_ns + link->delay_ns, .len = len};
    memcpy(frame->data, data, len);
    *dir->last = frame;
    dir->last = &frame->next;
}

static void take_frames(struct link *link, struct direction *dir)
{
    static uint8_t data[FRAME_MAX];
    for (int i = 0; i < BATCH; i++) {
        ssize_t n = read(dir->from, data, sizeof(data));
        if (n < (ssize_t)sizeof(struct virtio_net_hdr))
            return;
        accept_frame(link, dir, data, (size_t)n);
    }
}

static void hand_over(struct direction *dir, int64_t until_ns)
{
    while (dir->first && dir->first->arrives_ns <= until_ns) {
        struct frame *frame = dir->first;
        if (write(dir->to, frame->data, frame->len) < 0)
            dir->dropped++;
        dir->first = frame->next;
        if (!dir->first)
            dir->last = &dir->first;
        free(frame);
    }
}

static int64_t next_arrival(const struct link *link)
{
    int64_t next = INT64_MAX;
    for (int i = 0; i < 2; i++)
        if (link->dirs[i].first && link->dirs[i].first->arrives_ns < next)
            next = link->dirs[i].first->arrives_ns;
    return next;
}

static bool wait_for_work(const struct link *link, struct pollfd fds[3])
{
    int64_t next = next_arrival(link);
    struct timespec pause, *timeout = NULL;
    if (next != INT64_MAX) {
        int64_t left = next - now_ns();
        left = left > TICK_NS ? left : TICK_NS;
        pause = (struct timespec){.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
        timeout = &pause;
    }
    if (ppoll(fds, 3, timeout, NULL) < 0 && errno != EINTR)
        die("poll");
    return !(fds[2].revents & (POLLIN | POLLHUP));
}

static void carry(struct link *link)
{
    struct pollfd fds[3] = {{.fd = link->dirs[0].from, .events = POLLIN},
                            {.fd = link->dirs[1].from, .events = POLLIN},
                            {.fd = STDIN_FILENO, .events = POLLIN}};
    while (wait_for_work(link, fds)) {
        for (int i = 0; i < 2; i++)
            if (fds[i].revents & POLLIN)
                take_frames(link, &link->dirs[i]);
        for (int i = 0; i < 2; i++)
            hand_over(&link->dirs[i], now_ns());
    }
}

static void report(const struct link *link)
{
    struct rusage use;
    (void)getrusage(RUSAGE_SELF, &use);
    double cpu = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
                 (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
    printf("{\"cpu_seconds\": %.3f, \"directions\": [", cpu);
    for (int i = 0; i < 2; i++) {
        const struct direction *d = &link->dirs[i];
        printf("%s{\"bytes\": %llu, \"frames\": %llu, \"dropped\": %llu}", i ? ", " : "",
               (unsigned long long)d->bytes, (unsigned long long)d->frames,
               (unsigned long long)d->dropped);
    }
    printf("]}\n");
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: bench-link NAMESPACE_A NAMESPACE_B RTT_US RATE_MBIT\n");
        return 2;
    }
    double rtt_ns = strtod(argv[3], NULL) * 1000, bits_per_ns = strtod(argv[4], NULL) / 1000;
    struct link link = {.delay_ns = (int64_t)(rtt_ns / 2), .ns_per_byte = 8 / bits_per_ns};
    double queue_min_ns = QUEUE_MIN * link.ns_per_byte;
    link.queue_ns = (int64_t)(rtt_ns > queue_min_ns ? rtt_ns : queue_min_ns);
    /* The memory of a full link comes and goes all the time: it is kept. */
    (void)mallopt(M_TRIM_THRESHOLD, INT32_MAX);
    int a = open_device(argv[1]), b = open_device(argv[2]);
    link.dirs[0] = (struct direction){.from = a, .to = b, .last = &link.dirs[0].first};
    link.dirs[1] = (struct direction){.from = b, .to = a, .last = &link.dirs[1].first};
    printf("ready\n");
    (void)fflush(stdout);
    carry(&link);
    report(&link);
    return 0;
}
