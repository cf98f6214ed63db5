/* SPDX-License-Identifier: Apache-2.0 */
/* The server that a client asks for a key controls these bytes. A cut must not change what they
 * mean, and what is accepted is within its limits. */
#include "ttrpc_answer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_whole(struct sl_span bytes, size_t step, struct sl_rpc_reply *ret,
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

/* What is passed on says the same to whoever reads it next. */
static void check_passed_on(const struct sl_rpc_reply *reply)
{
    const struct sl_wire_answer answer = {
        .status = reply->status,
        .message = sl_bytes_span(&reply->message),
        .text = sl_bytes_span(&reply->text),
        .details = sl_bytes_span(&reply->details),
    };
    SL_AUTO_DONE(sl_bytes) frame = {0};
    SL_AUTO_DONE(sl_rpc_reply) again = {0};
    if (sl_ttrpc_response_frame(1, &answer, &frame, NULL) < 0 ||
        read_whole(sl_bytes_span(&frame), frame.len, &again, NULL) < 0 ||
        again.status != reply->status || !is_same(&again.message, &reply->message) ||
        !is_same(&again.text, &reply->text) || !is_same(&again.details, &reply->details))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_rpc_reply whole = {0}, cut = {0};
    struct sl_error err = {0};
    if (size == 0)
        return 0;
    int r = read_whole((struct sl_span){data, size}, size, &whole, &err);
    if (r < 0 && r != -EAGAIN && err.code != SL_E_NETWORK)
        abort();
    if (r == 0 && (whole.text.len > size || whole.message.len > size || whole.details.len > size ||
                   (whole.status == SL_RPC_OK && (whole.text.len || whole.details.len))))
        abort();
    if (r == 0)
        check_passed_on(&whole);
    /* Cut, a frame may end before the bytes do: what is too much is seen with the next call. */
    if (r == 0 && (read_whole((struct sl_span){data, size}, 1 + data[size - 1] % 16, &cut, &err) ||
                   cut.status != whole.status || !is_same(&whole.message, &cut.message) ||
                   !is_same(&whole.text, &cut.text) || !is_same(&whole.details, &cut.details)))
        abort();
    sl_rpc_reply_done(&whole);
    sl_rpc_reply_done(&cut);
    return 0;
}
