/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include <string.h>

enum { OPTIONS_SIZE_MAX = 4096 }; /* bytes of one struct, far above what a version will need */

/* Members are never put into the padding of an older version, so that all sizes there ever were are
 * multiples of a pointer's. */
static bool is_size_of_options(size_t size)
{
    return size >= sizeof(size_t) && size <= OPTIONS_SIZE_MAX && size % sizeof(void *) == 0;
}

static bool is_zero(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

int sl_api_take(void *to, size_t known, const void *from, const char *what, struct sl_error *err)
{
    size_t size = 0;
    if (!from)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "%s: there are none", what);
    memcpy(&size, from, sizeof(size));
    if (!is_size_of_options(size))
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "%s: a size of %zu bytes; initialise the struct with SLUICE_OPTIONS()",
                            what, size);
    if (size > known && !is_zero((const unsigned char *)from + known, size - known))
        return sl_error_set(err, SL_E_UNSUPPORTED, E2BIG,
                            "%s: a member is set that libsluice " SL_VERSION " does not know",
                            what);
    memset(to, 0, known);
    memcpy(to, from, size < known ? size : known);
    return 0;
}

int sl_api_need_text(const char *text, const char *what, struct sl_error *err)
{
    return text ? 0 : sl_error_set(err, SL_E_FORMAT, EINVAL, "options: no %s is named", what);
}

void sl_api_give(void *to, const void *from, size_t known)
{
    size_t size;
    memcpy(&size, to, sizeof(size));
    if (!is_size_of_options(size))
        return;
    memset(to, 0, size);
    memcpy(to, from, size < known ? size : known);
    memcpy(to, &size, sizeof(size));
}

int sl_api_registry_options(const struct sluice_registry_options *registry,
                            struct sl_registry_options *ret, struct sl_error *err)
{
    struct sluice_registry_options o = {0};
    int r = registry ? SL_API_TAKE(&o, registry, err) : 0;
    if (r < 0)
        return r;
    *ret = (struct sl_registry_options){
        .authfile = o.authfile,
        .creds = o.creds,
        .cert_dir = o.cert_dir,
        .registries_conf = o.registries_conf,
        .registries_conf_text = o.registries_conf_text,
        .insecure = o.tls == SLUICE_TLS_INSECURE,
        .force_secure = o.tls == SLUICE_TLS_VERIFY,
        .extra_root_certificates = o.extra_root_certificates,
        .https_proxy = o.https_proxy,
        .http_proxy = o.http_proxy,
        .no_proxy = o.no_proxy,
        .user_agent = o.user_agent,
        .max_attempts = o.max_attempts,
    };
    return 0;
}

int sl_api_key_options(const struct sluice_key_options *keys, struct sl_key_options *ret,
                       struct sl_error *err)
{
    struct sluice_key_options o = {0};
    int r = keys ? SL_API_TAKE(&o, keys, err) : 0;
    if (r < 0)
        return r;
    *ret = (struct sl_key_options){
        .decryption_keys = o.decryption_keys,
        .kbc = o.kbc,
        .offline_keys = o.offline_keys,
        .offline_resources = o.offline_resources,
        .upstream = o.upstream,
        .key_providers = o.key_providers,
        .pgp_home = o.pgp_home,
        .unsafe_sample_key = o.unsafe_sample_key,
        .allow_a256ctr = o.allow_a256ctr,
        .timeout_s = o.timeout_s,
        .cancel_fd = o.cancel_fd,
    };
    return 0;
}

int sl_api_policy_options(const struct sluice_policy_options *policy, struct sl_policy_options *ret,
                          struct sl_error *err)
{
    struct sluice_policy_options o = {0};
    int r = policy ? SL_API_TAKE(&o, policy, err) : 0;
    if (r < 0)
        return r;
    *ret = (struct sl_policy_options){
        .policy = o.policy,
        .policy_text = o.policy_text,
        .policy_digest = o.policy_digest,
        .registries_d = o.registries_d,
        .registries_d_text = o.registries_d_text,
        .insecure = o.insecure,
        .compat_image_rs = o.compat_image_rs,
        .require_signed = o.require_signed,
    };
    return 0;
}

/* The house's struct also serves those that read platforms, and so owns its strings; here they are
 * only looked at. */
struct sl_platform sl_api_platform(const struct sluice_platform *from)
{
    return (struct sl_platform){.os = (char *)from->os,
                                .architecture = (char *)from->architecture,
                                .variant = (char *)from->variant};
}
