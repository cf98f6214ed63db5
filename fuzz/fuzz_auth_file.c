/* SPDX-License-Identifier: Apache-2.0 */
/* An auth file. Who controls it: the operator, or in a guest the key broker that serves it. Names
 * of helpers in it start programs called docker-credential-*: the PATH is empty here. */
#include "auth_file.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_up(const struct sl_auth_options *o, const char *host, const char *repository)
{
    SL_AUTO_DONE(sl_credentials) c = {0};
    struct sl_error err;
    if (sl_auth_lookup(o, host, repository, &c, &err) < 0 && !sl_credentials_is_anonymous(&c))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t nothing[1];
    (void)setenv("PATH", "/nonexistent", 1);
    struct sl_auth_options o = {.auth_json = {size > 0 ? data : nothing, size}};
    look_up(&o, "docker.io", "library/mysql");
    look_up(&o, "quay.io", "a/b/c");
    return 0;
}
