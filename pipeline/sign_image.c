/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The story of a signature, top to bottom: keys, documents, the name, all signatures, and only then
 * the places where others find them.
 */
#include "signing.h"

#include "sluice/core/secret.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- names ---- */

/* Without the digest, which no sink takes. */
static int sink_name(const struct signing *s, char **ret, struct sl_error *err)
{
    const char *name = sl_image_source_name(s->source);
    const char *at = strrchr(name, '@');
    struct sl_digest digest;
    bool has_digest = at && sl_digest_parse(at + 1, &digest, NULL) == 0;
    *ret = strndup(name, has_digest ? (size_t)(at - name) : strlen(name));
    return *ret ? 0 : sl_error_oom(err);
}

static bool is_layout(const char *image)
{
    return strncmp(image, "oci:", 4) == 0;
}

/* Others compare names as docker completes them, and so are they signed. */
static int given_identity(const char *text, char **ret, struct sl_error *err)
{
    SL_AUTO(sl_reference) ref = NULL;
    int r = sl_reference_parse_as_written(text, &ref, err);
    if (r < 0)
        return sl_error_wrap(err, r, "--sign-identity");
    *ret = sl_reference_format(ref);
    return *ret ? 0 : sl_error_oom(err);
}

/* cosign signs the repository, and simple signing the name that will be pulled. */
static int own_identity(struct signing *s, char **ret, struct sl_error *err)
{
    if (!s->name)
        return sl_error_set(err, SL_E_UNSUPPORTED, EINVAL,
                            "an image in a layout has no name that could be signed: give "
                            "--sign-identity, or --format bundle");
    if (s->forms & SL_SIGN_COSIGN)
        *ret = sl_strf("%s/%s", s->name->host, s->name->repository);
    else
        *ret = strdup(sl_image_source_name(s->source));
    return *ret ? 0 : sl_error_oom(err);
}

static int choose_identity(struct signing *s, struct sl_error *err)
{
    if (s->options->identity)
        return given_identity(s->options->identity, &s->identity, err);
    return s->forms == SL_SIGN_BUNDLE ? 0 : own_identity(s, &s->identity, err);
}

/* ---- signing ---- */

static int make_cosign(const struct signing *s, struct signing_work *work, struct sl_error *err)
{
    int r =
        sl_signature_payload_write(SL_PAYLOAD_TYPE_COSIGN, s->identity, &work->target->digest,
                                   /* creator= */ NULL, /* timestamp= */ 0, &work->payload, err);
    return r < 0 ? r : sl_signing_key_sign(s->key, sl_bytes_span(&work->payload), &work->made, err);
}

static int make_simple(const struct signing *s, struct signing_work *work, struct sl_error *err)
{
    const struct sl_pgp_signer signer = {
        .home = s->options->pgp_home, .key = s->options->gpg_key, .passphrase = s->passphrase};
    int r =
        sl_signature_payload_write(SL_PAYLOAD_TYPE_SIMPLE, s->identity, &work->target->digest,
                                   "sluice " SL_VERSION, (int64_t)time(NULL), &work->payload, err);
    return r < 0
               ? r
               : sl_simple_signature_make(sl_bytes_span(&work->payload), &signer, &work->made, err);
}

static int make(const struct signing *s, struct signing_work *work, struct sl_error *err)
{
    if (sl_visit_is_cancelled(&s->visit))
        return sl_cancel_error(err);
    switch (work->form) {
    case SL_SIGN_SIMPLE:
        return make_simple(s, work, err);
    case SL_SIGN_COSIGN:
        return make_cosign(s, work, err);
    case SL_SIGN_BUNDLE:
        return sl_image_bundle_make(s->key, &work->target->digest, &work->made, err);
    }
    return sl_error_set(err, SL_E_UNSUPPORTED, EINVAL, "no form of signatures has number %d",
                        work->form);
}

