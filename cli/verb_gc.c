/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <stdio.h>

int verb_gc(const struct cli_options *o, struct sl_error *err)
{
    SL_AUTO(sluice) s = NULL;
    struct sluice_error why = {0};
    struct sluice_gc_result gc = SLUICE_OPTIONS(sluice_gc_result);
    int r = cli_open_store(o, &s, err);
    if (r >= 0)
        r = sl_error_from_api(sluice_gc(s, o->dry_run, &gc, &why), &why, err);
    if (r < 0)
        return r;
    if (!o->json) {
        char size[16];
        printf("%s %u layers, %u blob records, %u images, %u leftovers: %s\n",
               o->dry_run ? "would remove" : "removed", gc.layers, gc.blobs, gc.images, gc.staging,
               cli_format_size(gc.bytes, size));
        return 0;
    }
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ true);
    sl_json_put_bool(w, "dryRun", o->dry_run);
    sl_json_put_int(w, "layers", gc.layers);
    sl_json_put_int(w, "blobs", gc.blobs);
    sl_json_put_int(w, "images", gc.images);
    sl_json_put_int(w, "staging", gc.staging);
    sl_json_put_int(w, "bytes", (int64_t)gc.bytes);
    return cli_print_json(w, err);
}
