/* SPDX-License-Identifier: Apache-2.0 */
/* Simple signatures lie in a lookaside, where registries.d says (containers-registries.d(5)). */
#include "signing.h"

#include "sluice/lookaside.h"

#include <string.h>

static int find_base(const struct signing *s, const struct sl_registries_d *config, char **ret,
                     struct sl_error *err)
{
    struct sl_lookaside place;
    int r = sl_registries_d_find(config, sl_image_source_name(s->source), &place, err);
    if (r < 0)
        return r;
    if (strncmp(place.write_url, "file:///", 8) != 0)
        return sl_error_set(err, SL_E_UNSUPPORTED, EOPNOTSUPP,
                            "the lookaside of %.150s cannot be written, %.150s: name a folder, "
                            "lookaside-staging: file:///DIR, in registries.d",
                            sl_image_source_name(s->source), place.write_url);
    *ret = strdup(place.write_url);
    return *ret ? 0 : sl_error_oom(err);
}

int sl_sign_find_lookaside(const struct signing *s, char **ret_url, struct sl_error *err)
{
    SL_AUTO(sl_registries_d) config = NULL;
    const struct sl_resources resources = {0};
    if (!s->name)
        return sl_error_set(err, SL_E_UNSUPPORTED, EOPNOTSUPP,
                            "%.200s: an image in a layout has no simple signatures; sign with "
                            "--key, or in a registry",
                            sl_image_source_name(s->source));
    int r = sl_registries_d_open(&resources, s->options->registries_d, /* compat_image_rs= */ false,
                                 &config, err);
    return r < 0 ? r : find_base(s, config, ret_url, err);
}

int sl_sign_put_simple(struct signing *s, const struct signing_work *work, char **ret_where,
                       struct sl_error *err)
{
    SL_AUTO_FREE char *base = NULL;
    int r = sl_sign_find_lookaside(s, &base, err);
    if (r < 0)
        return r;
    return sl_lookaside_write_file(base, s->name->repository, &work->target->digest,
                                   sl_bytes_span(&work->made), ret_where, err);
}
