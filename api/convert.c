/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include "pack.h"
#include "sluice/convert.h"

#include <stdlib.h>

/* ---- the report ---- */

static const char *const action_names[] = {
    [SL_LAYER_COPIED] = "copied",
    [SL_LAYER_ENCRYPTED] = "encrypted",
    [SL_LAYER_DECRYPTED] = "decrypted",
    [SL_LAYER_RECIPIENTS_ADDED] = "recipients added",
};

static const struct sluice_convert_layer *pack_layer(struct sl_pack *p,
                                                     const struct sl_convert_layer_report *l)
{
    const struct sluice_convert_layer layer = {
        .from = sl_pack_digest(p, &l->from),
        .to = sl_pack_digest(p, &l->to),
        .bytes = l->size,
        .done = l->done,
        .action = action_names[l->action],
        .skipped = l->skipped,
        .seconds = l->seconds,
    };
    return sl_pack_value(p, &layer, sizeof(layer));
}

static void pack_report(struct sl_pack *p, const void *report)
{
    const struct sl_convert_report *from = report;
    struct sluice_convert_report *to = sl_pack_room(p, sizeof(*to));
    const struct sluice_convert_layer **layers = sl_pack_room(p, from->n_layers * sizeof(void *));
    for (size_t i = 0; i < from->n_layers; i++) {
        const struct sluice_convert_layer *layer = pack_layer(p, &from->layers[i]);
        if (layers)
            layers[i] = layer;
    }
    const struct sluice_convert_report value = {
        .source = sl_pack_text(p, from->source),
        .destination = sl_pack_text(p, from->destination),
        .digest = sl_pack_digest(p, &from->digest),
        .is_index = from->is_index,
        .n_images = from->n_images,
        .n_dropped = from->n_dropped,
        .n_layers = from->n_layers,
        .layers = layers,
        .seconds = from->seconds,
        .peak_buffer_bytes = from->peak_buffers_bytes,
    };
    if (to)
        *to = value;
}

struct sluice_convert_report *sluice_convert_report_free(struct sluice_convert_report *report)
{
    free(report);
    return NULL;
}

/* ---- the conversion ---- */

/* Without memory a person sees nothing this time. */
static void progress(void *arg, const struct sl_convert_report *report)
{
    const struct sluice_convert_options *o = arg;
    struct sluice_convert_report *copy = sl_pack_make(pack_report, report);
    if (copy)
        o->progress(o->arg, copy);
    free(copy);
}

static int translate(const struct sluice_convert_options *o,
                     struct sl_registry_options *destination, struct sl_convert_options *ret,
                     struct sl_error *err)
{
    *ret = (struct sl_convert_options){
        .source = o->source,
        .destination = o->destination,
        .destination_registry = o->destination_registry ? destination : NULL,
        .one_platform = o->one_platform,
        .platform = sl_api_platform(&o->platform),
        .jobs = o->jobs,
        .encryption_keys = o->encryption_keys,
        .layers = o->layers,
        .n_layers = o->n_layers,
        .recipient_pgp_home = o->recipient_pgp_home,
        .allow_a256ctr = o->allow_a256ctr,
        .cancel_fd = o->cancel_fd,
        .progress = o->progress ? progress : NULL,
        .progress_arg = (void *)o,
    };
    int r = sl_api_registry_options(o->destination_registry, destination, err);
    return r < 0 ? r : sl_api_key_options(o->keys, &ret->keys, err);
}

typedef int convert_fn(struct sl_engine *engine, const struct sl_convert_options *options,
                       struct sl_convert_report **ret, struct sl_error *err);

static int convert_taken(struct sluice *s, const struct sluice_convert_options *o, convert_fn *fn,
                         struct sluice_convert_report **ret, struct sl_error *err)
{
    struct sl_registry_options destination = {0};
    struct sl_convert_options to;
    SL_AUTO(sl_convert_report) report = NULL;
    int r = translate(o, &destination, &to, err);
    if (r == 0)
        r = fn(s->engine, &to, &report, err);
    if (r < 0 || !ret)
        return r;
    struct sluice_convert_report *copy = sl_pack_make(pack_report, report);
    if (!copy)
        return sl_error_oom(err);
    *ret = copy;
    return 0;
}

static int convert(struct sluice *s, const struct sluice_convert_options *options, convert_fn *fn,
                   struct sluice_convert_report **ret, struct sluice_error *err)
{
    SL_API_QUIET();
    struct sl_error why = {0};
    struct sluice_convert_options o;
    int r = SL_API_TAKE(&o, options, &why);
    if (r == 0)
        r = sl_api_need_engine(s, &why);
    if (r == 0)
        r = sl_api_need_text(o.source, "source", &why);
    if (r == 0)
        r = sl_api_need_text(o.destination, "destination", &why);
    if (r == 0)
        r = convert_taken(s, &o, fn, ret, &why);
    return sl_api_result(r, &why, err);
}

/* Of somebody who says no keys at all. */
static int encrypt_image(struct sl_engine *engine, const struct sl_convert_options *options,
                         struct sl_convert_report **ret, struct sl_error *err)
{
    if (!options->encryption_keys || !*options->encryption_keys)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "options: no key to encrypt for is named");
    return sl_encrypt_image(engine, options, ret, err);
}

int sluice_encrypt(struct sluice *s, const struct sluice_convert_options *options,
                   struct sluice_convert_report **ret, struct sluice_error *err)
{
    return convert(s, options, encrypt_image, ret, err);
}

int sluice_decrypt(struct sluice *s, const struct sluice_convert_options *options,
                   struct sluice_convert_report **ret, struct sluice_error *err)
{
    return convert(s, options, sl_decrypt_image, ret, err);
}
