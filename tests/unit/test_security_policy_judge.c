/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What follows from requirements and signatures, with verifiers of its own: a signature is good for
 * the requirement whose first key has the same bytes.
 */
#include "sigstore_signing.h"
#include "sigstore_trust.h"
#include "simple_signing.h"

#include "assert_result.h"

#include <time.h>

/* ---- verifiers ---- */

static size_t n_verified, n_keyrings, n_keyrings_open;

static bool has_bytes(const struct sl_bytes *bytes, const char *text)
{
    return bytes->len == strlen(text) && memcmp(bytes->data, text, bytes->len) == 0;
}

/* What a verification costs this thread. */
static int64_t cpu_ms_each;

int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
    if (clock != CLOCK_THREAD_CPUTIME_ID)
        return __real_clock_gettime(clock, ret);
    int64_t ms = 5000 + (int64_t)n_verified * cpu_ms_each;
    *ret = (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    return 0;
}

static int verify(const struct sl_requirement *requirement, const struct sl_signature *signature,
                  struct sl_signature_finding *finding)
{
    const struct sl_bytes *key = &requirement->keys.items[0].bytes;
    n_verified++;
    if (has_bytes(&signature->bytes, "says 0, means no")) {
        (void)sl_finding_reject(finding, SL_SIG_CRYPTO, "no");
        return 0;
    }
    if (has_bytes(&signature->bytes, "says no, means nothing"))
        return -EKEYREJECTED;
    if (has_bytes(&signature->bytes, "says 0, means nothing"))
        return 0;
    if (has_bytes(&signature->bytes, "says 1"))
        return 1;
    if (!has_bytes(key, (const char *)signature->bytes.data))
        return sl_finding_reject(finding, SL_SIG_CRYPTO, "not by the key %s", key->data);
    sl_finding_set_text(finding->key, (const char *)key->data);
    finding->code = SL_SIG_OK;
    finding->reason[0] = '\0';
    return 0;
}

int __wrap_sl_simple_signature_verify(struct sl_pgp_keyring *keyring,
                                      const struct sl_requirement *requirement,
                                      const struct sl_judged_image *image,
                                      const struct sl_signature *signature,
                                      struct sl_signature_finding *finding);
int __wrap_sl_simple_signature_verify(struct sl_pgp_keyring *keyring,
                                      const struct sl_requirement *requirement,
                                      const struct sl_judged_image *image,
                                      const struct sl_signature *signature,
                                      struct sl_signature_finding *finding)
{
    assert_non_null(keyring);
    assert_non_null(image);
    assert_int_equal(signature->kind, SL_SIGNATURE_SIMPLE);
    return verify(requirement, signature, finding);
}

int __wrap_sl_cosign_signature_verify(const struct sl_requirement *requirement,
                                      const struct sl_judged_image *image,
                                      const struct sl_signature *signature,
                                      struct sl_signature_finding *finding);
int __wrap_sl_cosign_signature_verify(const struct sl_requirement *requirement,
                                      const struct sl_judged_image *image,
                                      const struct sl_signature *signature,
                                      struct sl_signature_finding *finding)
{
    assert_non_null(image);
    assert_int_equal(signature->kind, SL_SIGNATURE_COSIGN);
    return verify(requirement, signature, finding);
}

int __wrap_sl_bundle_signature_verify(const struct sl_requirement *requirement,
                                      const struct sl_judged_image *image,
                                      const struct sl_signature *signature,
                                      struct sl_signature_finding *finding);
int __wrap_sl_bundle_signature_verify(const struct sl_requirement *requirement,
                                      const struct sl_judged_image *image,
                                      const struct sl_signature *signature,
                                      struct sl_signature_finding *finding)
{
    assert_non_null(image);
    assert_int_equal(signature->kind, SL_SIGNATURE_BUNDLE);
    return verify(requirement, signature, finding);
}

int __wrap_sl_pgp_keyring_open(const struct sl_requirement *requirement,
                               struct sl_pgp_keyring **ret, struct sl_signature_finding *finding);
int __wrap_sl_pgp_keyring_open(const struct sl_requirement *requirement,
                               struct sl_pgp_keyring **ret, struct sl_signature_finding *finding)
{
    n_keyrings++;
    if (!requirement->keys.items[0].bytes.len)
        return sl_finding_reject(finding, SL_SIG_KEY_PARSE, "there is no key in it");
    n_keyrings_open++;
    *ret = malloc(1);
    return 0;
}

