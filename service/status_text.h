/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kata's agent is told of a pull that failed, in the words of the hub that it knows: kata's
 * own tests look for "Failed to pull image", and for what the cause says.
 */
#pragma once

#include "sluice.h"
#include "sluice/rpc.h"

enum { SL_STATUS_IMAGE_MAX = 300 }; /* bytes of a reference that are quoted */

struct sl_status {
    enum sl_rpc_status code;
    char text[1400]; /* one line, printable */
};

enum sl_pull_step {
    SL_STEP_REFERENCE, /* the image's name is none */
    SL_STEP_PULL,      /* from a registry into the store */
    SL_STEP_BUNDLE,    /* anything of this machine: paths, measurement, mounts */
};
struct sl_status sl_status_of_failure(enum sl_pull_step step, const char *image,
                                      const struct sluice_error *err);
/* The text without the hub's prefix, for our own log, in which people look for the same words. */
const char *sl_status_plain(const struct sl_status *status);
