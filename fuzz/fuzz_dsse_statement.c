/* SPDX-License-Identifier: Apache-2.0 */
/* The payload of an envelope, from whoever has a key: an attestation of anything. */
#include "dsse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Two payloads never share an encoding: it ends with the payload, and says its length. */
static void check_pae(struct sl_span payload)
{
    SL_AUTO_DONE(sl_bytes) pae = {0};
    char head[64];
    int len = snprintf(head, sizeof(head), "DSSEv1 28 " SL_DSSE_PAYLOAD_TYPE " %zu ", payload.len);
    if (sl_dsse_pae(SL_DSSE_PAYLOAD_TYPE, payload, &pae, NULL) < 0)
        return;
    if (pae.len != (size_t)len + payload.len || memcmp(pae.data, head, (size_t)len) != 0 ||
        (payload.len && memcmp(pae.data + len, payload.data, payload.len) != 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct sl_span json = {data, size};
    SL_AUTO_DONE(sl_statement) statement = {0};
    struct sl_digest digest = {.alg = SL_SHA256};
    struct sl_error err;
    check_pae(json);
    if (sl_statement_parse(json, &statement, &err) < 0)
        return 0;
    if (!statement.predicate_type || !*statement.predicate_type)
        abort();
    /* What it names is what stands in it. */
    for (size_t i = 0; i < statement.n_subjects; i++) {
        SL_AUTO_FREE char *text = sl_strf("sha256:%s", statement.subjects[i]);
        if (sl_digest_parse(text, &digest, &err) == 0 && !sl_statement_names(&statement, &digest))
            abort();
    }
    return 0;
}
