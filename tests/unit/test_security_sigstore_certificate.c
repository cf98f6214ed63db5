/* SPDX-License-Identifier: Apache-2.0 */
#include "finding.h"
#include "sigstore_trust.h"

#include "assert_result.h"
#include "sigstore_fixture.h"

enum { NOW = 1700000000, MINUTES = 600, YEAR = 365 * 24 * 3600, EXTENSIONS_MAX = 12 };

/* What a Fulcio would issue, and who trusts it. Fields are changed before issue(). */
struct world {
    struct fixture_ca root, middle;
    EVP_PKEY *key;
    struct fixture_extension extensions[EXTENSIONS_MAX];
    X509 *leaf;
    STACK_OF(X509) * intermediates;
    struct sl_trusted_chain authority;
    struct sl_sigstore_trust trust;
    struct sl_requirement requirement;
    struct sl_signature_finding finding;
    char *issuer_v1, *issuer_v2;
};

static char *utf8_der(const char *text)
{
    char der[256] = {0x0c, (char)strlen(text)};
    assert_true(strlen(text) < 128);
    memcpy(der + 2, text, strlen(text));
    return fixture_der(der, strlen(text) + 2);
}

static void set(struct world *w, const char *name, const char *value)
{
    for (size_t i = 0; i + 1 < EXTENSIONS_MAX; i++) {
        if (w->extensions[i].name && strcmp(w->extensions[i].name, name) != 0)
            continue;
        w->extensions[i] = (struct fixture_extension){name, value};
        return;
    }
    fail();
}

static void drop(struct world *w, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < EXTENSIONS_MAX; i++)
        if (w->extensions[i].name && strcmp(w->extensions[i].name, name) != 0)
            w->extensions[n++] = w->extensions[i];
    w->extensions[n] = (struct fixture_extension){NULL, NULL};
}

static struct world make_world(void)
{
    struct world w = {.requirement = {.type = SL_REQUIRE_SIGSTORE_SIGNED,
                                      .has_fulcio = true,
                                      .ignores_sct = true,
                                      .oidc_issuer = (char *)FIXTURE_ISSUER,
                                      .subject_email = (char *)FIXTURE_EMAIL}};
    w.root = fixture_make_ca("root", NULL, NOW - YEAR, NOW + YEAR, NULL);
    w.middle = fixture_make_ca("middle", &w.root, NOW - YEAR, NOW + YEAR, NULL);
    w.key = fixture_key("P-256");
    w.issuer_v1 = fixture_der(FIXTURE_ISSUER, strlen(FIXTURE_ISSUER));
    w.issuer_v2 = utf8_der(FIXTURE_ISSUER);
    set(&w, "keyUsage", "critical,digitalSignature");
    set(&w, "extendedKeyUsage", "codeSigning");
    set(&w, "subjectAltName", "critical,email:" FIXTURE_EMAIL);
    set(&w, OID_ISSUER_V1, w.issuer_v1);
    set(&w, OID_ISSUER_V2, w.issuer_v2);
    w.intermediates = sk_X509_new_null();
    sk_X509_push(w.intermediates, w.middle.cert);
    w.authority.valid = (struct sl_validity){INT64_MIN, INT64_MAX};
    w.authority.certs = sk_X509_new_null();
    sk_X509_push(w.authority.certs, w.root.cert);
    w.trust.n_authorities = 1;
    return w;
}

static void done_world(struct world *w)
{
    X509_free(w->leaf);
    sk_X509_free(w->intermediates);
    sk_X509_free(w->authority.certs);
    fixture_ca_done(&w->root);
    fixture_ca_done(&w->middle);
    EVP_PKEY_free(w->key);
    free(w->issuer_v1);
    free(w->issuer_v2);
}
#define WORLD __attribute__((cleanup(done_world))) struct world

static void issue(struct world *w)
{
    X509_free(w->leaf);
    w->leaf = fixture_cert("", w->key, &w->middle, NOW, NOW + MINUTES, w->extensions);
}

static int check_at(struct world *w, int64_t t)
{
    w->trust.authorities = &w->authority;
    w->requirement.trust = &w->trust;
    w->finding = (struct sl_signature_finding){.code = SL_SIG_NONE};
    return sl_fulcio_check(&w->requirement, w->leaf, w->intermediates, &t, 1, &w->finding);
}

static void accept_at(struct world *w, int64_t t)
{
    if (check_at(w, t) != 0)
        fail_msg("%s: %s", sl_signature_code_name(w->finding.code), w->finding.reason);
}

static void refuse_at(struct world *w, int64_t t, enum sl_signature_code code, const char *part)
{
    if (check_at(w, t) != -EKEYREJECTED || w->finding.code != code ||
        !strstr(w->finding.reason, part))
        fail_msg("%s: %s (wanted %s)", sl_signature_code_name(w->finding.code), w->finding.reason,
                 part);
}

