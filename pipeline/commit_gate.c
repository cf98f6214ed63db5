/* SPDX-License-Identifier: Apache-2.0 */
#include "commit_gate.h"

#include <stdlib.h>

/* Complete in this file only: nobody else can make one. */
struct sl_gate_pass {
    const struct sl_gate *gate;
};

struct sl_gate {
    struct sl_store *store;
    struct sl_digest manifest;
};

int sl_gate_open(struct sl_store *store, const struct sl_gate_policy *policy,
                 const char *image_name, const struct sl_digest *manifest, struct sl_gate **ret,
                 struct sl_error *err)
{
    /* Nothing verifies signatures here, so the only yes is the one the caller gave himself. */
    if (!policy->insecure_accept_anything)
        return sl_error_set(err, SL_E_POLICY, EPERM,
                            "Image policy rejected: Denied by policy: no signature policy for %s; "
                            "signatures cannot be verified by this version, use --insecure-policy "
                            "to accept the image without",
                            image_name);
    struct sl_gate *gate = calloc(1, sizeof(*gate));
    if (!gate)
        return sl_error_oom(err);
    gate->store = store;
    gate->manifest = *manifest;
    *ret = gate;
    return 0;
}

struct sl_gate *sl_gate_close(struct sl_gate *gate)
{
    free(gate);
    return NULL;
}

int sl_gate_commit_layer(struct sl_gate *gate, const struct sl_layer_verdict *verdict,
                         struct sl_staged_layer *staged, struct sl_error *err)
{
    if (verdict->flow_result != 0)
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG, "layer did not pass its checks");
    const struct sl_gate_pass pass = {.gate = gate};
    return sl_layer_commit(staged, &pass, &verdict->record, err);
}

int sl_gate_commit_image(struct sl_gate *gate, const struct sl_image_record *record,
                         struct sl_error *err)
{
    if (!sl_digest_is_equal(&gate->manifest, &record->manifest))
        return sl_error_set(err, SL_E_POLICY, EPERM, "not the manifest the policy was asked about");
    for (size_t i = 0; i < record->n_layers; i++) {
        int r = sl_store_has_layer(gate->store, &record->diff_ids[i], err);
        if (r < 0)
            return r;
        if (r == 0)
            return sl_error_set(err, SL_E_INTEGRITY, ENOENT, "layer %zu/%zu is not in the store",
                                i + 1, record->n_layers);
    }
    const struct sl_gate_pass pass = {.gate = gate};
    return sl_image_commit(gate->store, &pass, record, err);
}
