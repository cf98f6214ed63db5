/* SPDX-License-Identifier: Apache-2.0 */
#include "sigstore_trust.h"

#include "assert_result.h"
#include "sigstore_fixture.h"

enum { NOW = 1700000000, YEAR = 365 * 24 * 3600 };

/* A trusted root that has one CA and one log of each kind; or is a bad one. */
static X509 *root_of_root;
static bool root_is_bad;

int __wrap_sl_trusted_root_parse(struct sl_span json, struct sl_sigstore_trust *trust,
                                 struct sl_error *err);
int __wrap_sl_trusted_root_parse(struct sl_span json, struct sl_sigstore_trust *trust,
                                 struct sl_error *err)
{
    assert_int_equal(json.len, 2);
    if (root_is_bad)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "told so");
    /* It may count on empty lists. */
    assert_int_equal(trust->n_authorities + trust->n_logs + trust->n_ct_logs, 0);
    trust->authorities = calloc(1, sizeof(*trust->authorities));
    trust->n_authorities = 1;
    trust->authorities[0].certs = sk_X509_new_null();
    X509_up_ref(root_of_root);
    sk_X509_push(trust->authorities[0].certs, root_of_root);
    trust->logs = calloc(1, sizeof(*trust->logs));
    trust->n_logs = 1;
    trust->logs[0].key.key = fixture_key("P-256");
    trust->logs[0].host = strdup("rekor.example");
    trust->ct_logs = calloc(1, sizeof(*trust->ct_logs));
    trust->n_ct_logs = 1;
    trust->ct_logs[0].key.key = fixture_key("P-256");
    trust->ct_logs[0].host = strdup("ct.example");
    trust->timestampers = calloc(1, sizeof(*trust->timestampers));
    trust->n_timestampers = 1;
    trust->timestampers[0].certs = sk_X509_new_null();
    trust->has_trusted_root = true;
    return 0;
}

struct material {
    struct sl_bytes key_pem, other_pem, bad_pem, ca_pem, two_ca_pem, json;
    struct fixture_ca ca, other_ca;
    uint8_t spki[32];
};

static void make_material(struct material *m)
{
    struct sl_error err = {0};
    struct sl_public_key parsed = {0};
    EVP_PKEY *key = fixture_key("P-256");
    EVP_PKEY *other = fixture_key("ED25519");
    EVP_PKEY *bad = fixture_key("P-224");
    memset(m, 0, sizeof(*m));
    m->key_pem = fixture_public_pem(key);
    m->other_pem = fixture_public_pem(other);
    m->bad_pem = fixture_public_pem(bad);
    m->ca = fixture_make_ca("one", NULL, NOW, NOW + YEAR, NULL);
    m->other_ca = fixture_make_ca("two", NULL, NOW, NOW + YEAR, NULL);
    m->ca_pem = fixture_cert_pem(m->ca.cert);
    m->two_ca_pem = fixture_cert_pem(m->ca.cert);
    SL_AUTO_DONE(sl_bytes) second = fixture_cert_pem(m->other_ca.cert);
    assert_done(sl_bytes_append(&m->two_ca_pem, sl_bytes_span(&second), 1 << 20, &err));
    assert_done(sl_bytes_append(&m->json, sl_span_of("{}"), 2, &err));
    assert_done(sl_public_key_parse_pem(sl_bytes_span(&m->key_pem), &parsed, &err));
    memcpy(m->spki, parsed.spki_sha256, 32);
    sl_public_key_done(&parsed);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    EVP_PKEY_free(bad);
    root_of_root = m->other_ca.cert;
    root_is_bad = false;
}

static void done_material(struct material *m)
{
    sl_bytes_done(&m->key_pem);
    sl_bytes_done(&m->other_pem);
    sl_bytes_done(&m->bad_pem);
    sl_bytes_done(&m->ca_pem);
    sl_bytes_done(&m->two_ca_pem);
    sl_bytes_done(&m->json);
    fixture_ca_done(&m->ca);
    fixture_ca_done(&m->other_ca);
}
#define MATERIAL __attribute__((cleanup(done_material))) struct material

static struct sl_key_source source_of(const char *name, struct sl_bytes bytes)
{
    return (struct sl_key_source){.name = (char *)name, .bytes = bytes};
}

static void refuse(const struct sl_requirement *q, enum sl_signature_code want, int errnum,
                   enum sl_errc errc, const char *part)
{
    struct sl_error err = {0};
    struct sl_sigstore_trust *trust = NULL;
    enum sl_signature_code code = SL_SIG_OK;
    assert_error(sl_sigstore_trust_open(q, &trust, &code, &err), errnum, errc, part);
    assert_int_equal(code, want);
    assert_null(trust);
}

