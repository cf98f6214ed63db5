/* SPDX-License-Identifier: Apache-2.0 */
/* The registry object: what all images of a process share. Inside registry/ only. */
#pragma once

#include "auth_token.h"
#include "http_fetch.h"
#include "mirror.h"
#include "sluice/image_source.h"

#include <pthread.h>

struct sl_registry_peer; /* a struct sl_http_peer in the registry's list */

struct sl_registry {
    char *authfile, *auth_json, *creds; /* secrets, but for the path */
    char *cert_dir, *registries_conf, *registries_conf_text, *extra_roots;
    bool insecure, force_secure;
    struct sl_http_settings settings; /* tests make the pauses shorter before the first use */
    struct sl_http_loop *loop;
    struct sl_token_cache tokens; /* loop thread */

    pthread_mutex_t lock; /* guards what is read from files on first use: */
    struct sl_registry_rules *rules;
    struct sl_registry_peer *peers; /* grows only; a peer lives as long as the registry */
};

/* TLS settings for "scheme://host" with certificates from the folders for cert_host. Borrowed
 * from the registry. May read files. */
SL_MUST_CHECK int sl_registry_get_peer(struct sl_registry *registry, const char *origin,
                                       const char *cert_host, bool insecure,
                                       const struct sl_http_peer **ret, struct sl_error *err);
/* "https" or "http", whichever this insecure host was found to speak within the last minutes; NULL:
 * it must be tried. Static. */
const char *sl_registry_recall_scheme(struct sl_registry *registry, const char *host);
/* It answered: peer is of sl_registry_get_peer(). */
void sl_registry_remember_scheme(struct sl_registry *registry, const struct sl_http_peer *peer);
/* Rules for mirrors. Borrowed from the registry. May read files. */
SL_MUST_CHECK int sl_registry_get_rules(struct sl_registry *registry,
                                        const struct sl_registry_rules **ret, struct sl_error *err);