/* Issued anew with one extension changed. */
static void refuse_with(const char *name, const char *value, enum sl_signature_code code,
                        const char *part)
{
    WORLD w = make_world();
    if (value)
        set(&w, name, value);
    else
        drop(&w, name);
    issue(&w);
    refuse_at(&w, NOW, code, part);
}

static void accept_with(const char *name, const char *value)
{
    WORLD w = make_world();
    if (value)
        set(&w, name, value);
    else
        drop(&w, name);
    issue(&w);
    accept_at(&w, NOW);
}

static void fulcio_leaf_of_the_policy_is_accepted(void **state)
{
    (void)state;
    WORLD w = make_world();
    issue(&w);
    accept_at(&w, NOW + 1);
    assert_string_equal(w.finding.signed_name, FIXTURE_EMAIL);
    accept_with(OID_ISSUER_V1, NULL);
    accept_with(OID_ISSUER_V2, NULL);
    accept_with("subjectAltName", "email:other@example.com,email:" FIXTURE_EMAIL);
    accept_with("subjectAltName",
                "critical,otherName:1.3.6.1.4.1.57264.1.7;UTF8:me,email:" FIXTURE_EMAIL);
}

static void fulcio_identity_is_byte_exact(void **state)
{
    (void)state;
    static const char san[] = "subjectAltName";
    refuse_with(san, "email:Signer@example.com", SL_SIG_IDENTITY, "not of 'signer@example.com'");
    refuse_with(san, "email:signer@EXAMPLE.com", SL_SIG_IDENTITY, "not of");
    refuse_with(san, "email:signer@example.com.evil.org", SL_SIG_IDENTITY, "not of");
    refuse_with(san, "email:igner@example.com", SL_SIG_IDENTITY, "not of");
    refuse_with(san, "DNS:signer@example.com", SL_SIG_IDENTITY, "not of");
    refuse_with(san, "URI:signer@example.com", SL_SIG_IDENTITY, "not of");
    refuse_with(san, "critical,otherName:1.3.6.1.4.1.57264.1.7;UTF8:signer@example.com",
                SL_SIG_IDENTITY, "not of");
    refuse_with(san, NULL, SL_SIG_IDENTITY, "no subjectAltName");
    refuse_with("2.5.29.17", "DER:3003810161", SL_SIG_CERT, "stands twice");
}

static void a_nul_in_a_name_is_refused(void **state)
{
    (void)state;
    /* Two names: the right one, and one with a NUL. */
    uint8_t der[64] = {0x30, 0, 0x81, sizeof(FIXTURE_EMAIL) - 1};
    size_t n = 4;
    memcpy(der + n, FIXTURE_EMAIL, strlen(FIXTURE_EMAIL));
    n += strlen(FIXTURE_EMAIL);
    memcpy(der + n,
           "\x81\x03"
           "a\0b",
           5);
    n += 5;
    der[1] = (uint8_t)(n - 2);
    for (int i = 0; i < 3; i++) {
        WORLD w = make_world();
        if (i == 1)
            der[n - 2] = 'x'; /* no NUL: accepted, so that the NUL it was */
        SL_AUTO_FREE char *value = fixture_der(der, i == 2 ? n + 1 : n); /* a byte behind it */
        drop(&w, "subjectAltName");
        set(&w, "2.5.29.17", value);
        issue(&w);
        if (i == 1)
            accept_at(&w, NOW);
        else
            refuse_at(&w, NOW, SL_SIG_CERT, i == 0 ? "a NUL" : "does not parse");
    }
}

static void fulcio_uri_is_byte_exact(void **state)
{
    (void)state;
    WORLD w = make_world();
    set(&w, "subjectAltName", "critical,URI:https://example.com/w.yml@refs/heads/main");
    issue(&w);
    w.requirement.subject_email = NULL;
    w.requirement.subject_uri = (char *)"https://example.com/w.yml@refs/heads/main";
    accept_at(&w, NOW);
    assert_string_equal(w.finding.signed_name, w.requirement.subject_uri);
    w.requirement.subject_uri = (char *)"https://example.com/w.yml@refs/heads/mai";
    refuse_at(&w, NOW, SL_SIG_IDENTITY, "not of");
    w.requirement.subject_email = (char *)"https://example.com/w.yml@refs/heads/main";
    refuse_at(&w, NOW, SL_SIG_IDENTITY, "no one subject");
    w.requirement.subject_uri = NULL;
    refuse_at(&w, NOW, SL_SIG_IDENTITY, "not of");
    w.requirement.subject_email = NULL;
    refuse_at(&w, NOW, SL_SIG_IDENTITY, "no one subject");
}