struct sl_pgp_keyring *__wrap_sl_pgp_keyring_free(struct sl_pgp_keyring *keyring);
struct sl_pgp_keyring *__wrap_sl_pgp_keyring_free(struct sl_pgp_keyring *keyring)
{
    n_keyrings_open -= keyring != NULL;
    free(keyring);
    return NULL;
}

int __wrap_sl_sigstore_trust_open(const struct sl_requirement *requirement,
                                  struct sl_sigstore_trust **ret, enum sl_signature_code *ret_code,
                                  struct sl_error *err);
int __wrap_sl_sigstore_trust_open(const struct sl_requirement *requirement,
                                  struct sl_sigstore_trust **ret, enum sl_signature_code *ret_code,
                                  struct sl_error *err)
{
    if (!requirement->keys.items[0].bytes.len) {
        *ret_code = SL_SIG_KEY_PARSE;
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "keyData: there is no key in it");
    }
    *ret = calloc(1, sizeof(**ret));
    return 0;
}

struct sl_sigstore_trust *__wrap_sl_sigstore_trust_free(struct sl_sigstore_trust *trust);
struct sl_sigstore_trust *__wrap_sl_sigstore_trust_free(struct sl_sigstore_trust *trust)
{
    free(trust);
    return NULL;
}

/* ---- a judgement ---- */

struct trial {
    struct sl_signature_policy *policy;
    struct sl_signatures signatures;
    struct sl_approval *approval;
    struct sl_policy_verdict *verdict;
    struct sl_error err;
    int r;
};

static void trial_done(struct trial *t)
{
    (void)sl_signature_policy_free(t->policy);
    sl_signatures_done(&t->signatures);
    (void)sl_approval_free(t->approval);
    (void)sl_policy_verdict_free(t->verdict);
}

/* "a.org": list. Everything else is rejected. */
static void open_trial(struct trial *t, const char *list, bool require_signed)
{
    const struct sl_signature_policy_options options = {.require_signed = require_signed};
    SL_AUTO_FREE char *json = sl_strf(
        "{\"default\":[{\"type\":\"reject\"}],\"transports\":{\"docker\":{\"a.org\":[%s]}}}", list);
    struct sl_error err = {0};
    *t = (struct trial){0};
    assert_done(sl_signature_policy_parse(sl_span_of(json), &options, NULL, &t->policy, &err));
    n_verified = n_keyrings = n_keyrings_open = 0;
}

static void add(struct trial *t, enum sl_signature_kind kind, const char *where, const char *text)
{
    struct sl_signature signature = {.kind = kind, .where = strdup(where)};
    struct sl_error err = {0};
    assert_non_null(signature.where);
    assert_done(sl_bytes_append(&signature.bytes, sl_span_of(text), 4096, &err));
    assert_done(sl_signatures_add(&t->signatures, &signature, &err));
}

static void judge(struct trial *t, const char *name)
{
    struct sl_judged_image image = {.name = name, .manifest_digest = {SL_SHA256, {7}}};
    t->r = sl_signature_policy_judge(t->policy, &image, &t->signatures, &t->approval, &t->verdict,
                                     &t->err);
    assert_int_equal(n_keyrings_open, 0);
    assert_non_null(t->verdict);
    assert_int_equal(t->r == 0, t->verdict->is_allowed);
    assert_int_equal(t->r == 0, t->approval != NULL);
}

static void assert_denied(const struct trial *t, enum sl_errc code, const char *message)
{
    if (t->r >= 0 || t->r != -t->err.errnum || t->err.code != code ||
        strcmp(t->err.msg, message) != 0)
        fail_msg("%d, %s: %s", t->r, sl_errc_name(t->err.code), t->err.msg);
}

#define DENIED "Image policy rejected: Denied by policy: "
#define ALL "{\"type\":\"insecureAcceptAnything\"}"
#define NO "{\"type\":\"reject\"}"
#define PGP(data) "{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyData\":\"" data "\"}"
#define COSIGN(data) "{\"type\":\"sigstoreSigned\",\"keyData\":\"" data "\"}"
#define A "QQ==" /* base64 of A */
#define B "Qg=="
#define BASE "{\"type\":\"signedBaseLayer\",\"baseLayerIdentity\":{\"type\":\"matchExact\"}}"

