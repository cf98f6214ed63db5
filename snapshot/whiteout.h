/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whiteouts (image-spec layer.md): ".wh.name" hides a name of the layers below, ".wh..wh..opq" in
 * a directory all of its names. They never touch entries of their own layer, whatever the order:
 * so they are collected, and become overlayfs' forms when all entries are in place.
 */
#pragma once

#include "dir_ledger.h"
#include "sluice/layer_store.h"

/* Bytes of memory for one layer's whiteouts. */
#define SL_WHITEOUTS_MAX ((size_t)32 * 1024 * 1024)

enum sl_whiteout_kind {
    SL_WHITEOUT_NONE,    /* an ordinary name */
    SL_WHITEOUT_NAME,    /* hides one name */
    SL_WHITEOUT_OPAQUE,  /* hides all of a directory */
    SL_WHITEOUT_IGNORED, /* bookkeeping of AUFS */
    SL_WHITEOUT_PLNK,    /* below SL_PLNK_NAME, to be seen only by hardlinks of this layer */
};
/* In the root of a layer, where AUFS kept what several names link to ("pseudo links"). Docker
 * wrote it into layers; none of it is part of the image. */
#define SL_PLNK_NAME ".wh..wh.plnk"

SL_MUST_CHECK int sl_whiteout_classify(const struct sl_clean_path *path, enum sl_whiteout_kind *ret,
                                       struct sl_error *err);

struct sl_whiteout_note {
    size_t name_at;
    uint32_t name_len;
    uint32_t depth;
    bool is_opaque;
};
struct sl_whiteouts {
    struct sl_whiteout_note *notes;
    size_t n, cap;
    struct sl_bytes names;
    bool any_opaque, any_noted;
    struct sl_bytes noted; /* the directory that staged was told of last */
};
void sl_whiteouts_done(struct sl_whiteouts *whiteouts);
/* Copies the path, which is of kind NAME or OPAQUE. */
SL_MUST_CHECK int sl_whiteouts_add(struct sl_whiteouts *whiteouts, const struct sl_clean_path *path,
                                   enum sl_whiteout_kind kind, struct sl_error *err);
/* Makes them, tells staged where, and notes directories that replace what they hide. */
SL_MUST_CHECK int sl_whiteouts_settle(struct sl_whiteouts *whiteouts, struct sl_path_guard *guard,
                                      struct sl_staged_layer *staged, struct sl_dir_ledger *dirs,
                                      struct sl_error *err);
