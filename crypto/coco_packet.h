/* SPDX-License-Identifier: Apache-2.0 */
/* Annotation packets of Confidential Containers, version 1 and its superset version 2. */
#pragma once

#include "sluice/core/json.h"

enum sl_wrap_type { SL_WRAP_A256GCM, SL_WRAP_A256CTR };

struct sl_coco_packet {
    struct sl_json_doc *doc;
    const char *kid; /* borrowed from doc; any text */
    enum sl_wrap_type wrap_type;
    struct sl_bytes wrapped;
    struct sl_bytes iv;
};
/* Public providers other than kbs (key management services) are SL_E_UNSUPPORTED. */
SL_MUST_CHECK int sl_coco_packet_parse(struct sl_span text, struct sl_coco_packet *ret,
                                       struct sl_error *err);
void sl_coco_packet_done(struct sl_coco_packet *packet);
SL_DEFINE_AUTO_DONE(sl_coco_packet, sl_coco_packet_done)
