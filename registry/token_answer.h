/* SPDX-License-Identifier: Apache-2.0 */
/* What goes to a token server and what comes back. */
#pragma once

#include "auth_challenge.h"
#include "auth_file.h"

/* "realm?service=…&scope=…" for GET. scope is a list separated by blanks. Secrets are not in it.
 * NULL when out of memory. */
char *sl_token_url(const char *realm, const char *service, const char *scope, const char *account);
/* The form for POST with an identity token (OAuth2 refresh_token grant): a secret. */
char *sl_token_form(const char *service, const char *scope, const char *identity_token);

/* "Basic …": a secret; NULL when out of memory. */
char *sl_basic_value(const struct sl_credentials *credentials);
/* "Bearer …": a secret. SL_E_FORMAT unless the token can stand in a header. */
SL_MUST_CHECK int sl_bearer_value(const char *token, char **ret, struct sl_error *err);

/* Takes apart the answer. *ret_value is "Bearer …", a secret; seconds are at least 60. */
SL_MUST_CHECK int sl_token_answer_parse(struct sl_span json, char **ret_value,
                                        unsigned *ret_seconds, struct sl_error *err);
