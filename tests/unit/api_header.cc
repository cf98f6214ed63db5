// SPDX-License-Identifier: Apache-2.0
// sluice.h alone, in strict C++20: C linkage, and options that are initialised by name.
#include "sluice.h"

int api_header_open(struct sluice **ret)
{
    sluice_error error = {};
    const sluice_options options = SLUICE_OPTIONS(sluice_options, .parts = SLUICE_STORE_ONLY);
    return sluice_open(&options, ret, &error);
}
