/* SPDX-License-Identifier: Apache-2.0 */
/* What a layer's annotations prove, and in which order. Log, timestamp and payload have tests of
 * their own; here they answer as they are told. */
#include "signature_payload.h"
#include "sigstore_signing.h"
#include "sigstore_trust.h"

#include "assert_result.h"
#include "sigstore_fixture.h"

enum { NOW = 1700000000, LOGGED = NOW + 10, STAMPED = NOW + 20, YEAR = 365 * 24 * 3600 };

static const char payload[] = "{\"critical\": \"what is signed\"}";

/* ---- the neighbours ---- */

static struct {
    int log, timestamp, payload; /* their answers */
    int n_log, n_timestamp, n_payload;
    int64_t log_time;
    uint8_t spki[1024], certificate[4096];
    size_t spki_len, certificate_len;
} told;

int __wrap_sl_rekor_annotation_check(const struct sl_sigstore_trust *trust, const char *annotation,
                                     const struct sl_logged_signature *about, int64_t *ret_time,
                                     struct sl_error *err);
int __wrap_sl_timestamp_check(const struct sl_sigstore_trust *trust, struct sl_span response,
                              struct sl_span signature, int64_t *ret_time, struct sl_error *err);
int __wrap_sl_signature_payload_check(struct sl_span json, const char *type,
                                      const struct sl_requirement *requirement,
                                      const struct sl_judged_image *image,
                                      struct sl_signature_finding *finding);

int __wrap_sl_rekor_annotation_check(const struct sl_sigstore_trust *trust, const char *annotation,
                                     const struct sl_logged_signature *about, int64_t *ret_time,
                                     struct sl_error *err)
{
    assert_non_null(trust);
    assert_string_equal(annotation, "the log's word");
    assert_int_equal(about->payload.len, strlen(payload));
    assert_memory_equal(about->payload.data, payload, strlen(payload));
    assert_true(about->signature.len > 0 && about->pae.len == 0);
    told.n_log++;
    told.spki_len = about->spki.len;
    if (about->spki.len)
        memcpy(told.spki, about->spki.data, about->spki.len);
    told.certificate_len = about->certificate.len;
    if (about->certificate.len)
        memcpy(told.certificate, about->certificate.data, about->certificate.len);
    if (told.log < 0)
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG, "told so");
    *ret_time = told.log_time;
    return 0;
}

int __wrap_sl_timestamp_check(const struct sl_sigstore_trust *trust, struct sl_span response,
                              struct sl_span signature, int64_t *ret_time, struct sl_error *err)
{
    assert_non_null(trust);
    assert_true(signature.len > 0);
    assert_int_equal(response.len, 5);
    assert_memory_equal(response.data, "token", 5);
    told.n_timestamp++;
    if (told.timestamp < 0)
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG, "told so");
    *ret_time = STAMPED;
    return 0;
}

int __wrap_sl_signature_payload_check(struct sl_span json, const char *type,
                                      const struct sl_requirement *requirement,
                                      const struct sl_judged_image *image,
                                      struct sl_signature_finding *finding)
{
    assert_int_equal(json.len, strlen(payload));
    assert_string_equal(type, "cosign container image signature");
    assert_non_null(requirement);
    assert_non_null(image);
    told.n_payload++;
    if (told.payload < 0)
        return sl_finding_reject(finding, SL_SIG_DIGEST, "told so");
    sl_finding_set_text(finding->signed_name, "example.com/name");
    finding->code = SL_SIG_OK;
    return 0;
}

/* ---- a signature, and who trusts it ---- */

struct world {
    EVP_PKEY *key, *other;
    struct fixture_ca ca;
    X509 *leaf;
    struct sl_public_key keys[2];
    struct sl_trusted_log log;
    struct sl_trusted_chain chain, timestamper;
    struct sl_sigstore_trust trust;
    struct sl_requirement requirement;
    struct sl_judged_image image;
    struct sl_signature signature;
    struct sl_signature_finding finding;
    char *base64, *certificate, *ca_pem;
    X509 *pki_leaf;
};

