/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads are parsed once their signature is good, so that these bytes are a signer's; a payload
 * that was read can be written, and then says the same. */
#include "signature_payload.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_and_write(struct sl_span json, const char *type)
{
    SL_AUTO_DONE(sl_signature_payload) payload = {0};
    SL_AUTO_DONE(sl_signature_payload) again = {0};
    SL_AUTO_DONE(sl_bytes) text = {0};
    struct sl_digest digest;
    struct sl_error err;
    if (sl_signature_payload_parse(json, type, &payload, &err) < 0)
        return;
    if (sl_digest_parse(payload.digest, &digest, &err) < 0 ||
        sl_signature_payload_write(type, payload.reference, &digest, payload.creator,
                                   payload.timestamp, &text, &err) < 0)
        abort();
    /* An escape may be longer than what it stands for. */
    if (sl_signature_payload_parse(sl_bytes_span(&text), type, &again, &err) < 0) {
        if (err.code != SL_E_LIMIT)
            abort();
        return;
    }
    if (strcmp(again.reference, payload.reference) != 0 ||
        strcmp(again.digest, payload.digest) != 0 || again.timestamp != payload.timestamp)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_and_write((struct sl_span){data, size}, SL_PAYLOAD_TYPE_SIMPLE);
    read_and_write((struct sl_span){data, size}, SL_PAYLOAD_TYPE_COSIGN);
    return 0;
}
