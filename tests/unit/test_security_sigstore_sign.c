/* SPDX-License-Identifier: Apache-2.0 */
#include "sigstore_trust.h"

#include "sluice/sigstore_sign.h"

#include "assert_result.h"
#include "scratch_dir.h"
#include "sigstore_fixture.h"

#include "sluice/core/subprocess.h"

#include <sys/wait.h>

static const char data[] = "what is signed";

static struct sl_signing_key *parsed(const char *pem, const char *passphrase)
{
    struct sl_error err = {0};
    struct sl_signing_key *key = NULL;
    assert_done(sl_signing_key_parse(sl_span_of(pem), passphrase, &key, &err));
    return key;
}

static void write_bytes(const struct scratch_dir *dir, const char *name, struct sl_span bytes)
{
    SL_AUTO_FREE char *path = scratch_path(dir, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.data, 1, bytes.len, f), bytes.len);
    assert_int_equal(fclose(f), 0);
}

static bool run(const char *const *argv)
{
    struct sl_error err = {0};
    SL_AUTO_DONE(sl_subprocess_result) result = {0};
    const struct sl_subprocess process = {
        .argv = argv, .deadline_ms = 60000, .output_max = 65536, .errors_max = 4096};
    assert_done(sl_subprocess_run(&process, &result, &err));
    return WIFEXITED(result.status) && WEXITSTATUS(result.status) == 0;
}

/* The openssl program, which knows nothing of us. */
static bool openssl_verifies(const char *digest, const char *pub_pem, struct sl_span signature)
{
    SCRATCH_DIR dir = scratch_make();
    write_bytes(&dir, "pub", sl_span_of(pub_pem));
    write_bytes(&dir, "sig", signature);
    write_bytes(&dir, "data", sl_span_of(data));
    SL_AUTO_FREE char *pub = scratch_path(&dir, "pub");
    SL_AUTO_FREE char *sig = scratch_path(&dir, "sig");
    SL_AUTO_FREE char *in = scratch_path(&dir, "data");
    const char *hashed[] = {"openssl", "dgst", digest, "-verify", pub, "-signature", sig, in, NULL};
    const char *pure[] = {"openssl", "pkeyutl", "-verify", "-pubin",   "-inkey", pub,
                          "-rawin",  "-in",     in,        "-sigfile", sig,      NULL};
    return run(digest ? hashed : pure);
}

static void every_kind_signs_what_openssl_verifies(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *digest;
    } cases[] = {{"P-256", "-sha256"},
                 {"P-384", "-sha256"},
                 {"P-521", "-sha256"},
                 {"RSA2048", "-sha256"},
                 {"ED25519", NULL}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_error err = {0};
        EVP_PKEY *evp = fixture_key(cases[i].kind);
        SL_AUTO_DONE(sl_bytes) pem = fixture_private_pem(evp, i % 2 ? "pass" : NULL);
        SL_AUTO(sl_signing_key) key = parsed((char *)pem.data, i % 2 ? "pass" : NULL);
        SL_AUTO_DONE(sl_bytes) sig = {0};
        SL_AUTO_DONE(sl_bytes) der = {0};
        SL_AUTO_DONE(sl_bytes) want = fixture_public_pem(evp);
        SL_AUTO_FREE char *pub = NULL;
        struct sl_public_key public_key = {0};
        uint8_t id[32];
        assert_done(sl_signing_key_sign(key, sl_span_of(data), &sig, &err));
        assert_done(sl_signing_key_public_pem(key, &pub, &err));
        assert_done(sl_signing_key_public_der(key, &der, &err));
        assert_string_equal(pub, (char *)want.data);
        assert_true(openssl_verifies(cases[i].digest, pub, sl_bytes_span(&sig)));
        assert_done(sl_public_key_parse_der(sl_bytes_span(&der), &public_key, &err));
        sl_signing_key_id(key, id);
        assert_memory_equal(id, public_key.spki_sha256, sizeof(id));
        sl_public_key_done(&public_key);
        EVP_PKEY_free(evp);
    }
}

