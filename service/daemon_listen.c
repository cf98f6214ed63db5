/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon_listen.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ADDRESSES_MAX = 16 };

static const char unix_scheme[] = "unix://";

int sl_daemon_make_folder(const char *address, struct sl_error *err)
{
    const char *path = strstr(address, unix_scheme);
    if (!path || path[strlen(unix_scheme)] != '/')
        return 0; /* not a file */
    SL_AUTO_FREE char *folder = strdup(path + strlen(unix_scheme));
    if (!folder)
        return sl_error_oom(err);
    /* Each folder of the path but the last name, which is the socket's. */
    for (char *slash = folder + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        if (mkdir(folder, S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH) < 0 && errno != EEXIST)
            return sl_error_system(err, errno, "%s: cannot make %s", address, folder);
        *slash = '/';
    }
    return 0;
}

static int listen_at(struct sl_rpc_server *server, const char *address, char **ret,
                     struct sl_error *err)
{
    int r = sl_daemon_make_folder(address, err);
    return r < 0 ? r : sl_rpc_server_listen(server, address, ret, err);
}

static int listen_at_all(struct sl_rpc_server *server, const struct sl_config *config,
                         char *addresses[ADDRESSES_MAX + 1], struct sl_error *err)
{
    size_t n = 0;
    int r = listen_at(server, config->socket, &addresses[n], err);
    if (r < 0)
        return sl_error_wrap(err, r, "socket");
    for (char **more = config->listen; more && *more; more++) {
        if (++n == ADDRESSES_MAX)
            return sl_error_set(err, SL_E_LIMIT, E2BIG, "sluice.listen: more than %d addresses",
                                ADDRESSES_MAX - 1);
        r = listen_at(server, *more, &addresses[n], err);
        if (r < 0)
            return sl_error_wrap(err, r, "sluice.listen");
    }
    return 0;
}

int sl_daemon_listen(struct sl_rpc_server *server, const struct sl_config *config, char ***ret,
                     struct sl_error *err)
{
    char **addresses = calloc(ADDRESSES_MAX + 1, sizeof(*addresses));
    if (!addresses)
        return sl_error_oom(err);
    int r = listen_at_all(server, config, addresses, err);
    if (r == 0)
        *ret = addresses;
    else
        sl_daemon_addresses_free(addresses);
    return r;
}

void sl_daemon_addresses_free(char **addresses)
{
    for (char **a = addresses; a && *a; a++)
        free(*a);
    free(addresses);
}
