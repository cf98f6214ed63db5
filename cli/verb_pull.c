/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "pull_display.h"
#include "signal_watch.h"

#include <stdio.h>

static int print_result(const struct cli_options *o, const struct sl_pull_report *report,
                        struct sl_error *err)
{
    if (o->stats)
        pull_display_stats(report);
    if (o->json)
        return pull_display_json(report, err);
    char digest[SL_DIGEST_TEXT_MAX];
    sl_digest_format(&report->manifest, digest);
    puts(digest);
    return 0;
}

static int pull(const struct cli_options *o, struct sl_engine *engine,
                struct sl_pull_report **report, struct sl_error *err)
{
    struct layer_bars bars;
    layer_bars_init(&bars);
    const struct sl_pull_options options = {
        .image = o->args[0],
        .bundle = o->args[1],
        .platform = o->platform,
        .keys = o->keys,
        .encryption_policy = o->encryption_policy,
        .policy = o->policy,
        .verify_first = o->verify_first,
        .jobs = o->jobs,
        .progress = o->quiet || o->json ? NULL : pull_display_progress,
        .progress_arg = &bars,
    };
    return sl_pull_image(engine, &options, report, err);
}

int verb_pull(const struct cli_options *o, struct sl_error *err)
{
    struct signal_watch signals;
    SL_AUTO(sl_engine) engine = NULL;
    SL_AUTO(sl_pull_report) report = NULL;
    const struct sl_engine_options options = {
        .root = o->root, .memory = o->memory, .registry = o->registry};
    int r = signal_watch_start(&signals, &options, &engine, err);
    if (r < 0)
        return r;
    r = pull(o, engine, &report, err);
    signal_watch_stop(&signals);
    return r < 0 ? r : print_result(o, report, err);
}