/* Made by cosign 3.1.3 and, with the costs of before, by go-securesystemslib 0.9.0. */
static void cosign_keys_open_with_their_passphrase(void **state)
{
    (void)state;
    static const struct {
        const char *key, *pub, *passphrase;
    } cases[] = {{VECTOR("cosign_3_sigstore.key"), VECTOR("cosign_3_sigstore.pub"), "sluice test"},
                 {VECTOR("securesystemslib_cosign_legacy.key"),
                  VECTOR("securesystemslib_cosign_legacy.pub"), ""}};
    for (size_t i = 0; i < 2; i++) {
        struct sl_error err = {0};
        SL_AUTO_DONE(sl_bytes) pem = fixture_read(cases[i].key);
        SL_AUTO_DONE(sl_bytes) want = fixture_read(cases[i].pub);
        SL_AUTO(sl_signing_key) key = parsed((char *)pem.data, cases[i].passphrase);
        SL_AUTO_DONE(sl_bytes) sig = {0};
        SL_AUTO_FREE char *pub = NULL;
        struct sl_signing_key *none = NULL;
        assert_done(sl_signing_key_public_pem(key, &pub, &err));
        assert_string_equal(pub, (char *)want.data);
        assert_done(sl_signing_key_sign(key, sl_span_of(data), &sig, &err));
        assert_true(openssl_verifies("-sha256", pub, sl_bytes_span(&sig)));
        assert_error(sl_signing_key_parse(sl_bytes_span(&pem), "other", &none, &err), EKEYREJECTED,
                     SL_E_AUTH, "wrong passphrase");
        assert_error(sl_signing_key_parse(sl_bytes_span(&pem), NULL, &none, &err), ENOKEY,
                     SL_E_AUTH, "needs a passphrase");
        assert_null(none);
    }
}

static void encrypted_pkcs8_needs_its_passphrase(void **state)
{
    (void)state;
    struct sl_error err = {0};
    struct sl_signing_key *none = NULL;
    EVP_PKEY *evp = fixture_key("P-256");
    SL_AUTO_DONE(sl_bytes) pem = fixture_private_pem(evp, "right");
    assert_error(sl_signing_key_parse(sl_bytes_span(&pem), "wrong", &none, &err), EKEYREJECTED,
                 SL_E_AUTH, "wrong passphrase");
    assert_error(sl_signing_key_parse(sl_bytes_span(&pem), NULL, &none, &err), ENOKEY, SL_E_AUTH,
                 "needs a passphrase");
    EVP_PKEY_free(evp);
}

/* A key file of cosign's around this JSON. */
static void refuse_json(const char *json, int errnum, enum sl_errc code, const char *part)
{
    struct sl_error err = {0};
    struct sl_signing_key *none = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio(bio, "ENCRYPTED SIGSTORE PRIVATE KEY", "", (const uint8_t *)json,
                              (long)strlen(json)) > 0);
    SL_AUTO_DONE(sl_bytes) pem = fixture_take_bio(bio);
    assert_error(sl_signing_key_parse(sl_bytes_span(&pem), "x", &none, &err), errnum, code, part);
}

#define KEY_JSON(kdf, params, salt, cipher, nonce, sealed)                                         \
    "{\"kdf\":{\"name\":\"" kdf "\",\"params\":{" params "},\"salt\":\"" salt                      \
    "\"},\"cipher\":{\"name\":\"" cipher "\",\"nonce\":\"" nonce "\"},\"ciphertext\":\"" sealed    \
    "\"}"
#define COSTS(n, r, p) "\"N\":" n ",\"r\":" r ",\"p\":" p
#define NONCE "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh"
#define SEALED "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh"

