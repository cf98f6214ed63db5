/* SPDX-License-Identifier: Apache-2.0 */
/* Specs in, annotations out, and back with our own reader; others' readers are asked by the
 * integration tests. */
#include "recipients.h"

#include "key_vectors.h"

#include <openssl/pem.h>
#include <unistd.h>

#define PUBOPTS "org.opencontainers.image.enc.pubopts"
#define KEYS "org.opencontainers.image.enc.keys."
#define RSA_KEY VECTOR("ocicrypt_rsa2048_pkcs1.der")
#define CERT SL_TEST_DATA "/keys/rsa_certificate.pem"
#define CERT_KEY SL_TEST_DATA "/keys/rsa_pkcs8.pem"
#define JWK SL_TEST_DATA "/keys/p521.jwk"
#define JWK_KEY SL_TEST_DATA "/keys/p521_pkcs8.pem"
#define L1_PLBCO VECTOR("ocicrypt_l1_plbco.json")

static int has_no_provider(void *arg, const char *name, const char *params, struct sl_span plbco,
                           struct sl_bytes *ret, struct sl_error *err)
{
    (void)arg, (void)params, (void)plbco, (void)ret;
    return sl_error_set(err, SL_E_NETWORK, ECONNREFUSED, "%s does not answer", name);
}

/* Answers with its name and parameters. */
static int echo(void *arg, const char *name, const char *params, struct sl_span plbco,
                struct sl_bytes *ret, struct sl_error *err)
{
    (void)arg;
    assert_int_equal(plbco.len, 193);
    SL_AUTO_FREE char *text = sl_strf("%s|%s", name, params);
    return sl_bytes_append(ret, sl_span_of(text), 1024, err);
}

static bool has_all_but_native(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "attestation-agent") != 0;
}

static bool has_all(void *arg, const char *name)
{
    (void)arg, (void)name;
    return true;
}

static struct sl_recipients *recipients_of(const char *const *specs)
{
    struct sl_recipients *recipients = NULL;
    assert_ok(sl_recipients_new(&recipients, NULL));
    sl_recipients_allow_sample(recipients, true);
    sl_recipients_set_provider(recipients, echo, has_all_but_native, NULL);
    for (; *specs; specs++)
        assert_ok(sl_recipients_add_spec(recipients, *specs, NULL));
    return recipients;
}

static const char *value_of(const struct sl_annotations *list, const char *name)
{
    const char *value = NULL;
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->pairs[i].name, name) != 0)
            continue;
        assert_null(value);
        value = list->pairs[i].value;
    }
    return value;
}

static void assert_opens(const struct sl_annotations *list, const char *key, const char *protocol)
{
    SL_AUTO(sl_enc_annotations) a = NULL;
    SL_AUTO(sl_key_ring) ring = NULL;
    struct sl_bytes plbco = {0};
    struct sl_unwrapped how;
    struct sl_wrapped_key_info info;
    char *want = read_text(L1_PLBCO);
    assert_ok(sl_enc_annotations_parse(list->pairs, list->n, &a, NULL));
    assert_ok(sl_key_ring_new(&ring, NULL));
    assert_ok(sl_key_ring_add_spec(ring, key, NULL));
    assert_ok(sl_key_ring_unwrap_plbco(ring, a, &plbco, &how, NULL));
    assert_string_equal((char *)plbco.data, want);
    assert_int_equal(sl_enc_annotations_info(a, how.index, &info, NULL), 1);
    assert_string_equal(info.protocol, protocol);
    sl_bytes_wipe(&plbco);
    free(want);
}

static int annotate(const struct sl_recipients *recipients, const struct sl_pair *others, size_t n,
                    struct sl_annotations *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) hmac = {0};
    SL_AUTO_DONE(sl_bytes) plbco = read_vector(L1_PLBCO);
    assert_ok(
        sl_base64_decode(sl_span_of("Wrp1UnDl0WP2mecxNHAT9/+ivd4cR92ZgIZYpOkXuK4="), &hmac, NULL));
    return sl_recipients_annotate(recipients, sl_bytes_span(&plbco), hmac.data, others, n, ret,
                                  err);
}

