/* SPDX-License-Identifier: Apache-2.0 */
/* ttrpc, the asking end. A connection carries one call at a time and is kept for the next one;
 * calls that go side by side have connections of their own. */
#include "address.h"
#include "client.h"
#include "ttrpc_answer.h"

#include "sluice/core/clock.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    IDLE_MAX = 8,                /* connections kept for later calls */
    READ_SIZE = 16 * 1024,       /* bytes taken from the socket at once */
    STREAM_LAST = (1 << 30) - 1, /* ids of a connection, long before they would wrap around */
};

struct link {
    int fd;
    uint32_t stream; /* of the next call: odd */
};

struct ttrpc_client {
    struct sl_client_wire base;
    struct sl_address address;
    pthread_mutex_t lock;
    struct link idle[IDLE_MAX];
    size_t n_idle;
};

static const struct {
    const char *prefix;
    int (*parse)(const char *rest, const char *what, struct sl_address *ret, struct sl_error *err);
} schemes[] = {
    {"unix://", sl_address_unix},
    {"vsock://", sl_address_vsock},
    {"tcp://", sl_address_tcp},
    {"", sl_address_unix},
};

static int parse_target(const char *target, struct sl_address *ret, struct sl_error *err)
{
    size_t i = 0;
    while (strncmp(target, schemes[i].prefix, strlen(schemes[i].prefix)) != 0)
        i++;
    return schemes[i].parse(target + strlen(schemes[i].prefix), target, ret, err);
}

static int ttrpc_open(const char *target, const struct sl_rpc_tls *tls, struct sl_client_wire **ret,
                      struct sl_error *err)
{
    struct sl_address address;
    if (tls && tls->enabled)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "%s: ttrpc has no TLS", target);
    int r = parse_target(target, &address, err);
    if (r < 0)
        return r;
    struct ttrpc_client *client = calloc(1, sizeof(*client));
    if (!client)
        return sl_error_oom(err);
    client->base.ops = &sl_ttrpc_client;
    client->address = address;
    pthread_mutex_init(&client->lock, NULL);
    *ret = &client->base;
    return 0;
}

static void ttrpc_close(struct sl_client_wire *wire)
{
    struct ttrpc_client *client = (struct ttrpc_client *)wire;
    for (size_t i = 0; i < client->n_idle; i++)
        close(client->idle[i].fd);
    pthread_mutex_destroy(&client->lock);
    free(client);
}

/* ---- connections ---- */

static int wait_for(int fd, short events, const struct sl_client_question *question,
                    struct sl_error *err)
{
    struct pollfd fds[] = {{.fd = fd, .events = events}, sl_cancel_pollfd(question->cancel_fd)};
    for (;;) {
        int n = poll(fds, 2, sl_clock_remaining_ms(question->deadline));
        if (n > 0)
            return fds[1].revents ? sl_cancel_error(err) : 0;
        if (n == 0)
            return sl_error_set(err, SL_E_NETWORK, ETIMEDOUT, "no answer in time");
        if (errno != EINTR)
            return sl_error_system(err, errno, "cannot wait for a socket");
    }
}

static int fail(struct sl_error *err, int errnum, const char *what)
{
    return sl_error_set(err, SL_E_NETWORK, errnum, "%s: %s", what, strerrordesc_np(errnum));
}

static int finish_connect(int fd, const struct sl_client_question *question, struct sl_error *err)
{
    int result = 0;
    socklen_t len = sizeof(result);
    int r = wait_for(fd, POLLOUT, question, err);
    if (r < 0)
        return r;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &len) < 0)
        result = errno;
    return result ? fail(err, result, "cannot connect") : 0;
}

/* A unix socket whose queue is full says EAGAIN and cannot be waited for: look again, not often. */
static int connect_to(int fd, const struct sl_address *address,
                      const struct sl_client_question *question, struct sl_error *err)
{
    enum { PAUSE_MS = 10 };
    while (connect(fd, (const struct sockaddr *)&address->name, address->len) < 0) {
        if (errno == EINPROGRESS)
            return finish_connect(fd, question, err);
        if (errno != EAGAIN && errno != EINTR)
            return fail(err, errno, "cannot connect");
        int left = sl_clock_remaining_ms(question->deadline);
        if (left == 0)
            return sl_error_set(err, SL_E_NETWORK, ETIMEDOUT, "no connection in time");
        if (sl_cancel_is_asked(question->cancel_fd))
            return sl_cancel_error(err);
        poll(NULL, 0, left < PAUSE_MS ? left : PAUSE_MS);
    }
    return 0;
}

/* A server that has hung up, or says what nobody asked for, is not asked again. */
static bool is_fresh(const struct link *link)
{
    struct pollfd p = {.fd = link->fd, .events = POLLIN | POLLRDHUP};
    return poll(&p, 1, 0) == 0;
}