static void hostile_key_files_are_refused(void **state)
{
    (void)state;
    refuse_json("{", EBADMSG, SL_E_FORMAT, "not valid JSON");
    refuse_json("{}", EINVAL, SL_E_FORMAT, "name");
    refuse_json(
        KEY_JSON("pbkdf2", COSTS("32768", "8", "1"), "YWE=", "nacl/secretbox", NONCE, SEALED),
        ENOTSUP, SL_E_UNSUPPORTED, "pbkdf2");
    refuse_json(KEY_JSON("scrypt", COSTS("32768", "8", "1"), "YWE=", "aes", NONCE, SEALED), ENOTSUP,
                SL_E_UNSUPPORTED, "'aes'");
    static const char *const costs[] = {
        KEY_JSON("scrypt", COSTS("1073741824", "8", "1"), "YWE=", "nacl/secretbox", NONCE, SEALED),
        KEY_JSON("scrypt", COSTS("262144", "8", "1"), "YWE=", "nacl/secretbox", NONCE, SEALED),
        KEY_JSON("scrypt", COSTS("2", "8", "1"), "YWE=", "nacl/secretbox", NONCE, SEALED),
        KEY_JSON("scrypt", COSTS("40000", "8", "1"), "YWE=", "nacl/secretbox", NONCE, SEALED),
        KEY_JSON("scrypt", COSTS("-32768", "8", "1"), "YWE=", "nacl/secretbox", NONCE, SEALED),
        KEY_JSON("scrypt", COSTS("32768", "4096", "1"), "YWE=", "nacl/secretbox", NONCE, SEALED),
        KEY_JSON("scrypt", COSTS("32768", "8", "1000"), "YWE=", "nacl/secretbox", NONCE, SEALED),
    };
    for (size_t i = 0; i < sizeof(costs) / sizeof(costs[0]); i++)
        refuse_json(costs[i], ENOTSUP, SL_E_UNSUPPORTED, "other costs");
    refuse_json(
        KEY_JSON("scrypt", COSTS("32768", "8", "1"), "YWE=", "nacl/secretbox", "YWE=", SEALED),
        EBADMSG, SL_E_FORMAT, "a wrong size");
    refuse_json(KEY_JSON("scrypt", COSTS("32768", "8", "1"), "", "nacl/secretbox", NONCE, SEALED),
                EBADMSG, SL_E_FORMAT, "a wrong size");
    refuse_json(KEY_JSON("scrypt", COSTS("32768", "8", "1"), "YWE=", "nacl/secretbox", NONCE,
                         "YWFhYWFhYWFhYWFhYWFhYQ=="),
                EBADMSG, SL_E_FORMAT, "a wrong size");
    refuse_json(
        KEY_JSON("scrypt", COSTS("32768", "8", "1"), "YWE=", "nacl/secretbox", NONCE, SEALED),
        EKEYREJECTED, SL_E_AUTH, "wrong passphrase");
}

static void other_files_and_kinds_are_refused(void **state)
{
    (void)state;
    static const char *const kinds[] = {"secp256k1", "P-224", "RSA1024"};
    struct sl_error err = {0};
    struct sl_signing_key *none = NULL;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        EVP_PKEY *evp = fixture_key(kinds[i]);
        SL_AUTO_DONE(sl_bytes) pem = fixture_private_pem(evp, NULL);
        assert_error(sl_signing_key_parse(sl_bytes_span(&pem), NULL, &none, &err), ENOTSUP,
                     SL_E_UNSUPPORTED, "signing key: a");
        EVP_PKEY_free(evp);
    }
    EVP_PKEY *evp = fixture_key("P-256");
    SL_AUTO_DONE(sl_bytes) pub = fixture_public_pem(evp);
    assert_error(sl_signing_key_parse(sl_bytes_span(&pub), NULL, &none, &err), ENOTSUP,
                 SL_E_UNSUPPORTED, "'PUBLIC KEY'");
    assert_error(sl_signing_key_parse(sl_span_of("nothing\n"), NULL, &none, &err), EBADMSG,
                 SL_E_FORMAT, "no private key");
    assert_error(sl_signing_key_parse(
                     sl_span_of("-----BEGIN PRIVATE KEY-----\nYQ==\n-----END PRIVATE KEY-----\n"),
                     NULL, &none, &err),
                 EBADMSG, SL_E_FORMAT, "not a private key");
    EVP_PKEY_free(evp);
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_signs_what_openssl_verifies),
        cmocka_unit_test(cosign_keys_open_with_their_passphrase),
        cmocka_unit_test(encrypted_pkcs8_needs_its_passphrase),
        cmocka_unit_test(hostile_key_files_are_refused),
        cmocka_unit_test(other_files_and_kinds_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
