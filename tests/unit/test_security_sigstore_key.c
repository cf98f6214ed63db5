/* SPDX-License-Identifier: Apache-2.0 */
#include "sigstore_trust.h"

#include "assert_result.h"
#include "hex_bytes.h"
#include "openssl_program.h"
#include "sigstore_fixture.h"

#include <openssl/dsa.h>

static const struct sl_span data = {(const uint8_t *)"what is signed", 14};

static struct sl_public_key parsed(EVP_PKEY *key)
{
    struct sl_error err = {0};
    struct sl_public_key ret = {0};
    SL_AUTO_DONE(sl_bytes) pem = fixture_public_pem(key);
    assert_done(sl_public_key_parse_pem(sl_bytes_span(&pem), &ret, &err));
    return ret;
}

static void allowed_kinds_verify_with_their_digests_only(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *digest;
        int padding;
        bool want;
    } cases[] = {
        {"P-256", "SHA256", 0, true},
        {"P-256", "SHA384", 0, false},
        {"P-256", "SHA1", 0, false},
        {"P-384", "SHA256", 0, true},
        {"P-384", "SHA384", 0, true},
        {"P-384", "SHA512", 0, false},
        {"P-521", "SHA256", 0, true},
        {"P-521", "SHA384", 0, false},
        {"P-521", "SHA512", 0, true},
        {"RSA2048", "SHA256", RSA_PKCS1_PADDING, true},
        {"RSA2048", "SHA256", RSA_PKCS1_PSS_PADDING, true},
        {"RSA2048", "SHA512", RSA_PKCS1_PADDING, false},
        {"RSA2048", "SHA1", RSA_PKCS1_PADDING, false},
        {"RSA2048", "SHA384", RSA_PKCS1_PSS_PADDING, false},
        {"ED25519", NULL, 0, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        EVP_PKEY *evp = fixture_key(cases[i].kind);
        struct sl_public_key key = parsed(evp);
        SL_AUTO_DONE(sl_bytes) sig = fixture_sign(evp, cases[i].digest, cases[i].padding, data);
        if (sl_public_key_verify(&key, data, sl_bytes_span(&sig), false) != cases[i].want)
            fail_msg("%s with %s", cases[i].kind, cases[i].digest ? cases[i].digest : "none");
        sl_public_key_done(&key);
        EVP_PKEY_free(evp);
    }
}

static void changed_signatures_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *kind, *digest;
        int padding;
    } cases[] = {{"P-256", "SHA256", 0},
                 {"P-384", "SHA256", 0},
                 {"P-521", "SHA512", 0},
                 {"RSA2048", "SHA256", RSA_PKCS1_PADDING},
                 {"ED25519", NULL, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        EVP_PKEY *evp = fixture_key(cases[i].kind);
        EVP_PKEY *other = fixture_key(cases[i].padding ? "P-256" : cases[i].kind);
        struct sl_public_key key = parsed(evp);
        struct sl_public_key other_key = parsed(other);
        SL_AUTO_DONE(sl_bytes) sig = fixture_sign(evp, cases[i].digest, cases[i].padding, data);
        const struct sl_span good = sl_bytes_span(&sig);
        assert_true(sl_public_key_verify(&key, data, good, true));
        assert_false(sl_public_key_verify(&other_key, data, good, true));
        assert_false(sl_public_key_verify(&key, (struct sl_span){data.data, 13}, good, true));
        assert_false(sl_public_key_verify(&key, data, (struct sl_span){good.data, 0}, true));
        for (size_t len = 0; len < good.len; len++)
            assert_false(sl_public_key_verify(&key, data, (struct sl_span){good.data, len}, true));
        SL_AUTO_DONE(sl_bytes) twice = {0};
        assert_int_equal(sl_bytes_append(&twice, good, 8192, NULL), 0);
        assert_int_equal(sl_bytes_append(&twice, good, 8192, NULL), 0);
        assert_false(sl_public_key_verify(&key, data, sl_bytes_span(&twice), true));
        twice.len = good.len + 1;
        assert_false(sl_public_key_verify(&key, data, sl_bytes_span(&twice), true));
        sig.data[sig.len / 2] ^= 1;
        assert_false(sl_public_key_verify(&key, data, good, true));
        sl_public_key_done(&key);
        sl_public_key_done(&other_key);
        EVP_PKEY_free(evp);
        EVP_PKEY_free(other);
    }
    struct sl_public_key none = {0};
    assert_false(sl_public_key_verify(&none, data, data, true));
}

static void refuse_pem(EVP_PKEY *key, int errnum, enum sl_errc code, const char *part)
{
    struct sl_error err = {0};
    struct sl_public_key ret = {0};
    SL_AUTO_DONE(sl_bytes) pem = fixture_public_pem(key);
    assert_error(sl_public_key_parse_pem(sl_bytes_span(&pem), &ret, &err), errnum, code, part);
    assert_null(ret.key);
    assert_error(sl_public_key_from_evp(key, &ret, &err), errnum, code, part);
    EVP_PKEY_free(key);
}

