/* SPDX-License-Identifier: Apache-2.0 */
/* A program asked one question: input, output, and nothing else of it survives. It runs in its own
 * process group, under a deadline, with bounded output; its children go with it. */
#pragma once

#include "sluice/core/bytes.h"

struct sl_subprocess {
    const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH unless it has a '/' */
    struct sl_span input;    /* to its stdin, which is then closed */
    int deadline_ms;
    size_t output_max; /* bytes of stdout; more is SL_E_LIMIT */
    size_t errors_max; /* bytes of stderr to keep, the rest is dropped; 0: /dev/null */
    int cancel_fd;     /* see cancel.h; 0 or -1: none */
};

struct sl_subprocess_result {
    struct sl_bytes output; /* may be secret: the caller wipes it */
    struct sl_bytes errors;
    int status; /* of waitpid() */
};
/* Wipes. */
void sl_subprocess_result_done(struct sl_subprocess_result *result);
SL_DEFINE_AUTO_DONE(sl_subprocess_result, sl_subprocess_result_done)

/* Blocks. 0 when it ran to its end, whatever its status. ENOENT: there is no such program;
 * ETIMEDOUT: it was killed at its deadline; ECANCELED, SL_E_CANCELLED: it was not started, or
 * killed, since cancel_fd became readable. Errors have the code SL_E_SYSTEM unless stated. */
SL_MUST_CHECK int sl_subprocess_run(const struct sl_subprocess *process,
                                    struct sl_subprocess_result *ret, struct sl_error *err);
