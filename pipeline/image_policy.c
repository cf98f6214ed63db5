/* SPDX-License-Identifier: Apache-2.0 */
#include "image_policy.h"

#define DENIED "Image policy rejected: Denied by policy: "

/* Somebody who pins a policy, or demands signatures, does not mean to switch them off. */
static int check_insecure(const struct sl_policy_options *o, struct sl_error *err)
{
    if (!o->policy && !o->policy_text && !o->policy_digest && !o->require_signed)
        return 0;
    return sl_error_set(err, SL_E_POLICY, EPERM,
                        DENIED "--insecure-policy contradicts --policy, --policy-digest and "
                               "--require-signed: leave it out");
}

/* The machine's own policy need not exist; then nothing is allowed. */
static int read_policy(const struct sl_policy_options *o, const struct sl_resources *resources,
                       const char *image_name, struct sl_bytes *ret, struct sl_error *err)
{
    if (o->policy_text)
        return sl_bytes_append(ret, sl_span_of(o->policy_text), SL_SIGNATURE_POLICY_MAX, err);
    const char *name = o->policy ? o->policy : SL_SIGNATURE_POLICY_PATH;
    struct sl_error why = {0};
    int r = sl_resource_get(resources, name, SL_SIGNATURE_POLICY_MAX, ret, &why);
    if (r == -ENOENT && !o->policy)
        return sl_error_set(err, SL_E_POLICY, EPERM,
                            DENIED "no signature policy for %.200s: give --policy FILE, write "
                                   "%s, or accept the image unverified with --insecure-policy",
                            image_name, SL_SIGNATURE_POLICY_PATH);
    if (r < 0 && err)
        *err = why;
    return r < 0 ? sl_error_wrap(err, r, "signature policy") : 0;
}

static const char *policy_name(const struct sl_policy_options *o)
{
    if (o->policy_text)
        return "the configured signature policy";
    return o->policy ? o->policy : SL_SIGNATURE_POLICY_PATH;
}

static int parse_policy(const struct sl_policy_options *o, struct sl_resources *resources,
                        struct sl_span json, struct sl_signature_policy **ret, struct sl_error *err)
{
    const struct sl_signature_policy_options options = {.compat_image_rs = o->compat_image_rs,
                                                        .require_signed = o->require_signed};
    int r = o->policy_digest ? sl_pinned_digest_check(o->policy_digest, json, "policy", err) : 0;
    if (r < 0)
        return r;
    r = sl_signature_policy_parse(json, &options, resources, ret, err);
    return r < 0 ? sl_error_wrap(err, r, "%.200s", policy_name(o)) : 0;
}

static int open_registries_d(const struct sl_policy_options *o, struct sl_resources *resources,
                             struct sl_registries_d **ret, struct sl_error *err)
{
    if (o->registries_d_text)
        return sl_registries_d_parse(sl_span_of(o->registries_d_text), "lookaside configuration",
                                     o->compat_image_rs, ret, err);
    return sl_registries_d_open(resources, o->registries_d, o->compat_image_rs, ret, err);
}

int sl_image_policy_open(const struct sl_policy_options *options, struct sl_kbc *kbc,
                         const char *image_name, struct sl_image_policy *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_image_policy) p = {0};
    SL_AUTO_DONE(sl_bytes) json = {0};
    struct sl_resources resources = {.kbc = kbc};
    if (options->insecure)
        return check_insecure(options, err);
    int r = read_policy(options, &resources, image_name, &json, err);
    if (r == 0)
        r = parse_policy(options, &resources, sl_bytes_span(&json), &p.policy, err);
    if (r == 0)
        r = open_registries_d(options, &resources, &p.registries_d, err);
    if (r < 0)
        return r;
    *ret = p;
    p = (struct sl_image_policy){0};
    return 0;
}

void sl_image_policy_done(struct sl_image_policy *policy)
{
    policy->policy = sl_signature_policy_free(policy->policy);
    policy->registries_d = sl_registries_d_free(policy->registries_d);
}
