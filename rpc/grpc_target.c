/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc_target.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum {
    HOST_MAX = 255, /* bytes, RFC 1035 */
    PORT_MAX = 65535,
    SOCKET_PATH_MAX = sizeof(((struct sockaddr_un *)0)->sun_path) - 1,
};

bool sl_grpc_is_host(struct sl_span text)
{
    bool is_bracketed = text.len > 2 && text.data[0] == '[' && text.data[text.len - 1] == ']';
    struct sl_span inner = text;
    if (is_bracketed)
        inner = (struct sl_span){text.data + 1, text.len - 2};
    if (inner.len == 0 || inner.len > HOST_MAX)
        return false;
    for (size_t i = 0; i < inner.len; i++) {
        uint8_t c = inner.data[i];
        bool is_good = is_bracketed ? isxdigit(c) || c == ':' || c == '.'
                                    : isalnum(c) || c == '-' || c == '.' || c == '_';
        if (!is_good)
            return false;
    }
    return true;
}

static bool is_port(const char *text)
{
    unsigned value = 0;
    for (const char *p = text; *p; p++) {
        if (!isdigit((unsigned char)*p))
            return false;
        value = value * 10 + (unsigned)(*p - '0');
        if (value > PORT_MAX)
            return false;
    }
    return value > 0;
}

static int parse_authority(const char *text, struct sl_grpc_target *ret, struct sl_error *err)
{
    const char *colon = strrchr(text, ':');
    struct sl_span host = {(const uint8_t *)text, colon ? (size_t)(colon - text) : 0};
    if (!colon || !sl_grpc_is_host(host) || !is_port(colon + 1))
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "not a gRPC target: say HOST:PORT or unix:///PATH");
    char *authority = strdup(text);
    if (!authority)
        return sl_error_oom(err);
    *ret = (struct sl_grpc_target){.authority = authority, .port = authority + host.len + 1};
    return 0;
}

static int parse_socket(const char *path, struct sl_grpc_target *ret, struct sl_error *err)
{
    size_t len = strlen(path);
    if (len == 0 || len > SOCKET_PATH_MAX)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "not a gRPC target: a socket's path has 1 to %zu bytes",
                            (size_t)SOCKET_PATH_MAX);
    SL_AUTO_DONE(sl_grpc_target) target = {.authority = strdup("localhost"),
                                           .socket_path = strdup(path)};
    if (!target.authority || !target.socket_path)
        return sl_error_oom(err);
    *ret = target;
    target = (struct sl_grpc_target){0};
    return 0;
}

/* What follows the prefix, or NULL. */
static const char *behind(const char *text, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

int sl_grpc_target_parse(const char *text, struct sl_grpc_target *ret, struct sl_error *err)
{
    static const char *const schemes[] = {"dns:///", "http://", "tcp://"};
    const char *rest = behind(text, "unix://");
    if (rest && *rest != '/')
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "not a gRPC target: the path behind unix:// must be absolute");
    if (rest || (rest = behind(text, "unix:")))
        return parse_socket(rest, ret, err);
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if ((rest = behind(text, schemes[i])))
            return parse_authority(rest, ret, err);
    return parse_authority(text, ret, err);
}

void sl_grpc_target_done(struct sl_grpc_target *target)
{
    free(target->authority);
    free(target->socket_path);
    *target = (struct sl_grpc_target){0};
}