/* ---- and, or ---- */

static void requirements_are_joined_by_and(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        bool signed_is_allowed, unsigned_is_allowed;
    } cases[] = {
        {ALL, true, true},
        {NO, false, false},
        {PGP(A), true, false},
        {PGP(A) "," PGP(A), true, false},
        {PGP(A) "," PGP(B), false, false},
        {PGP(B) "," PGP(A), false, false},
        {PGP(A) "," NO, false, false},
        {NO "," PGP(A), false, false},
        {ALL "," PGP(A), true, false},
        {PGP(A) "," ALL, true, false},
        {ALL "," ALL, true, true},
        {ALL "," NO, false, false},
        {PGP(A) "," BASE, false, false},
        {BASE, false, false},
        {COSIGN(A), false, false}, /* another kind of signature */
        {PGP(A) "," COSIGN(A), false, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int is_signed = 0; is_signed < 2; is_signed++) {
            struct trial t;
            open_trial(&t, cases[i].list, /* require_signed= */ false);
            if (is_signed)
                add(&t, SL_SIGNATURE_SIMPLE, "here", "A");
            judge(&t, "a.org/x:1");
            bool wanted = is_signed ? cases[i].signed_is_allowed : cases[i].unsigned_is_allowed;
            if ((t.r == 0) != wanted)
                fail_msg("%s: signed %d: %d, %s", cases[i].list, is_signed, t.r, t.err.msg);
            trial_done(&t);
        }
    }
}

/* Foreigners choose how many signatures there are, and what each costs. */
static void work_is_bounded(void **state)
{
    (void)state;
    for (int each = 500; each <= 100000; each *= 200) {
        struct trial t;
        open_trial(&t, COSIGN(A), /* require_signed= */ true);
        for (int i = 0; i < 10; i++)
            add(&t, SL_SIGNATURE_BUNDLE, "bundle", i < 9 ? "B" : "A");
        cpu_ms_each = each;
        judge(&t, "a.org/x:1");
        cpu_ms_each = 0;
        assert_int_equal(n_verified, each == 500 ? 4 : 1);
        assert_int_equal(t.verdict->requirements[0].code, SL_SIG_LIMIT);
        assert_non_null(strstr(t.err.msg, "of 10 signatures"));
        trial_done(&t);
    }
}

static void signatures_are_joined_by_or(void **state)
{
    (void)state;
    struct trial t;
    open_trial(&t, PGP(A) "," PGP(B) "," COSIGN(A) "," COSIGN(B), /* require_signed= */ true);
    add(&t, SL_SIGNATURE_BUNDLE, "bundle", "B");
    add(&t, SL_SIGNATURE_SIMPLE, "signature-1", "C");
    add(&t, SL_SIGNATURE_COSIGN, "layer 1", "C");
    add(&t, SL_SIGNATURE_SIMPLE, "signature-2", "B");
    add(&t, SL_SIGNATURE_COSIGN, "layer 2", "A");
    add(&t, SL_SIGNATURE_SIMPLE, "signature-3", "A");
    judge(&t, "a.org/x:1");
    if (t.r != 0)
        fail_msg("%s", t.err.msg);
    const struct sl_requirement_verdict *rv = t.verdict->requirements;
    assert_int_equal(t.verdict->n_requirements, 4);
    assert_int_equal(t.verdict->n_demanded, 4);
    assert_int_equal(rv[0].n_findings, 3);
    assert_int_equal(rv[1].n_findings, 2);
    assert_int_equal(rv[2].n_findings, 3);
    assert_int_equal(rv[3].n_findings, 1);
    assert_int_equal(n_verified, 9);
    assert_int_equal(n_keyrings, 2); /* one for each signedBy */
    assert_int_equal(rv[0].findings[0].code, SL_SIG_CRYPTO);
    assert_string_equal(rv[0].findings[0].where, "signature-1");
    assert_string_equal(rv[0].findings[0].reason, "not by the key A");
    assert_int_equal(rv[0].findings[2].code, SL_SIG_OK);
    assert_string_equal(rv[0].findings[2].where, "signature-3");
    assert_string_equal(rv[0].findings[2].key, "A");
    assert_int_equal(rv[3].findings[0].kind, SL_SIGNATURE_BUNDLE);
    for (size_t i = 0; i < 4; i++)
        assert_true(rv[i].is_satisfied && rv[i].code == SL_SIG_OK && !rv[i].reason[0]);
    trial_done(&t);
}

