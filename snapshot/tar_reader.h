/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tar reader that is pushed: bytes come in any cuts, entries go to a sink. File content is lent
 * on from the caller's memory, never copied. It reads v7, ustar, GNU and PAX archives as the Go
 * tools of the container world and GNU tar do, and refuses what those would read differently.
 *
 * PAX global headers are skipped, as containerd and containers/storage do.
 */
#pragma once

#include "pax_records.h"
#include "sluice/untar.h"

enum sl_tar_type {
    SL_TAR_FILE,
    SL_TAR_HARDLINK,
    SL_TAR_SYMLINK,
    SL_TAR_CHAR,
    SL_TAR_BLOCK_DEVICE,
    SL_TAR_DIR,
    SL_TAR_FIFO,
};

/* Spans are bytes as found, a NUL behind them and none within. All is valid until the entry's
 * end() has returned. */
struct sl_tar_entry {
    enum sl_tar_type type;
    struct sl_span name, linkname;
    uint32_t mode; /* 12 bits */
    uint32_t uid, gid;
    uint32_t dev_major, dev_minor;
    uint64_t size;  /* of the file, holes included */
    bool is_sparse; /* data does not cover the size */
    struct timespec mtime, atime;
    const struct sl_tar_xattr *xattrs;
    size_t n_xattrs;
};

/* For each entry begin(), any number of data() in ascending order, end(). A failure ends the
 * reading and is returned, its message led by the entry's name. */
struct sl_tar_sink {
    int (*begin)(void *arg, const struct sl_tar_entry *entry, struct sl_error *err);
    int (*data)(void *arg, struct sl_span data, uint64_t offset, struct sl_error *err);
    int (*end)(void *arg, struct sl_error *err);
    void *arg;
};

struct sl_tar_reader;
/* Zero members of limits mean the defaults, NULL all of them. */
SL_MUST_CHECK int sl_tar_reader_new(const struct sl_untar_limits *limits,
                                    const struct sl_tar_sink *sink, struct sl_tar_reader **ret,
                                    struct sl_error *err);
struct sl_tar_reader *sl_tar_reader_free(struct sl_tar_reader *reader);
SL_DEFINE_AUTO(sl_tar_reader, sl_tar_reader_free)
/* Reads all of it. After a failure the reader can only be freed. */
SL_MUST_CHECK int sl_tar_reader_push(struct sl_tar_reader *reader, struct sl_span bytes,
                                     struct sl_error *err);
/* The end of input. A missing end-of-archive mark is forgiven between entries, as elsewhere. */
SL_MUST_CHECK int sl_tar_reader_finish(struct sl_tar_reader *reader, struct sl_error *err);
/* With the defaults filled in; wanted may be NULL. */
struct sl_untar_limits sl_untar_limits_or_default(const struct sl_untar_limits *wanted);
