/* SPDX-License-Identifier: Apache-2.0 */
/* A staged layer that is any directory: unpacking without a store. */
#pragma once

#include "sluice/layer_store.h"

struct sl_staged_layer {
    int fd;
    char *implicit[256]; /* reported paths, in order */
    size_t n_implicit;
};
void staged_stub_done(struct sl_staged_layer *staged);
