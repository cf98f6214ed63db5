/* SPDX-License-Identifier: Apache-2.0 */
#include "sigstore_trust.h"

#include "sluice/sigstore_sign.h"

#include "openssl_program.h"
#include "sigstore_fixture.h"

#include <sodium.h>

static const char data[] = "what is signed";

static struct sl_signing_key *parsed(const char *pem, const char *passphrase)
{
    struct sl_error err = {0};
    struct sl_signing_key *key = NULL;
    assert_done(sl_signing_key_parse(sl_span_of(pem), passphrase, &key, &err));
    return key;
}

static bool openssl_verifies(const char *digest, const char *pub_pem, struct sl_span signature)
{
    SCRATCH_DIR dir = scratch_make();
    scratch_write_bytes(&dir, "pub", sl_span_of(pub_pem));
    scratch_write_bytes(&dir, "sig", signature);
    scratch_write_bytes(&dir, "data", sl_span_of(data));
    if (!digest)
        return shell_agrees(
            &dir, "openssl pkeyutl -verify -pubin -inkey pub -rawin -in data -sigfile sig");
    SL_AUTO_FREE char *hashed = sl_strf("openssl dgst %s -verify pub -signature sig data", digest);
    return shell_agrees(&dir, hashed);
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

/* Whoever has the passphrase has the key, and nobody else. */
static void assert_opens(const char *pem, const char *passphrase, const char *want_pub)
{
    struct sl_error err = {0};
    SL_AUTO(sl_signing_key) key = parsed(pem, passphrase);
    SL_AUTO_DONE(sl_bytes) sig = {0};
    SL_AUTO_FREE char *pub = NULL;
    struct sl_signing_key *none = NULL;
    assert_done(sl_signing_key_public_pem(key, &pub, &err));
    assert_string_equal(pub, want_pub);
    assert_done(sl_signing_key_sign(key, sl_span_of(data), &sig, &err));
    assert_true(openssl_verifies("-sha256", pub, sl_bytes_span(&sig)));
    assert_error(sl_signing_key_parse(sl_span_of(pem), "other", &none, &err), EKEYREJECTED,
                 SL_E_AUTH, "wrong passphrase");
    assert_error(sl_signing_key_parse(sl_span_of(pem), NULL, &none, &err), ENOKEY, SL_E_AUTH,
                 "needs a passphrase");
    assert_null(none);
}

/* cosign 3.1.3 has written it. */
static void key_of_cosign_opens_with_its_passphrase(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) pem = fixture_read(VECTOR("cosign_3_sigstore.key"));
    SL_AUTO_DONE(sl_bytes) pub = fixture_read(VECTOR("cosign_3_sigstore.pub"));
    assert_opens((char *)pem.data, "sluice test", (char *)pub.data);
}

#define KEY_JSON(kdf, params, salt, cipher, nonce, sealed)                                         \
    "{\"kdf\":{\"name\":\"" kdf "\",\"params\":{" params "},\"salt\":\"" salt                      \
    "\"},\"cipher\":{\"name\":\"" cipher "\",\"nonce\":\"" nonce "\"},\"ciphertext\":\"" sealed    \
    "\"}"
#define COSTS(n, r, p) "\"N\":" n ",\"r\":" r ",\"p\":" p

static struct sl_bytes pem_of(const char *label, struct sl_span der)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio(bio, label, "", der.data, (long)der.len) > 0);
    return fixture_take_bio(bio);
}

/* As cosign seals a key (its package cosign, keys.go): PKCS#8 in a secretbox. */
static struct sl_bytes cosign_key(const char *label, EVP_PKEY *key, const char *passphrase, int n)
{
    static const uint8_t salt[32] = "0123456789abcdef0123456789abcdef";
    static const uint8_t nonce[crypto_secretbox_NONCEBYTES] = "number used only once";
    uint8_t kek[crypto_secretbox_KEYBYTES], sealed[512];
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    uint8_t *plain = NULL;
    int len = i2d_PKCS8_PRIV_KEY_INFO(info, &plain);
    assert_in_range(len, 1, sizeof(sealed) - crypto_secretbox_MACBYTES);
    assert_int_equal(EVP_PBE_scrypt(passphrase, strlen(passphrase), salt, sizeof(salt), (uint64_t)n,
                                    8, 1, 1 << 28, kek, sizeof(kek)),
                     1);
    assert_int_equal(crypto_secretbox_easy(sealed, plain, (size_t)len, nonce, kek), 0);
    struct sl_span box = {sealed, (size_t)len + crypto_secretbox_MACBYTES};
    SL_AUTO_FREE char *salt64 = sl_base64_encode((struct sl_span){salt, sizeof(salt)});
    SL_AUTO_FREE char *nonce64 = sl_base64_encode((struct sl_span){nonce, sizeof(nonce)});
    SL_AUTO_FREE char *box64 = sl_base64_encode(box);
    SL_AUTO_FREE char *json =
        sl_strf(KEY_JSON("scrypt", COSTS("%d", "8", "1"), "%s", "nacl/secretbox", "%s", "%s"), n,
                salt64, nonce64, box64);
    OPENSSL_free(plain);
    PKCS8_PRIV_KEY_INFO_free(info);
    return pem_of(label, sl_span_of(json));
}

/* Under the label and with the costs of cosign 1, and under those of today. */
static void cosign_keys_of_all_costs_open_with_their_passphrase(void **state)
{
    (void)state;
    static const struct {
        const char *label, *passphrase;
        int n;
    } cases[] = {{"ENCRYPTED COSIGN PRIVATE KEY", "", 32768},
                 {"ENCRYPTED SIGSTORE PRIVATE KEY", "sesame", 131072}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        EVP_PKEY *evp = fixture_key("P-256");
        SL_AUTO_DONE(sl_bytes) pub = fixture_public_pem(evp);
        SL_AUTO_DONE(sl_bytes)
        pem = cosign_key(cases[i].label, evp, cases[i].passphrase, cases[i].n);
        assert_opens((char *)pem.data, cases[i].passphrase, (char *)pub.data);
        EVP_PKEY_free(evp);
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
    SL_AUTO_DONE(sl_bytes) pem = pem_of("ENCRYPTED SIGSTORE PRIVATE KEY", sl_span_of(json));
    assert_error(sl_signing_key_parse(sl_bytes_span(&pem), "x", &none, &err), errnum, code, part);
}

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
        cmocka_unit_test(key_of_cosign_opens_with_its_passphrase),
        cmocka_unit_test(cosign_keys_of_all_costs_open_with_their_passphrase),
        cmocka_unit_test(encrypted_pkcs8_needs_its_passphrase),
        cmocka_unit_test(hostile_key_files_are_refused),
        cmocka_unit_test(other_files_and_kinds_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
