/* SPDX-License-Identifier: Apache-2.0 */
#include "pull_report.h"

#include <stdlib.h>

/* ---- the caller's functions ---- */

/* Without memory a person sees nothing this time. */
static void progress(void *arg, const struct sl_pull_report *report)
{
    const struct sluice_pull_options *o = arg;
    struct sluice_pull_report *copy = sl_api_pull_report(report);
    if (copy)
        o->progress(o->arg, copy);
    free(copy);
}

static int resolved(void *arg, const char *name, const struct sl_digest *manifest)
{
    const struct sluice_pull_options *o = arg;
    char digest[SL_DIGEST_TEXT_MAX];
    sl_digest_format(manifest, digest);
    return o->resolved(o->arg, name, digest);
}

/* ---- the pull ---- */

static int translate(const struct sluice_pull_options *o, struct sl_pull_options *ret,
                     struct sl_error *err)
{
    *ret = (struct sl_pull_options){
        .image = o->image,
        .bundle = o->bundle,
        .platform = sl_api_platform(&o->platform),
        .encryption_policy = o->encryption_policy,
        .verify_first = o->verify_first,
        .jobs = o->jobs,
        .cancel_fd = o->cancel_fd,
        .trace = o->trace,
        .resolved = o->resolved ? resolved : NULL,
        .progress = o->progress ? progress : NULL,
        .progress_arg = (void *)o,
    };
    int r = sl_api_key_options(o->keys, &ret->keys, err);
    return r < 0 ? r : sl_api_policy_options(o->policy, &ret->policy, err);
}

static int pull(struct sluice *s, const struct sluice_pull_options *options,
                struct sluice_pull_report **ret, struct sl_error *err)
{
    struct sluice_pull_options o;
    struct sl_pull_options to;
    SL_AUTO(sl_pull_report) report = NULL;
    int r = SL_API_TAKE(&o, options, err);
    if (r == 0)
        r = sl_api_need_engine(s, err);
    if (r == 0)
        r = sl_api_need_store(s, err);
    if (r == 0)
        r = sl_api_need_text(o.image, "image", err);
    if (r == 0)
        r = translate(&o, &to, err);
    if (r == 0)
        r = sl_pull_image(s->engine, &to, ret ? &report : NULL, err);
    if (r < 0 || !ret)
        return r;
    struct sluice_pull_report *copy = sl_api_pull_report(report);
    if (!copy)
        return sl_error_oom(err);
    *ret = copy;
    return 0;
}

int sluice_pull(struct sluice *s, const struct sluice_pull_options *options,
                struct sluice_pull_report **ret, struct sluice_error *err)
{
    SL_API_QUIET();
    struct sl_error why = {0};
    return sl_api_result(pull(s, options, ret, &why), &why, err);
}
