/* SPDX-License-Identifier: Apache-2.0 */
/* A log of the test's own, which follows RFC 6962, section 3.2, to the letter or not quite. */
#include "sigstore_trust.h"

#include "assert_result.h"
#include "sigstore_fixture.h"

#include <openssl/sha.h>

enum { NOW = 1700000000, YEAR = 365 * 24 * 3600 };

struct recipe {
    const char *log_kind;             /* NULL: P-256 */
    const char *digest;               /* NULL: SHA256 */
    uint64_t timestamp;               /* ms; 0: NOW */
    const char *extensions;           /* NULL: none */
    uint8_t version, hash, algorithm; /* 0 of the latter two: SHA-256, ECDSA */
    bool wrong_issuer, wrong_signature, is_not_last, trailing;
};

struct made {
    struct fixture_ca ca;
    EVP_PKEY *log_key, *leaf_key;
    X509 *leaf;
    struct sl_trusted_log log;
    struct sl_sigstore_trust trust;
};

static void put(struct sl_bytes *b, const void *data, size_t len)
{
    assert_int_equal(sl_bytes_append(b, (struct sl_span){data, len}, 1 << 20, NULL), 0);
}

static void put_number(struct sl_bytes *b, uint64_t value, int n)
{
    while (n--) {
        uint8_t byte = (uint8_t)(value >> (8 * n));
        put(b, &byte, 1);
    }
}

/* The struct a log signs. */
static struct sl_bytes signed_data(const struct recipe *r, const struct made *m, const uint8_t *tbs,
                                   size_t len)
{
    struct sl_bytes b = {0};
    uint8_t *spki = NULL;
    uint8_t hash[SHA256_DIGEST_LENGTH];
    int n = i2d_PUBKEY(r->wrong_issuer ? m->leaf_key : m->ca.key, &spki);
    SHA256(spki, (size_t)n, hash);
    OPENSSL_free(spki);
    put(&b, "\0\0", 2);
    put_number(&b, r->timestamp ? r->timestamp : NOW * 1000ULL, 8);
    put(&b, "\0\1", 2);
    put(&b, hash, sizeof(hash));
    put_number(&b, len, 3);
    put(&b, tbs, len);
    put_number(&b, r->extensions ? strlen(r->extensions) : 0, 2);
    if (r->extensions)
        put(&b, r->extensions, strlen(r->extensions));
    return b;
}

static struct sl_bytes make_sct(const struct recipe *r, const struct made *m, const uint8_t *tbs,
                                size_t len)
{
    struct sl_bytes b = {0};
    SL_AUTO_DONE(sl_bytes) data = signed_data(r, m, tbs, len);
    SL_AUTO_DONE(sl_bytes) sig =
        fixture_sign(m->log_key, r->digest ? r->digest : "SHA256", 0, sl_bytes_span(&data));
    put(&b, &r->version, 1);
    put(&b, m->log.id, 32);
    put_number(&b, r->timestamp ? r->timestamp : NOW * 1000ULL, 8);
    put_number(&b, r->extensions ? strlen(r->extensions) : 0, 2);
    if (r->extensions)
        put(&b, r->extensions, strlen(r->extensions));
    put_number(&b, r->hash ? r->hash : 4, 1);
    put_number(&b, r->algorithm ? r->algorithm : 3, 1);
    put_number(&b, sig.len, 2);
    if (r->wrong_signature)
        sig.data[sig.len - 1] ^= 1;
    put(&b, sig.data, sig.len);
    if (r->trailing)
        put(&b, "x", 1);
    return b;
}

/* The list, as TLS writes it, in an OCTET STRING, as the extension's value. */
static void add_list(struct made *m, const struct sl_bytes *scts, size_t n)
{
    SL_AUTO_DONE(sl_bytes) items = {0};
    SL_AUTO_DONE(sl_bytes) list = {0};
    uint8_t *der = NULL;
    for (size_t i = 0; i < n; i++) {
        put_number(&items, scts[i].len, 2);
        put(&items, scts[i].data, scts[i].len);
    }
    put_number(&list, items.len, 2);
    put(&list, items.data, items.len);
    ASN1_OCTET_STRING *octets = ASN1_OCTET_STRING_new();
    ASN1_OCTET_STRING_set(octets, list.data, (int)list.len);
    int len = i2d_ASN1_OCTET_STRING(octets, &der);
    SL_AUTO_FREE char *value = fixture_der(der, (size_t)len);
    fixture_extend(m->leaf, m->ca.cert, OID_SCTS, value);
    OPENSSL_free(der);
    ASN1_OCTET_STRING_free(octets);
}

static struct made make(const struct recipe *r)
{
    static const struct fixture_extension usual[] = {
        {"keyUsage", "critical,digitalSignature"}, {"subjectAltName", "email:" FIXTURE_EMAIL}, {0}};
    struct sl_error err = {0};
    struct made m = {.ca = fixture_make_ca("ca", NULL, NOW - YEAR, NOW + YEAR, NULL),
                     .log_key = fixture_key(r->log_kind ? r->log_kind : "P-256"),
                     .leaf_key = fixture_key("P-256")};
    SL_AUTO_DONE(sl_bytes) pem = fixture_public_pem(m.log_key);
    assert_done(sl_public_key_parse_pem(sl_bytes_span(&pem), &m.log.key, &err));
    memcpy(m.log.id, m.log.key.spki_sha256, 32);
    m.log.valid = (struct sl_validity){NOW, NOW};
    m.trust.n_ct_logs = 1;
    m.leaf = fixture_cert("", m.leaf_key, &m.ca, NOW, NOW + 600, usual);
    uint8_t *tbs = NULL;
    int len = i2d_re_X509_tbs(m.leaf, &tbs);
    struct sl_bytes scts[2] = {make_sct(r, &m, tbs, (size_t)len)};
    OPENSSL_free(tbs);
    put(&scts[1], "\1of another version", 19);
    if (r->is_not_last)
        add_list(&m, (struct sl_bytes[]){scts[1], scts[0]}, 2);
    else
        add_list(&m, scts, 1);
    assert_true(X509_sign(m.leaf, m.ca.key, EVP_sha256()) > 0);
    sl_bytes_done(&scts[0]);
    sl_bytes_done(&scts[1]);
    return m;
}

