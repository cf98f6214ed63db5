/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's own container: its program comes with the measured guest, never from a registry. As
 * kata-agent does it, config.json and exactly the one file that it starts are copied.
 */
#pragma once

#include "bundle_path.h"

/* Where kata mounts the image of guest components that comes beside the guest's own. */
#define SL_COCO_EXTENSION "/run/kata-extensions/coco"

struct sl_pause_options {
    const char *bundle;    /* folder; NULL: none */
    const char *extension; /* NULL: SL_COCO_EXTENSION; where it is mounted, its bundle is taken */
};
/* Doing it again is no error. When it fails nothing new stays. -ENOENT: there is no such bundle. */
SL_MUST_CHECK int sl_pause_bundle_copy(const struct sl_pause_options *options,
                                       struct sl_bundle_path *to, struct sl_error *err);
