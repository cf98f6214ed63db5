/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/signature.h"

#include <stdlib.h>

void sl_signature_done(struct sl_signature *signature)
{
    free(signature->where);
    sl_bytes_done(&signature->bytes);
    free(signature->signature);
    free(signature->certificate);
    free(signature->chain);
    free(signature->rekor);
    free(signature->timestamp);
    *signature = (struct sl_signature){0};
}

const char *sl_signature_annotation(struct sl_signature *signature, size_t i, char ***ret_value)
{
    const struct {
        const char *name;
        char **value;
    } known[] = {
        {"dev.cosignproject.cosign/signature", &signature->signature},
        {"dev.sigstore.cosign/certificate", &signature->certificate},
        {"dev.sigstore.cosign/chain", &signature->chain},
        {"dev.sigstore.cosign/bundle", &signature->rekor},
        {"dev.sigstore.cosign/rfc3161timestamp", &signature->timestamp},
    };
    if (i >= sizeof(known) / sizeof(known[0]))
        return NULL;
    *ret_value = known[i].value;
    return known[i].name;
}

void sl_signatures_done(struct sl_signatures *signatures)
{
    for (size_t i = 0; i < signatures->n; i++)
        sl_signature_done(&signatures->items[i]);
    free(signatures->items);
    *signatures = (struct sl_signatures){0};
}

int sl_signatures_add(struct sl_signatures *signatures, struct sl_signature *signature,
                      struct sl_error *err)
{
    struct sl_signature *longer = realloc(signatures->items, (signatures->n + 1) * sizeof(*longer));
    if (!longer) {
        sl_signature_done(signature);
        return sl_error_oom(err);
    }
    signatures->items = longer;
    longer[signatures->n++] = *signature;
    *signature = (struct sl_signature){0};
    return 0;
}
