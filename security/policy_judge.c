/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdict: every requirement in order until one fails, each met by any one signature. An
 * approval is made at one place, behind everything that can deny.
 */
#include "sluice/signature_policy.h"

#include "image_scope.h"
#include "sigstore_signing.h"
#include "simple_signing.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    CPU_MS_MAX = 2000, /* of this thread, for the signatures of one requirement */
};

struct sl_approval {
    struct sl_digest manifest;
    char *name;
};

static int make_approval(const struct sl_judged_image *image, struct sl_approval **ret,
                         struct sl_error *err)
{
    SL_AUTO(sl_approval) approval = calloc(1, sizeof(*approval));
    if (!approval)
        return sl_error_oom(err);
    approval->manifest = image->manifest_digest;
    approval->name = strdup(image->name);
    if (!approval->name)
        return sl_error_oom(err);
    *ret = sl_steal(&approval);
    return 0;
}

int sl_approve_insecurely(const struct sl_judged_image *image, struct sl_approval **ret,
                          struct sl_error *err)
{
    return make_approval(image, ret, err);
}

struct sl_approval *sl_approval_free(struct sl_approval *approval)
{
    if (approval)
        free(approval->name);
    free(approval);
    return NULL;
}

const struct sl_digest *sl_approval_manifest(const struct sl_approval *approval)
{
    return &approval->manifest;
}

const char *sl_approval_name(const struct sl_approval *approval)
{
    return approval->name;
}

/* ---- one requirement ---- */

struct judgement {
    const struct sl_judged_image *image;
    const struct sl_signatures *signatures;
    struct sl_policy_verdict *verdict;
    const struct sl_error *place_failure; /* what made a requirement fail with SL_SIG_FETCH */
    struct sl_error *err;
};

/* 0 always: that the requirement is not met is an answer. */
static int refuse(struct sl_requirement_verdict *rv, enum sl_signature_code code,
                  const char *reason)
{
    rv->is_satisfied = false;
    rv->code = code;
    sl_finding_set_text(rv->reason, reason);
    return 0;
}

static int satisfy(struct sl_requirement_verdict *rv)
{
    rv->is_satisfied = true;
    rv->code = SL_SIG_OK;
    rv->reason[0] = '\0';
    return 0;
}

static bool is_for(const struct sl_requirement *req, const struct sl_signature *signature)
{
    bool is_simple = signature->kind == SL_SIGNATURE_SIMPLE;
    return is_simple == (req->type == SL_REQUIRE_SIGNED_BY);
}

static size_t count_candidates(const struct judgement *j, const struct sl_requirement *req)
{
    size_t n = 0;
    for (size_t i = 0; i < j->signatures->n; i++)
        n += is_for(req, &j->signatures->items[i]);
    return n;
}

static int verify(const struct judgement *j, const struct sl_requirement *req,
                  struct sl_pgp_keyring *keyring, const struct sl_signature *signature,
                  struct sl_signature_finding *finding)
{
    switch (signature->kind) {
    case SL_SIGNATURE_SIMPLE:
        return sl_simple_signature_verify(keyring, req, j->image, signature, finding);
    case SL_SIGNATURE_COSIGN:
        return sl_cosign_signature_verify(req, j->image, signature, finding);
    case SL_SIGNATURE_BUNDLE:
        return sl_bundle_signature_verify(req, j->image, signature, finding);
    default:
        return sl_finding_reject(finding, SL_SIG_UNSUPPORTED, "a signature of unknown kind");
    }
}

/* True when the signature satisfies the requirement: both the result and the code say so. */
static bool look_at(const struct judgement *j, const struct sl_requirement *req,
                    struct sl_pgp_keyring *keyring, const struct sl_signature *signature,
                    struct sl_signature_finding *finding)
{
    *finding = (struct sl_signature_finding){.kind = signature->kind};
    (void)sl_finding_reject(finding, SL_SIG_FORMAT, "it could not be verified");
    sl_finding_set_text(finding->where, signature->where);
    int r = verify(j, req, keyring, signature, finding);
    if (r == 0 && finding->code == SL_SIG_OK)
        return true;
    if (finding->code == SL_SIG_OK)
        (void)sl_finding_reject(finding, SL_SIG_FORMAT, "it could not be verified");
    return false;
}

