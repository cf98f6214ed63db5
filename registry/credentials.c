/* SPDX-License-Identifier: Apache-2.0 */
#include "auth_file.h"

#include <string.h>

void sl_credentials_done(struct sl_credentials *c)
{
    sl_secret_free(c->username);
    sl_secret_free(c->password);
    sl_secret_free(c->identity_token);
    sl_secret_free(c->registry_token);
    *c = (struct sl_credentials){0};
}

bool sl_credentials_is_anonymous(const struct sl_credentials *c)
{
    return !c->username && !c->password && !c->identity_token && !c->registry_token;
}

int sl_credentials_parse(const char *creds, struct sl_credentials *ret, struct sl_error *err)
{
    const char *colon = strchr(creds, ':');
    if (!colon || colon == creds)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "credentials must be USER:PASSWORD");
    SL_AUTO_DONE(sl_credentials) c = {
        .username = strndup(creds, (size_t)(colon - creds)),
        .password = strdup(colon + 1),
    };
    if (!c.username || !c.password)
        return sl_error_oom(err);
    *ret = c;
    c = (struct sl_credentials){0};
    return 0;
}