static void fulcio_issuer_is_byte_exact_and_single(void **state)
{
    (void)state;
    SL_AUTO_FREE char *other_v1 = fixture_der("https://issuer.exampl", 21);
    SL_AUTO_FREE char *other_v2 = utf8_der("https://issuer.example/");
    SL_AUTO_FREE char *nul_v1 = fixture_der(FIXTURE_ISSUER, strlen(FIXTURE_ISSUER) + 1);
    refuse_with(OID_ISSUER_V1, other_v1, SL_SIG_CERT, "two different");
    refuse_with(OID_ISSUER_V2, other_v2, SL_SIG_CERT, "two different");
    refuse_with(OID_ISSUER_V1, nul_v1, SL_SIG_CERT, "NUL");
    refuse_with(OID_ISSUER_V2, "DER:0c00", SL_SIG_CERT, "empty");
    refuse_with(OID_ISSUER_V2, "DER:0c0261", SL_SIG_CERT, "no UTF8String");
    refuse_with(OID_ISSUER_V2, "DER:0c016100", SL_SIG_CERT, "no UTF8String");
    refuse_with(OID_ISSUER_V2, "DER:0c810161", SL_SIG_CERT, "no UTF8String");
    refuse_with(OID_ISSUER_V2, "DER:130161", SL_SIG_CERT, "no UTF8String");
    refuse_with(OID_ISSUER_V2, "DER:040161", SL_SIG_CERT, "no UTF8String");
    WORLD w = make_world();
    drop(&w, OID_ISSUER_V2);
    set(&w, OID_ISSUER_V1, other_v1);
    issue(&w);
    refuse_at(&w, NOW, SL_SIG_IDENTITY, "OIDC issuer is 'https://issuer.exampl'");
    drop(&w, OID_ISSUER_V1);
    issue(&w);
    refuse_at(&w, NOW, SL_SIG_CERT, "no OIDC issuer");
    set(&w, OID_ISSUER_V1, w.issuer_v1);
    issue(&w);
    accept_at(&w, NOW);
    fixture_extend(w.leaf, NULL, OID_ISSUER_V1, w.issuer_v1);
    assert_true(X509_sign(w.leaf, w.middle.key, EVP_sha256()) > 0);
    refuse_at(&w, NOW, SL_SIG_CERT, "stands twice");
    w.requirement.oidc_issuer = NULL;
    issue(&w);
    refuse_at(&w, NOW, SL_SIG_IDENTITY, "OIDC issuer");
}

static void fulcio_uses_are_required(void **state)
{
    (void)state;
    refuse_with("keyUsage", NULL, SL_SIG_CERT, "digital signatures");
    refuse_with("keyUsage", "critical,keyEncipherment", SL_SIG_CERT, "digital signatures");
    refuse_with("extendedKeyUsage", NULL, SL_SIG_CERT, "code signing");
    refuse_with("extendedKeyUsage", "serverAuth", SL_SIG_CERT, "code signing");
    refuse_with("extendedKeyUsage", "anyExtendedKeyUsage", SL_SIG_CERT, "code signing");
    refuse_with("basicConstraints", "critical,CA:TRUE", SL_SIG_CERT, "a CA's");
    refuse_with("keyUsage", "digitalSignature,keyCertSign", SL_SIG_CERT, "a CA's");
    refuse_with("1.2.3.4", "critical,DER:0500", SL_SIG_CERT, "unhandled critical extension");
    accept_with("1.2.3.4", "DER:0500");
    accept_with("basicConstraints", "critical,CA:FALSE");
}

static void leaf_is_valid_from_its_first_to_its_last_second(void **state)
{
    (void)state;
    WORLD w = make_world();
    issue(&w);
    refuse_at(&w, NOW - 1, SL_SIG_TIME, "not yet valid");
    accept_at(&w, NOW);
    accept_at(&w, NOW + MINUTES);
    refuse_at(&w, NOW + MINUTES + 1, SL_SIG_TIME, "expired");
    refuse_at(&w, 0, SL_SIG_TIME, "not yet valid");
}

