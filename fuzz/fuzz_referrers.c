/* SPDX-License-Identifier: Apache-2.0 */
/* These bytes come from a registry, or from whoever may push a tag: the list of what belongs to an
 * image. */
#include "referrers.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO_DONE(sl_referrers) list = {0};
    struct sl_error err;
    struct sl_span json = {data, size};
    if (sl_referrers_parse(json, NULL, SL_REFERRERS_MAX, &list, &err) < 0)
        return 0;
    size_t n = list.n;
    if (n > SL_REFERRERS_MAX)
        abort();
    for (size_t i = 0; i < n; i++)
        if (!list.items[i].artifact_type || !list.items[i].descriptor.media_type)
            abort();
    /* The same page once more adds nothing. */
    if (sl_referrers_parse(json, NULL, SL_REFERRERS_MAX, &list, &err) < 0 || list.n != n)
        abort();
    return 0;
}
