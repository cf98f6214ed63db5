/* SPDX-License-Identifier: Apache-2.0 */
#include "signing.h"

int sl_sign_describe(struct sl_span bytes, struct signing_blob *ret, struct sl_error *err)
{
    ret->size = bytes.len;
    return sl_digest_of(SL_SHA256, bytes, &ret->digest, err);
}

int sl_sign_put_blob(struct signing *s, struct sl_span bytes, struct signing_blob *ret,
                     struct sl_error *err)
{
    struct signing_blob blob;
    int r = sl_sign_describe(bytes, &blob, err);
    if (r == 0)
        r = sl_image_sink_put_blob(s->sink, bytes, &blob.digest, err);
    if (r < 0)
        return r;
    *ret = blob;
    return 0;
}

void sl_sign_open_descriptor(struct sl_json_writer *w, const char *name, const char *media_type,
                             const struct signing_blob *blob)
{
    sl_json_open_object(w, name);
    sl_json_put_string(w, "mediaType", media_type);
    sl_json_put_int(w, "size", (int64_t)blob->size);
    sl_json_put_digest(w, "digest", &blob->digest);
}
