/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever can push a signature controls these bytes: the body of a log entry, or cosign's
 * annotation with one. An entry is about one signature at most. */
#include "sigstore_trust.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_body(struct sl_span body, struct sl_logged_signature about)
{
    struct sl_error err;
    if (sl_rekor_body_check(body, /* kind= */ NULL, /* version= */ NULL, &about, &err) < 0)
        return;
    about.signature = sl_span_of("another signature");
    if (sl_rekor_body_check(body, /* kind= */ NULL, /* version= */ NULL, &about, &err) == 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_span body = {data, size};
    struct sl_logged_signature about = {
        .signature = sl_span_of("signature"),
        .payload = sl_span_of("payload"),
        .spki = sl_span_of("key"),
    };
    check_body(body, about);
    about.pae = sl_span_of("DSSEv1 4 type 7 payload");
    check_body(body, about);
    about.certificate = sl_span_of("certificate");
    check_body(body, about);

    static const struct sl_sigstore_trust nobody;
    SL_AUTO_FREE char *text = calloc(1, size + 1);
    int64_t time;
    struct sl_error err;
    if (!text)
        abort();
    for (size_t i = 0; i < size; i++)
        text[i] = (char)data[i];
    if (sl_rekor_annotation_check(&nobody, text, &about, &time, &err) == 0)
        abort();
    return 0;
}
