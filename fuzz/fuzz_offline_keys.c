/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's image controls the keys file; the layer's annotations control the kid. The first
 * line is the kid, the rest the file. */
#include "offline_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_offline_table(data, size, "key", SL_OFFLINE_KEKS, sl_resource_uri_parse_kid);
}
