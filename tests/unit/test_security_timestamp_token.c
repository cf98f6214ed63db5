/* SPDX-License-Identifier: Apache-2.0 */
/* The responses are of tests/support/sigstore_lab.py; openssl ts and cosign believe the good. */
#include "sigstore_pieces.h"

#include "openssl_program.h"

enum { GEN_TIME = 1748779200 };

static int check(struct sl_trusted_chain *chain, const char *response, int64_t *ret_time,
                 struct sl_error *err)
{
    struct sl_sigstore_trust trust = {.timestampers = chain, .n_timestampers = 1};
    char path[128];
    (void)snprintf(path, sizeof(path), "timestamps/%s.tsr", response);
    SL_AUTO_DONE(sl_bytes) bytes = read_piece(path);
    SL_AUTO_DONE(sl_bytes) data = read_piece("timestamps/data");
    return sl_timestamp_check(&trust, sl_bytes_span(&bytes), sl_bytes_span(&data), ret_time, err);
}

static void token_good_proves_its_time(void **state)
{
    (void)state;
    static const char *const good[] = {"good", "sha384", "sha512", "bare", "modified", "extension"};
    struct sl_trusted_chain chain = chain_read("timestamps/chain.pem");
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t time = 0;
        struct sl_error err = {0};
        assert_done(check(&chain, good[i], &time, &err));
        assert_int_equal(time, GEN_TIME);
    }
    chain_done(&chain);
}

static void token_bad_is_refused_for_its_reason(void **state)
{
    (void)state;
    static const struct {
        const char *name, *part;
    } bad[] = {
        {"refused", "not granted"},
        {"version-2", "unknown version"},
        {"critical-extension", "critical extension"},
        {"sha1-imprint", "none of SHA-256"},
        {"sha1-signature", "unsafe"},
        {"stranger", "no trusted authority"},
        {"sibling", "no trusted authority"},
        {"uncritical", "no trusted authority"},
        {"early", "no trusted authority"},
        {"late", "no trusted authority"},
    };
    struct sl_trusted_chain chain = chain_read("timestamps/chain.pem");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t time = 0;
        struct sl_error err = {0};
        assert_error(check(&chain, bad[i].name, &time, &err), EBADMSG, SL_E_INTEGRITY, bad[i].part);
        assert_int_equal(time, 0);
    }
    chain_done(&chain);
}

/* A token under a status that has none (RFC 3161 section 2.4.2). */
static void token_of_a_refusal_is_no_response(void **state)
{
    (void)state;
    int64_t time = 0;
    struct sl_error err = {0};
    struct sl_trusted_chain chain = chain_read("timestamps/chain.pem");
    assert_error(check(&chain, "rejected", &time, &err), EINVAL, SL_E_FORMAT, "not an RFC 3161");
    chain_done(&chain);
}

/* Even when the trusted root lists it: the use must be there, and critical. */
static void token_of_authority_without_critical_use_is_refused(void **state)
{
    (void)state;
    int64_t time = 0;
    struct sl_error err = {0};
    struct sl_trusted_chain chain = chain_read("timestamps/uncritical.pem");
    assert_error(check(&chain, "uncritical", &time, &err), EBADMSG, SL_E_INTEGRITY,
                 "no trusted authority");
    chain_done(&chain);
}

/* Without the authority's own certificate in the trusted root, any of its CA will do. */
static void token_of_a_listed_ca_is_accepted(void **state)
{
    (void)state;
    int64_t time = 0;
    struct sl_error err = {0};
    struct sl_trusted_chain chain = chain_read("timestamps/chain.pem");
    X509_free(sk_X509_shift(chain.certs));
    assert_done(check(&chain, "good", &time, &err));
    assert_done(check(&chain, "sibling", &time, &err));
    assert_error(check(&chain, "bare", &time, &err), EBADMSG, SL_E_INTEGRITY,
                 "no trusted authority");
    chain_done(&chain);
}