static int refuse_for_want(const struct judgement *j, const struct sl_requirement *req,
                           struct sl_requirement_verdict *rv)
{
    const struct sl_error *hint = req->type == SL_REQUIRE_SIGNED_BY ? &j->signatures->simple_hint
                                                                    : &j->signatures->sigstore_hint;
    size_t n = j->signatures->n_others + j->signatures->n;
    char others[64] = "";
    char text[SL_FINDING_TEXT_MAX];
    if (n)
        (void)snprintf(others, sizeof(others), " (%zu other attachment%s)", n, n == 1 ? "" : "s");
    bool has_hint = hint->code != SL_OK;
    (void)snprintf(text, sizeof(text), "a signature was required, but no signature exists%s%s%s",
                   others, has_hint ? ": " : "", has_hint ? hint->msg : "");
    return refuse(rv, SL_SIG_NONE, text);
}

/* No signature will do: why. */
static int refuse_all(struct judgement *j, const struct sl_requirement *req,
                      struct sl_requirement_verdict *rv, size_t n_candidates)
{
    const struct sl_error *failure = req->type == SL_REQUIRE_SIGNED_BY
                                         ? &j->signatures->simple_failure
                                         : &j->signatures->sigstore_failure;
    char text[SL_FINDING_TEXT_MAX];
    if (failure->code != SL_OK) {
        j->place_failure = failure;
        return refuse(rv, SL_SIG_FETCH, failure->msg);
    }
    if (n_candidates == 0)
        return refuse_for_want(j, req, rv);
    if (n_candidates > rv->n_findings) {
        (void)snprintf(text, sizeof(text), "none of the first %zu of %zu signatures is acceptable",
                       rv->n_findings, n_candidates);
        return refuse(rv, SL_SIG_LIMIT, text);
    }
    if (rv->n_findings == 1)
        return refuse(rv, rv->findings[0].code, rv->findings[0].reason);
    (void)snprintf(text, sizeof(text), "none of %zu signatures is acceptable", rv->n_findings);
    return refuse(rv, rv->findings[0].code, text);
}

static int64_t cpu_ms(void)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Foreigners choose how many signatures there are and how much work each is; one is always looked
 * at. What is left when the time is over is denied. */
static int look_at_all(struct judgement *j, const struct sl_requirement *req,
                       struct sl_pgp_keyring *keyring, struct sl_requirement_verdict *rv)
{
    size_t n_candidates = count_candidates(j, req);
    size_t n = n_candidates < SL_SIGNATURES_MAX ? n_candidates : SL_SIGNATURES_MAX;
    rv->findings = calloc(n ? n : 1, sizeof(*rv->findings));
    if (!rv->findings)
        return sl_error_oom(j->err);
    const int64_t began = cpu_ms();
    for (size_t i = 0; i < j->signatures->n && rv->n_findings < n; i++) {
        const struct sl_signature *signature = &j->signatures->items[i];
        if (!is_for(req, signature))
            continue;
        if (rv->n_findings > 0 && cpu_ms() - began >= CPU_MS_MAX)
            break;
        if (look_at(j, req, keyring, signature, &rv->findings[rv->n_findings++]))
            return satisfy(rv);
    }
    return refuse_all(j, req, rv, n_candidates);
}

static const struct sl_key_source *find_unreadable(const struct sl_key_sources *sources)
{
    for (size_t i = 0; i < sources->n; i++)
        if (sources->items[i].is_unreadable)
            return &sources->items[i];
    return NULL;
}

static int judge_signed_by(struct judgement *j, const struct sl_requirement *req,
                           struct sl_requirement_verdict *rv)
{
    if (req->key_type != SL_GPG_KEYS)
        return refuse(rv, SL_SIG_UNSUPPORTED, "this keyType is not supported; use GPGKeys");
    const struct sl_key_source *unreadable = find_unreadable(&req->keys);
    if (unreadable)
        return refuse(rv, SL_SIG_KEY_FETCH, unreadable->problem.msg);
    SL_AUTO(sl_pgp_keyring) keyring = NULL;
    struct sl_signature_finding problem = {0};
    /* A home of gpg is not cheap, and without a signature of no use. */
    if (count_candidates(j, req) && sl_pgp_keyring_open(req, &keyring, &problem) < 0)
        return refuse(rv, problem.code ? problem.code : SL_SIG_KEY_PARSE, problem.reason);
    return look_at_all(j, req, keyring, rv);
}

