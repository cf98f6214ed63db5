/* SPDX-License-Identifier: Apache-2.0 */
#include "image_scope.h"

int sl_image_scopes(const char *name, char ***ret, struct sl_error *err)
{
    (void)name;
    (void)ret;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}

void sl_image_scopes_free(char **scopes)
{
    (void)scopes;
}

const char *sl_image_transport(const char *name)
{
    (void)name;
    return NULL;
}