/* The last certificate of the trusted root is the anchor, self-signed or not. */
static void token_under_an_anchor_not_self_signed_is_accepted(void **state)
{
    (void)state;
    struct sl_trusted_chain chain = chain_read("timestamps/chain.pem");
    int64_t time = 0;
    struct sl_error err = {0};
    X509_free(sk_X509_pop(chain.certs));
    assert_done(check(&chain, "bare", &time, &err));
    assert_error(check(&chain, "stranger", &time, &err), EBADMSG, SL_E_INTEGRITY, "authority");
    chain_done(&chain);
}

static void token_outside_the_authority_window_is_refused(void **state)
{
    (void)state;
    int64_t time = 0;
    struct sl_error err = {0};
    struct sl_trusted_chain chain = chain_read("timestamps/chain.pem");
    chain.valid = (struct sl_validity){GEN_TIME + 1, INT64_MAX};
    assert_error(check(&chain, "good", &time, &err), EBADMSG, SL_E_INTEGRITY, "authority");
    chain.valid = (struct sl_validity){0, GEN_TIME - 1};
    assert_error(check(&chain, "good", &time, &err), EBADMSG, SL_E_INTEGRITY, "authority");
    chain.valid = (struct sl_validity){GEN_TIME, GEN_TIME};
    assert_done(check(&chain, "good", &time, &err));
    struct sl_sigstore_trust nobody = {0};
    SL_AUTO_DONE(sl_bytes) bytes = read_piece("timestamps/good.tsr");
    SL_AUTO_DONE(sl_bytes) data = read_piece("timestamps/data");
    assert_error(
        sl_timestamp_check(&nobody, sl_bytes_span(&bytes), sl_bytes_span(&data), &time, &err),
        EBADMSG, SL_E_INTEGRITY, "no trusted authority");
    chain_done(&chain);
}

static int check_bytes(struct sl_trusted_chain *chain, struct sl_span bytes, struct sl_span data)
{
    struct sl_sigstore_trust trust = {.timestampers = chain, .n_timestampers = 1};
    int64_t time = 0;
    struct sl_error err = {0};
    int r = sl_timestamp_check(&trust, bytes, data, &time, &err);
    assert_int_equal(time, r == 0 ? GEN_TIME : 0);
    return r;
}

/* What is said is signed, to the last bit. Around it CMS has bytes that mean nothing, such as the
 * case of the issuer's name; changing them changes no answer. */
static void token_with_any_byte_changed_proves_nothing_else(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) bytes = read_piece("timestamps/bare.tsr");
    SL_AUTO_DONE(sl_bytes) data = read_piece("timestamps/data");
    SL_AUTO_DONE(sl_bytes) info = read_piece("timestamps/info");
    struct sl_span good = sl_bytes_span(&bytes), ours = sl_bytes_span(&data);
    const uint8_t *said = memmem(bytes.data, bytes.len, info.data, info.len);
    struct sl_trusted_chain chain = chain_read("timestamps/chain.pem");
    assert_non_null(said);
    assert_int_equal(check_bytes(&chain, good, ours), 0);
    for (size_t i = 0; i < bytes.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            bytes.data[i] ^= (uint8_t)(1 << bit);
            bool is_said = bytes.data + i >= said && bytes.data + i < said + info.len;
            if (check_bytes(&chain, good, ours) == 0 && is_said)
                fail_msg("byte %zu, bit %d does not matter", i, bit);
            bytes.data[i] ^= (uint8_t)(1 << bit);
        }
    for (size_t cut = 0; cut < bytes.len; cut++)
        assert_true(check_bytes(&chain, (struct sl_span){bytes.data, cut}, ours) < 0);
    assert_true(check_bytes(&chain, good, (struct sl_span){ours.data, ours.len - 1}) < 0);
    SL_AUTO_DONE(sl_bytes) longer = {0};
    struct sl_error err = {0};
    assert_done(sl_bytes_append(&longer, good, PIECE_MAX, &err));
    assert_done(
        sl_bytes_append(&longer, (struct sl_span){(const uint8_t *)"", 1}, PIECE_MAX, &err));
    assert_true(check_bytes(&chain, sl_bytes_span(&longer), ours) < 0);
    chain_done(&chain);
}