static bool take_idle(struct ttrpc_client *client, struct link *ret)
{
    bool found = false;
    pthread_mutex_lock(&client->lock);
    while (!found && client->n_idle > 0) {
        *ret = client->idle[--client->n_idle];
        found = is_fresh(ret);
        if (!found)
            close(ret->fd);
    }
    pthread_mutex_unlock(&client->lock);
    return found;
}

static int take_link(struct ttrpc_client *client, const struct sl_client_question *question,
                     struct link *ret, struct sl_error *err)
{
    if (take_idle(client, ret))
        return 0;
    SL_AUTO_FD fd =
        socket(client->address.name.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return sl_error_system(err, errno, "cannot open a socket");
    int r = connect_to(fd, &client->address, question, err);
    if (r < 0)
        return r;
    *ret = (struct link){.fd = sl_steal_fd(&fd), .stream = 1};
    return 0;
}

/* Only after a call that went well: a late answer must not meet the next question. */
static void give_back(struct ttrpc_client *client, struct link *link)
{
    pthread_mutex_lock(&client->lock);
    bool is_kept = client->n_idle < IDLE_MAX && link->stream < STREAM_LAST;
    if (is_kept)
        client->idle[client->n_idle++] = *link;
    pthread_mutex_unlock(&client->lock);
    if (!is_kept)
        close(link->fd);
}

/* ---- calls ---- */

static int send_all(int fd, struct sl_span bytes, const struct sl_client_question *question,
                    struct sl_error *err)
{
    while (bytes.len) {
        ssize_t n = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return fail(err, errno, "cannot send the call");
        if (n < 0) {
            int r = wait_for(fd, POLLOUT, question, err);
            if (r < 0)
                return r;
            continue;
        }
        bytes = (struct sl_span){bytes.data + n, bytes.len - (size_t)n};
    }
    return 0;
}

/* 1 once the frame is complete. */
static int receive_some(int fd, uint32_t stream, struct sl_ttrpc_reader *reader,
                        struct sl_error *err)
{
    uint8_t bytes[READ_SIZE];
    ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0)
        return fail(err, errno, "cannot receive the answer");
    if (n == 0)
        return sl_error_set(err, SL_E_NETWORK, ECONNRESET, "the server hung up without an answer");
    int r = sl_ttrpc_answer_take(reader, stream, (struct sl_span){bytes, (size_t)n}, err);
    sl_wipe(bytes, (size_t)n);
    return r;
}

static int receive_frame(int fd, uint32_t stream, const struct sl_client_question *question,
                         struct sl_ttrpc_reader *reader, struct sl_error *err)
{
    int r = 0;
    while (r == 0) {
        r = wait_for(fd, POLLIN, question, err);
        if (r == 0)
            r = receive_some(fd, stream, reader, err);
    }
    return r < 0 ? r : 0;
}

static int ask(struct link *link, const struct sl_client_question *question,
               struct sl_rpc_reply *ret, struct sl_error *err)
{
    const struct sl_ttrpc_request request = {
        .service = sl_span_of(question->service),
        .method = sl_span_of(question->method),
        .message = question->request,
        .timeout_ns = (int64_t)sl_clock_remaining_ms(question->deadline) * 1000000,
        .metadata = question->metadata,
        .n_metadata = question->n_metadata,
    };
    SL_AUTO_DONE(sl_ttrpc_reader) reader = {0};
    struct sl_bytes frame = {0};
    uint32_t stream = link->stream;
    if (request.timeout_ns == 0)
        return sl_error_set(err, SL_E_NETWORK, ETIMEDOUT, "no time left to ask");
    int r = sl_ttrpc_request_frame(stream, &request, &frame, err);
    if (r < 0)
        return r;
    r = send_all(link->fd, sl_bytes_span(&frame), question, err);
    sl_bytes_wipe(&frame);
    if (r == 0)
        r = receive_frame(link->fd, stream, question, &reader, err);
    if (r < 0)
        return r;
    link->stream += 2;
    return sl_ttrpc_answer_read(&reader, ret, err);
}

static int ttrpc_call(struct sl_client_wire *wire, const struct sl_client_question *question,
                      struct sl_rpc_reply *ret, struct sl_error *err)
{
    struct ttrpc_client *client = (struct ttrpc_client *)wire;
    struct link link;
    int r = take_link(client, question, &link, err);
    if (r < 0)
        return r;
    r = ask(&link, question, ret, err);
    if (r < 0)
        close(link.fd);
    else
        give_back(client, &link);
    return r;
}

const struct sl_client_ops sl_ttrpc_client = {
    .open = ttrpc_open,
    .call = ttrpc_call,
    .close = ttrpc_close,
};