static void every_time_counts_and_one_is_needed(void **state)
{
    (void)state;
    WORLD w = make_world();
    issue(&w);
    accept_at(&w, NOW);
    const int64_t good[] = {NOW + 1, NOW, NOW + MINUTES, NOW + 2};
    const int64_t early[] = {NOW + 1, NOW + 2, NOW - 1, NOW};
    assert_int_equal(sl_fulcio_check(&w.requirement, w.leaf, w.intermediates, good, 4, &w.finding),
                     0);
    assert_int_equal(sl_fulcio_check(&w.requirement, w.leaf, w.intermediates, early, 4, &w.finding),
                     -EKEYREJECTED);
    assert_int_equal(w.finding.code, SL_SIG_TIME);
    const int64_t times[] = {NOW, NOW + MINUTES + 1};
    assert_int_equal(sl_fulcio_check(&w.requirement, w.leaf, w.intermediates, times, 2, &w.finding),
                     -EKEYREJECTED);
    assert_int_equal(w.finding.code, SL_SIG_TIME);
    assert_int_equal(sl_fulcio_check(&w.requirement, w.leaf, w.intermediates, times, 0, &w.finding),
                     -EKEYREJECTED);
    assert_int_equal(w.finding.code, SL_SIG_TIME);
    assert_int_equal(sl_fulcio_check(&w.requirement, w.leaf, w.intermediates, times, 1, &w.finding),
                     0);
    w.requirement.trust = NULL;
    assert_int_equal(sl_fulcio_check(&w.requirement, w.leaf, w.intermediates, times, 1, &w.finding),
                     -EKEYREJECTED);
}

/* CVE-2026-24122: CAs that had expired went unnoticed. */
static void every_ca_must_be_valid_at_the_time(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        WORLD w = make_world();
        int64_t from = i % 2 ? NOW + 1 : NOW - YEAR;
        int64_t to = i % 2 ? NOW + YEAR : NOW;
        if (i < 2) {
            fixture_ca_done(&w.middle);
            w.middle = fixture_make_ca("middle", &w.root, from, to, NULL);
            sk_X509_set(w.intermediates, 0, w.middle.cert);
        } else {
            X509 *again = X509_dup(w.root.cert);
            ASN1_TIME_set(X509_getm_notBefore(again), (time_t)from);
            ASN1_TIME_set(X509_getm_notAfter(again), (time_t)to);
            assert_true(X509_sign(again, w.root.key, EVP_sha256()) > 0);
            X509_free(w.root.cert);
            w.root.cert = again;
            sk_X509_set(w.authority.certs, 0, again);
        }
        issue(&w);
        if (i % 2) {
            refuse_at(&w, NOW, SL_SIG_TIME, "not yet valid");
            accept_at(&w, NOW + 1);
        } else {
            accept_at(&w, NOW);
            refuse_at(&w, NOW + 1, SL_SIG_TIME, "expired");
        }
    }
}