/* On P-384 over SHA-256; it says who it is, and has no certificate with it. */
static void token_of_an_authority_with_a_large_key_is_accepted(void **state)
{
    (void)state;
    struct sl_trusted_chain chain = chain_read("p384/tsa_chain.pem");
    SL_AUTO_DONE(sl_bytes) bytes = read_piece("p384/bare.tsr");
    SL_AUTO_DONE(sl_bytes) data = read_piece("timestamps/data");
    SL_AUTO_DONE(sl_bytes) other = read_piece("timestamps/info");
    assert_int_equal(check_bytes(&chain, sl_bytes_span(&bytes), sl_bytes_span(&data)), 0);
    assert_int_equal(check_bytes(&chain, sl_bytes_span(&bytes), sl_bytes_span(&other)), -EBADMSG);
    chain_done(&chain);
}

#define MAKE_TSA                                                                                   \
    "cat > conf <<EOF\n"                                                                           \
    "[req]\ndistinguished_name=dn\n[dn]\n"                                                         \
    "[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n"                     \
    "[tsa]\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping\n"          \
    "[serve]\nserial=serial\ndefault_policy=1.2.3.4\ndigests=sha256\nsigner_digest=sha256\n"       \
    "ess_cert_id_alg=sha256\naccuracy=secs:1,millisecs:500\nordering=yes\ntsa_name=yes\n"          \
    "EOF\n"                                                                                        \
    "new='openssl req -x509 -config conf -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256'\n"    \
    "$new -extensions ca -subj /CN=root -keyout root.key -out root.pem &&\n"                       \
    "$new -extensions tsa -subj /CN=tsa -keyout tsa.key -out tsa.pem -CA root.pem "                \
    "-CAkey root.key && cat tsa.pem root.pem > chain.pem &&\n"                                     \
    "openssl ts -query -data data -sha256 -out query &&\n"                                         \
    "openssl ts -query -data data -sha256 -cert -out query-cert\n"
#define ASK(query, reply)                                                                          \
    "openssl ts -reply -config conf -section serve -queryfile " query                              \
    " -signer tsa.pem -inkey tsa.key -out " reply

/* With its certificate and without; nonce, accuracy and name are there. */
static void token_of_the_openssl_program_is_accepted(void **state)
{
    (void)state;
    static const char *const replies[] = {"reply", "reply-cert"};
    SCRATCH_DIR dir = scratch_make();
    scratch_write_bytes(&dir, "data", sl_span_of("a signature"));
    shell_run(&dir, MAKE_TSA);
    shell_run(&dir, ASK("query", "reply") " && " ASK("query-cert", "reply-cert"));
    SL_AUTO_FREE char *path = scratch_path(&dir, "chain.pem");
    struct sl_trusted_chain chain = chain_read(path);
    struct sl_sigstore_trust trust = {.timestampers = &chain, .n_timestampers = 1};
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        int64_t said = 0, now = (int64_t)time(NULL);
        struct sl_error err = {0};
        SL_AUTO_DONE(sl_bytes) reply = scratch_read(&dir, replies[i]);
        assert_done(sl_timestamp_check(&trust, sl_bytes_span(&reply), sl_span_of("a signature"),
                                       &said, &err));
        assert_in_range(said, now - SHELL_DEADLINE_MS / 1000, now);
        assert_error(
            sl_timestamp_check(&trust, sl_bytes_span(&reply), sl_span_of("another"), &said, &err),
            EBADMSG, SL_E_INTEGRITY, "another signature");
    }
    chain_done(&chain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_good_proves_its_time),
        cmocka_unit_test(token_bad_is_refused_for_its_reason),
        cmocka_unit_test(token_of_a_refusal_is_no_response),
        cmocka_unit_test(token_of_authority_without_critical_use_is_refused),
        cmocka_unit_test(token_of_a_listed_ca_is_accepted),
        cmocka_unit_test(token_under_an_anchor_not_self_signed_is_accepted),
        cmocka_unit_test(token_outside_the_authority_window_is_refused),
        cmocka_unit_test(token_of_an_authority_with_a_large_key_is_accepted),
        cmocka_unit_test(token_of_the_openssl_program_is_accepted),
        cmocka_unit_test(token_with_any_byte_changed_proves_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
