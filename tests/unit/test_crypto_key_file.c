/* SPDX-License-Identifier: Apache-2.0 */
/* The key files were made with the openssl tool, the JWKs with python3-cryptography; all hold the
 * keys of the JWE vectors, so that "read correctly" means "opens the vector". */
#include "key_file.h"
#include "key_ring.h"

#include "key_vectors.h"
#include "unwrap_element.h"

#include <unistd.h>

#define FILES SL_TEST_DATA "/keys/"

static int opens_j2(const char *spec, struct sl_error *err)
{
    SL_AUTO(sl_key_ring) ring = NULL;
    assert_ok(sl_key_ring_new(&ring, NULL));
    int r = sl_key_ring_add_spec(ring, spec, err);
    if (r < 0)
        return r;
    struct sl_layer_key key = {0};
    char *text = read_text(VECTOR("ocicrypt_jwe_general_rsa_and_p521.json"));
    assert_ok(unwrap_element(sl_unwrap_jwe, ring, sl_span_of(text), &key, NULL));
    assert_same_key(&key, VECTOR("ocicrypt_jwe_general_rsa_and_p521_plbco.json"));
    free(text);
    return 0;
}

static void private_key_in_every_form_is_read(void **state)
{
    (void)state;
    static const char *const specs[] = {
        FILES "rsa_pkcs1.pem",
        FILES "rsa_pkcs8.pem",
        FILES "rsa_pkcs8.der",
        FILES "rsa.jwk",
        FILES "rsa_without_factors.jwk",
        FILES "rsa_certificate_and_key.pem",
        FILES "p521_sec1.pem",
        FILES "p521_pkcs8.pem",
        FILES "p521.jwk",
        VECTOR("ocicrypt_rsa2048_pkcs1.der"),
        VECTOR("ocicrypt_p521_sec1.der"),
    };
    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++)
        assert_ok(opens_j2(specs[i], NULL));
}

static void password_in_every_syntax_opens_the_key(void **state)
{
    (void)state;
    static const char *const specs[] = {
        FILES "rsa_rfc1423_password_secret.pem:pass=secret",
        FILES "rsa_pkcs8_password_secret.pem:secret",
        FILES "rsa_pkcs8_password_secret.der:pass=secret",
        FILES "p521_rfc1423_password_secret.pem:file=" FILES "password_secret.txt",
        FILES "rsa_pkcs8.pem:pass=not-needed",
    };
    for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++)
        assert_ok(opens_j2(specs[i], NULL));
    int fds[2];
    assert_ok(pipe(fds));
    assert_int_equal(write(fds[1], "secret\n", 7), 7);
    close(fds[1]);
    char *spec = sl_strf(FILES "rsa_pkcs8_password_secret.pem:fd=%d", fds[0]);
    assert_ok(opens_j2(spec, NULL));
    close(fds[0]);
    free(spec);
}

static void password_wrong_or_missing_is_told_without_quoting_it(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        int errnum;
        enum sl_errc code;
        const char *text;
    } cases[] = {
        {FILES "rsa_rfc1423_password_secret.pem", ENOKEY, SL_E_AUTH, "needs a password"},
        {FILES "rsa_pkcs8_password_secret.der", ENOKEY, SL_E_AUTH, "needs a password"},
        {FILES "rsa_rfc1423_password_secret.pem:pass=hunter2", EKEYREJECTED, SL_E_AUTH, "wrong"},
        {FILES "rsa_pkcs8_password_secret.pem:hunter2", EKEYREJECTED, SL_E_AUTH, "wrong"},
        {FILES "rsa_pkcs8_password_secret.pem:fd=hunter2", EINVAL, SL_E_FORMAT, "number"},
        {FILES "rsa_pkcs8_password_secret.pem:file=/nonexistent", ENOENT, SL_E_SYSTEM,
         "/nonexistent"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_error err = {0};
        int r = opens_j2(cases[i].spec, &err);
        assert_contains(err.msg, cases[i].text);
        assert_fails(r, cases[i].errnum, err, cases[i].code);
        assert_null(strstr(err.msg, "hunter2"));
    }
}

static void file_of_no_use_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        int errnum;
        enum sl_errc code;
        const char *text;
    } cases[] = {
        {"/nonexistent/key.pem", ENOENT, SL_E_SYSTEM, "/nonexistent/key.pem"},
        {FILES "password_secret.txt", EBADMSG, SL_E_FORMAT, "neither a private key"},
        {FILES "ed25519_pkcs8.pem", ENOTSUP, SL_E_UNSUPPORTED, "ED25519"},
        {FILES "pkcs11.yaml", ENOENT, SL_E_AUTH, "no PKCS#11 module fits module-name=softhsm2"},
        {VECTOR("ocicrypt_l1_plbco.json"), EBADMSG, SL_E_FORMAT, "no kty"},
    };
    assert_ok(setenv("OCICRYPT_CONFIG", FILES "ocicrypt_nothing_allowed.conf", 1));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_error err = {0};
        int r = opens_j2(cases[i].spec, &err);
        assert_contains(err.msg, cases[i].text);
        assert_fails(r, cases[i].errnum, err, cases[i].code);
    }
}

static void bytes_of_openpgp_are_kept_if_secret(void **state)
{
    (void)state;
    static const char *const secret[] = {"-----BEGIN PGP PRIVATE KEY BLOCK-----\n", "\x95\x01\x02",
                                         "\xc5\x01\x02"};
    static const char *const public[] = {"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", "\x99\x01\x02",
                                         "\xc6\x01\x02"};
    SL_AUTO(sl_key_ring) ring = NULL;
    assert_ok(sl_key_ring_new(&ring, NULL));
    for (size_t i = 0; i < 3; i++) {
        struct sl_error err = {0};
        assert_ok(sl_key_bytes_add(ring, sl_span_of(secret[i]), "secret", NULL));
        assert_fails(sl_key_bytes_add(ring, sl_span_of(public[i]), NULL, &err), ENOKEY, err,
                     SL_E_AUTH);
        assert_contains(err.msg, "OpenPGP public key");
    }
    assert_int_equal(ring->n_pgp, 3);
    assert_int_equal(ring->pgp[2]->len, 3);
    assert_memory_equal(ring->pgp[2]->packets, secret[2], 3);
    assert_string_equal(ring->pgp[2]->passphrase, "secret");
}

static void certificates_are_read_in_both_forms(void **state)
{
    (void)state;
    SL_AUTO(sl_key_ring) ring = NULL;
    assert_ok(sl_key_ring_new(&ring, NULL));
    assert_ok(sl_key_ring_add_spec(ring, FILES "rsa_certificate.pem", NULL));
    assert_int_equal(ring->n_certs, 1);
    assert_ok(sl_key_ring_add_spec(ring, FILES "rsa_certificate.der", NULL));
    assert_int_equal(ring->n_certs, 2);
    assert_int_equal(ring->n_keys, 0);
    assert_ok(sl_key_ring_add_spec(ring, FILES "rsa_certificate_and_key.pem", NULL));
    assert_int_equal(ring->n_certs, 3);
    assert_int_equal(ring->n_keys, 1);
    assert_int_equal(X509_cmp(ring->certs[0], ring->certs[1]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(private_key_in_every_form_is_read),
        cmocka_unit_test(password_in_every_syntax_opens_the_key),
        cmocka_unit_test(password_wrong_or_missing_is_told_without_quoting_it),
        cmocka_unit_test(file_of_no_use_is_refused_by_name),
        cmocka_unit_test(bytes_of_openpgp_are_kept_if_secret),
        cmocka_unit_test(certificates_are_read_in_both_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
