/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's image controls the keys file; the layer's annotations control the kid. The first
 * line is the kid, the rest the file. */
#include "offline_keys.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO(sl_kbc_offline_fs) kbc = NULL;
    struct sl_error err;
    const uint8_t *eol = size ? memchr(data, '\n', size) : NULL;
    if (!eol)
        return 0;
    SL_AUTO_FREE char *kid = strndup((const char *)data, (size_t)(eol - data));
    struct sl_span text = {eol + 1, size - (size_t)(eol - data) - 1};
    uint8_t kek[32];
    if (kid && sl_offline_keys_parse(text, &kbc, &err) == 0)
        (void)sl_kbc_offline_fs_lookup(kbc, kid, kek, &err);
    return 0;
}