static struct sl_public_key public_of(EVP_PKEY *key)
{
    struct sl_error err = {0};
    struct sl_public_key ret = {0};
    assert_done(sl_public_key_from_evp(key, &ret, &err));
    return ret;
}

static void make_world(struct world *w)
{
    static const struct fixture_extension fulcio[] = {
        {"keyUsage", "critical,digitalSignature"},
        {"extendedKeyUsage", "codeSigning"},
        {"subjectAltName", "critical,email:" FIXTURE_EMAIL},
        {OID_ISSUER_V1, "DER:68747470733a2f2f6973737565722e6578616d706c65"},
        {NULL, NULL}};
    memset(&told, 0, sizeof(told));
    told.log_time = LOGGED;
    *w = (struct world){.key = fixture_key("P-256"), .other = fixture_key("P-256")};
    w->ca = fixture_make_ca("ca", NULL, NOW - YEAR, time(NULL) + YEAR, NULL);
    w->leaf = fixture_cert("", w->key, &w->ca, NOW, NOW + 600, fulcio);
    w->keys[0] = public_of(w->key);
    w->trust.keys = w->keys;
    w->trust.n_keys = 1;
    SL_AUTO_DONE(sl_bytes) sig = fixture_sign(w->key, "SHA256", 0, sl_span_of(payload));
    w->base64 = sl_base64_encode(sl_bytes_span(&sig));
    w->certificate = (char *)fixture_cert_pem(w->leaf).data;
    w->ca_pem = (char *)fixture_cert_pem(w->ca.cert).data;
    w->signature = (struct sl_signature){.kind = SL_SIGNATURE_COSIGN,
                                         .bytes = {(uint8_t *)payload, strlen(payload), 0},
                                         .signature = w->base64};
    w->requirement = (struct sl_requirement){.type = SL_REQUIRE_SIGSTORE_SIGNED};
    w->requirement.trust = &w->trust;
}

static void done_world(struct world *w)
{
    EVP_PKEY_free(w->key);
    EVP_PKEY_free(w->other);
    fixture_ca_done(&w->ca);
    X509_free(w->leaf);
    X509_free(w->pki_leaf);
    sl_public_key_done(&w->keys[0]);
    sl_public_key_done(&w->keys[1]);
    sk_X509_free(w->chain.certs);
    free(w->base64);
    free(w->certificate);
    free(w->ca_pem);
}
#define WORLD __attribute__((cleanup(done_world))) struct world

static void trust_log(struct world *w)
{
    w->trust.logs = &w->log;
    w->trust.n_logs = 1;
    w->signature.rekor = (char *)"the log's word";
}

static void trust_fulcio(struct world *w)
{
    w->chain.certs = sk_X509_new_null();
    sk_X509_push(w->chain.certs, w->ca.cert);
    w->chain.valid = (struct sl_validity){INT64_MIN, INT64_MAX};
    w->trust.authorities = &w->chain;
    w->trust.n_authorities = 1;
    w->trust.n_keys = 0;
    w->requirement.has_fulcio = true;
    w->requirement.ignores_sct = true;
    w->requirement.oidc_issuer = (char *)FIXTURE_ISSUER;
    w->requirement.subject_email = (char *)FIXTURE_EMAIL;
    w->signature.certificate = w->certificate;
}

static int verify(struct world *w)
{
    w->finding = (struct sl_signature_finding){.code = SL_SIG_NONE, .reason = "before"};
    told.n_log = told.n_timestamp = told.n_payload = 0;
    return sl_cosign_signature_verify(&w->requirement, &w->image, &w->signature, &w->finding);
}

static void accept(struct world *w)
{
    if (verify(w) != 0 || w->finding.code != SL_SIG_OK || w->finding.reason[0])
        fail_msg("%s: %s", sl_signature_code_name(w->finding.code), w->finding.reason);
    assert_int_equal(told.n_payload, 1);
}

