/* SPDX-License-Identifier: Apache-2.0 */
#include "listener.h"
#include "sluice/rpc.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BACKLOG = 1024,   /* connections that wait to be accepted */
    LOCK_TRIES = 200, /* for the folder of a socket, which any reader can lock for ever */
    LOCK_PAUSE_MS = 10,
    FOLDER_MODE = 0755, /* of folders that are made */
};

/* What stands before an address, and what it means. */
static const struct scheme {
    const char *prefix;
    const struct sl_wire_ops *wire;
    int (*parse)(const char *rest, const char *what, struct sl_address *ret, struct sl_error *err);
} schemes[] = {
    {"grpc://", &sl_grpc_wire, sl_address_tcp},
    {"grpc+unix://", &sl_grpc_wire, sl_address_unix},
    {"ttrpc://", &sl_ttrpc_wire, sl_address_tcp},
    {"ttrpc+unix://", &sl_ttrpc_wire, sl_address_unix},
    {"ttrpc+vsock://", &sl_ttrpc_wire, sl_address_vsock},
};

static const struct scheme *find_scheme(const char *address)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (strncmp(address, schemes[i].prefix, strlen(schemes[i].prefix)) == 0)
            return &schemes[i];
    return NULL;
}

/* As dirname(3), which need not be safe beside other threads. */
static const char *folder_of(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash)
        return ".";
    if (slash == path)
        return "/";
    *slash = '\0';
    return path;
}

/* Who can write to the folder could put a socket of his own in the place of ours. */
static int open_folder(const char *path, struct sl_error *err)
{
    SL_AUTO_FREE char *copy = strdup(path);
    struct stat st;
    if (!copy)
        return sl_error_oom(err);
    const char *folder = folder_of(copy);
    SL_AUTO_FD fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return sl_error_system(err, errno, "cannot open %s, the folder of the socket", folder);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return sl_error_set(err, SL_E_POLICY, EPERM,
                            "%s, the folder of the socket, belongs to another user", folder);
    if ((st.st_mode & (S_IWGRP | S_IWOTH)) && !(st.st_mode & S_ISVTX))
        return sl_error_set(err, SL_E_POLICY, EPERM,
                            "others may write to %s, the folder of the socket", folder);
    return sl_steal_fd(&fd);
}

/* Makes what is missing above a socket below /run, which is empty when a machine starts. Elsewhere
 * a folder that is not there is a mistake in the address. */
static int make_folders(const char *path, struct sl_error *err)
{
    static const char below[] = "/run/";
    SL_AUTO_FREE char *copy = strdup(path);
    if (!copy)
        return sl_error_oom(err);
    if (strncmp(path, below, sizeof(below) - 1) != 0 || strstr(path, "/../"))
        return 0;
    for (char *p = copy + sizeof(below) - 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = 0;
        if (mkdir(copy, FOLDER_MODE) < 0 && errno != EEXIST)
            return sl_error_system(err, errno, "cannot make %s for the socket", copy);
    }
    return 0;
}

/* Or two servers could both find the old socket stale, and the second remove what the first has
 * made. */
static int lock_folder(int folder, const char *path, struct sl_error *err)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(folder, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return sl_error_system(err, errno, "cannot lock the folder of %s", path);
        poll(NULL, 0, LOCK_PAUSE_MS);
    }
    return sl_error_set(err, SL_E_SYSTEM, EBUSY, "somebody else holds the lock of the folder of %s",
                        path);
}

/* Removes a socket file that nobody listens on. */
static int remove_stale(const struct sl_address *address, struct sl_error *err)
{
    const char *path = sl_address_path(address);
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : sl_error_system(err, errno, "cannot look at %s", path);
    if (!S_ISSOCK(st.st_mode))
        return sl_error_set(err, SL_E_SYSTEM, EEXIST,
                            "%s exists and is no socket but %s: remove it, or listen elsewhere",
                            path, S_ISDIR(st.st_mode) ? "a folder" : "a file");
    SL_AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return sl_error_system(err, errno, "cannot open a socket");
    if (connect(fd, (const struct sockaddr *)&address->name, address->len) == 0 ||
        errno != ECONNREFUSED)
        return sl_error_set(err, SL_E_SYSTEM, EADDRINUSE,
                            "somebody listens on %s already: stop him, or listen elsewhere", path);
    if (unlink(path) < 0 && errno != ENOENT)
        return sl_error_system(err, errno, "cannot remove the old socket %s", path);
    return 0;
}

static int bind_and_listen(struct sl_listener *listener, struct sl_error *err)
{
    struct sl_address *address = &listener->address;
    if (bind(listener->fd, (const struct sockaddr *)&address->name, address->len) < 0 ||
        listen(listener->fd, BACKLOG) < 0)
        return sl_error_system(err, errno, "cannot listen");
    return 0;
}