static void layer_is_annotated_for_all_protocols(void **state)
{
    (void)state;
    static const char *const specs[] = {
        "jwe:" JWK,       "pkcs7:" CERT, "provider:attestation-agent:sample=true",
        "provider:x:a:b", "provider:x",  NULL};
    SL_AUTO(sl_recipients) recipients = recipients_of(specs);
    SL_AUTO_DONE(sl_annotations) list = {0};
    SL_AUTO_FREE char *pubopts = read_text(VECTOR("ocicrypt_l1_pubopts.b64"));
    SL_AUTO_FREE char *packet = read_text(VECTOR("coco_packet_w1_sample.b64"));
    struct sl_pair other = {(char *)"org.example.kept", (char *)"yes"};
    assert_int_equal(sl_recipients_count(recipients), 5);
    assert_ok(annotate(recipients, &other, 1, &list, NULL));
    assert_int_equal(list.n, 6);
    assert_string_equal(value_of(&list, "org.example.kept"), "yes");
    assert_string_equal(value_of(&list, PUBOPTS), pubopts);
    assert_string_equal(value_of(&list, KEYS "provider.attestation-agent"), packet);
    assert_string_equal(value_of(&list, KEYS "provider.x"), "eHxhOmI=,eHxFbmFibGVk");
    assert_opens(&list, JWK_KEY, "jwe");
    /* The JWE is tried first; its key is that of the certificate. */
    static const char *const pkcs7[] = {"pkcs7:" CERT, NULL};
    SL_AUTO(sl_recipients) only = recipients_of(pkcs7);
    SL_AUTO_DONE(sl_annotations) small = {0};
    assert_ok(annotate(only, NULL, 0, &small, NULL));
    assert_opens(&small, CERT_KEY, "pkcs7");
}

static void recipients_are_appended_and_nothing_else_changes(void **state)
{
    (void)state;
    static const char *const specs[] = {"jwe:" JWK, "provider:x:1", NULL};
    SL_AUTO(sl_recipients) recipients = recipients_of(specs);
    SL_AUTO_DONE(sl_annotations) list = {0};
    SL_AUTO_DONE(sl_bytes) plbco = read_vector(L1_PLBCO);
    SL_AUTO_FREE char *pubopts = read_text(VECTOR("ocicrypt_l1_pubopts.b64"));
    const struct sl_pair before[] = {{(char *)KEYS "provider.x", (char *)"b2xk"},
                                     {(char *)"org.example.kept", (char *)"yes"},
                                     {(char *)PUBOPTS, pubopts}};
    assert_ok(sl_recipients_append(recipients, sl_bytes_span(&plbco), before, 3, &list, NULL));
    assert_int_equal(list.n, 4);
    assert_string_equal(value_of(&list, KEYS "provider.x"), "b2xk,eHwx");
    assert_string_equal(value_of(&list, "org.example.kept"), "yes");
    assert_string_equal(value_of(&list, PUBOPTS), pubopts);
    assert_opens(&list, JWK_KEY, "jwe");

    SL_AUTO_DONE(sl_annotations) plain = {0};
    assert_ok(sl_annotations_without_encryption(list.pairs, list.n, &plain, NULL));
    assert_int_equal(plain.n, 1);
    assert_string_equal(value_of(&plain, "org.example.kept"), "yes");

    struct sl_error err = {0};
    SL_AUTO_DONE(sl_annotations) none = {0};
    assert_fails(annotate(recipients, before, 3, &none, &err), EBADMSG, err, SL_E_FORMAT);
    assert_contains(err.msg, "already");
    assert_fails(sl_recipients_append(recipients, sl_bytes_span(&plbco), before, 2, &none, &err),
                 EBADMSG, err, SL_E_FORMAT);
    assert_contains(err.msg, "pubopts is missing");
    assert_null(none.pairs);
}

/* What the reader would refuse is not written. */
static void more_elements_than_a_reader_takes_are_refused(void **state)
{
    (void)state;
    static const char *const specs[] = {"provider:x", NULL};
    SL_AUTO(sl_recipients) recipients = recipients_of(specs);
    SL_AUTO_DONE(sl_annotations) list = {0};
    SL_AUTO_DONE(sl_bytes) plbco = read_vector(L1_PLBCO);
    SL_AUTO_FREE char *pubopts = read_text(VECTOR("ocicrypt_l1_pubopts.b64"));
    struct sl_bytes elements = {0};
    struct sl_error err = {0};
    assert_ok(sl_bytes_append(&elements, sl_span_of("AAAA"), 1024, NULL));
    for (int i = 1; i < 64; i++)
        assert_ok(sl_bytes_append(&elements, sl_span_of(",AAAA"), 1024, NULL));
    const struct sl_pair before[] = {{(char *)KEYS "pgp", (char *)elements.data},
                                     {(char *)PUBOPTS, pubopts}};
    assert_fails(sl_recipients_append(recipients, sl_bytes_span(&plbco), before, 2, &list, &err),
                 E2BIG, err, SL_E_LIMIT);
    sl_bytes_done(&elements);
}

