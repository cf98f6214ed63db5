/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice.h"

const char *sluice_version(void)
{
    return SL_VERSION;
}