static struct sl_sigstore_trust *opened(const struct sl_requirement *q)
{
    struct sl_error err = {0};
    struct sl_sigstore_trust *trust = NULL;
    enum sl_signature_code code = SL_SIG_OK;
    assert_done(sl_sigstore_trust_open(q, &trust, &code, &err));
    assert_int_equal(code, SL_SIG_OK);
    return trust;
}

static void keys_and_logs_are_parsed(void **state)
{
    (void)state;
    MATERIAL m;
    make_material(&m);
    struct sl_key_source keys[] = {source_of("/a", m.key_pem), source_of("/b", m.other_pem)};
    struct sl_key_source log = source_of(NULL, m.key_pem);
    const struct sl_requirement q = {
        .keys = {keys, 2}, .rekor_keys = {&log, 1}, .ct_keys = {&log, 1}};
    struct sl_sigstore_trust *trust = opened(&q);
    assert_int_equal(trust->n_keys, 2);
    assert_int_equal(trust->n_logs, 1);
    assert_int_equal(trust->n_ct_logs, 1);
    assert_memory_equal(trust->keys[0].spki_sha256, m.spki, 32);
    assert_memory_equal(trust->logs[0].id, m.spki, 32);
    assert_memory_equal(trust->ct_logs[0].id, m.spki, 32);
    assert_true(sl_validity_has(&trust->logs[0].valid, INT64_MIN));
    assert_true(sl_validity_has(&trust->logs[0].valid, INT64_MAX));
    assert_null(trust->logs[0].host);
    assert_false(trust->has_trusted_root);
    sl_sigstore_trust_free(trust);
}

static void one_bad_piece_fails_it_all(void **state)
{
    (void)state;
    MATERIAL m;
    make_material(&m);
    struct sl_key_source keys[] = {source_of("/a", m.key_pem), source_of("/b.pub", m.bad_pem)};
    struct sl_key_source ca = source_of("/ca.pem", m.ca_pem);
    struct sl_requirement q = {.keys = {keys, 2}};
    refuse(&q, SL_SIG_UNSUPPORTED, ENOTSUP, SL_E_UNSUPPORTED,
           "public key /b.pub: a key of kind EC");
    keys[1] = source_of("/cert.pem", m.ca_pem);
    refuse(&q, SL_SIG_KEY_PARSE, EBADMSG, SL_E_FORMAT, "'CERTIFICATE'");
    keys[1] = source_of(NULL, (struct sl_bytes){0});
    refuse(&q, SL_SIG_KEY_PARSE, EBADMSG, SL_E_FORMAT, "public key in the policy: no PEM block");
    keys[1] = source_of("/gone", (struct sl_bytes){0});
    keys[1].is_unreadable = true;
    (void)sl_error_set(&keys[1].problem, SL_E_AUTH, EACCES, "the broker says no");
    refuse(&q, SL_SIG_KEY_FETCH, EACCES, SL_E_AUTH, "the broker says no");
    struct sl_key_source bad = keys[1];
    q.keys.n = 1;
    q.rekor_keys = (struct sl_key_sources){&bad, 1};
    refuse(&q, SL_SIG_KEY_FETCH, EACCES, SL_E_AUTH, "Rekor key /gone");
    q.rekor_keys = (struct sl_key_sources){&ca, 1};
    refuse(&q, SL_SIG_KEY_PARSE, EBADMSG, SL_E_FORMAT, "Rekor key /ca.pem");
    q.rekor_keys.n = 0;
    q.ct_keys = (struct sl_key_sources){&ca, 1};
    refuse(&q, SL_SIG_KEY_PARSE, EBADMSG, SL_E_FORMAT, "certificate log key");
    q.ct_keys.n = 0;
    root_is_bad = true;
    struct sl_key_source root = source_of("/root.json", m.json);
    q.trusted_root = (struct sl_key_sources){&root, 1};
    refuse(&q, SL_SIG_KEY_PARSE, EBADMSG, SL_E_FORMAT, "trusted root /root.json: told so");
}

static void somebody_must_be_trusted(void **state)
{
    (void)state;
    MATERIAL m;
    make_material(&m);
    struct sl_key_source key = source_of("/a", m.key_pem);
    struct sl_requirement q = {0};
    refuse(&q, SL_SIG_KEY_PARSE, EBADMSG, SL_E_FORMAT, "neither a key nor a CA");
    q.keys = (struct sl_key_sources){&key, 1};
    q.has_fulcio = true;
    refuse(&q, SL_SIG_KEY_PARSE, EBADMSG, SL_E_FORMAT, "neither a key nor a CA");
    q.has_fulcio = false;
    q.has_pki = true;
    refuse(&q, SL_SIG_KEY_PARSE, EBADMSG, SL_E_FORMAT, "neither a key nor a CA");
}

