/* SPDX-License-Identifier: Apache-2.0 */
/* These bytes are the Location that a registry answers with: it chooses where a blob is sent. */
#include "http_url.h"
#include "upload_url.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sl_digest digest = {.alg = SL_SHA256};
    SL_AUTO_FREE char *location = strndup((const char *)data, size);
    SL_AUTO_FREE char *next = NULL;
    struct sl_error err;
    if (!location ||
        sl_upload_url_next("https://a.example/v2/b/blobs/uploads/", location, &next, &err) < 0)
        return 0;
    if (!sl_url_is_https(next) || strchr(next, '#'))
        abort();
    SL_AUTO_FREE char *end = sl_upload_url_end(next, &digest);
    if (!end || strncmp(end, next, strlen(next)) != 0 || !sl_url_is_same_origin(end, next))
        abort();
    return 0;
}