static void specs_with_mistakes_are_told_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        int errnum;
        enum sl_errc code;
        const char *why;
    } cases[] = {
        {"", EINVAL, SL_E_FORMAT, "should begin with jwe:"},
        {"/some/key.pem", EINVAL, SL_E_FORMAT, "should begin with jwe:"},
        {"JWE:x", EINVAL, SL_E_FORMAT, "should begin with jwe:"},
        {"jwe:", EINVAL, SL_E_FORMAT, "nothing follows jwe:"},
        {"jwe:/nonexistent", ENOENT, SL_E_SYSTEM, "/nonexistent"},
        {"jwe:" L1_PLBCO, EBADMSG, SL_E_FORMAT, "JWK: no kty"},
        {"jwe:" CERT, EBADMSG, SL_E_FORMAT, "not a public key"},
        {"pkcs7:" RSA_KEY, EBADMSG, SL_E_FORMAT, "not a certificate"},
        {"provider::x", EINVAL, SL_E_FORMAT, "without a name"},
        {"provider:attestation-agent", EINVAL, SL_E_FORMAT, "is not NAME=VALUE"},
        {"provider:attestation-agent:keyid=/a/b/c", ENOKEY, SL_E_AUTH, "--kbc"},
        {"provider:attestation-agent:keyid=/a/b/c::keypath=/nonexistent", ENOENT, SL_E_SYSTEM,
         "/nonexistent"},
        {"provider:attestation-agent:keyid=/a/b/c::keypath=/k::algorithm=A256CTR", EPERM,
         SL_E_POLICY, "A256CTR"},
    };
    SL_AUTO(sl_recipients) recipients = recipients_of((const char *const[]){NULL});
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_error err = {0};
        int r = sl_recipients_add_spec(recipients, cases[i].spec, &err);
        assert_contains(err.msg, cases[i].why);
        assert_fails(r, cases[i].errnum, err, cases[i].code);
    }
    assert_int_equal(sl_recipients_count(recipients), 0);
    struct sl_error err = {0};
    SL_AUTO_DONE(sl_annotations) list = {0};
    assert_fails(annotate(recipients, NULL, 0, &list, &err), EINVAL, err, SL_E_FORMAT);
    for (int i = 0; i < SL_RECIPIENTS_MAX; i++)
        assert_ok(sl_recipients_add_spec(recipients, "provider:x", NULL));
    assert_fails(sl_recipients_add_spec(recipients, "provider:x", &err), E2BIG, err, SL_E_LIMIT);
    sl_recipients_allow_sample(recipients, false);
}

static void sample_and_unknown_providers_are_refused(void **state)
{
    (void)state;
    struct sl_error err = {0};
    SL_AUTO(sl_recipients) recipients = NULL;
    assert_ok(sl_recipients_new(&recipients, NULL));
    assert_fails(sl_recipients_add_spec(recipients, "provider:attestation-agent:sample=true", &err),
                 EPERM, err, SL_E_POLICY);
    assert_fails(sl_recipients_add_spec(recipients, "provider:x:y", &err), ENOKEY, err, SL_E_AUTH);
    assert_contains(err.msg, "provider x: this key provider is not configured: set "
                             "OCICRYPT_KEYPROVIDER_CONFIG");
}

static void configured_provider_is_asked_and_its_failure_told(void **state)
{
    (void)state;
    struct sl_error err = {0};
    SL_AUTO_DONE(sl_annotations) list = {0};
    SL_AUTO(sl_recipients) recipients = NULL;
    assert_ok(sl_recipients_new(&recipients, NULL));
    sl_recipients_set_provider(recipients, echo, has_all, NULL);
    assert_ok(sl_recipients_add_spec(recipients, "provider:attestation-agent:sample=true", NULL));
    assert_ok(annotate(recipients, NULL, 0, &list, NULL));
    assert_string_equal(value_of(&list, KEYS "provider.attestation-agent"),
                        "YXR0ZXN0YXRpb24tYWdlbnR8c2FtcGxlPXRydWU=");
    sl_annotations_done(&list);
    sl_recipients_set_provider(recipients, has_no_provider, has_all, NULL);
    assert_fails(annotate(recipients, NULL, 0, &list, &err), ECONNREFUSED, err, SL_E_NETWORK);
    assert_string_equal(err.msg, "provider attestation-agent: attestation-agent does not answer");
    assert_null(list.pairs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layer_is_annotated_for_all_protocols),
        cmocka_unit_test(recipients_are_appended_and_nothing_else_changes),
        cmocka_unit_test(more_elements_than_a_reader_takes_are_refused),
        cmocka_unit_test(specs_with_mistakes_are_told_at_once),
        cmocka_unit_test(sample_and_unknown_providers_are_refused),
        cmocka_unit_test(configured_provider_is_asked_and_its_failure_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
