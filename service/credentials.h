/* SPDX-License-Identifier: Apache-2.0 */
/* Resources of the key broker that are put into files at start, for whoever reads them there
 * ([[credentials]] of the hub's configuration). */
#pragma once

#include "backend.h"

/* Asks the key broker for each resource of the configuration and writes it: mode 0600, its folders
 * 0700 and made, whole or not at all, never through a symbolic link below the root. Blocks. The
 * first failure ends it and says which file; those before it stay. Nobody is asked when there are
 * none. SL_E_CANCELLED: cancel_fd (core/cancel.h; borrowed) became readable. */
SL_MUST_CHECK int sl_credentials_write(struct sl_backend *backend, int cancel_fd,
                                       struct sl_error *err);

/* The same by other means: for tests. path is made relative to root by cutting
 * SL_CREDENTIALS_ROOT. */
struct sl_credential_source {
    /* As sluice_keys_get_resource(); what it gives goes to release(). */
    int (*get)(void *arg, const char *uri, void **ret, size_t *ret_size, struct sl_error *err);
    void (*release)(void *secret, size_t size);
    void *arg;
};
SL_MUST_CHECK int sl_credentials_write_below(const char *root,
                                             const struct sl_credential_file *files, size_t n,
                                             const struct sl_credential_source *source,
                                             struct sl_error *err);
