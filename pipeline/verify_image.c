/* SPDX-License-Identifier: Apache-2.0 */
/* A pull's first half, for those who only want to know: policy, manifest, judgement. */
#include "image_judgement.h"
#include "sluice/key_access.h"

static int open_policy(const struct sl_visit *visit, const struct sl_verify_options *o,
                       const char *image_name, struct sl_image_policy *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_key_access) keys = {0};
    int r = sl_key_access_open(&o->keys, visit->cancel_fd, &keys, err);
    return r < 0 ? r : sl_image_policy_open(&o->policy, keys.kbc, image_name, ret, err);
}

static int judge(const struct sl_judgement_options *options, struct sl_policy_verdict **ret,
                 struct sl_error *err)
{
    SL_AUTO(sl_judgement) judgement = NULL;
    SL_AUTO(sl_approval) approval = NULL;
    int r = sl_judgement_start(options, &judgement, err);
    if (r < 0)
        return r;
    r = sl_judgement_take(judgement, &approval, err);
    *ret = sl_judgement_steal_verdict(judgement);
    return r;
}

static int verify(struct sl_visit *visit, const struct sl_verify_options *options,
                  struct sl_image_source *source, struct sl_policy_verdict **ret,
                  struct sl_error *err)
{
    SL_AUTO_DONE(sl_image_policy) policy = {0};
    SL_AUTO(sl_resolved_image) image = NULL;
    int r = open_policy(visit, options, sl_image_source_name(source), &policy, err);
    if (r == 0 && !policy.policy)
        r = sl_error_set(err, SL_E_POLICY, EINVAL, "there is nothing to verify without a policy");
    if (r == 0)
        r = sl_image_source_find(source, &options->platform, &image, err);
    if (r < 0)
        return r;
    const struct sl_judgement_options judgement = {.visit = visit,
                                                   .policy = &policy,
                                                   .asked = options->image,
                                                   .source = source,
                                                   .image = image,
                                                   .event_fd = -1};
    return judge(&judgement, ret, err);
}

int sl_verify_image(struct sl_engine *engine, const struct sl_verify_options *options,
                    struct sl_policy_verdict **ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_visit) visit = {0};
    struct sl_image_source *source = NULL;
    int r = sl_visit_open(engine, options->cancel_fd, &visit, err);
    if (r == 0)
        r = sl_visit_open_source(&visit, options->image, &source, err);
    if (r == 0)
        r = verify(&visit, options, source, ret, err);
    (void)sl_visit_close_source(&visit, source);
    return r;
}
