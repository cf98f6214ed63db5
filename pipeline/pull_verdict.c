/* SPDX-License-Identifier: Apache-2.0 */
/* Where the judgement of an image meets its pull: the gate opens, or everything stops. */
#include "pull.h"

int sl_pull_judge(struct pull *pull, struct sl_error *err)
{
    const struct sl_judgement_options options = {.visit = &pull->visit,
                                                 .policy = &pull->policy,
                                                 .asked = pull->options->image,
                                                 .source = pull->source,
                                                 .image = pull->image,
                                                 .event_fd = pull->event_fd};
    int r = sl_judgement_start(&options, &pull->judgement, err);
    if (r == 0)
        r = sl_pull_take_verdict(pull, err);
    return r < 0 ? r : 0;
}

int sl_pull_take_verdict(struct pull *pull, struct sl_error *err)
{
    SL_AUTO(sl_approval) approval = NULL;
    if (pull->gate)
        return 1;
    if (!sl_judgement_is_over(pull->judgement))
        return 0;
    int r = sl_judgement_take(pull->judgement, &approval, err);
    if (r == 0)
        r = sl_gate_open(pull->engine->store, &approval, &pull->gate, err);
    if (r < 0)
        return r;
    pull->verdict = sl_judgement_steal_verdict(pull->judgement);
    return 1;
}

int sl_pull_await_verdict(struct pull *pull, struct sl_error *err)
{
    int r;
    while ((r = sl_pull_take_verdict(pull, err)) == 0) {
        r = sl_schedule_wait(pull->visit.cancel_fd, pull->event_fd, /* watch_fd= */ -1,
                             /* has_failed= */ false, pull->options->progress != NULL, err);
        if (r < 0)
            return r;
        sl_pull_progress(pull, /* now= */ false);
    }
    return r < 0 ? r : 0;
}
