/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that keep credentials: docker-credential-NAME, with docker's helper protocol (server
 * on stdin, {"ServerURL","Username","Secret"} on stdout). */
#pragma once

#include "auth_file.h"

/* Runs the helper's "get" and waits for it, HELPER_DEADLINE_MS at most. ret must be empty and
 * stays so when the helper does not know the server. -ENOENT with SL_E_AUTH when no such program
 * is in PATH, SL_E_AUTH too when it fails or hangs, SL_E_FORMAT when its answer is not understood,
 * SL_E_CANCELLED when it was killed because of cancel_fd (core/cancel.h).
 * Blocks; any thread. */
SL_MUST_CHECK int sl_credential_helper_get(const char *name, const char *server, int cancel_fd,
                                           struct sl_credentials *ret, struct sl_error *err);
/* The same with another deadline in milliseconds. */
SL_MUST_CHECK int sl_credential_helper_get_within(const char *name, const char *server,
                                                  int deadline_ms, int cancel_fd,
                                                  struct sl_credentials *ret, struct sl_error *err);
