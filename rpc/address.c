/* SPDX-License-Identifier: Apache-2.0 */
#include "address.h"

#include "sluice/core/bytes.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <linux/vm_sockets.h>

enum { HOST_MAX = 64 }; /* bytes of an IP address with its zone */

int sl_address_unix(const char *path, const char *what, struct sl_address *ret,
                    struct sl_error *err)
{
    struct sl_address address = {0};
    struct sockaddr_un *name = (struct sockaddr_un *)&address.name;
    size_t len = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || len < 2)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "%s: wants an absolute path, or @ and an abstract name", what);
    if (len >= sizeof(name->sun_path))
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "%s: the name of a socket has at most %zu bytes", what,
                            sizeof(name->sun_path) - 1);
    name->sun_family = AF_UNIX;
    memcpy(name->sun_path, path, len);
    address.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (path[0] == '@')
        name->sun_path[0] = 0;
    else
        address.len++; /* the NUL */
    *ret = address;
    return 0;
}

static bool parse_number(const char *text, unsigned long max, uint32_t *ret)
{
    char *end;
    if (text[0] < '0' || text[0] > '9' || strlen(text) > 10)
        return false;
    unsigned long value = strtoul(text, &end, 10);
    if (*end || value > max)
        return false;
    *ret = (uint32_t)value;
    return true;
}

/* Copies HOST without its brackets. */
static bool split(const char *host_port, char host[HOST_MAX], const char **ret_port)
{
    const char *colon = strrchr(host_port, ':');
    if (!colon)
        return false;
    size_t len = (size_t)(colon - host_port);
    bool in_brackets = len >= 2 && host_port[0] == '[' && colon[-1] == ']';
    if (in_brackets) {
        host_port++;
        len -= 2;
    }
    if (len == 0 || len >= HOST_MAX || (memchr(host_port, ':', len) != NULL) != in_brackets)
        return false;
    memcpy(host, host_port, len);
    host[len] = 0;
    *ret_port = colon + 1;
    return true;
}

int sl_address_tcp(const char *host_port, const char *what, struct sl_address *ret,
                   struct sl_error *err)
{
    char host[HOST_MAX];
    const char *port;
    uint32_t number;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    if (!split(host_port, host, &port) || !parse_number(port, UINT16_MAX, &number))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "%s: wants HOST:PORT", what);
    if (strcmp(host, "localhost") != 0)
        hints.ai_flags |= AI_NUMERICHOST;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "%s: wants an IP address or localhost before the port", what);
    *ret = (struct sl_address){.len = found->ai_addrlen};
    memcpy(&ret->name, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return 0;
}

int sl_address_vsock(const char *cid_port, const char *what, struct sl_address *ret,
                     struct sl_error *err)
{
    struct sl_address address = {.len = sizeof(struct sockaddr_vm)};
    struct sockaddr_vm *name = (struct sockaddr_vm *)&address.name;
    char cid[HOST_MAX];
    const char *port;
    if (!split(cid_port, cid, &port) || !parse_number(cid, UINT32_MAX, &name->svm_cid) ||
        !parse_number(port, UINT32_MAX, &name->svm_port))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "%s: wants CID:PORT, both numbers", what);
    name->svm_family = AF_VSOCK;
    *ret = address;
    return 0;
}

const char *sl_address_path(const struct sl_address *address)
{
    const struct sockaddr_un *name = (const struct sockaddr_un *)&address->name;
    return name->sun_family == AF_UNIX && name->sun_path[0] ? name->sun_path : NULL;
}

bool sl_address_is_local(const struct sl_address *address)
{
    switch (address->name.ss_family) {
    case AF_UNIX:
        return true;
    case AF_INET: {
        const struct sockaddr_in *name = (const struct sockaddr_in *)&address->name;
        return ntohl(name->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)&address->name)->sin6_addr);
    case AF_VSOCK:
        return ((const struct sockaddr_vm *)&address->name)->svm_cid == VMADDR_CID_LOCAL;
    default:
        return false;
    }
}

static char *format_ip(const struct sl_address *address)
{
    char host[HOST_MAX], port[8];
    if (getnameinfo((const struct sockaddr *)&address->name, address->len, host, sizeof(host), port,
                    sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return NULL;
    return address->name.ss_family == AF_INET6 ? sl_strf("[%s]:%s", host, port)
                                               : sl_strf("%s:%s", host, port);
}

char *sl_address_format(const struct sl_address *address)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&address->name;
    const struct sockaddr_vm *vm = (const struct sockaddr_vm *)&address->name;
    switch (address->name.ss_family) {
    case AF_UNIX:
        return un->sun_path[0] ? sl_strf("%s", un->sun_path) : sl_strf("@%s", un->sun_path + 1);
    case AF_VSOCK:
        return sl_strf("%u:%u", vm->svm_cid, vm->svm_port);
    default:
        return format_ip(address);
    }
}
