/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/environment.h"

#include <stdlib.h>

const char *sl_environment_get(const char *name)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): it changes, if ever, before there are threads */
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

const char *sl_environment_dir(const char *name)
{
    const char *dir = sl_environment_get(name);
    return dir && *dir == '/' ? dir : NULL;
}
