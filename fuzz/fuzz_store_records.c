/* SPDX-License-Identifier: Apache-2.0 */
/* The records of the store: layer.json, blobs, images, refs, mount.json. These bytes are ours until
 * a disk, another program or an older version of us has changed them. The first byte chooses. */
#include "store_records.h"

#include <stdlib.h>
#include <string.h>

static const struct sl_digest *zero_digest(void)
{
    static const struct sl_digest digest = {.alg = SL_SHA256};
    return &digest;
}

static void run_layer(struct sl_span text)
{
    SL_AUTO_DONE(sl_layer_notes) notes = {0};
    SL_AUTO_DONE(sl_layer_notes) again = {0};
    SL_AUTO_DONE(sl_bytes) out = {0};
    if (sl_layer_record_parse(text, zero_digest(), &notes, NULL) < 0)
        return;
    /* What was read can be written, and is the same when read again. */
    if (sl_layer_record_format(zero_digest(), &notes, 0, &out, NULL) < 0 ||
        sl_layer_record_parse(sl_bytes_span(&out), zero_digest(), &again, NULL) < 0 ||
        again.implicit.n != notes.implicit.n || again.implicit.bytes != notes.implicit.bytes ||
        again.whiteout_dirs.n != notes.whiteout_dirs.n ||
        again.whiteout_dirs.bytes != notes.whiteout_dirs.bytes)
        abort();
}

static void run_blob(struct sl_span text)
{
    struct sl_blob_record record;
    SL_AUTO_DONE(sl_bytes) out = {0};
    if (sl_blob_record_parse(text, zero_digest(), &record, NULL) == 0 &&
        (sl_blob_record_format(&record, &out, NULL) < 0 ||
         sl_blob_record_parse(sl_bytes_span(&out), zero_digest(), &record, NULL) < 0))
        abort();
}

static void run_image(struct sl_span text)
{
    SL_AUTO(sl_image_record) record = NULL;
    SL_AUTO(sl_image_record) again = NULL;
    SL_AUTO_DONE(sl_bytes) out = {0};
    if (sl_image_record_parse(text, zero_digest(), &record, NULL) < 0)
        return;
    if (sl_image_record_format(record, &out, NULL) < 0 ||
        sl_image_record_parse(sl_bytes_span(&out), zero_digest(), &again, NULL) < 0 ||
        again->n_layers != record->n_layers || again->size != record->size ||
        again->manifest_json.len != record->manifest_json.len ||
        again->verdict_json.len != record->verdict_json.len)
        abort();
}

static void run_ref(struct sl_span text)
{
    char *name = NULL;
    struct sl_digest manifest;
    if (sl_ref_record_parse(text, &name, &manifest, NULL) == 0)
        free(name);
}

static void run_mount(struct sl_span text)
{
    SL_AUTO(sl_mount_record) record = NULL;
    struct sl_mount_origin origin;
    if (sl_mount_record_parse(text, "id", &record, &origin, NULL) == 0 &&
        (record->target[0] != '/' || strlen(origin.boot_id) >= sizeof(origin.boot_id)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const runs[])(struct sl_span) = {run_layer, run_blob, run_image, run_ref,
                                                   run_mount};
    if (size == 0)
        return 0;
    runs[data[0] % (sizeof(runs) / sizeof(runs[0]))]((struct sl_span){data + 1, size - 1});
    return 0;
}
