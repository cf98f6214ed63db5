/* SPDX-License-Identifier: Apache-2.0 */
/* These bytes come from a registry: the Link headers of a page. */
#include "link_header.h"

#include "http_url.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO_DONE(sl_bytes) lines = {0};
    SL_AUTO_FREE char *url = NULL;
    struct sl_error err;
    if (sl_bytes_append(&lines, (struct sl_span){data, size}, SIZE_MAX / 2, &err) < 0)
        return 0;
    if (sl_link_next(sl_bytes_span(&lines), "https://a.test/v2/x", &url, &err) == 0 && url) {
        SL_AUTO_FREE char *origin = sl_url_origin(url);
        if (!origin)
            abort();
    }
    return 0;
}
