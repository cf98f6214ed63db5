/* SPDX-License-Identifier: Apache-2.0 */
/* Tar bytes to a staged tree, as a stage. Everything it reads is hostile. */
#pragma once

#include "sluice/core/stage.h"
#include "sluice/layer_store.h"

/* Zero members mean the defaults. */
struct sl_untar_limits {
    uint64_t entries;    /* 16 Mi */
    uint64_t file_size;  /* bytes of one file, as it appears: 1 TiB (sparse files) */
    uint64_t total_size; /* bytes of file content written: 256 GiB */
    size_t pax_size;     /* bytes of the extended headers of one entry: 1 MiB */
    size_t path_size;    /* bytes of a path: 64 KiB */
    unsigned depth;      /* components of a path: 4096 */
};
struct sl_untar_options {
    struct sl_untar_limits limits;
    bool no_openat2; /* for tests: walk component by component as on an old kernel */
};

/* staged must outlive the stage. options may be NULL. */
SL_MUST_CHECK int sl_stage_untar_new(struct sl_staged_layer *staged,
                                     const struct sl_untar_options *options, struct sl_stage **ret,
                                     struct sl_error *err);
