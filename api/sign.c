/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include "pack.h"
#include "sluice/sign.h"

#include <stdlib.h>

#define IS_SAME(form) _Static_assert((int)SLUICE_##form == (int)SL_##form, "forms agree")
IS_SAME(SIGN_SIMPLE);
IS_SAME(SIGN_COSIGN);
IS_SAME(SIGN_BUNDLE);

static void pack_report(struct sl_pack *p, const void *report)
{
    const struct sl_sign_report *from = report;
    struct sluice_sign_report *to = sl_pack_room(p, sizeof(*to));
    const struct sluice_signature **signatures = sl_pack_room(p, from->n * sizeof(void *));
    for (size_t i = 0; i < from->n; i++) {
        const struct sluice_signature value = {
            .form = (enum sluice_sign_form)from->signatures[i].form,
            .digest = sl_pack_digest(p, &from->signatures[i].digest),
            .where = sl_pack_text(p, from->signatures[i].where),
        };
        const struct sluice_signature *signature = sl_pack_value(p, &value, sizeof(value));
        if (signatures)
            signatures[i] = signature;
    }
    const char *name = sl_pack_text(p, from->name);
    if (to)
        *to = (struct sluice_sign_report){.name = name, .n = from->n, .signatures = signatures};
}

struct sluice_sign_report *sluice_sign_report_free(struct sluice_sign_report *report)
{
    free(report);
    return NULL;
}

static struct sl_sign_options translate(const struct sluice_sign_options *o)
{
    return (struct sl_sign_options){
        .image = o->image,
        .one_platform = o->one_platform,
        .platform = sl_api_platform(&o->platform),
        .recursive = o->recursive,
        .identity = o->identity,
        .passphrase_file = o->passphrase_file,
        .gpg_key = o->gpg_key,
        .pgp_home = o->pgp_home,
        .registries_d = o->registries_d,
        .key = o->key,
        .forms = o->forms,
        .cancel_fd = o->cancel_fd,
    };
}

static int sign(struct sluice *s, const struct sluice_sign_options *options,
                struct sluice_sign_report **ret, struct sl_error *err)
{
    struct sluice_sign_options o;
    SL_AUTO(sl_sign_report) report = NULL;
    int r = SL_API_TAKE(&o, options, err);
    if (r == 0)
        r = sl_api_need_engine(s, err);
    if (r == 0)
        r = sl_api_need_text(o.image, "image", err);
    if (r < 0)
        return r;
    const struct sl_sign_options to = translate(&o);
    r = sl_sign_image(s->engine, &to, &report, err);
    if (!report || !ret)
        return r;
    struct sluice_sign_report *copy = sl_pack_make(pack_report, report);
    if (!copy)
        return r < 0 ? r : sl_error_oom(err);
    *ret = copy;
    return r;
}

int sluice_sign(struct sluice *s, const struct sluice_sign_options *options,
                struct sluice_sign_report **ret, struct sluice_error *err)
{
    SL_API_QUIET();
    struct sl_error why = {0};
    return sl_api_result(sign(s, options, ret, &why), &why, err);
}
