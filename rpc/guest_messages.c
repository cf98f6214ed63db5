/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest's programs say to each other about images. */
#include "sluice/rpc.h"

#include "message_memory.h"

#include "sluice/core/utf8.h"

#include "api.pb-c.h"
#include "attestation_agent.pb-c.h"

#include <stdlib.h>
#include <string.h>

/* ---- texts ---- */

/* proto3 says of strings that they are UTF-8, which ours hold without a NUL. */
static bool is_text(const ProtobufCBinaryData *field)
{
    for (size_t i = 0; i < field->len;) {
        const uint8_t *p = field->data + i;
        size_t n = *p < 0x80 ? *p != 0 : sl_utf8_multibyte_len(p, field->len - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

static int copy_text(const ProtobufCBinaryData *field, const char *name, size_t max, char **ret,
                     struct sl_error *err)
{
    if (field->len > max)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%s has %zu bytes, over %zu", name, field->len,
                            max);
    if (!is_text(field))
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "%s is not UTF-8, or has a NUL in it", name);
    char *text = malloc(field->len + 1);
    if (!text)
        return sl_error_oom(err);
    if (field->len)
        memcpy(text, field->data, field->len);
    text[field->len] = 0;
    *ret = text;
    return 0;
}

static ProtobufCBinaryData lend(const char *text)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)text, .len = strlen(text)};
}

static int pack(const ProtobufCMessage *message, struct sl_bytes *ret, struct sl_error *err)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size > SL_RPC_MESSAGE_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "a message of %zu bytes is over the %d of RPC",
                            size, SL_RPC_MESSAGE_MAX);
    struct sl_bytes packed = {.data = malloc(size + 1), .cap = size + 1};
    if (!packed.data)
        return sl_error_oom(err);
    packed.len = protobuf_c_message_pack(message, packed.data);
    packed.data[packed.len] = 0;
    *ret = packed;
    return 0;
}

/* ---- pulling ---- */

static int copy_pull_request(const Api__ImagePullRequest *message, struct sl_pull_request *ret,
                             struct sl_error *err)
{
    SL_AUTO_DONE(sl_pull_request) request = {0};
    int r = copy_text(&message->image_url, "image_url", SL_PULL_IMAGE_MAX, &request.image_url, err);
    if (r == 0)
        r = copy_text(&message->bundle_path, "bundle_path", SL_PULL_BUNDLE_MAX,
                      &request.bundle_path, err);
    if (r < 0)
        return r;
    *ret = request;
    request = (struct sl_pull_request){0};
    return 0;
}

int sl_pull_request_unpack(struct sl_span message, struct sl_pull_request *ret,
                           struct sl_error *err)
{
    struct sl_message_memory memory;
    ProtobufCMessage *read = NULL;
    sl_message_memory_init(&memory, message.len);
    int r = sl_message_unpack(&api__image_pull_request__descriptor, message, &memory, &read, err);
    if (r < 0)
        return r;
    r = copy_pull_request((Api__ImagePullRequest *)read, ret, err);
    protobuf_c_message_free_unpacked(read, &memory.allocator);
    return r;
}

void sl_pull_request_done(struct sl_pull_request *request)
{
    int saved = errno;
    free(request->image_url);
    free(request->bundle_path);
    *request = (struct sl_pull_request){0};
    errno = saved;
}

int sl_pull_response_pack(const char *manifest_digest, struct sl_bytes *ret, struct sl_error *err)
{
    Api__ImagePullResponse message = API__IMAGE_PULL_RESPONSE__INIT;
    message.manifest_digest = lend(manifest_digest);
    return pack(&message.base, ret, err);
}

/* ---- measuring ---- */

int sl_measurement_pack(const char *domain, const char *operation, const char *content,
                        struct sl_bytes *ret, struct sl_error *err)
{
    AttestationAgent__ExtendRuntimeMeasurementRequest message =
        ATTESTATION_AGENT__EXTEND_RUNTIME_MEASUREMENT_REQUEST__INIT;
    message.domain = lend(domain);
    message.operation = lend(operation);
    message.content = lend(content);
    return pack(&message.base, ret, err);
}

int sl_measurement_answer_unpack(struct sl_span message, int *ret_result, struct sl_error *err)
{
    struct sl_message_memory memory;
    ProtobufCMessage *read = NULL;
    sl_message_memory_init(&memory, message.len);
    int r = sl_message_unpack(&attestation_agent__extend_runtime_measurement_response__descriptor,
                              message, &memory, &read, err);
    if (r < 0)
        return r;
    *ret_result = ((AttestationAgent__ExtendRuntimeMeasurementResponse *)read)->result;
    protobuf_c_message_free_unpacked(read, &memory.allocator);
    return 0;
}
