/* SPDX-License-Identifier: Apache-2.0 */
/* Texts in headers of gRPC, chosen by its clients and servers, and targets, chosen by whoever wrote
 * the configuration of key providers. */
#include "grpc_format.h"
#include "grpc_target.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What one end writes the other reads; what was made harmless stays as it is. */
static void round_trip(struct sl_span input)
{
    SL_AUTO_FREE char *clean = sl_grpc_text_decode(input);
    SL_AUTO_FREE char *encoded = clean ? sl_grpc_text_encode(sl_span_of(clean)) : NULL;
    SL_AUTO_FREE char *again = encoded ? sl_grpc_text_decode(sl_span_of(encoded)) : NULL;
    if (!again)
        return;
    for (const char *p = encoded; *p; p++)
        if (*p < 0x20 || *p > 0x7e)
            abort();
    if (strlen(encoded) > SL_RPC_STATUS_TEXT_MAX || strncmp(clean, again, strlen(again)) != 0)
        abort();
    if (strlen(clean) < SL_RPC_STATUS_TEXT_MAX / 12 && strcmp(clean, again) != 0)
        abort();
}

static void read_target(struct sl_span input)
{
    SL_AUTO_FREE char *text = strndup((const char *)input.data, input.len);
    SL_AUTO_DONE(sl_grpc_target) target = {0};
    if (!text || sl_grpc_target_parse(text, &target, NULL) < 0)
        return;
    if (!target.authority || strpbrk(target.authority, "/@?#% \r\n"))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_span input = {data, size}, service, method;
    enum sl_rpc_status status;
    int64_t ns;
    round_trip(input);
    read_target(input);
    if (sl_grpc_timeout_parse(input, &ns) == 0 && ns <= 0)
        abort();
    if (sl_grpc_status_parse(input, &status) == 0 && size > 3)
        abort();
    (void)sl_grpc_is_content_type(input);
    if (sl_grpc_path_split(input, &service, &method) && service.len + method.len + 2 != size)
        abort();
    return 0;
}
