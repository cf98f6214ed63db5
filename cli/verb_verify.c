/* SPDX-License-Identifier: Apache-2.0 */
#include "signal_watch.h"
#include "verdict_display.h"

#include <string.h>

/* A denial is shown as an approval is; the error that comes with it is the caller's to tell. */
static int show(const struct cli_options *o, const char *verdict, struct sl_error *err)
{
    if (!verdict || o->quiet)
        return 0;
    if (o->json)
        return cli_print_json_text(sl_span_of(verdict), err);
    return verdict_display_text(sl_span_of(verdict), err);
}

int verb_verify(const struct cli_options *o, struct sl_error *err)
{
    struct signal_watch signals;
    SL_AUTO(sluice) s = NULL;
    SL_AUTO_FREE char *verdict = NULL;
    struct sluice_error why = {0};
    const struct sluice_options own =
        SLUICE_OPTIONS(sluice_options, .parts = SLUICE_NO_STORE, .threads = 1,
                       .registry = &o->registry, .broker = &o->keys);
    const struct sluice_verify_options options =
        SLUICE_OPTIONS(sluice_verify_options, .image = o->args[0], .platform = o->platform,
                       .policy = &o->policy, .keys = &o->keys);
    int r = signal_watch_start(&signals, &own, &s, err);
    if (r < 0)
        return r;
    int judged = sluice_verify(s, &options, &verdict, &why);
    signal_watch_stop(&signals);
    r = show(o, verdict, err);
    return judged < 0 ? sl_error_from_api(judged, &why, err) : r;
}
