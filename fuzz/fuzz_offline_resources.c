/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's image controls the resources file; whoever configures a pull names the resource. The
 * first line is its URI, the rest the file. */
#include "offline_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_offline_table(data, size, "resource", SL_OFFLINE_OTHERS, sl_resource_uri_parse);
}
