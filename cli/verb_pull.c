/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "pull_display.h"
#include "signal_watch.h"

#include <stdio.h>

static int print_result(const struct cli_options *o, const struct sluice_pull_report *report,
                        struct sl_error *err)
{
    if (o->stats)
        pull_display_stats(report);
    if (o->json)
        return pull_display_json(report, err);
    puts(report->manifest);
    return 0;
}

static int pull(const struct cli_options *o, struct sluice *s, struct sluice_pull_report **report,
                struct sl_error *err)
{
    struct layer_bars bars;
    struct sluice_error why = {0};
    layer_bars_init(&bars);
    const struct sluice_pull_options options = SLUICE_OPTIONS(
        sluice_pull_options, .image = o->args[0], .bundle = o->args[1], .platform = o->platform,
        .keys = &o->keys, .encryption_policy = o->encryption_policy, .policy = &o->policy,
        .verify_first = o->verify_first, .jobs = o->jobs, .trace = o->trace,
        .progress = o->quiet || o->json ? NULL : pull_display_progress, .arg = &bars);
    return sl_error_from_api(sluice_pull(s, &options, report, &why), &why, err);
}

int verb_pull(const struct cli_options *o, struct sl_error *err)
{
    struct signal_watch signals;
    SL_AUTO(sluice) s = NULL;
    SL_AUTO(sluice_pull_report) report = NULL;
    const struct sluice_options options =
        SLUICE_OPTIONS(sluice_options, .root = o->root, .memory = o->memory,
                       .registry = &o->registry, .broker = &o->keys);
    int r = signal_watch_start(&signals, &options, &s, err);
    if (r < 0)
        return r;
    r = pull(o, s, &report, err);
    signal_watch_stop(&signals);
    return r < 0 ? r : print_result(o, report, err);
}
