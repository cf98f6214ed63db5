/* SPDX-License-Identifier: Apache-2.0 */
#include "known_image.h"

#include "sluice/core/limits.h"
#include "sluice/core/log.h"

void sl_known_image_look_up(struct sl_known_image *known, const struct sl_digest *manifest)
{
    struct sl_error err = {0};
    char text[SL_DIGEST_TEXT_MAX];
    if (known->record && sl_digest_is_equal(&known->record->manifest, manifest))
        return;
    known->record = sl_image_record_free(known->record);
    sl_digest_format(manifest, text);
    if (sl_store_load_image(known->store, manifest, &known->record, &err) < 0)
        sl_log(SL_LOG_DEBUG, "%s is fetched anew: %s", text, err.msg);
}

/* Has the type of sl_known_documents.find. The source checks the bytes. */
static bool find(void *arg, const struct sl_digest *digest, struct sl_bytes *ret)
{
    struct sl_known_image *known = arg;
    const struct sl_bytes *kept;
    if (known->record && sl_digest_is_equal(&known->record->config, digest)) {
        kept = &known->record->config_json;
    } else {
        sl_known_image_look_up(known, digest);
        kept = known->record ? &known->record->manifest_json : NULL;
    }
    return kept && kept->len &&
           sl_bytes_append(ret, sl_bytes_span(kept), SL_MANIFEST_MAX,
                           /* err= */ NULL) == 0;
}

void sl_known_image_offer(struct sl_known_image *known, struct sl_store *store,
                          struct sl_image_source *source)
{
    known->store = store;
    sl_image_source_set_known(
        source, &(struct sl_known_documents){.find = find, .arg = known, .first_is_fetched = true});
}

void sl_known_image_done(struct sl_known_image *known)
{
    known->record = sl_image_record_free(known->record);
}
