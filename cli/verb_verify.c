/* SPDX-License-Identifier: Apache-2.0 */
#include "signal_watch.h"
#include "verdict_display.h"

/* A denial is shown as an approval is; the error that comes with it is the caller's to tell. */
static int show(const struct cli_options *o, const struct sl_policy_verdict *verdict,
                struct sl_error *err)
{
    if (!verdict || o->quiet)
        return 0;
    if (o->json)
        return verdict_display_json(verdict, err);
    verdict_display_text(verdict);
    return 0;
}

int verb_verify(const struct cli_options *o, struct sl_error *err)
{
    struct signal_watch signals;
    SL_AUTO(sl_engine) engine = NULL;
    SL_AUTO(sl_policy_verdict) verdict = NULL;
    struct sl_error why = {0};
    const struct sl_engine_options engine_options = {
        .storeless = true, .threads = 1, .registry = o->registry};
    const struct sl_verify_options options = {
        .image = o->args[0], .platform = o->platform, .policy = o->policy, .keys = o->keys};
    int r = signal_watch_start(&signals, &engine_options, &engine, err);
    if (r < 0)
        return r;
    int judged = sl_verify_image(engine, &options, &verdict, &why);
    signal_watch_stop(&signals);
    r = show(o, verdict, err);
    if (judged < 0)
        *err = why;
    return judged < 0 ? judged : r;
}
