/* SPDX-License-Identifier: Apache-2.0 */
/* The OCI runtime config of a bundle, made from an image config (image-spec conversion.md). */
#pragma once

#include "sluice/manifest.h"

struct sl_process_user {
    uint32_t uid, gid;
    uint32_t *groups; /* supplementary */
    size_t n_groups;
};
void sl_process_user_done(struct sl_process_user *user);

/* User of an image config ("", "uid", "user", "uid:gid", "user:group") to numbers. Names are looked
 * up in etc/passwd and etc/group below rootfs_fd, never outside it, within limits. */
SL_MUST_CHECK int sl_process_user_resolve(int rootfs_fd, const char *user,
                                          struct sl_process_user *ret, struct sl_error *err);

SL_MUST_CHECK int sl_runtime_config_format(const struct sl_image_config *image,
                                           const struct sl_process_user *user, struct sl_bytes *ret,
                                           struct sl_error *err);