static EVP_PKEY *explicit_p256(void)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx, NID_X9_62_prime256v1), 1);
    assert_int_equal(EVP_PKEY_CTX_set_ec_param_enc(ctx, OPENSSL_EC_EXPLICIT_CURVE), 1);
    assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static EVP_PKEY *made_from(const char *type, const char *bits)
{
    EVP_PKEY *params = NULL;
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    assert_int_equal(EVP_PKEY_paramgen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_ctrl_str(ctx, "dsa_paramgen_bits", bits), 1);
    assert_int_equal(EVP_PKEY_paramgen(ctx, &params), 1);
    EVP_PKEY_CTX_free(ctx);
    ctx = EVP_PKEY_CTX_new_from_pkey(NULL, params, NULL);
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(params);
    return key;
}

static EVP_PKEY *rsa_pss(void)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048), 1);
    assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static void other_kinds_are_refused(void **state)
{
    (void)state;
    static const char *const curves[] = {"secp256k1", "P-224", "P-192", "brainpoolP256r1"};
    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
        refuse_pem(fixture_key(curves[i]), ENOTSUP, SL_E_UNSUPPORTED, "a key of kind EC");
    refuse_pem(fixture_key("RSA1024"), ENOTSUP, SL_E_UNSUPPORTED, "1024 bits");
    refuse_pem(fixture_key("RSA2040"), ENOTSUP, SL_E_UNSUPPORTED, "2040 bits");
    refuse_pem(made_from("DSA", "1024"), ENOTSUP, SL_E_UNSUPPORTED, "DSA");
    refuse_pem(rsa_pss(), ENOTSUP, SL_E_UNSUPPORTED, "RSA-PSS");
    refuse_pem(EVP_PKEY_Q_keygen(NULL, NULL, "X25519"), ENOTSUP, SL_E_UNSUPPORTED, "X25519");
    refuse_pem(EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), ENOTSUP, SL_E_UNSUPPORTED, "ED448");
}

static void spelled_out_curves_are_refused(void **state)
{
    (void)state;
    struct sl_error err = {0};
    struct sl_public_key ret = {0};
    EVP_PKEY *key = explicit_p256();
    SL_AUTO_DONE(sl_bytes) pem = fixture_public_pem(key);
    assert_error(sl_public_key_parse_pem(sl_bytes_span(&pem), &ret, &err), ENOTSUP,
                 SL_E_UNSUPPORTED, "kind EC");
    EVP_PKEY_free(key);
}

static void an_rsa_key_with_an_even_exponent_is_refused(void **state)
{
    (void)state;
    struct sl_error err = {0};
    struct sl_public_key ret = {0};
    EVP_PKEY *key = fixture_key("RSA2048");
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    assert_memory_equal(der + len - 5, "\x02\x03\x01\x00\x01", 5);

    der[len - 1] = 2;
    assert_error(sl_public_key_parse_der((struct sl_span){der, (size_t)len}, &ret, &err), ENOTSUP,
                 SL_E_UNSUPPORTED, "exponent");
    OPENSSL_free(der);
    EVP_PKEY_free(key);
}

static void refuse_text(const char *before, const struct sl_bytes *pem, const char *after,
                        const char *part)
{
    struct sl_error err = {0};
    struct sl_public_key ret = {0};
    SL_AUTO_FREE char *text = sl_strf("%s%s%s", before, pem ? (char *)pem->data : "", after);
    assert_error(sl_public_key_parse_pem(sl_span_of(text), &ret, &err), EBADMSG, SL_E_FORMAT, part);
    assert_null(ret.key);
}

static void pem_is_exactly_one_public_key(void **state)
{
    (void)state;
    struct sl_error err = {0};
    struct sl_public_key ret = {0};
    EVP_PKEY *key = fixture_key("P-256");
    SL_AUTO_DONE(sl_bytes) pem = fixture_public_pem(key);
    SL_AUTO_DONE(sl_bytes) private_pem = fixture_private_pem(key, NULL);
    SL_AUTO_FREE char *blanks = sl_strf(" \r\n%s\n\t \r\n", (char *)pem.data);
    assert_done(sl_public_key_parse_pem(sl_span_of(blanks), &ret, &err));
    sl_public_key_done(&ret);
    refuse_text("", &pem, (char *)pem.data, "behind");
    refuse_text("", &pem, "x", "behind");
    refuse_text("x\n", &pem, "", "no PEM block");
    refuse_text("", NULL, "", "no PEM block");
    /* To OpenSSL these are notes before the block. */
    refuse_text("-----BEGIN PUBLIC KEY\n", &pem, "", "does not end");
    refuse_text("-----BEGIN PUBLIC KEY----- x\nYQ==\n-----END PUBLIC KEY-----\n", &pem, "",
                "does not end");
    refuse_text("", &private_pem, "", "'PRIVATE KEY'");
    refuse_text("-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n", NULL, "",
                "'CERTIFICATE'");
    refuse_text("-----BEGIN PUBLIC KEY-----\nYQ==\n-----END PUBLIC KEY-----\n", NULL, "",
                "not a public key");
    refuse_text("-----BEGIN PUBLIC KEY-----\nProc-Type: 4,ENCRYPTED\n\nYQ==\n"
                "-----END PUBLIC KEY-----\n",
                NULL, "", "headers");
    pem.data[pem.len / 2] = '!';
    refuse_text("", &pem, "", "no base64");
    EVP_PKEY_free(key);
}

