/* SPDX-License-Identifier: Apache-2.0 */
/* Exit codes; part of the interface (see the man page). */
#pragma once

#include "sluice/core/error.h"

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,    /* anything not below: a full disk, an unsupported image, Ctrl-C */
    EXIT_USAGE = 2,     /* the command line is wrong */
    EXIT_POLICY = 3,    /* refused by policy or signature */
    EXIT_NETWORK = 4,   /* a registry could not be reached, or a key or credentials were refused */
    EXIT_INTEGRITY = 5, /* bytes are not what was promised: digest, size, MAC, format */
};

static inline int exit_code_of(enum sl_errc code)
{
    switch (code) {
    case SL_E_POLICY:
        return EXIT_POLICY;
    case SL_E_NETWORK:
    case SL_E_AUTH:
        return EXIT_NETWORK;
    case SL_E_INTEGRITY:
    case SL_E_FORMAT:
        return EXIT_INTEGRITY;
    default:
        return EXIT_FAILED;
    }
}
