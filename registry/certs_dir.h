/* SPDX-License-Identifier: Apache-2.0 */
/* TLS settings of one registry: containers-certs.d(5). */
#pragma once

#include "sluice/core/bytes.h"

struct sl_registry_certs {
    struct sl_bytes roots; /* PEM of all *.crt, to be added to the platform's; empty if none */
    char *client_cert;     /* path of NAME.cert, or NULL */
    char *client_key;      /* path of NAME.key; both or none */
};
void sl_registry_certs_done(struct sl_registry_certs *certs);
SL_DEFINE_AUTO_DONE(sl_registry_certs, sl_registry_certs_done)

/* cert_dir is used as it is and must exist. NULL: the first that exists of
 * $HOME/.config/containers/certs.d/HOST, /etc/containers/certs.d/HOST, /etc/docker/certs.d/HOST;
 * none is success with nothing in it. host is "host" or "host:port" of the endpoint contacted.
 * With several client pairs the first by name is taken. ret must be empty. */
SL_MUST_CHECK int sl_registry_certs_load(const char *cert_dir, const char *host,
                                         struct sl_registry_certs *ret, struct sl_error *err);
/* The same with other folders in place of the three; ends with NULL. */
SL_MUST_CHECK int sl_registry_certs_search(const char *const *folders, const char *host,
                                           struct sl_registry_certs *ret, struct sl_error *err);
