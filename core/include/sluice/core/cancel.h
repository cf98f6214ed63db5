/* SPDX-License-Identifier: Apache-2.0 */
/* Ending what waits: a descriptor, such as an eventfd, that becomes readable, and stays so, when
 * the work is to stop. Zero and below stand for none, so that structs need not name one. */
#pragma once

#include "sluice/core/error.h"

#include <poll.h>
#include <stdbool.h>

bool sl_cancel_is_asked(int cancel_fd);
/* For poll(), which passes over none. */
struct pollfd sl_cancel_pollfd(int cancel_fd);
/* SL_E_CANCELLED and ECANCELED, in the words all parts use for it. */
int sl_cancel_error(struct sl_error *err);