static void der_ends_where_the_key_ends(void **state)
{
    (void)state;
    struct sl_error err = {0};
    struct sl_public_key ret = {0};
    EVP_PKEY *key = fixture_key("P-256");
    uint8_t der[512] = {0};
    uint8_t *p = der;
    size_t len = (size_t)i2d_PUBKEY(key, &p);
    for (size_t n = 0; n < len; n++)
        assert_error(sl_public_key_parse_der((struct sl_span){der, n}, &ret, &err), EBADMSG,
                     SL_E_FORMAT, "not a public key");
    assert_error(sl_public_key_parse_der((struct sl_span){der, len + 1}, &ret, &err), EBADMSG,
                 SL_E_FORMAT, "not a public key");
    assert_done(sl_public_key_parse_der((struct sl_span){der, len}, &ret, &err));
    sl_public_key_done(&ret);
    /* BER: the length in two bytes where one is enough. */
    assert_true(der[0] == 0x30 && der[1] < 0x80);
    memmove(der + 2, der + 1, len - 1);
    der[1] = 0x81;
    assert_error(sl_public_key_parse_der((struct sl_span){der, len + 1}, &ret, &err), EBADMSG,
                 SL_E_FORMAT, "not a public key");
    EVP_PKEY_free(key);
}

/* RFC 8032, section 7.3 */
static void published_ed25519ph_counts_only_where_it_is_allowed(void **state)
{
    (void)state;
    const struct sl_span abc = {(const uint8_t *)"abc", 3};
    SL_AUTO_DONE(sl_bytes) secret =
        bytes_of_hex("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42");
    SL_AUTO_DONE(sl_bytes) sig =
        bytes_of_hex("98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41"
                     "31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406");
    EVP_PKEY *evp = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret.data, secret.len);
    struct sl_public_key key = parsed(evp);
    assert_true(sl_public_key_verify(&key, abc, sl_bytes_span(&sig), true));
    assert_false(sl_public_key_verify(&key, abc, sl_bytes_span(&sig), false));
    assert_false(sl_public_key_verify(&key, data, sl_bytes_span(&sig), true));
    SL_AUTO_DONE(sl_bytes) pure = fixture_sign(evp, NULL, 0, abc);
    assert_true(sl_public_key_verify(&key, abc, sl_bytes_span(&pure), false));
    sl_public_key_done(&key);
    EVP_PKEY_free(evp);
}

static void signature_of_the_openssl_program_verifies(void **state)
{
    (void)state;
    struct sl_error err = {0};
    struct sl_public_key key = {0};
    char name[SL_FINDING_TEXT_MAX];
    SCRATCH_DIR dir = scratch_make();
    scratch_write_bytes(&dir, "data", data);
    shell_run(&dir, "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key && "
                    "openssl pkey -in key -pubout -out pub && "
                    "openssl dgst -sha256 -sign key -out sig data && "
                    "printf sha256: > sum && "
                    "openssl pkey -in key -pubout -outform DER | sha256sum | cut -c -64 >> sum");
    SL_AUTO_DONE(sl_bytes) pem = scratch_read(&dir, "pub");
    SL_AUTO_DONE(sl_bytes) sig = scratch_read(&dir, "sig");
    SL_AUTO_DONE(sl_bytes) sum = scratch_read(&dir, "sum");
    assert_done(sl_public_key_parse_pem(sl_bytes_span(&pem), &key, &err));
    assert_true(sl_public_key_verify(&key, data, sl_bytes_span(&sig), false));
    assert_false(sl_public_key_verify(&key, (struct sl_span){data.data, data.len - 1},
                                      sl_bytes_span(&sig), false));
    sl_public_key_describe(&key, name);
    assert_int_equal(sum.len, strlen(name) + 1);
    assert_memory_equal(name, sum.data, strlen(name));
    sl_public_key_done(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allowed_kinds_verify_with_their_digests_only),
        cmocka_unit_test(changed_signatures_are_refused),
        cmocka_unit_test(other_kinds_are_refused),
        cmocka_unit_test(spelled_out_curves_are_refused),
        cmocka_unit_test(an_rsa_key_with_an_even_exponent_is_refused),
        cmocka_unit_test(pem_is_exactly_one_public_key),
        cmocka_unit_test(der_ends_where_the_key_ends),
        cmocka_unit_test(published_ed25519ph_counts_only_where_it_is_allowed),
        cmocka_unit_test(signature_of_the_openssl_program_verifies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
