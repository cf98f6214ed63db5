/* SPDX-License-Identifier: Apache-2.0 */
/* Limits that several rooms share. Each other limit stands at the top of the file that holds it. */
#pragma once

enum {
    SL_MANIFEST_MAX = 4 * 1024 * 1024, /* bytes of a manifest or index; the field's common cap */
    SL_CONFIG_MAX = 4 * 1024 * 1024,   /* bytes of an image config */
    SL_LAYERS_MAX = 500,               /* layers of an image: what overlayfs can stack */
};
