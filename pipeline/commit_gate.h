/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: the only code that can make the pass which the store demands before it publishes. A
 * gate is opened by the approval of one manifest under one name, and lets that image through once.
 */
#pragma once

#include "sluice/layer_store.h"
#include "sluice/signature_policy.h"

struct sl_gate;

/* Takes the approval, also on failure. SL_E_POLICY when there is none. */
SL_MUST_CHECK int sl_gate_open(struct sl_store *store, struct sl_approval **approval,
                               struct sl_gate **ret, struct sl_error *err);
struct sl_gate *sl_gate_close(struct sl_gate *gate);
SL_DEFINE_AUTO(sl_gate, sl_gate_close)

/* Several layers at once, on any thread, while nobody else uses the gate. The result of each is
 * first what the data path says of it (0: every stage has finished: size, digest, MAC, diff_id; no
 * other is let through), then what came of its commit. */
void sl_gate_commit_layers(struct sl_gate *gate, struct sl_layer_commit *first);
/* Every layer of the record must have been committed, or admitted from the cache. Once: the gate is
 * shut afterwards. SL_E_POLICY for anything but the image that was approved. */
SL_MUST_CHECK int sl_gate_commit_image(struct sl_gate *gate, const struct sl_image_record *record,
                                       struct sl_error *err);