static void unmake(struct made *m)
{
    fixture_ca_done(&m->ca);
    EVP_PKEY_free(m->log_key);
    EVP_PKEY_free(m->leaf_key);
    X509_free(m->leaf);
    sl_public_key_done(&m->log.key);
}
#define MADE __attribute__((cleanup(unmake))) struct made

static int check(struct made *m, struct sl_error *err)
{
    m->trust.ct_logs = &m->log;
    return sl_sct_check(&m->trust, m->leaf, m->ca.cert, err);
}

static void accept(const struct recipe *r)
{
    struct sl_error err = {0};
    MADE m = make(r);
    assert_done(check(&m, &err));
}

static void refuse(const struct recipe *r)
{
    struct sl_error err = {0};
    MADE m = make(r);
    assert_error(check(&m, &err), EBADMSG, SL_E_INTEGRITY, "none of its");
}

static void timestamp_by_a_trusted_log_counts(void **state)
{
    (void)state;
    accept(&(struct recipe){0});
    accept(&(struct recipe){.extensions = "tile 7"});
    accept(&(struct recipe){.log_kind = "P-384"});
    accept(&(struct recipe){.log_kind = "RSA2048", .algorithm = 1});
    accept(&(struct recipe){.is_not_last = true});
    accept(&(struct recipe){.timestamp = NOW * 1000ULL + 999});
}

static void anything_else_does_not(void **state)
{
    (void)state;
    refuse(&(struct recipe){.wrong_issuer = true});
    refuse(&(struct recipe){.wrong_signature = true});
    refuse(&(struct recipe){.version = 1});
    refuse(&(struct recipe){.hash = 5});
    refuse(&(struct recipe){.algorithm = 1});
    refuse(&(struct recipe){.log_kind = "RSA2048", .algorithm = 3});
    refuse(&(struct recipe){.digest = "SHA384"});
    refuse(&(struct recipe){.trailing = true});
    refuse(&(struct recipe){.timestamp = NOW * 1000ULL - 1});
    refuse(&(struct recipe){.timestamp = (NOW + 1) * 1000ULL});
    refuse(&(struct recipe){.timestamp = UINT64_MAX});
}

static void log_leaf_and_issuer_must_be_those(void **state)
{
    (void)state;
    struct sl_error err = {0};
    MADE m = make(&(struct recipe){0});
    MADE other = make(&(struct recipe){0});
    assert_done(check(&m, &err));
    m.trust.ct_logs = &other.log;
    assert_error(sl_sct_check(&m.trust, m.leaf, m.ca.cert, &err), EBADMSG, SL_E_INTEGRITY,
                 "none of its 1");
    m.trust.ct_logs = &m.log;
    assert_error(sl_sct_check(&m.trust, m.leaf, other.ca.cert, &err), EBADMSG, SL_E_INTEGRITY,
                 "none of its 1");
    fixture_extend(m.leaf, m.ca.cert, "1.2.3.4", "DER:0500");
    assert_true(X509_sign(m.leaf, m.ca.key, EVP_sha256()) > 0);
    assert_error(check(&m, &err), EBADMSG, SL_E_INTEGRITY, "none of its 1");
    m.trust.n_ct_logs = 0;
    assert_error(check(&m, &err), EBADMSG, SL_E_INTEGRITY, "no certificate transparency log");
}

static void malformed_lists_are_refused(void **state)
{
    (void)state;
    static const char *const values[] = {
        "DER:04",         "DER:0500",         "DER:0400",         "DER:040100",
        "DER:04020001",   "DER:0403000100",   "DER:040400020005", "DER:04020000ff",
        "DER:0403000000", "DER:040400020000",
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct sl_error err = {0};
        MADE m = make(&(struct recipe){0});
        X509_EXTENSION_free(X509_delete_ext(m.leaf, X509_get_ext_count(m.leaf) - 1));
        fixture_extend(m.leaf, m.ca.cert, OID_SCTS, values[i]);
        assert_true(X509_sign(m.leaf, m.ca.key, EVP_sha256()) > 0);
        int r = check(&m, &err);
        if (r != -EBADMSG || (!strstr(err.msg, "bad list") && !strstr(err.msg, "none of its 1")))
            fail_msg("%s: %s", values[i], err.msg);
    }
    struct sl_error err = {0};
    MADE m = make(&(struct recipe){0});
    fixture_extend(m.leaf, m.ca.cert, OID_SCTS, "DER:04020000");
    assert_error(check(&m, &err), EBADMSG, SL_E_FORMAT, "two lists");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timestamp_by_a_trusted_log_counts),
        cmocka_unit_test(anything_else_does_not),
        cmocka_unit_test(log_leaf_and_issuer_must_be_those),
        cmocka_unit_test(malformed_lists_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
