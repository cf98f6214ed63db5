/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: the only code that can make the pass which the store demands before it publishes. A
 * gate exists only for an image whose policy verdict was yes.
 */
#pragma once

#include "sluice/layer_store.h"

struct sl_gate;

struct sl_gate_policy {
    bool insecure_accept_anything; /* the caller said so in as many words */
};

/* Asks the signature policy about the name the caller gave (never a mirror's) and the resolved
 * manifest. SL_E_POLICY when it says no, also when there is no policy. */
SL_MUST_CHECK int sl_gate_open(struct sl_store *store, const struct sl_gate_policy *policy,
                               const char *image_name, const struct sl_digest *manifest,
                               struct sl_gate **ret, struct sl_error *err);
struct sl_gate *sl_gate_close(struct sl_gate *gate);
SL_DEFINE_AUTO(sl_gate, sl_gate_close)

/* What the data path says of a layer when its flow is through. */
struct sl_layer_verdict {
    int flow_result;              /* 0: every stage finished: size, digest, MAC, diff_id */
    struct sl_blob_record record; /* what those stages were asked to verify */
};
SL_MUST_CHECK int sl_gate_commit_layer(struct sl_gate *gate, const struct sl_layer_verdict *verdict,
                                       struct sl_staged_layer *staged, struct sl_error *err);
/* Every layer of the record must have been committed, or admitted from the cache. */
SL_MUST_CHECK int sl_gate_commit_image(struct sl_gate *gate, const struct sl_image_record *record,
                                       struct sl_error *err);