static void each_ca_of_fulcio_is_an_authority(void **state)
{
    (void)state;
    MATERIAL m;
    make_material(&m);
    struct sl_key_source ca = source_of("/ca", m.two_ca_pem);
    struct sl_requirement q = {.has_fulcio = true, .fulcio_ca = {&ca, 1}};
    struct sl_sigstore_trust *trust = opened(&q);
    assert_int_equal(trust->n_authorities, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(sk_X509_num(trust->authorities[i].certs), 1);
        assert_true(sl_validity_has(&trust->authorities[i].valid, INT64_MIN));
        assert_true(sl_validity_has(&trust->authorities[i].valid, INT64_MAX));
    }
    sl_sigstore_trust_free(trust);
    ca = source_of("/key", m.key_pem);
    refuse(&q, SL_SIG_KEY_PARSE, EBADMSG, SL_E_FORMAT, "Fulcio CA /key");
}

static void keys_of_the_policy_replace_those_of_the_trusted_root(void **state)
{
    (void)state;
    MATERIAL m;
    make_material(&m);
    struct sl_key_source ca = source_of("/ca", m.ca_pem);
    struct sl_key_source root = source_of("/root.json", m.json);
    struct sl_key_source log = source_of("/log", m.key_pem);
    struct sl_requirement q = {
        .has_fulcio = true, .trusted_root = {&root, 1}, .rekor_keys = {&log, 1}};
    struct sl_sigstore_trust *trust = opened(&q);
    assert_true(trust->has_trusted_root);
    assert_int_equal(trust->n_authorities, 1);
    assert_int_equal(X509_cmp(sk_X509_value(trust->authorities[0].certs, 0), m.other_ca.cert), 0);
    assert_int_equal(trust->n_logs, 1);
    assert_memory_equal(trust->logs[0].id, m.spki, 32);
    assert_int_equal(trust->n_ct_logs, 1);
    assert_string_equal(trust->ct_logs[0].host, "ct.example");
    sl_sigstore_trust_free(trust);
    q.rekor_keys.n = 0;
    q.ct_keys = (struct sl_key_sources){&log, 1};
    trust = opened(&q);
    assert_int_equal(trust->n_logs, 1);
    assert_string_equal(trust->logs[0].host, "rekor.example");
    assert_int_equal(trust->n_ct_logs, 1);
    assert_memory_equal(trust->ct_logs[0].id, m.spki, 32);
    assert_int_equal(trust->n_timestampers, 1);
    sl_sigstore_trust_free(trust);
    q.fulcio_ca = (struct sl_key_sources){&ca, 1};
    trust = opened(&q);
    assert_int_equal(trust->n_authorities, 1);
    assert_int_equal(X509_cmp(sk_X509_value(trust->authorities[0].certs, 0), m.ca.cert), 0);
    sl_sigstore_trust_free(trust);
}

static void pki_has_roots_and_intermediates(void **state)
{
    (void)state;
    MATERIAL m;
    make_material(&m);
    struct sl_key_source roots[] = {source_of("/r1", m.two_ca_pem), source_of("/r2", m.ca_pem)};
    struct sl_key_source middle = source_of("/m", m.ca_pem);
    struct sl_requirement q = {
        .has_pki = true, .pki_roots = {roots, 2}, .pki_intermediates = {&middle, 1}};
    struct sl_sigstore_trust *trust = opened(&q);
    assert_int_equal(sk_X509_num(trust->pki_roots), 3);
    assert_int_equal(sk_X509_num(trust->pki_intermediates), 1);
    sl_sigstore_trust_free(trust);
    middle = source_of("/m", m.key_pem);
    refuse(&q, SL_SIG_KEY_PARSE, EBADMSG, SL_E_FORMAT, "CA intermediates /m");
    assert_null(sl_sigstore_trust_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_logs_are_parsed),
        cmocka_unit_test(one_bad_piece_fails_it_all),
        cmocka_unit_test(somebody_must_be_trusted),
        cmocka_unit_test(each_ca_of_fulcio_is_an_authority),
        cmocka_unit_test(keys_of_the_policy_replace_those_of_the_trusted_root),
        cmocka_unit_test(pki_has_roots_and_intermediates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