static void cas_must_be_cas_for_signers_of_code(void **state)
{
    (void)state;
    static const struct {
        struct fixture_extension extensions[4];
        bool want;
    } cases[] = {
        {{{"basicConstraints", "critical,CA:TRUE"}, {"extendedKeyUsage", "codeSigning"}}, true},
        {{{"basicConstraints", "critical,CA:TRUE"}, {"extendedKeyUsage", "anyExtendedKeyUsage"}},
         true},
        {{{"basicConstraints", "critical,CA:TRUE"}}, true},
        {{{"basicConstraints", "critical,CA:TRUE"}, {"extendedKeyUsage", "serverAuth"}}, false},
        {{{"basicConstraints", "critical,CA:TRUE"}, {"keyUsage", "cRLSign"}}, false},
        {{{"basicConstraints", "critical,CA:FALSE"}}, false},
        {{{"keyUsage", "keyCertSign"}}, false},
        {{{NULL, NULL}}, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        WORLD w = make_world();
        fixture_ca_done(&w.middle);
        w.middle = fixture_make_ca("middle", &w.root, NOW - YEAR, NOW + YEAR, cases[i].extensions);
        sk_X509_set(w.intermediates, 0, w.middle.cert);
        issue(&w);
        int r = check_at(&w, NOW);
        if ((r == 0) != cases[i].want)
            fail_msg("case %zu: %s", i, w.finding.reason);
        assert_true(r == 0 || w.finding.code == SL_SIG_CERT);
    }
}

static void chain_ends_at_a_trusted_ca(void **state)
{
    (void)state;
    WORLD w = make_world();
    issue(&w);
    /* The intermediate alone is an anchor too. */
    sk_X509_set(w.authority.certs, 0, w.middle.cert);
    accept_at(&w, NOW);
    sk_X509_pop(w.intermediates);
    accept_at(&w, NOW);
    sk_X509_set(w.authority.certs, 0, w.root.cert);
    refuse_at(&w, NOW, SL_SIG_CERT, "unable to get local issuer");
    /* A trusted root brings its own. */
    sk_X509_set(w.authority.certs, 0, w.middle.cert);
    sk_X509_push(w.authority.certs, w.root.cert);
    accept_at(&w, NOW);
    w.authority.valid = (struct sl_validity){NOW + 1, NOW + 2};
    refuse_at(&w, NOW, SL_SIG_CERT, "not trusted");
    accept_at(&w, NOW + 2);
    refuse_at(&w, NOW + 3, SL_SIG_CERT, "not trusted");
    w.authority.valid = (struct sl_validity){INT64_MIN, INT64_MAX};
    w.trust.n_authorities = 0;
    refuse_at(&w, NOW, SL_SIG_CERT, "unable to get local issuer");
    w.trust.n_authorities = 1;
    /* Of the same name, with another key. */
    struct fixture_ca impostor = fixture_make_ca("root", NULL, NOW - YEAR, NOW + YEAR, NULL);
    sk_X509_pop(w.authority.certs);
    sk_X509_set(w.authority.certs, 0, impostor.cert);
    sk_X509_push(w.intermediates, w.middle.cert);
    refuse_at(&w, NOW, SL_SIG_CERT, "no chain");
    fixture_ca_done(&impostor);
    /* The leaf is no CA, even if the policy has it for one. */
    sk_X509_set(w.authority.certs, 0, w.leaf);
    refuse_at(&w, NOW, SL_SIG_CERT, "no chain");
}

static void without_sct_only_where_the_policy_says_so(void **state)
{
    (void)state;
    WORLD w = make_world();
    issue(&w);
    w.requirement.ignores_sct = false;
    refuse_at(&w, NOW, SL_SIG_CERT, "no certificate transparency log is trusted");
    struct sl_trusted_log log = {.valid = {INT64_MIN, INT64_MAX}};
    w.trust.ct_logs = &log;
    w.trust.n_ct_logs = 1;
    refuse_at(&w, NOW, SL_SIG_CERT, "no certificate timestamp");
}

/* ---- certificates of the lab, which cosign believes ---- */

#define LAB(name) SL_SIGSTORE_LAB "/" name

struct lab_trust {
    struct sl_trusted_log log;
    struct sl_trusted_chain chain;
    struct sl_sigstore_trust trust;
    struct sl_requirement requirement;
};

static void lab_trust_init(struct lab_trust *t, const char *chain_path, const char *log_path)
{
    struct sl_error err = {0};
    SL_AUTO_DONE(sl_bytes) pem = fixture_read(chain_path);
    SL_AUTO_DONE(sl_bytes) log = fixture_read(log_path);
    *t = (struct lab_trust){.log.valid = {INT64_MIN, INT64_MAX},
                            .chain.valid = {INT64_MIN, INT64_MAX}};
    assert_done(sl_certificates_parse_pem(sl_bytes_span(&pem), &t->chain.certs, &err));
    assert_int_equal(sk_X509_num(t->chain.certs), 2);
    assert_done(sl_public_key_parse_pem(sl_bytes_span(&log), &t->log.key, &err));
    memcpy(t->log.id, t->log.key.spki_sha256, sizeof(t->log.id));
    t->trust = (struct sl_sigstore_trust){
        .authorities = &t->chain, .n_authorities = 1, .ct_logs = &t->log, .n_ct_logs = 1};
    t->requirement = (struct sl_requirement){.has_fulcio = true,
                                             .trust = &t->trust,
                                             .oidc_issuer = (char *)"https://issuer.example.com"};
}

static void lab_trust_done(struct lab_trust *t)
{
    sl_public_key_done(&t->log.key);
    sk_X509_pop_free(t->chain.certs, X509_free);
}

static int check_lab(const struct lab_trust *trust, const char *path, int64_t t,
                     struct sl_signature_finding *finding)
{
    struct sl_error err = {0};
    X509 *leaf = NULL;
    SL_AUTO_DONE(sl_bytes) pem = fixture_read(path);
    assert_done(sl_certificate_parse_pem(sl_bytes_span(&pem), &leaf, &err));
    int r = sl_fulcio_check(&trust->requirement, leaf, NULL, &t, 1, finding);
    X509_free(leaf);
    return r;
}

/* CAs on P-384, as the public ones are; the log was 437 ms later than the CA. */
static void lab_certificate_is_judged_by_its_times(void **state)
{
    (void)state;
    enum { ISSUED = 1748779170, SECONDS = 600 };
    static const char path[] = LAB("p384/leaf.pem");
    struct sl_signature_finding finding = {0};
    struct lab_trust t;
    lab_trust_init(&t, LAB("p384/fulcio_chain.pem"), LAB("p384/ctfe.pub"));
    t.requirement.subject_email = (char *)FIXTURE_EMAIL;
    if (check_lab(&t, path, ISSUED + 1, &finding) != 0)
        fail_msg("%s", finding.reason);
    assert_string_equal(finding.signed_name, FIXTURE_EMAIL);
    assert_int_equal(check_lab(&t, path, ISSUED, &finding), 0);
    assert_int_equal(check_lab(&t, path, ISSUED - 1, &finding), -EKEYREJECTED);
    assert_int_equal(check_lab(&t, path, ISSUED + SECONDS, &finding), 0);
    assert_int_equal(check_lab(&t, path, ISSUED + SECONDS + 1, &finding), -EKEYREJECTED);
    t.log.valid.start = ISSUED;
    assert_int_equal(check_lab(&t, path, ISSUED + 1, &finding), 0);
    t.log.valid.start = ISSUED + 1;
    assert_int_equal(check_lab(&t, path, ISSUED + 1, &finding), -EKEYREJECTED);
    assert_non_null(strstr(finding.reason, "none of its 1 certificate timestamps"));
    lab_trust_done(&t);
}

/* C2SP static-ct-api: a log of tiles tells where in it the certificate is. */
static void lab_sct_with_extensions_counts(void **state)
{
    (void)state;
    static const char path[] = LAB("tiles_leaf.pem");
    struct sl_signature_finding finding = {0};
    struct lab_trust t;
    lab_trust_init(&t, LAB("fulcio_chain.pem"), LAB("ctfe.pub"));
    t.requirement.subject_uri =
        (char *)"https://github.com/lab/image/.github/workflows/release.yml@refs/heads/main";
    if (check_lab(&t, path, 1748779200, &finding) != 0)
        fail_msg("%s", finding.reason);
    t.log.id[0] ^= 1;
    assert_int_equal(check_lab(&t, path, 1748779200, &finding), -EKEYREJECTED);
    lab_trust_done(&t);
}

/* ---- the operator's own PKI ---- */

static int check_pki(struct world *w, const char *email, const char *hostname)
{
    struct sl_requirement q = {.has_pki = true,
                               .trust = &w->trust,
                               .pki_email = (char *)email,
                               .pki_hostname = (char *)hostname};
    w->finding = (struct sl_signature_finding){.code = SL_SIG_NONE};
    return sl_pki_check(&q, w->leaf, w->intermediates, &w->finding);
}

static void assert_pki_refuses(struct world *w, const char *email, const char *hostname,
                               enum sl_signature_code code, const char *part)
{
    if (check_pki(w, email, hostname) != -EKEYREJECTED || w->finding.code != code ||
        !strstr(w->finding.reason, part))
        fail_msg("%s: %s", sl_signature_code_name(w->finding.code), w->finding.reason);
}

static void issue_now(struct world *w, int64_t from, int64_t to)
{
    int64_t now = (int64_t)time(NULL);
    fixture_ca_done(&w->root);
    fixture_ca_done(&w->middle);
    w->root = fixture_make_ca("root", NULL, now - YEAR, now + YEAR, NULL);
    w->middle = fixture_make_ca("middle", &w->root, now - YEAR, now + YEAR, NULL);
    sk_X509_set(w->intermediates, 0, w->middle.cert);
    sk_X509_set(w->authority.certs, 0, w->root.cert);
    w->trust.pki_roots = w->authority.certs;
    X509_free(w->leaf);
    w->leaf =
        fixture_cert("cn.example.com", w->key, &w->middle, now + from, now + to, w->extensions);
}

static void pki_names_follow_the_policy(void **state)
{
    (void)state;
    WORLD w = make_world();
    drop(&w, "extendedKeyUsage");
    set(&w, "subjectAltName",
        "email:" FIXTURE_EMAIL ",DNS:host.example.com,DNS:*.wild.example.com");
    issue_now(&w, -60, 60);
    assert_int_equal(check_pki(&w, FIXTURE_EMAIL, NULL), 0);
    assert_string_equal(w.finding.signed_name, FIXTURE_EMAIL);
    assert_int_equal(check_pki(&w, NULL, "host.example.com"), 0);
    assert_string_equal(w.finding.signed_name, "host.example.com");
    assert_int_equal(check_pki(&w, NULL, "HOST.example.com"), 0);
    assert_int_equal(check_pki(&w, NULL, "a.wild.example.com"), 0);
    assert_int_equal(check_pki(&w, FIXTURE_EMAIL, "host.example.com"), 0);
    assert_pki_refuses(&w, "Signer@example.com", NULL, SL_SIG_IDENTITY, "not of");
    assert_pki_refuses(&w, "x@example.com", "host.example.com", SL_SIG_IDENTITY, "not of");
    assert_pki_refuses(&w, FIXTURE_EMAIL, "host2.example.com", SL_SIG_IDENTITY, "not of");
    assert_pki_refuses(&w, NULL, "a.b.wild.example.com", SL_SIG_IDENTITY, "not of");
    assert_pki_refuses(&w, NULL, "wild.example.com", SL_SIG_IDENTITY, "not of");
    assert_pki_refuses(&w, NULL, "cn.example.com", SL_SIG_IDENTITY, "not of");
    assert_pki_refuses(&w, NULL, "", SL_SIG_IDENTITY, "not of");
    assert_pki_refuses(&w, NULL, ".example.com", SL_SIG_IDENTITY, "not of");
    assert_pki_refuses(&w, NULL, NULL, SL_SIG_IDENTITY, "no subject");
    /* Nor where there is no other host name. */
    set(&w, "subjectAltName", "email:" FIXTURE_EMAIL);
    issue_now(&w, -60, 60);
    assert_pki_refuses(&w, NULL, "cn.example.com", SL_SIG_IDENTITY, "not of");
}

static void pki_uses_and_times_count(void **state)
{
    (void)state;
    WORLD w = make_world();
    issue_now(&w, -60, 60); /* codeSigning */
    assert_int_equal(check_pki(&w, FIXTURE_EMAIL, NULL), 0);
    set(&w, "extendedKeyUsage", "serverAuth");
    issue_now(&w, -60, 60);
    assert_pki_refuses(&w, FIXTURE_EMAIL, NULL, SL_SIG_CERT, "code signing");
    drop(&w, "extendedKeyUsage");
    issue_now(&w, -60, -30);
    assert_pki_refuses(&w, FIXTURE_EMAIL, NULL, SL_SIG_TIME, "expired");
    issue_now(&w, 30, 60);
    assert_pki_refuses(&w, FIXTURE_EMAIL, NULL, SL_SIG_TIME, "not yet valid");
    set(&w, "keyUsage", "keyEncipherment");
    issue_now(&w, -60, 60);
    assert_pki_refuses(&w, FIXTURE_EMAIL, NULL, SL_SIG_CERT, "digital signatures");
    drop(&w, "keyUsage");
    set(&w, "subjectAltName", "critical,otherName:1.3.6.1.4.1.57264.1.7;UTF8:" FIXTURE_EMAIL);
    issue_now(&w, -60, 60);
    assert_pki_refuses(&w, FIXTURE_EMAIL, NULL, SL_SIG_IDENTITY, "not of");
    w.trust.pki_roots = NULL;
    assert_pki_refuses(&w, FIXTURE_EMAIL, NULL, SL_SIG_CERT, "no CA is trusted");
}

static void pki_intermediates_come_from_policy_or_signature(void **state)
{
    (void)state;
    WORLD w = make_world();
    issue_now(&w, -60, 60);
    STACK_OF(X509) *middle = w.intermediates;
    w.intermediates = NULL;
    assert_pki_refuses(&w, FIXTURE_EMAIL, NULL, SL_SIG_CERT, "unable to get local issuer");
    w.trust.pki_intermediates = middle;
    assert_int_equal(check_pki(&w, FIXTURE_EMAIL, NULL), 0);
    sk_X509_free(middle);
}

/* Its extended key usage is absent, its constraints are not critical. */
static void lab_pki_of_rsa_keys_is_accepted(void **state)
{
    (void)state;
    struct sl_error err = {0};
    struct sl_sigstore_trust trust = {0};
    struct sl_requirement q = {.has_pki = true,
                               .trust = &trust,
                               .pki_email = (char *)FIXTURE_EMAIL,
                               .pki_hostname = (char *)"signer.example.com"};
    struct sl_signature_finding finding = {0};
    STACK_OF(X509) *chain = NULL;
    X509 *leaf = fixture_read_cert(LAB("rsa/leaf.pem"));
    SL_AUTO_DONE(sl_bytes) roots = fixture_read(LAB("rsa/root.pem"));
    SL_AUTO_DONE(sl_bytes) pem = fixture_read(LAB("rsa/intermediate.pem"));
    assert_done(sl_certificates_parse_pem(sl_bytes_span(&roots), &trust.pki_roots, &err));
    assert_done(sl_certificates_parse_pem(sl_bytes_span(&pem), &chain, &err));
    if (sl_pki_check(&q, leaf, chain, &finding) != 0)
        fail_msg("%s", finding.reason);
    assert_int_equal(sl_pki_check(&q, leaf, NULL, &finding), -EKEYREJECTED);
    q.pki_hostname = (char *)"other.example.com";
    assert_int_equal(sl_pki_check(&q, leaf, chain, &finding), -EKEYREJECTED);
    X509_free(leaf);
    sk_X509_pop_free(chain, X509_free);
    sk_X509_pop_free(trust.pki_roots, X509_free);
}

/* ---- PEM ---- */

static void pem_of_certificates_is_strict(void **state)
{
    (void)state;
    struct sl_error err = {0};
    X509 *cert = NULL;
    STACK_OF(X509) *certs = NULL;
    WORLD w = make_world();
    issue(&w);
    SL_AUTO_DONE(sl_bytes) one = fixture_cert_pem(w.leaf);
    SL_AUTO_DONE(sl_bytes) key = fixture_public_pem(w.key);
    SL_AUTO_FREE char *two = sl_strf("# a note\n%s# another\n%s\n", one.data, one.data);
    SL_AUTO_FREE char *mixed = sl_strf("%s%s", one.data, key.data);
    assert_done(sl_certificate_parse_pem(sl_bytes_span(&one), &cert, &err));
    X509_free(cert);
    cert = NULL;
    assert_error(sl_certificate_parse_pem(sl_span_of(two), &cert, &err), EBADMSG, SL_E_FORMAT,
                 "no PEM block");
    assert_error(sl_certificate_parse_pem(sl_span_of(two + 9), &cert, &err), EBADMSG, SL_E_FORMAT,
                 "behind");
    assert_error(sl_certificate_parse_pem(sl_bytes_span(&key), &cert, &err), EBADMSG, SL_E_FORMAT,
                 "'PUBLIC KEY'");
    assert_null(cert);
    assert_done(sl_certificates_parse_pem(sl_span_of(two), &certs, &err));
    assert_int_equal(sk_X509_num(certs), 2);
    sk_X509_pop_free(certs, X509_free);
    certs = NULL;
    assert_error(sl_certificates_parse_pem(sl_span_of(mixed), &certs, &err), EBADMSG, SL_E_FORMAT,
                 "'PUBLIC KEY' among");
    assert_error(sl_certificates_parse_pem(sl_span_of("# none\n"), &certs, &err), EBADMSG,
                 SL_E_FORMAT, "no certificate");
    for (size_t len = 0; len < one.len - 27; len += 11)
        assert_true(sl_certificate_parse_pem((struct sl_span){one.data, len}, &cert, &err) < 0);
    assert_null(certs);
}

static void der_of_certificates_ends_where_they_end(void **state)
{
    (void)state;
    struct sl_error err = {0};
    X509 *cert = NULL;
    WORLD w = make_world();
    issue(&w);
    uint8_t der[2048] = {0};
    uint8_t *p = der;
    int len = i2d_X509(w.leaf, &p);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio(bio, "CERTIFICATE", "", der, len + 1) > 0);
    SL_AUTO_DONE(sl_bytes) pem = fixture_take_bio(bio);
    assert_error(sl_certificate_parse_pem(sl_bytes_span(&pem), &cert, &err), EBADMSG, SL_E_FORMAT,
                 "not a certificate");
    assert_error(sl_certificate_parse_der((struct sl_span){der, (size_t)len + 1}, &cert, &err),
                 EBADMSG, SL_E_FORMAT, "not a certificate");
    assert_done(sl_certificate_parse_der((struct sl_span){der, (size_t)len}, &cert, &err));
    X509_free(cert);
    cert = NULL;
    /* BER: the length in three bytes where two are enough. */
    assert_true(der[0] == 0x30 && der[1] == 0x82);
    memmove(der + 3, der + 2, (size_t)len - 2);
    der[1] = 0x83;
    der[2] = 0;
    assert_error(sl_certificate_parse_der((struct sl_span){der, (size_t)len + 1}, &cert, &err),
                 EBADMSG, SL_E_FORMAT, "not a certificate");
    assert_null(cert);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fulcio_leaf_of_the_policy_is_accepted),
        cmocka_unit_test(fulcio_identity_is_byte_exact),
        cmocka_unit_test(a_nul_in_a_name_is_refused),
        cmocka_unit_test(fulcio_uri_is_byte_exact),
        cmocka_unit_test(fulcio_issuer_is_byte_exact_and_single),
        cmocka_unit_test(fulcio_uses_are_required),
        cmocka_unit_test(leaf_is_valid_from_its_first_to_its_last_second),
        cmocka_unit_test(every_time_counts_and_one_is_needed),
        cmocka_unit_test(every_ca_must_be_valid_at_the_time),
        cmocka_unit_test(cas_must_be_cas_for_signers_of_code),
        cmocka_unit_test(chain_ends_at_a_trusted_ca),
        cmocka_unit_test(without_sct_only_where_the_policy_says_so),
        cmocka_unit_test(lab_certificate_is_judged_by_its_times),
        cmocka_unit_test(lab_sct_with_extensions_counts),
        cmocka_unit_test(pki_names_follow_the_policy),
        cmocka_unit_test(pki_uses_and_times_count),
        cmocka_unit_test(pki_intermediates_come_from_policy_or_signature),
        cmocka_unit_test(lab_pki_of_rsa_keys_is_accepted),
        cmocka_unit_test(pem_of_certificates_is_strict),
        cmocka_unit_test(der_of_certificates_ends_where_they_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
