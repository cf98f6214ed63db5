/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owner, extended attributes, mode: in this order, because chown clears setuid bits and
 * security.capability. Times are the last thing, once the content is there.
 */
#pragma once

#include "path_guard.h"
#include "tar_reader.h"

/* What a new file has without being told, so that telling can be spared. */
struct sl_attr_rules {
    uint32_t uid, gid, umask;
    bool inherits_gid; /* some directory has setgid: files below get its group */
    bool inherits_acl; /* some directory has a default ACL: files below get entries from it */
};
void sl_attr_rules_init(struct sl_attr_rules *rules, int root_fd);
/* A directory with these attributes now exists. */
void sl_attr_rules_note_dir(struct sl_attr_rules *rules, const struct sl_tar_entry *entry);

/* Takes away what a directory of no entry has inherited. */
void sl_attrs_disinherit(const struct sl_attr_rules *rules, int fd);

/* The mode to create a file with: the final one when that cannot open a door too early. */
static inline uint32_t sl_attr_create_mode(const struct sl_tar_entry *entry)
{
    return entry->mode & 07000 ? 0600 : entry->mode;
}

/* Of a file or directory that is open. is_new: it was created for this entry with
 * sl_attr_create_mode(); else what it had goes. */
SL_MUST_CHECK int sl_attrs_apply_fd(const struct sl_attr_rules *rules, int fd,
                                    const struct sl_tar_entry *entry, bool is_new,
                                    struct sl_error *err);
/* Of a symlink, device or FIFO just made for this entry; and its times. */
SL_MUST_CHECK int sl_attrs_apply_at(const struct sl_attr_rules *rules, const struct sl_place *place,
                                    const struct sl_tar_entry *entry, struct sl_error *err);
/* trusted.overlay.opaque=y on a directory; fd may be O_PATH. */
SL_MUST_CHECK int sl_attrs_make_opaque(int fd, struct sl_error *err);
bool sl_attrs_is_opaque(int fd);
