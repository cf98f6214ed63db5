/* SPDX-License-Identifier: Apache-2.0 */
#include "commit_gate.h"

#include <stdlib.h>
#include <string.h>

/* Complete in this file only: nobody else can make one. */
struct sl_gate_pass {
    const struct sl_gate *gate;
};

struct sl_gate {
    struct sl_store *store;
    struct sl_approval *approval; /* NULL: used */
};

int sl_gate_open(struct sl_store *store, struct sl_approval **approval, struct sl_gate **ret,
                 struct sl_error *err)
{
    SL_AUTO(sl_approval) mine = sl_steal(approval);
    if (!mine)
        return sl_error_set(err, SL_E_POLICY, EPERM,
                            "Image policy rejected: Denied by policy: nothing has allowed the "
                            "image");
    struct sl_gate *gate = calloc(1, sizeof(*gate));
    if (!gate)
        return sl_error_oom(err);
    gate->store = store;
    gate->approval = sl_steal(&mine);
    *ret = gate;
    return 0;
}

struct sl_gate *sl_gate_close(struct sl_gate *gate)
{
    if (gate)
        (void)sl_approval_free(gate->approval);
    free(gate);
    return NULL;
}

static int need_approval(const struct sl_gate *gate, struct sl_error *err)
{
    if (gate && gate->approval)
        return 0;
    return sl_error_set(err, SL_E_POLICY, EPERM, "the gate is shut");
}

void sl_gate_commit_layers(struct sl_gate *gate, struct sl_layer_commit *first)
{
    for (struct sl_layer_commit *c = first; c; c = c->next) {
        int r = need_approval(gate, &c->error);
        if (r == 0 && c->result != 0)
            r = sl_error_set(&c->error, SL_E_INTEGRITY, EBADMSG, "layer did not pass its checks");
        c->result = r;
    }
    const struct sl_gate_pass pass = {.gate = gate};
    sl_layers_commit(first, &pass);
}

static int check_image(const struct sl_approval *approval, const struct sl_image_record *record,
                       struct sl_error *err)
{
    if (!sl_digest_is_equal(sl_approval_manifest(approval), &record->manifest))
        return sl_error_set(err, SL_E_POLICY, EPERM, "not the manifest the policy was asked about");
    if (!record->name || strcmp(sl_approval_name(approval), record->name) != 0)
        return sl_error_set(err, SL_E_POLICY, EPERM, "not the name the policy was asked about");
    return 0;
}

static int need_layers(struct sl_store *store, const struct sl_image_record *record,
                       struct sl_error *err)
{
    for (size_t i = 0; i < record->n_layers; i++) {
        int r = sl_store_has_layer(store, &record->diff_ids[i], err);
        if (r < 0)
            return r;
        if (r == 0)
            return sl_error_set(err, SL_E_INTEGRITY, ENOENT, "layer %zu/%zu is not in the store",
                                i + 1, record->n_layers);
    }
    return 0;
}

int sl_gate_commit_image(struct sl_gate *gate, const struct sl_image_record *record,
                         struct sl_error *err)
{
    int r = need_approval(gate, err);
    if (r == 0)
        r = check_image(gate->approval, record, err);
    if (r == 0)
        r = need_layers(gate->store, record, err);
    if (r < 0)
        return r;
    gate->approval = sl_approval_free(gate->approval);
    const struct sl_gate_pass pass = {.gate = gate};
    return sl_image_commit(gate->store, &pass, record, err);
}
