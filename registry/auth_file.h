/* SPDX-License-Identifier: Apache-2.0 */
/* Which credentials to show to a registry: containers-auth.json(5) and docker's config.json. */
#pragma once

#include "sluice/core/bytes.h"

/* Each member may be NULL; all NULL means anonymous. Wiped by _done. */
struct sl_credentials {
    char *username; /* with password: Basic, or for a token request */
    char *password;
    char *identity_token; /* an OAuth2 refresh token */
    char *registry_token; /* a ready bearer token */
};
void sl_credentials_done(struct sl_credentials *c);
SL_DEFINE_AUTO_DONE(sl_credentials, sl_credentials_done)
bool sl_credentials_is_anonymous(const struct sl_credentials *c);

/* Where to look. Everything is borrowed and may be NULL. */
struct sl_auth_options {
    const char *creds;          /* "USER:PASSWORD": used for every registry, nothing else is read */
    struct sl_span auth_json;   /* contents of an auth file, instead of any file */
    const char *authfile;       /* read alone; missing is an error */
    int cancel_fd;              /* ends a credential helper; see core/cancel.h */
    const char *const *helpers; /* sl_registry_rules_helpers(): NULL means the auth files alone */
};

/* Credentials for the endpoint that is contacted: "quay.io", "a/b/image". Anonymous is success.
 * Without creds, auth_json and authfile: $REGISTRY_AUTH_FILE alone if set, else
 * $XDG_RUNTIME_DIR/containers/auth.json (or /run/containers/UID/auth.json),
 * $XDG_CONFIG_HOME/containers/auth.json, $DOCKER_CONFIG/config.json (or ~/.docker/config.json),
 * ~/.dockercfg: the first that has an answer. May run a credential helper and so block for up to
 * a minute: not for the loop thread. ret must be empty. SL_E_FORMAT for a broken file, SL_E_AUTH
 * for a helper that fails. Messages never contain a secret. */
SL_MUST_CHECK int sl_auth_lookup(const struct sl_auth_options *options, const char *host,
                                 const char *repository, struct sl_credentials *ret,
                                 struct sl_error *err);

/* Splits "USER:PASSWORD" at the first colon. */
SL_MUST_CHECK int sl_credentials_parse(const char *creds, struct sl_credentials *ret,
                                       struct sl_error *err);
