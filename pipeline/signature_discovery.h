/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gathers the signatures of an image from everywhere they may lie: a lookaside or the registry's
 * extension (simple signing), the tag sha256-HEX.sig (cosign's signature spec), and referrers
 * (OCI distribution-spec 1.1) that are sigstore bundles. Nothing of them is verified here.
 */
#pragma once

#include "sluice/attachments.h"
#include "sluice/core/clock.h"
#include "sluice/lookaside.h"
#include "sluice/signature_policy.h"

#include <stdatomic.h>

/* All borrowed until sl_signatures_discover() has returned. */
struct sl_signature_search {
    struct sl_image_source *source;             /* resolved */
    const struct sl_registries_d *registries_d; /* where the lookaside is */
    const struct sl_judged_image *image;
    struct sl_signature_needs needs;
    const atomic_bool *stop; /* true: no further request; or NULL */
    int64_t deadline_ms;     /* of sl_clock_ms(): no further request after it */
};

/* Looks at all places at once, each on a thread of its own; for the manifest's digest, and then the
 * index's. What cannot be parsed is skipped; a place that cannot be read is told in *ret, which is
 * no failure here. Blocks; ends soon when the source is cancelled. */
SL_MUST_CHECK int sl_signatures_discover(const struct sl_signature_search *search,
                                         struct sl_signatures *ret, struct sl_error *err);