static void first_failure_ends_the_judgement(void **state)
{
    (void)state;
    struct trial t;
    open_trial(&t, NO "," PGP(A), /* require_signed= */ false);
    add(&t, SL_SIGNATURE_SIMPLE, "here", "A");
    judge(&t, "a.org/x:1");
    assert_int_equal(t.verdict->n_requirements, 1);
    assert_int_equal(t.verdict->n_demanded, 2);
    assert_int_equal(n_verified, 0);
    trial_done(&t);
}

/* ---- what is said ---- */

static void assert_message(const char *list, const char *message)
{
    struct trial t;
    open_trial(&t, list, /* require_signed= */ false);
    judge(&t, "a.org/x:1");
    assert_denied(&t, SL_E_POLICY, message);
    trial_done(&t);
}

static void denial_says_scope_requirement_and_reason(void **state)
{
    (void)state;
    assert_message(NO, DENIED "a.org: requirement 1 (reject): E_REJECT: the policy rejects every "
                              "image here");
    assert_message(ALL "," PGP(A), DENIED "a.org: requirement 2 (signedBy): E_NOSIG: a signature "
                                          "was required, but no signature exists");
    assert_message(COSIGN(A), DENIED "a.org: requirement 1 (sigstoreSigned): E_NOSIG: a signature "
                                     "was required, but no signature exists");
    assert_message(BASE, DENIED "a.org: requirement 1 (signedBaseLayer): E_UNSUPPORTED: "
                                "signedBaseLayer is not supported");
    struct trial t;
    open_trial(&t, ALL, /* require_signed= */ false);
    judge(&t, "b.org/x:1");
    assert_denied(&t, SL_E_POLICY,
                  DENIED "default: requirement 1 (reject): E_REJECT: the policy "
                         "rejects every image here");
    assert_null(t.verdict->scope);
    trial_done(&t);
}

static void denial_names_every_signature(void **state)
{
    (void)state;
    struct trial t;
    open_trial(&t, PGP(A), /* require_signed= */ false);
    add(&t, SL_SIGNATURE_SIMPLE, "signature-1", "B");
    judge(&t, "a.org/x:1");
    assert_denied(&t, SL_E_POLICY,
                  DENIED "a.org: requirement 1 (signedBy): E_SIG_CRYPTO: "
                         "signature-1: not by the key A");
    trial_done(&t);
    open_trial(&t, PGP(A), /* require_signed= */ false);
    add(&t, SL_SIGNATURE_SIMPLE, "signature-1", "B");
    add(&t, SL_SIGNATURE_COSIGN, "layer 1", "A");
    add(&t, SL_SIGNATURE_SIMPLE, "signature-2", "says no, means nothing");
    judge(&t, "a.org/x:1");
    assert_denied(&t, SL_E_POLICY,
                  DENIED "a.org: requirement 1 (signedBy): E_SIG_CRYPTO: none of 2 signatures is "
                         "acceptable; E_SIG_CRYPTO: signature-1: not by the key A; E_SIG_FORMAT: "
                         "signature-2: it could not be verified");
    trial_done(&t);
}

static void other_attachments_are_counted(void **state)
{
    (void)state;
    struct trial t;
    open_trial(&t, PGP(A), /* require_signed= */ false);
    t.signatures.n_others = 2;
    add(&t, SL_SIGNATURE_COSIGN, "layer 1", "A");
    judge(&t, "a.org/x:1");
    assert_denied(&t, SL_E_POLICY,
                  DENIED "a.org: requirement 1 (signedBy): E_NOSIG: a signature was "
                         "required, but no signature exists (3 other attachments)");
    trial_done(&t);
    open_trial(&t, PGP(A), /* require_signed= */ false);
    t.signatures.n_others = 1;
    judge(&t, "a.org/x:1");
    assert_denied(&t, SL_E_POLICY,
                  DENIED "a.org: requirement 1 (signedBy): E_NOSIG: a signature was "
                         "required, but no signature exists (1 other attachment)");
    trial_done(&t);
}

