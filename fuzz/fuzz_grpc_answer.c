/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of gRPC servers: headers, pieces of the body, trailers, all chosen by the server. Each
 * record is a kind (odd: a piece of the body), a length, and that many bytes. */
#include "grpc_answer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(struct sl_grpc_answer *answer)
{
    enum sl_rpc_status status;
    struct sl_bytes message = {0}, text = {0};
    if (sl_grpc_answer_take(answer, &status, &message, &text, NULL) == 0) {
        if (!message.data == !text.data || (status == SL_RPC_OK) != !!message.data)
            abort();
        if (text.data && strlen((const char *)text.data) != text.len)
            abort();
    }
    sl_bytes_done(&message);
    sl_bytes_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO_DONE(sl_grpc_answer) answer = {0};
    while (size >= 2) {
        size_t n = data[1] < size - 2 ? data[1] : size - 2;
        struct sl_span piece = {data + 2, n};
        int r = data[0] & 1 ? sl_grpc_answer_body(&answer, piece, NULL)
                            : sl_grpc_answer_line(&answer, piece, NULL);
        if (r < 0)
            return 0;
        data += 2 + n;
        size -= 2 + n;
    }
    (void)sl_grpc_answer_is_refusal(&answer);
    take(&answer);
    return 0;
}