/* The payload is read only once its signature is good. */
static void refuse(struct world *w, enum sl_signature_code code, const char *part)
{
    if (verify(w) != -EKEYREJECTED || w->finding.code != code || !strstr(w->finding.reason, part))
        fail_msg("%s: %s", sl_signature_code_name(w->finding.code), w->finding.reason);
    assert_int_equal(told.n_payload, code == SL_SIG_DIGEST ? 1 : 0);
}

/* ---- tests ---- */

static void key_of_the_policy_is_enough(void **state)
{
    (void)state;
    char want[SL_FINDING_TEXT_MAX];
    WORLD w;
    make_world(&w);
    accept(&w);
    sl_public_key_describe(&w.keys[0], want);
    assert_string_equal(w.finding.key, want);
    assert_string_equal(w.finding.signed_name, "example.com/name");
    assert_int_equal(w.finding.signed_at, 0);
    assert_int_equal(told.n_log + told.n_timestamp, 0);
    w.keys[1] = w.keys[0];
    w.keys[0] = public_of(w.other);
    refuse(&w, SL_SIG_CRYPTO, "none of the policy's keys");
    assert_string_equal(w.finding.key, "");
    w.trust.n_keys = 2;
    accept(&w);
    assert_string_equal(w.finding.key, want);
    w.trust.n_keys = 0;
    refuse(&w, SL_SIG_CRYPTO, "none of the policy's keys");
}

static void payload_decides_after_the_signature(void **state)
{
    (void)state;
    WORLD w;
    make_world(&w);
    told.payload = -1;
    refuse(&w, SL_SIG_DIGEST, "told so");
    w.signature.bytes.len--;
    refuse(&w, SL_SIG_CRYPTO, "none of");
    w.signature.bytes.len = SL_SIGNATURE_PAYLOAD_MAX + 1;
    refuse(&w, SL_SIG_LIMIT, "payload");
}

static void signature_is_strict_base64(void **state)
{
    (void)state;
    WORLD w;
    make_world(&w);
    SL_AUTO_FREE char *wrapped = sl_strf("%.20s\r\n%s\n", w.base64, w.base64 + 20);
    SL_AUTO_FREE char *blank = sl_strf("%.20s %s", w.base64, w.base64 + 20);
    SL_AUTO_FREE char *trailing = sl_strf("%sAAAA", w.base64);
    w.signature.signature = wrapped;
    refuse(&w, SL_SIG_FORMAT, "signature:");
    w.requirement.is_compat = true;
    accept(&w);
    w.signature.signature = blank;
    refuse(&w, SL_SIG_FORMAT, "signature:");
    w.signature.signature = trailing;
    refuse(&w, strchr(w.base64, '=') ? SL_SIG_FORMAT : SL_SIG_CRYPTO, "");
    w.signature.signature = (char *)"\n";
    refuse(&w, SL_SIG_FORMAT, "empty");
    w.signature.signature = (char *)"";
    refuse(&w, SL_SIG_FORMAT, "no annotation dev.cosignproject.cosign/signature");
    w.signature.signature = NULL;
    refuse(&w, SL_SIG_FORMAT, "no annotation dev.cosignproject.cosign/signature");
}

static void trusted_log_must_have_seen_the_key(void **state)
{
    (void)state;
    WORLD w;
    make_world(&w);
    trust_log(&w);
    accept(&w);
    assert_int_equal(w.finding.signed_at, LOGGED);
    assert_int_equal(told.n_log, 1);
    uint8_t *spki = NULL;
    int len = i2d_PUBKEY(w.key, &spki);
    assert_int_equal(told.spki_len, len);
    assert_memory_equal(told.spki, spki, len);
    assert_int_equal(told.certificate_len, 0);
    OPENSSL_free(spki);
    told.log = -1;
    refuse(&w, SL_SIG_TLOG, "told so");
    told.log = 0;
    w.signature.rekor = NULL;
    refuse(&w, SL_SIG_TLOG, "no annotation dev.sigstore.cosign/bundle");
    w.signature.rekor = (char *)"";
    refuse(&w, SL_SIG_TLOG, "no annotation dev.sigstore.cosign/bundle");
    /* A log the policy wants and has no key of. */
    w.trust.n_logs = 0;
    struct sl_key_source source = {0};
    w.requirement.rekor_keys = (struct sl_key_sources){&source, 1};
    refuse(&w, SL_SIG_TLOG, "no annotation dev.sigstore.cosign/bundle");
    /* A key that did not sign is not asked about. */
    trust_log(&w);
    sl_public_key_done(&w.keys[0]);
    w.keys[0] = public_of(w.other);
    refuse(&w, SL_SIG_CRYPTO, "none of");
    assert_int_equal(told.n_log, 0);
}

