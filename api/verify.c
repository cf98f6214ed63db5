/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"
#include "verdict_json.h"

static int translate(const struct sluice_verify_options *o, struct sl_verify_options *ret,
                     struct sl_error *err)
{
    *ret = (struct sl_verify_options){
        .image = o->image, .platform = sl_api_platform(&o->platform), .cancel_fd = o->cancel_fd};
    int r = sl_api_policy_options(o->policy, &ret->policy, err);
    return r < 0 ? r : sl_api_key_options(o->keys, &ret->keys, err);
}

/* A judgement is told whether it allows the image or not; where it cannot be told, that is the
 * failure of what would have been none. */
static int tell(int judged, const struct sl_policy_verdict *verdict, char **ret,
                struct sl_error *err)
{
    struct sl_bytes text = {0};
    if (!verdict || !ret)
        return judged;
    struct sl_error why = {0};
    int r = sl_api_verdict_json(verdict, &text, &why);
    if (r == 0)
        *ret = (char *)text.data;
    else if (judged == 0)
        *err = why;
    return judged < 0 ? judged : r;
}

static int verify(struct sluice *s, const struct sluice_verify_options *options, char **ret,
                  struct sl_error *err)
{
    struct sluice_verify_options o;
    struct sl_verify_options to;
    SL_AUTO(sl_policy_verdict) verdict = NULL;
    int r = SL_API_TAKE(&o, options, err);
    if (r == 0)
        r = sl_api_need_engine(s, err);
    if (r == 0)
        r = sl_api_need_text(o.image, "image", err);
    if (r == 0)
        r = translate(&o, &to, err);
    if (r == 0)
        r = sl_verify_image(s->engine, &to, &verdict, err);
    return tell(r, verdict, ret, err);
}

int sluice_verify(struct sluice *s, const struct sluice_verify_options *options, char **ret,
                  struct sluice_error *err)
{
    SL_API_QUIET();
    struct sl_error why = {0};
    return sl_api_result(verify(s, options, ret, &why), &why, err);
}
