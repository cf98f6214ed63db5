/* SPDX-License-Identifier: Apache-2.0 */
/* The server that a client asks for a key controls these bytes. A cut must not change what they
 * mean, and what is accepted is within its limits. */
#include "ttrpc_answer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_whole(struct sl_span bytes, size_t step, struct sl_client_reply *ret,
                      struct sl_error *err)
{
    SL_AUTO_DONE(sl_ttrpc_reader) reader = {0};
    int r = 0;
    while (r == 0 && bytes.len) {
        size_t n = step < bytes.len ? step : bytes.len;
        r = sl_ttrpc_answer_take(&reader, 1, (struct sl_span){bytes.data, n}, err);
        bytes = (struct sl_span){bytes.data + n, bytes.len - n};
    }
    if (r == 1)
        r = sl_ttrpc_answer_read(&reader, ret, err);
    else if (r == 0)
        r = -EAGAIN;
    return r;
}

static bool is_same(const struct sl_bytes *a, const struct sl_bytes *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_client_reply whole = {0}, cut = {0};
    struct sl_error err = {0};
    if (size == 0)
        return 0;
    int r = read_whole((struct sl_span){data, size}, size, &whole, &err);
    if (r < 0 && r != -EAGAIN && err.code != SL_E_NETWORK)
        abort();
    if (r == 0 && (whole.text.len > SL_RPC_STATUS_TEXT_MAX || whole.message.len > size ||
                   (whole.status == SL_RPC_OK && whole.text.len)))
        abort();
    /* Cut, a frame may end before the bytes do: what is too much is seen with the next call. */
    if (r == 0 && (read_whole((struct sl_span){data, size}, 1 + data[size - 1] % 16, &cut, &err) ||
                   cut.status != whole.status || !is_same(&whole.message, &cut.message) ||
                   !is_same(&whole.text, &cut.text)))
        abort();
    sl_bytes_wipe(&whole.message);
    sl_bytes_wipe(&whole.text);
    sl_bytes_wipe(&cut.message);
    sl_bytes_wipe(&cut.text);
    return 0;
}