static void trusted_root_wants_a_proof_of_time(void **state)
{
    (void)state;
    WORLD w;
    make_world(&w);
    w.trust.has_trusted_root = true;
    refuse(&w, SL_SIG_TIME, "nothing the policy trusts");
    w.signature.timestamp = (char *)"{\"SignedRFC3161Timestamp\":\"dG9rZW4=\"}";
    refuse(&w, SL_SIG_TIME, "nothing the policy trusts");
    w.trust.timestampers = &w.timestamper;
    w.trust.n_timestampers = 1;
    accept(&w);
    assert_int_equal(w.finding.signed_at, STAMPED);
    told.timestamp = -1;
    refuse(&w, SL_SIG_TIME, "told so");
    told.timestamp = 0;
    static const char *const bad[] = {"{",
                                      "{}",
                                      "[]",
                                      "{\"SignedRFC3161Timestamp\":1}",
                                      "{\"SignedRFC3161Timestamp\":\"dG9rZW4\"}",
                                      "{\"SignedRFC3161Timestamp\":\"dG9rZW4=\",\"x\":1}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        w.signature.timestamp = (char *)bad[i];
        refuse(&w, SL_SIG_TIME, "timestamp: ");
        assert_int_equal(told.n_timestamp, 0);
    }
    w.signature.timestamp = NULL;
    refuse(&w, SL_SIG_TIME, "nothing the policy trusts");
    trust_log(&w);
    accept(&w);
    assert_int_equal(w.finding.signed_at, LOGGED);
}

static void fulcio_wants_certificate_log_and_signature(void **state)
{
    (void)state;
    WORLD w;
    make_world(&w);
    trust_fulcio(&w);
    refuse(&w, SL_SIG_TIME, "nothing the policy trusts");
    trust_log(&w);
    accept(&w);
    assert_string_equal(w.finding.signed_name, FIXTURE_EMAIL);
    assert_int_equal(w.finding.signed_at, LOGGED);
    uint8_t *der = NULL;
    int len = i2d_X509(w.leaf, &der);
    assert_int_equal(told.certificate_len, len);
    assert_memory_equal(told.certificate, der, len);
    assert_int_equal(told.spki_len, 0);
    OPENSSL_free(der);
    told.log_time = NOW - 1;
    refuse(&w, SL_SIG_TIME, "not yet valid");
    told.log_time = NOW + 601;
    refuse(&w, SL_SIG_TIME, "expired");
    told.log_time = LOGGED;
    told.log = -1;
    refuse(&w, SL_SIG_TLOG, "told so");
    told.log = 0;
    w.signature.certificate = NULL;
    refuse(&w, SL_SIG_CERT, "no annotation dev.sigstore.cosign/certificate");
    w.signature.certificate = w.ca_pem;
    refuse(&w, SL_SIG_CRYPTO, "not signed by the certificate's key");
    w.signature.certificate = w.certificate;
    w.signature.chain = (char *)"junk";
    refuse(&w, SL_SIG_CERT, "certificate chain:");
    w.signature.chain = w.ca_pem;
    accept(&w);
    SL_AUTO_FREE char *two = sl_strf("%s%s", w.certificate, w.certificate);
    w.signature.certificate = two;
    refuse(&w, SL_SIG_CERT, "behind the PEM block");
    w.signature.certificate = w.certificate;
    w.requirement.subject_email = (char *)"other@example.com";
    refuse(&w, SL_SIG_IDENTITY, "not of");
    w.signature.signature = (char *)"AAAA";
    refuse(&w, SL_SIG_CRYPTO, "not signed by");
    assert_int_equal(told.n_log, 0);
}