static int judge_sigstore(struct judgement *j, const struct sl_requirement *req,
                          struct sl_requirement_verdict *rv)
{
    if (!req->trust)
        return refuse(rv, req->trust_code ? req->trust_code : SL_SIG_KEY_PARSE,
                      req->trust_problem.msg);
    return look_at_all(j, req, /* keyring= */ NULL, rv);
}

/* Only memory can fail. */
static int judge_requirement(struct judgement *j, const struct sl_requirement *req,
                             struct sl_requirement_verdict *rv)
{
    rv->type = sl_requirement_type_name(req->type);
    (void)refuse(rv, SL_SIG_UNSUPPORTED, "this requirement is not supported");
    switch (req->type) {
    case SL_REQUIRE_NOTHING:
        return satisfy(rv);
    case SL_REQUIRE_REJECT:
        return refuse(rv, SL_SIG_REJECT, "the policy rejects every image here");
    case SL_REQUIRE_SIGNED_BY:
        return judge_signed_by(j, req, rv);
    case SL_REQUIRE_SIGNED_BASE_LAYER:
        return refuse(rv, SL_SIG_UNSUPPORTED, "signedBaseLayer is not supported");
    case SL_REQUIRE_SIGSTORE_SIGNED:
        return judge_sigstore(j, req, rv);
    default:
        return 0;
    }
}

/* ---- all of them ---- */

static int judge_all(struct judgement *j, const struct sl_requirements *list, bool *ret_is_allowed)
{
    struct sl_policy_verdict *verdict = j->verdict;
    bool is_met = list->n > 0;
    for (size_t i = 0; i < list->n && is_met; i++) {
        struct sl_requirement_verdict *rv = &verdict->requirements[verdict->n_requirements++];
        int r = judge_requirement(j, &list->items[i], rv);
        if (r < 0)
            return r;
        is_met = rv->is_satisfied;
    }
    *ret_is_allowed = is_met;
    return 0;
}

/* With require_signed a list that verifies nothing is not met, whatever it accepts. */
static bool has_verified(const struct sl_requirements *list)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i].type == SL_REQUIRE_SIGNED_BY ||
            list->items[i].type == SL_REQUIRE_SIGSTORE_SIGNED)
            return true;
    return false;
}

/* ---- the line for people ---- */

static void describe_scope(const struct sl_policy_verdict *verdict, char *out, size_t size)
{
    if (!verdict->scope)
        (void)snprintf(out, size, "default");
    else if (!*verdict->scope)
        (void)snprintf(out, size, "default of %s", verdict->transport);
    else
        (void)snprintf(out, size, "%s", verdict->scope);
}

struct line {
    char text[SL_ERROR_MSG_MAX];
    size_t len;
};

static void append(struct line *line, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void append(struct line *line, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line->text + line->len, sizeof(line->text) - line->len, fmt, ap);
    va_end(ap);
    line->len = strlen(line->text);
}

/* "; CODE: where: reason" for each signature, as many as there is room for. */
static void append_findings(struct line *line, const struct sl_requirement_verdict *rv)
{
    enum { WHERE_MAX = 96, REASON_MAX = 160, REST_MAX = 24 };
    for (size_t i = 0; i < rv->n_findings; i++) {
        const struct sl_signature_finding *f = &rv->findings[i];
        struct line one = {0};
        append(&one, "; %s: %.*s: %.*s", sl_signature_code_name(f->code), WHERE_MAX, f->where,
               REASON_MAX, f->reason);
        if (line->len + one.len + REST_MAX >= sizeof(line->text)) {
            append(line, "; and %zu more", rv->n_findings - i);
            return;
        }
        append(line, "%s", one.text);
    }
}

/* What is wrong with the requirement, or with the only signature that could have met it. */
static void append_reason(struct line *line, const struct sl_requirement_verdict *rv)
{
    const struct sl_signature_finding *only = rv->n_findings == 1 ? &rv->findings[0] : NULL;
    append(line, "%s: ", sl_signature_code_name(rv->code));
    if (only && rv->code == only->code) {
        append(line, "%s: %s", only->where, only->reason);
        return;
    }
    append(line, "%s", rv->reason);
    append_findings(line, rv);
}

