/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of a tar to files of a staged layer, by the rules of the image spec (layer.md) and, where
 * it is silent, those of umoci and GNU tar. Never touches anything outside the layer's root.
 */
#pragma once

#include "tar_reader.h"

struct sl_applier;
/* staged must outlive it. depth: components a path may have. */
SL_MUST_CHECK int sl_applier_new(struct sl_staged_layer *staged, bool no_openat2, unsigned depth,
                                 struct sl_applier **ret, struct sl_error *err);
struct sl_applier *sl_applier_free(struct sl_applier *applier);
SL_DEFINE_AUTO(sl_applier, sl_applier_free)
/* Its arg is the applier. */
extern const struct sl_tar_sink sl_applier_sink;
/* After the last entry: whiteouts, times of directories, report of implicit directories. */
SL_MUST_CHECK int sl_applier_finish(struct sl_applier *applier, struct sl_error *err);