static int make_all(struct signing *s, struct sl_error *err)
{
    static const enum sl_sign_form forms[] = {SL_SIGN_SIMPLE, SL_SIGN_COSIGN, SL_SIGN_BUNDLE};
    const size_t n_forms = sizeof(forms) / sizeof(forms[0]);
    s->works = calloc(s->n_targets * n_forms, sizeof(*s->works));
    if (!s->works)
        return sl_error_oom(err);
    for (size_t i = 0; i < s->n_targets * n_forms; i++) {
        struct signing_work *work = &s->works[s->n_works];
        if (!(s->forms & forms[i % n_forms]))
            continue;
        *work =
            (struct signing_work){.form = forms[i % n_forms], .target = &s->targets[i / n_forms]};
        s->n_works++;
        int r = make(s, work, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- and putting ---- */

static int put(struct signing *s, const struct signing_work *work, char **ret_where,
               struct sl_error *err)
{
    if (work->form == SL_SIGN_SIMPLE)
        return sl_sign_put_simple(s, work, ret_where, err);
    if (work->form == SL_SIGN_COSIGN)
        return sl_sign_put_tag(s, work, ret_where, err);
    return sl_sign_put_bundle(s, work, ret_where, err);
}

static int put_all(struct signing *s, struct sl_error *err)
{
    for (size_t i = 0; i < s->n_works; i++) {
        const struct signing_work *work = &s->works[i];
        struct sl_made_signature *made = &s->report->signatures[s->report->n];
        if (sl_visit_is_cancelled(&s->visit))
            return sl_cancel_error(err);
        int r = put(s, work, &made->where, err);
        if (r < 0)
            return r;
        made->form = work->form;
        made->digest = work->target->digest;
        s->report->n++;
    }
    return 0;
}

/* ---- the story ---- */

static int open_name(struct signing *s, struct sl_error *err)
{
    if (is_layout(s->options->image))
        return 0;
    return sl_reference_parse(sl_image_source_name(s->source), &s->name, err);
}

/* Its tag is for messages only. */
static int open_sink(struct signing *s, struct sl_error *err)
{
    SL_AUTO_FREE char *name = NULL;
    if (s->forms == SL_SIGN_SIMPLE)
        return 0;
    int r = sink_name(s, &name, err);
    return r < 0 ? r : sl_visit_open_sink(&s->visit, s->visit.registry, name, &s->sink, err);
}

/* Where nothing can be written nobody is asked for a signature. */
static int check_place(struct signing *s, struct sl_error *err)
{
    SL_AUTO_FREE char *url = NULL;
    return s->forms == SL_SIGN_SIMPLE ? sl_sign_find_lookaside(s, &url, err) : 0;
}

static int open_report(struct signing *s, struct sl_error *err)
{
    SL_AUTO(sl_sign_report) report = calloc(1, sizeof(*report));
    if (!report)
        return sl_error_oom(err);
    report->name = strdup(sl_image_source_name(s->source));
    report->signatures = calloc(s->n_works + 1, sizeof(*report->signatures));
    if (!report->name || !report->signatures)
        return sl_error_oom(err);
    s->report = sl_steal(&report);
    return 0;
}

/* From here on the name does not change: an alias is resolved. */
static int open_places(struct signing *s, struct sl_error *err)
{
    int r = open_name(s, err);
    if (r == 0)
        r = check_place(s, err);
    if (r == 0)
        r = choose_identity(s, err);
    return r < 0 ? r : open_sink(s, err);
}

static int sign(struct signing *s, struct sl_error *err)
{
    int r = sl_visit_open(s->engine, s->options->cancel_fd, &s->visit, err);
    if (r == 0)
        r = sl_sign_open_keys(s, err);
    if (r == 0)
        r = sl_visit_open_source(&s->visit, s->options->image, &s->source, err);
    if (r == 0)
        r = sl_sign_find_targets(s, err);
    if (r == 0)
        r = open_places(s, err);
    if (r == 0)
        r = make_all(s, err);
    if (r == 0)
        r = open_report(s, err);
    return r < 0 ? r : put_all(s, err);
}

static void signing_done(struct signing *s)
{
    for (size_t i = 0; i < s->n_works; i++) {
        sl_bytes_done(&s->works[i].payload);
        sl_bytes_done(&s->works[i].made);
    }
    for (size_t i = 0; i < s->n_targets; i++)
        free(s->targets[i].media_type);
    free(s->works);
    free(s->targets);
    free(s->identity);
    (void)sl_reference_free(s->name);
    (void)sl_visit_close_sink(&s->visit, s->sink);
    (void)sl_visit_close_source(&s->visit, s->source);
    sl_visit_close(&s->visit);
    (void)sl_signing_key_free(s->key);
    (void)sl_secret_release(s->passphrase);
    (void)sl_sign_report_free(s->report);
}
SL_DEFINE_AUTO_DONE(signing, signing_done)

static unsigned forms_of(const struct sl_sign_options *o)
{
    if (o->gpg_key)
        return SL_SIGN_SIMPLE;
    return o->forms ? o->forms : SL_SIGN_COSIGN | SL_SIGN_BUNDLE;
}

int sl_sign_image(struct sl_engine *engine, const struct sl_sign_options *options,
                  struct sl_sign_report **ret, struct sl_error *err)
{
    SL_AUTO_DONE(signing) s = {.engine = engine, .options = options, .forms = forms_of(options)};
    if (!options->key == !options->gpg_key || (options->key && s.forms & SL_SIGN_SIMPLE))
        return sl_error_set(err, SL_E_SYSTEM, EINVAL,
                            "sign with one key: --key FILE, or --gpg-key ID for simple signing");
    int r = sign(&s, err);
    if (s.report && s.report->n > 0)
        *ret = sl_steal(&s.report);
    return r < 0 ? r : 0;
}

struct sl_sign_report *sl_sign_report_free(struct sl_sign_report *report)
{
    for (size_t i = 0; report && i < report->n; i++)
        free(report->signatures[i].where);
    if (report) {
        free(report->signatures);
        free(report->name);
    }
    free(report);
    return NULL;
}
