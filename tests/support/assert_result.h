/* SPDX-License-Identifier: Apache-2.0 */
/* What a call answered, with the reason when it is not what was expected. */
#pragma once

#include "sluice/core/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* call uses a variable of type struct sl_error named err. */
#define assert_done(call)                                                                          \
    do {                                                                                           \
        int done_ = (call);                                                                        \
        if (done_ != 0)                                                                            \
            fail_msg("%s: %d, %s", #call, done_, err.msg);                                         \
    } while (0)
#define assert_error(call, want_errno, want_code, part)                                            \
    do {                                                                                           \
        err = (struct sl_error){0};                                                                \
        int done_ = (call);                                                                        \
        if (done_ != -(want_errno) || err.errnum != (want_errno) || err.code != (want_code) ||     \
            !strstr(err.msg, (part)))                                                              \
            fail_msg("%s: %d, %s: %s", #call, done_, sl_errc_name(err.code), err.msg);             \
    } while (0)