static void want_of_signatures_is_explained(void **state)
{
    (void)state;
    struct trial t;
    open_trial(&t, PGP(A), /* require_signed= */ false);
    t.signatures.n_others = 1;
    (void)sl_error_set(&t.signatures.simple_hint, SL_E_POLICY, ENOENT, "none below file:///x");
    (void)sl_error_set(&t.signatures.sigstore_hint, SL_E_POLICY, ENOENT, "not this");
    judge(&t, "a.org/x:1");
    assert_denied(&t, SL_E_POLICY,
                  DENIED
                  "a.org: requirement 1 (signedBy): E_NOSIG: a signature was required, but no "
                  "signature exists (1 other attachment): none below file:///x");
    trial_done(&t);
}

static void long_denial_is_cut_and_the_verdict_is_not(void **state)
{
    (void)state;
    struct trial t;
    char where[200];
    memset(where, 'w', sizeof(where) - 1);
    where[sizeof(where) - 1] = '\0';
    where[3] = '\n';
    open_trial(&t, COSIGN(A), /* require_signed= */ false);
    for (int i = 0; i < 40; i++)
        add(&t, i % 2 ? SL_SIGNATURE_COSIGN : SL_SIGNATURE_BUNDLE, where, "B");
    judge(&t, "a.org/x:1");
    assert_true(t.r == -EACCES);
    assert_true(strlen(t.err.msg) < SL_ERROR_MSG_MAX);
    assert_null(strchr(t.err.msg, '\n'));
    assert_non_null(strstr(t.err.msg, "none of 40 signatures is acceptable; E_SIG_CRYPTO: www"));
    const char *more = strstr(t.err.msg, " more");
    assert_non_null(more);
    assert_int_equal(more[strlen(" more")], '\0');
    assert_int_equal(t.verdict->requirements[0].n_findings, 40);
    assert_string_equal(t.verdict->requirements[0].findings[39].reason, "not by the key A");
    trial_done(&t);
}

/* ---- limits and failures ---- */

static void signatures_beyond_the_limit_are_not_looked_at(void **state)
{
    (void)state;
    for (int n = SL_SIGNATURES_MAX - 1; n <= SL_SIGNATURES_MAX; n++) {
        struct trial t;
        open_trial(&t, COSIGN(A), /* require_signed= */ false);
        for (int i = 0; i < n; i++) {
            add(&t, SL_SIGNATURE_COSIGN, "x", "B");
            add(&t, SL_SIGNATURE_SIMPLE, "not counted", "A");
        }
        add(&t, SL_SIGNATURE_COSIGN, "x", "A");
        judge(&t, "a.org/x:1");
        assert_int_equal(t.r == 0, n < SL_SIGNATURES_MAX);
        assert_int_equal(n_verified, SL_SIGNATURES_MAX);
        if (t.r < 0)
            assert_non_null(
                strstr(t.err.msg, ": E_LIMIT: none of the first 128 of 129 signatures"));
        trial_done(&t);
    }
}

static void answers_that_contradict_themselves_deny(void **state)
{
    (void)state;
    static const char *const odd[] = {"says 0, means no", "says 0, means nothing",
                                      "says no, means nothing", "says 1"};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        for (int kind = SL_SIGNATURE_SIMPLE; kind <= SL_SIGNATURE_BUNDLE; kind++) {
            struct trial t;
            open_trial(&t, kind == SL_SIGNATURE_SIMPLE ? PGP(A) : COSIGN(A), false);
            add(&t, (enum sl_signature_kind)kind, "here", odd[i]);
            judge(&t, "a.org/x:1");
            assert_int_equal(t.r, -EACCES);
            assert_int_not_equal(t.verdict->requirements[0].findings[0].code, SL_SIG_OK);
            assert_int_not_equal(t.verdict->requirements[0].code, SL_SIG_OK);
            trial_done(&t);
        }
    }
}

