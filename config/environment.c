/* SPDX-License-Identifier: Apache-2.0 */
#include "sources.h"

#include <stdlib.h>
#include <string.h>

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80)
            return false;
    return true;
}

int sl_config_set_foreign(struct sl_config_draft *draft, enum sl_config_id id, const char *text,
                          const struct sl_config_source *source, struct sl_error *err)
{
    if (!is_ascii(text))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "%s: holds characters that are not ASCII",
                            source->where);
    return sl_config_set_text(draft, id, text, source, err);
}

int sl_config_set_kbc_params(struct sl_config_draft *draft, const char *params,
                             const struct sl_config_source *source, struct sl_error *err)
{
    const char *colons = strstr(params, "::");
    if (!colons)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "%s: '%.100s' is not NAME::URL, such as cc_kbc::http://kbs:8080",
                            source->where, params);
    SL_AUTO_FREE char *name = strndup(params, (size_t)(colons - params));
    if (!name)
        return sl_error_oom(err);
    int r = sl_config_set_foreign(draft, CONFIG_KBC_NAME, name, source, err);
    return r < 0 ? r : sl_config_set_foreign(draft, CONFIG_KBC_URL, colons + 2, source, err);
}

int sl_config_read_environment(struct sl_config_draft *draft, sl_config_environment_fn *get,
                               bool use_kbc, struct sl_error *err)
{
    static const char auth[] = "CDH_DEFAULT_IMAGE_AUTHENTICATED_REGISTRY_CREDENTIALS";
    static const struct sl_config_source auth_source = {
        SL_CONFIG_ENVIRONMENT, "environment: CDH_DEFAULT_IMAGE_AUTHENTICATED_REGISTRY_CREDENTIALS"};
    static const struct sl_config_source kbc_source = {SL_CONFIG_ENVIRONMENT,
                                                       "environment: AA_KBC_PARAMS"};
    const char *uri = get(auth);
    const char *params = use_kbc ? get("AA_KBC_PARAMS") : NULL;
    int r = 0;
    if (uri && *uri)
        r = sl_config_set_foreign(draft, CONFIG_AUTH_URI, uri, &auth_source, err);
    if (r == 0 && params && *params)
        r = sl_config_set_kbc_params(draft, params, &kbc_source, err);
    return r;
}
