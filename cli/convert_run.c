/* SPDX-License-Identifier: Apache-2.0 */
#include "convert_run.h"
#include "convert_display.h"
#include "signal_watch.h"

#include <stdio.h>

static bool has_sides(const struct cli_options *o)
{
    const struct sluice_registry_options *sides[] = {&o->source_registry, &o->destination_registry};
    for (size_t i = 0; i < sizeof(sides) / sizeof(sides[0]); i++)
        if (sides[i]->authfile || sides[i]->creds || sides[i]->cert_dir ||
            sides[i]->tls != SLUICE_TLS_AS_CONFIGURED)
            return true;
    return false;
}

static bool has_platform(const struct sluice_platform *p)
{
    return p->os || p->architecture || p->variant;
}

static int convert_with(const struct cli_options *o, convert_fn *convert, struct sluice *s,
                        struct sluice_convert_report **report, struct sl_error *err)
{
    struct layer_bars bars;
    layer_bars_init(&bars);
    struct sluice_error why = {0};
    const struct sluice_registry_options destination =
        cli_registry_for(o, &o->destination_registry);
    const struct sluice_convert_options options = SLUICE_OPTIONS(
        sluice_convert_options, .source = o->args[0], .destination = o->args[1],
        .destination_registry = has_sides(o) ? &destination : NULL,
        .one_platform = has_platform(&o->platform), .platform = o->platform, .keys = &o->keys,
        .jobs = o->jobs, .encryption_keys = o->encryption_keys, .layers = o->encrypt_layers,
        .n_layers = o->n_encrypt_layers, .recipient_pgp_home = o->keys.pgp_home,
        .allow_a256ctr = o->keys.allow_a256ctr,
        .progress = o->quiet || o->json ? NULL : convert_display_progress, .arg = &bars);
    return sl_error_from_api(convert(s, &options, report, &why), &why, err);
}

static int print_result(const struct cli_options *o, const struct sluice_convert_report *report,
                        struct sl_error *err)
{
    if (o->json)
        return convert_display_json(report, err);
    if (!o->quiet)
        convert_display_summary(report);
    puts(report->digest);
    return 0;
}

int convert_run(const struct cli_options *o, convert_fn *convert, struct sl_error *err)
{
    struct signal_watch signals;
    SL_AUTO(sluice) s = NULL;
    SL_AUTO(sluice_convert_report) report = NULL;
    const struct sluice_registry_options source = cli_registry_for(o, &o->source_registry);
    const struct sluice_options options =
        SLUICE_OPTIONS(sluice_options, .parts = SLUICE_NO_STORE, .memory = o->memory,
                       .registry = &source, .broker = &o->keys);
    int r = signal_watch_start(&signals, &options, &s, err);
    if (r < 0)
        return r;
    r = convert_with(o, convert, s, &report, err);
    signal_watch_stop(&signals);
    return r < 0 ? r : print_result(o, report, err);
}