static int listen_on_path(struct sl_listener *listener, struct sl_error *err)
{
    const char *path = sl_address_path(&listener->address);
    struct stat st;
    int r = make_folders(path, err);
    if (r < 0)
        return r;
    SL_AUTO_FD folder = open_folder(path, err);
    if (folder < 0)
        return folder;
    r = lock_folder(folder, path, err);
    if (r == 0)
        r = remove_stale(&listener->address, err);
    /* The kernel gives the socket's file the mode of the socket: it is private from the start. */
    if (r == 0 && fchmod(listener->fd, S_IRUSR | S_IWUSR) < 0)
        r = sl_error_system(err, errno, "cannot make a socket private");
    if (r == 0)
        r = bind_and_listen(listener, err);
    if (r < 0)
        return r;
    if (lstat(path, &st) < 0)
        return sl_error_system(err, errno, "cannot look at %s", path);
    listener->dev = st.st_dev;
    listener->ino = st.st_ino;
    return 0;
}

static int listen_on(struct sl_listener *listener, struct sl_error *err)
{
    const int on = 1;
    struct sl_address *address = &listener->address;
    listener->fd = socket(address->name.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0)
        return sl_error_system(err, errno, "cannot open a socket");
    if (sl_address_path(address))
        return listen_on_path(listener, err);
    if (address->name.ss_family != AF_VSOCK)
        (void)setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    int r = bind_and_listen(listener, err);
    if (r == 0 && getsockname(listener->fd, (struct sockaddr *)&address->name, &address->len) < 0)
        r = sl_error_system(err, errno, "cannot tell the port");
    return r;
}

static int parse_address(const char *address, struct sl_listener *ret, struct sl_error *err)
{
    const struct scheme *scheme = find_scheme(address);
    if (!scheme)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "%s: wants grpc://, grpc+unix://, ttrpc://, ttrpc+unix:// or "
                            "ttrpc+vsock://",
                            address);
    *ret = (struct sl_listener){.fd = -1, .wire = scheme->wire, .scheme = scheme->prefix};
    return scheme->parse(address + strlen(scheme->prefix), address, &ret->address, err);
}

static int refuse_others(const struct sl_listener *listener, const char *what, struct sl_error *err)
{
    if (sl_address_is_local(&listener->address))
        return 0;
    return sl_error_set(err, SL_E_POLICY, EPERM,
                        "%s can be reached from other machines, and calls are neither encrypted "
                        "nor authenticated: listen on 127.0.0.1 or a unix socket",
                        what);
}

int sl_rpc_address_check(const char *address, struct sl_error *err)
{
    struct sl_listener listener;
    int r = parse_address(address, &listener, err);
    return r < 0 ? r : refuse_others(&listener, address, err);
}

int sl_listener_start(struct sl_listener *listener, const char *what, bool allow_any,
                      struct sl_error *err)
{
    int r = allow_any ? 0 : refuse_others(listener, what, err);
    if (r < 0)
        return r;
    r = listen_on(listener, err);
    if (r == 0)
        return 0;
    sl_listener_close(listener);
    return sl_error_wrap(err, r, "%s", what);
}

int sl_listener_open(const char *address, bool allow_any, struct sl_listener *ret,
                     struct sl_error *err)
{
    struct sl_listener listener;
    int r = parse_address(address, &listener, err);
    if (r == 0)
        r = sl_listener_start(&listener, address, allow_any, err);
    if (r == 0)
        *ret = listener;
    return r;
}

char *sl_listener_address(const struct sl_listener *listener)
{
    SL_AUTO_FREE char *text = sl_address_format(&listener->address);
    return text ? sl_strf("%s%s", listener->scheme, text) : NULL;
}

/* Also for abstract sockets, which have no mode. */
static bool is_welcome(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return false;
    return peer.uid == 0 || peer.uid == geteuid();
}

int sl_listener_accept(const struct sl_listener *listener)
{
    const int on = 1;
    SL_AUTO_FD fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return errno == EWOULDBLOCK ? -EAGAIN : -errno;
    if (listener->address.name.ss_family == AF_UNIX && !is_welcome(fd))
        return -EACCES;
    if (listener->address.name.ss_family == AF_INET || listener->address.name.ss_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return sl_steal_fd(&fd);
}

void sl_listener_close(struct sl_listener *listener)
{
    const char *path = sl_address_path(&listener->address);
    struct stat st;
    if (listener->fd >= 0)
        close(listener->fd);
    if (listener->ino && path && lstat(path, &st) == 0 && st.st_dev == listener->dev &&
        st.st_ino == listener->ino)
        unlink(path);
    listener->fd = -1;
    listener->ino = 0;
}
