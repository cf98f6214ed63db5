/* SPDX-License-Identifier: Apache-2.0 */
#include "signal_watch.h"

#include "cli.h"
#include "sluice/core/reference.h"

#include <stdio.h>

static const char *form_name(enum sluice_sign_form form)
{
    switch (form) {
    case SLUICE_SIGN_SIMPLE:
        return "simple";
    case SLUICE_SIGN_COSIGN:
        return "cosign";
    case SLUICE_SIGN_BUNDLE:
        return "bundle";
    }
    return "?";
}

static int print_json(const struct sluice_sign_report *report, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ true);
    sl_json_put_string(w, "image", report->name);
    sl_json_open_array(w, "signatures");
    for (size_t i = 0; i < report->n; i++) {
        const struct sluice_signature *s = report->signatures[i];
        sl_json_open_object(w, NULL);
        sl_json_put_string(w, "kind", form_name(s->form));
        sl_json_put_string(w, "digest", s->digest);
        sl_json_put_string(w, "where", s->where);
        sl_json_close_object(w);
    }
    sl_json_close_array(w);
    return cli_print_json(w, err);
}

/* Also those that were put before something failed: they stay. */
static int show(const struct cli_options *o, const struct sluice_sign_report *report,
                struct sl_error *err)
{
    if (!report)
        return 0;
    if (o->json)
        return print_json(report, err);
    for (size_t i = 0; i < report->n; i++) {
        const struct sluice_signature *s = report->signatures[i];
        printf("%s %s %s\n", s->digest, form_name(s->form), s->where);
    }
    return 0;
}

static bool has_platform(const struct sluice_platform *p)
{
    return p->architecture || p->os || p->variant;
}

int verb_sign_check(const struct cli_options *o, struct sl_error *err)
{
    if (!o->sign_key == !o->gpg_key)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "sign needs either --key or --gpg-key; see sluice sign --help");
    if (o->sign_forms && o->gpg_key)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "--format goes with --key only");
    if (o->sign_key && (o->keys.pgp_home || o->policy.registries_d))
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "--pgp-home and --registries.d go with --gpg-key only");
    if (o->sign_identity && o->sign_forms == SLUICE_SIGN_BUNDLE)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "--sign-identity: a bundle has no name, only a digest");
    if (o->recursive && has_platform(&o->platform))
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "--recursive does not go with the choice of one platform");
    SL_AUTO(sl_reference) name = NULL;
    int r = o->sign_identity ? sl_reference_parse_as_written(o->sign_identity, &name, err) : 0;
    return r < 0 ? sl_error_wrap(err, r, "--sign-identity") : 0;
}

int verb_sign(const struct cli_options *o, struct sl_error *err)
{
    struct signal_watch signals;
    SL_AUTO(sluice) s = NULL;
    SL_AUTO(sluice_sign_report) report = NULL;
    struct sluice_error why = {0};
    const struct sluice_options own =
        SLUICE_OPTIONS(sluice_options, .parts = SLUICE_NO_STORE, .threads = 1,
                       .registry = &o->registry, .broker = &o->keys);
    const struct sluice_sign_options options = SLUICE_OPTIONS(
        sluice_sign_options, .image = o->args[0], .one_platform = has_platform(&o->platform),
        .platform = o->platform, .recursive = o->recursive, .identity = o->sign_identity,
        .passphrase_file = o->passphrase_file, .gpg_key = o->gpg_key, .pgp_home = o->keys.pgp_home,
        .registries_d = o->policy.registries_d, .key = o->sign_key, .forms = o->sign_forms);
    int r = signal_watch_start(&signals, &own, &s, err);
    if (r < 0)
        return r;
    int done = sluice_sign(s, &options, &report, &why);
    signal_watch_stop(&signals);
    r = show(o, report, err);
    return done < 0 ? sl_error_from_api(done, &why, err) : r;
}