/* Also where a key of the policy would have verified it. */
static void fulcio_does_without_keys(void **state)
{
    (void)state;
    WORLD w;
    make_world(&w);
    trust_fulcio(&w);
    trust_log(&w);
    w.trust.n_keys = 1;
    w.signature.certificate = NULL;
    refuse(&w, SL_SIG_CERT, "no annotation");
}

static void log_and_timestamp_must_both_fall_into_the_validity(void **state)
{
    (void)state;
    WORLD w;
    make_world(&w);
    trust_fulcio(&w);
    trust_log(&w);
    w.trust.timestampers = &w.timestamper;
    w.trust.n_timestampers = 1;
    w.signature.timestamp = (char *)"{\"SignedRFC3161Timestamp\":\"dG9rZW4=\"}";
    accept(&w);
    assert_int_equal(told.n_timestamp, 1);
    told.timestamp = -1;
    refuse(&w, SL_SIG_TIME, "told so");
}

static void own_pki_needs_no_log(void **state)
{
    (void)state;
    static const struct fixture_extension extensions[] = {
        {"subjectAltName", "DNS:host.example.com"}, {NULL, NULL}};
    WORLD w;
    make_world(&w);
    w.pki_leaf = fixture_cert("", w.key, &w.ca, NOW, time(NULL) + 600, extensions);
    SL_AUTO_DONE(sl_bytes) pem = fixture_cert_pem(w.pki_leaf);
    w.chain.certs = sk_X509_new_null();
    sk_X509_push(w.chain.certs, w.ca.cert);
    w.trust.pki_roots = w.chain.certs;
    w.requirement.has_pki = true;
    w.requirement.pki_hostname = (char *)"host.example.com";
    w.signature.certificate = (char *)pem.data;
    accept(&w);
    assert_string_equal(w.finding.signed_name, "host.example.com");
    assert_int_equal(w.finding.signed_at, 0);
    w.requirement.pki_hostname = (char *)"other.example.com";
    refuse(&w, SL_SIG_IDENTITY, "not of");
    w.signature.certificate = NULL;
    refuse(&w, SL_SIG_CERT, "no annotation");
}

static void without_trust_there_is_only_its_reason(void **state)
{
    (void)state;
    WORLD w;
    make_world(&w);
    w.requirement.trust = NULL;
    w.requirement.trust_code = SL_SIG_KEY_FETCH;
    (void)sl_error_set(&w.requirement.trust_problem, SL_E_SYSTEM, ENOENT, "key gone");
    refuse(&w, SL_SIG_KEY_FETCH, "key gone");
    w.requirement.trust_code = SL_SIG_OK;
    refuse(&w, SL_SIG_KEY_PARSE, "key gone");
    w.requirement.trust = &w.trust;
    w.signature.kind = SL_SIGNATURE_BUNDLE;
    refuse(&w, SL_SIG_UNSUPPORTED, "not a cosign signature");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_of_the_policy_is_enough),
        cmocka_unit_test(payload_decides_after_the_signature),
        cmocka_unit_test(signature_is_strict_base64),
        cmocka_unit_test(trusted_log_must_have_seen_the_key),
        cmocka_unit_test(trusted_root_wants_a_proof_of_time),
        cmocka_unit_test(fulcio_wants_certificate_log_and_signature),
        cmocka_unit_test(fulcio_does_without_keys),
        cmocka_unit_test(log_and_timestamp_must_both_fall_into_the_validity),
        cmocka_unit_test(own_pki_needs_no_log),
        cmocka_unit_test(without_trust_there_is_only_its_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
