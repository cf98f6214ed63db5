/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of HTTP answers, and the URLs in them: chosen by the registry or by whoever it redirects
 * to. They decide whether a resumed blob goes on at the right place, and where we go next. */
#include "http_response.h"
#include "http_url.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void follow(const char *location)
{
    SL_AUTO_FREE char *url = sl_url_resolve("https://registry.example/v2/a/blobs/b", location);
    if (!url)
        return;
    if (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0)
        abort();
    /* What was accepted once is accepted again, and has the same origin. */
    SL_AUTO_FREE char *again = sl_url_resolve(url, url);
    if (!again || !sl_url_is_same_origin(url, again))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO_DONE(sl_http_response) resp;
    sl_http_response_init(&resp);
    struct sl_error err;
    const uint8_t *end = data + size;
    while (data < end) {
        const uint8_t *eol = memchr(data, '\n', (size_t)(end - data));
        const uint8_t *next = eol ? eol + 1 : end;
        if (sl_http_response_line(&resp, (struct sl_span){data, (size_t)(next - data)}, &err) < 0)
            return 0;
        data = next;
    }
    if (resp.range_total < -1 || resp.range_start < -1 || resp.content_length < -1)
        abort();
    if (resp.location)
        follow(resp.location);
    return 0;
}