static void place_that_failed_is_worth_a_retry(void **state)
{
    (void)state;
    struct trial t;
    for (int n = 0; n < 2; n++) {
        open_trial(&t, PGP(A), /* require_signed= */ false);
        (void)sl_error_set(&t.signatures.simple_failure, SL_E_NETWORK, ETIMEDOUT,
                           "lookaside: slow");
        if (n)
            add(&t, SL_SIGNATURE_SIMPLE, "signature-1", "B");
        judge(&t, "a.org/x:1");
        assert_denied(&t, SL_E_NETWORK,
                      n ? DENIED "a.org: requirement 1 (signedBy): E_FETCH: lookaside: slow; "
                                 "E_SIG_CRYPTO: signature-1: not by the key A"
                        : DENIED "a.org: requirement 1 (signedBy): E_FETCH: lookaside: slow");
        assert_int_equal(t.r, -ETIMEDOUT);
        trial_done(&t);
    }
    open_trial(&t, PGP(A) "," COSIGN(A), /* require_signed= */ false);
    (void)sl_error_set(&t.signatures.simple_failure, SL_E_NETWORK, ETIMEDOUT, "lookaside: slow");
    (void)sl_error_set(&t.signatures.sigstore_failure, SL_E_AUTH, EACCES, "tag: who are you?");
    add(&t, SL_SIGNATURE_SIMPLE, "signature-1", "A");
    judge(&t, "a.org/x:1");
    assert_denied(&t, SL_E_AUTH,
                  DENIED "a.org: requirement 2 (sigstoreSigned): E_FETCH: tag: who "
                         "are you?");
    trial_done(&t);
    /* What is not asked for need not be readable. */
    open_trial(&t, COSIGN(A), /* require_signed= */ false);
    (void)sl_error_set(&t.signatures.simple_failure, SL_E_NETWORK, ETIMEDOUT, "lookaside: slow");
    judge(&t, "a.org/x:1");
    assert_non_null(strstr(t.err.msg, "E_NOSIG"));
    assert_int_equal(t.err.code, SL_E_POLICY);
    trial_done(&t);
}

static void acceptable_signature_makes_up_for_a_place_that_failed(void **state)
{
    (void)state;
    struct trial t;
    open_trial(&t, PGP(A) "," COSIGN(A), /* require_signed= */ false);
    (void)sl_error_set(&t.signatures.simple_failure, SL_E_NETWORK, ETIMEDOUT, "lookaside: slow");
    (void)sl_error_set(&t.signatures.sigstore_failure, SL_E_NETWORK, EIO, "tag: slow");
    add(&t, SL_SIGNATURE_SIMPLE, "signature-1", "A");
    add(&t, SL_SIGNATURE_BUNDLE, "bundle", "A");
    judge(&t, "a.org/x:1");
    assert_int_equal(t.r, 0);
    trial_done(&t);
}

