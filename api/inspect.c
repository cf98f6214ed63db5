/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include "pack.h"

#include <stdlib.h>

static void pack_documents(struct sl_pack *p, const void *inspected)
{
    const struct sl_inspected_image *from = inspected;
    const struct sl_resolved_image *image = from->image;
    struct sluice_documents *to = sl_pack_room(p, sizeof(*to));
    const struct sluice_documents value = {
        .name = sl_pack_text(p, from->name),
        .manifest_digest = sl_pack_digest(p, &image->manifest_digest),
        .index_digest = image->has_index_digest ? sl_pack_digest(p, &image->index_digest) : NULL,
        .index = image->has_index_digest ? sl_pack_bytes(p, &image->index_json) : NULL,
        .manifest = sl_pack_bytes(p, &image->manifest_json),
        .config = sl_pack_bytes(p, &image->config_json),
        .index_size = image->has_index_digest ? image->index_json.len : 0,
        .manifest_size = image->manifest_json.len,
        .config_size = image->config_json.len,
    };
    if (to)
        *to = value;
}

static int resolve(struct sluice *s, const struct sluice_inspect_options *o,
                   struct sluice_documents **ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_inspected_image) inspected = {0};
    const struct sl_platform platform = sl_api_platform(&o->platform);
    int r = sl_inspect_image(s->engine, o->image, &platform, o->cancel_fd, &inspected, err);
    if (r < 0)
        return r;
    struct sluice_documents *documents = sl_pack_make(pack_documents, &inspected);
    if (!documents)
        return sl_error_oom(err);
    *ret = documents;
    return 0;
}

int sluice_inspect(struct sluice *s, const struct sluice_inspect_options *options,
                   struct sluice_documents **ret, struct sluice_error *err)
{
    SL_API_QUIET();
    struct sl_error why = {0};
    struct sluice_inspect_options o = {0};
    int r = SL_API_TAKE(&o, options, &why);
    if (r == 0)
        r = sl_api_need_engine(s, &why);
    if (r == 0)
        r = sl_api_need_text(o.image, "image", &why);
    if (r == 0)
        r = resolve(s, &o, ret, &why);
    return sl_api_result(r, &why, err);
}

struct sluice_documents *sluice_documents_free(struct sluice_documents *documents)
{
    free(documents);
    return NULL;
}