static int deny(const struct judgement *j)
{
    enum { SCOPE_MAX = 128 };
    const struct sl_policy_verdict *verdict = j->verdict;
    const struct sl_error *failure = j->place_failure;
    char scope[SL_FINDING_TEXT_MAX];
    struct line line = {0};
    describe_scope(verdict, scope, sizeof(scope));
    append(&line, "Image policy rejected: Denied by policy: %.*s: ", SCOPE_MAX, scope);
    if (verdict->n_requirements > 0) {
        const struct sl_requirement_verdict *rv =
            &verdict->requirements[verdict->n_requirements - 1];
        append(&line, "requirement %zu (%s): ", verdict->n_requirements, rv->type);
        append_reason(&line, rv);
    } else {
        append(&line, "%s: there is no requirement", sl_signature_code_name(SL_SIG_REJECT));
    }
    return sl_error_set(j->err, failure ? failure->code : SL_E_POLICY,
                        failure ? failure->errnum : EACCES, "%s", line.text);
}

/* ---- verdicts ---- */

struct sl_policy_verdict *sl_policy_verdict_free(struct sl_policy_verdict *verdict)
{
    if (!verdict)
        return NULL;
    for (size_t i = 0; i < verdict->n_requirements; i++)
        free(verdict->requirements[i].findings);
    free(verdict->requirements);
    free(verdict->name);
    free(verdict->transport);
    free(verdict->scope);
    free(verdict);
    return NULL;
}

static int make_verdict(const struct sl_signature_policy *policy,
                        const struct sl_judged_image *image, const struct sl_policy_scope *scope,
                        size_t n_demanded, struct sl_policy_verdict **ret, struct sl_error *err)
{
    SL_AUTO(sl_policy_verdict) v = calloc(1, sizeof(*v));
    if (!v)
        return sl_error_oom(err);
    v->name = strdup(image->name);
    v->transport = strdup(sl_image_transport(image->name));
    v->scope = scope ? strdup(scope->scope) : NULL;
    v->requirements = calloc(n_demanded ? n_demanded : 1, sizeof(*v->requirements));
    if (!v->name || !v->transport || (scope && !v->scope) || !v->requirements)
        return sl_error_oom(err);
    v->n_demanded = n_demanded;
    v->policy = policy->digest;
    v->manifest = image->manifest_digest;
    v->has_index = image->has_index;
    v->index = image->index_digest;
    v->compat_image_rs = policy->options.compat_image_rs;
    *ret = sl_steal(&v);
    return 0;
}

int sl_signature_policy_judge(const struct sl_signature_policy *policy,
                              const struct sl_judged_image *image,
                              const struct sl_signatures *signatures,
                              struct sl_approval **ret_approval,
                              struct sl_policy_verdict **ret_verdict, struct sl_error *err)
{
    const struct sl_requirements *list;
    const struct sl_policy_scope *scope;
    SL_AUTO(sl_policy_verdict) verdict = NULL;
    SL_AUTO(sl_approval) approval = NULL;
    bool is_allowed = false;
    int r = sl_policy_find(policy, image->name, &list, &scope, err);
    if (r == 0)
        r = make_verdict(policy, image, scope, list->n, &verdict, err);
    if (r < 0 || !verdict)
        return r < 0 ? r : sl_error_oom(err);
    struct judgement j = {image, signatures, verdict, NULL, err};
    r = judge_all(&j, list, &is_allowed);
    if (r < 0)
        return r;
    if (is_allowed && policy->options.require_signed && !has_verified(list)) {
        is_allowed = false;
        (void)refuse(&verdict->requirements[verdict->n_requirements - 1], SL_SIG_NONE,
                     "signatures are required, and nothing here verifies one");
    }
    r = is_allowed ? make_approval(image, &approval, err) : deny(&j);
    if (is_allowed && r < 0)
        return r;
    verdict->is_allowed = is_allowed;
    *ret_verdict = sl_steal(&verdict);
    if (is_allowed)
        *ret_approval = sl_steal(&approval);
    return r;
}
