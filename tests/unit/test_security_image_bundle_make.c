/* SPDX-License-Identifier: Apache-2.0 */
/* What is written is what is read, by every kind of key. Others read it in tests/integration. */
#include "bundle.h"
#include "sigstore_trust.h"
#include "sluice/signature_write.h"

#include "assert_result.h"
#include "sigstore_fixture.h"

#define DIGEST "sha256:dff90087e2a95f1c093cf40e7be6ef4e998e21b4ea38d0b494ea2fdb2576fcfe"
#define OTHER "sha256:0ff90087e2a95f1c093cf40e7be6ef4e998e21b4ea38d0b494ea2fdb2576fcfe"

static struct sl_signing_key *signing_key(EVP_PKEY *evp)
{
    struct sl_error err = {0};
    struct sl_signing_key *key = NULL;
    struct sl_bytes pem = fixture_private_pem(evp, NULL);
    assert_done(sl_signing_key_parse(sl_bytes_span(&pem), NULL, &key, &err));
    sl_bytes_wipe(&pem);
    return key;
}

static struct sl_digest digest_of(const char *text)
{
    struct sl_digest digest;
    assert_int_equal(sl_digest_parse(text, &digest, NULL), 0);
    return digest;
}

static void assert_verifies(const struct sl_signing_key *key, const struct sl_dsse_envelope *e)
{
    SL_AUTO_DONE(sl_bytes) pae = {0};
    SL_AUTO_DONE(sl_bytes) der = {0};
    struct sl_public_key public_key = {0};
    struct sl_error err = {0};
    assert_done(sl_dsse_pae(e->payload_type, sl_bytes_span(&e->payload), &pae, &err));
    assert_done(sl_signing_key_public_der(key, &der, &err));
    assert_done(sl_public_key_parse_der(sl_bytes_span(&der), &public_key, &err));
    assert_true(sl_public_key_verify(&public_key, sl_bytes_span(&pae), sl_bytes_span(&e->signature),
                                     /* allow_ed25519ph= */ false));
    /* The payload alone is not what is signed. */
    assert_false(sl_public_key_verify(&public_key, sl_bytes_span(&e->payload),
                                      sl_bytes_span(&e->signature), /* allow_ed25519ph= */ false));
    sl_public_key_done(&public_key);
}

static void a_bundle_names_the_image_and_is_signed(void **state)
{
    (void)state;
    static const char *const kinds[] = {"P-256", "P-384", "P-521", "RSA2048", "ED25519"};
    const struct sl_digest digest = digest_of(DIGEST);
    const struct sl_digest other = digest_of(OTHER);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        EVP_PKEY *evp = fixture_key(kinds[i]);
        SL_AUTO(sl_signing_key) key = signing_key(evp);
        SL_AUTO_DONE(sl_bytes) text = {0};
        SL_AUTO_DONE(sl_bundle) bundle = {0};
        SL_AUTO_DONE(sl_statement) statement = {0};
        struct sl_error err = {0};
        assert_done(sl_image_bundle_make(key, &digest, &text, &err));
        assert_done(sl_bundle_parse(sl_bytes_span(&text), &bundle, &err));
        assert_true(bundle.is_dsse);
        assert_int_equal(bundle.version, SL_BUNDLE_0_3);
        assert_int_equal(bundle.n_entries + bundle.n_certificates + bundle.n_timestamps, 0);
        assert_string_equal(bundle.envelope.payload_type, SL_DSSE_PAYLOAD_TYPE);
        assert_done(sl_statement_parse(sl_bytes_span(&bundle.envelope.payload), &statement, &err));
        assert_string_equal(statement.predicate_type, SL_PREDICATE_COSIGN_SIGN);
        assert_true(sl_statement_names(&statement, &digest));
        assert_false(sl_statement_names(&statement, &other));
        assert_verifies(key, &bundle.envelope);
        EVP_PKEY_free(evp);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bundle_names_the_image_and_is_signed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