static void requirement_without_usable_keys_rejects(void **state)
{
    (void)state;
    static const struct {
        const char *list, *message;
    } cases[] = {
        {"{\"type\":\"signedBy\",\"keyType\":\"X509Certificates\",\"keyData\":\"" A "\"}",
         "(signedBy): E_UNSUPPORTED: this keyType is not supported"},
        {"{\"type\":\"signedBy\",\"keyType\":\"signedByGPGKeys\",\"keyData\":\"" A "\"}",
         "(signedBy): E_UNSUPPORTED: this keyType is not supported"},
        {PGP(""), "(signedBy): E_KEY_PARSE: there is no key in it"},
        {COSIGN(""), "(sigstoreSigned): E_KEY_PARSE: keyData: there is no key in it"},
        {"{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPath\":\"/k\"}",
         "(signedBy): E_KEY_FETCH: /k: "},
        {"{\"type\":\"sigstoreSigned\",\"keyDatas\":[\"" A "\"],\"rekorPublicKeyPath\":\"/k\"}",
         "(sigstoreSigned): E_KEY_FETCH: /k: "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct trial t;
        open_trial(&t, cases[i].list, /* require_signed= */ false);
        add(&t, SL_SIGNATURE_SIMPLE, "signature-1", "A");
        add(&t, SL_SIGNATURE_COSIGN, "layer 1", "A");
        judge(&t, "a.org/x:1");
        if (t.r != -EACCES || t.err.code != SL_E_POLICY || !strstr(t.err.msg, cases[i].message))
            fail_msg("%s: %d, %s", cases[i].list, t.r, t.err.msg);
        assert_int_equal(n_verified, 0);
        trial_done(&t);
    }
}

static void list_that_verifies_nothing_is_not_enough_when_signatures_are_required(void **state)
{
    (void)state;
    struct trial t;
    open_trial(&t, ALL "," ALL, /* require_signed= */ true);
    add(&t, SL_SIGNATURE_SIMPLE, "here", "A");
    judge(&t, "a.org/x:1");
    assert_denied(&t, SL_E_POLICY,
                  DENIED "a.org: requirement 2 (insecureAcceptAnything): E_NOSIG: signatures are "
                         "required, and nothing here verifies one");
    assert_false(t.verdict->requirements[1].is_satisfied);
    trial_done(&t);
    open_trial(&t, ALL "," COSIGN(A) "," ALL, /* require_signed= */ true);
    add(&t, SL_SIGNATURE_COSIGN, "here", "A");
    judge(&t, "a.org/x:1");
    assert_int_equal(t.r, 0);
    trial_done(&t);
}

/* A policy without requirements does not parse; one that exists nonetheless denies. */
static void empty_list_denies(void **state)
{
    (void)state;
    struct sl_signature_policy policy = {0};
    struct sl_signatures signatures = {0};
    const struct sl_judged_image image = {.name = "a.org/x:1"};
    SL_AUTO(sl_approval) approval = NULL;
    SL_AUTO(sl_policy_verdict) verdict = NULL;
    struct sl_error err = {0};
    assert_error(sl_signature_policy_judge(&policy, &image, &signatures, &approval, &verdict, &err),
                 EACCES, SL_E_POLICY, DENIED "default: E_REJECT: there is no requirement");
    assert_null(approval);
    assert_false(verdict->is_allowed);
}

static void verdict_and_approval_are_about_the_image(void **state)
{
    (void)state;
    struct trial t;
    open_trial(&t, PGP(A), /* require_signed= */ false);
    add(&t, SL_SIGNATURE_SIMPLE, "here", "A");
    judge(&t, "a.org/x:1");
    assert_int_equal(t.r, 0);
    const struct sl_digest manifest = {SL_SHA256, {7}};
    assert_string_equal(sl_approval_name(t.approval), "a.org/x:1");
    assert_true(sl_digest_is_equal(sl_approval_manifest(t.approval), &manifest));
    assert_string_equal(t.verdict->name, "a.org/x:1");
    assert_string_equal(t.verdict->transport, "docker");
    assert_string_equal(t.verdict->scope, "a.org");
    assert_true(sl_digest_is_equal(&t.verdict->manifest, &manifest));
    assert_true(sl_digest_is_equal(&t.verdict->policy, sl_signature_policy_digest(t.policy)));
    assert_false(t.verdict->has_index);
    trial_done(&t);
}

static void insecure_approval_is_about_the_image_too(void **state)
{
    (void)state;
    const struct sl_judged_image image = {.name = "b.org/y:1", .manifest_digest = {SL_SHA256, {9}}};
    SL_AUTO(sl_approval) approval = NULL;
    struct sl_error err = {0};
    assert_done(sl_approve_insecurely(&image, &approval, &err));
    assert_string_equal(sl_approval_name(approval), "b.org/y:1");
    assert_true(sl_digest_is_equal(sl_approval_manifest(approval), &image.manifest_digest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requirements_are_joined_by_and),
        cmocka_unit_test(signatures_are_joined_by_or),
        cmocka_unit_test(work_is_bounded),
        cmocka_unit_test(first_failure_ends_the_judgement),
        cmocka_unit_test(denial_says_scope_requirement_and_reason),
        cmocka_unit_test(denial_names_every_signature),
        cmocka_unit_test(other_attachments_are_counted),
        cmocka_unit_test(want_of_signatures_is_explained),
        cmocka_unit_test(long_denial_is_cut_and_the_verdict_is_not),
        cmocka_unit_test(signatures_beyond_the_limit_are_not_looked_at),
        cmocka_unit_test(answers_that_contradict_themselves_deny),
        cmocka_unit_test(place_that_failed_is_worth_a_retry),
        cmocka_unit_test(acceptable_signature_makes_up_for_a_place_that_failed),
        cmocka_unit_test(requirement_without_usable_keys_rejects),
        cmocka_unit_test(list_that_verifies_nothing_is_not_enough_when_signatures_are_required),
        cmocka_unit_test(empty_list_denies),
        cmocka_unit_test(verdict_and_approval_are_about_the_image),
        cmocka_unit_test(insecure_approval_is_about_the_image_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
