/* SPDX-License-Identifier: Apache-2.0 */
/* What a registry wants to see before it answers: WWW-Authenticate (RFC 9110 11.6.1; registry
 * token specification). */
#pragma once

#include "sluice/core/bytes.h"

enum sl_auth_scheme { SL_AUTH_NONE, SL_AUTH_BASIC, SL_AUTH_BEARER };

struct sl_auth_challenge {
    enum sl_auth_scheme scheme;
    /* NULL when absent. Bearer always has a realm. */
    char *realm, *service, *scope, *error;
};
void sl_auth_challenge_done(struct sl_auth_challenge *c);
SL_DEFINE_AUTO_DONE(sl_auth_challenge, sl_auth_challenge_done)

/* headers: the values of all WWW-Authenticate lines, each ended by a newline; a line may hold
 * several challenges. The first Bearer is taken, else the first Basic, else *ret stays empty with
 * scheme SL_AUTH_NONE. Unknown schemes and parameters are passed over; a line that does not parse
 * ends where it breaks. Fails only when out of memory. *ret must be empty. */
SL_MUST_CHECK int sl_auth_challenge_parse(struct sl_span headers, struct sl_auth_challenge *ret,
                                          struct sl_error *err);
