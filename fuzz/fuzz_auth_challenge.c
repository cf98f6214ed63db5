/* SPDX-License-Identifier: Apache-2.0 */
/* WWW-Authenticate lines: chosen by the registry, by any mirror, and, without TLS, by whoever is
 * on the way. What comes out of them goes into a URL and decides where a password is sent. */
#include "auth_challenge.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
    for (; text && *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO_DONE(sl_auth_challenge) c = {0};
    struct sl_error err;
    if (sl_auth_challenge_parse((struct sl_span){data, size}, &c, &err) < 0)
        abort();
    if (c.scheme == SL_AUTH_BEARER && !c.realm)
        abort();
    check_text(c.realm);
    check_text(c.service);
    check_text(c.scope);
    check_text(c.error);
    return 0;
}
