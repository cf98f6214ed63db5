/* SPDX-License-Identifier: Apache-2.0 */
#include "key_file.h"
#include "key_ring.h"

#include "key_vectors.h"
#include "unwrap_element.h"

#include <openssl/pem.h>

#define KEY VECTOR("ocicrypt_rsa2048_pkcs7_pkcs1.der")
#define OTHER_KEY VECTOR("ocicrypt_rsa2048_pkcs1.der")
#define PLBCO VECTOR("ocicrypt_pkcs7_plbco.json")

/* A self-signed certificate of the recipient's key with this issuer and serial. */
static struct sl_bytes make_cert(const char *name, const char *serial_hex)
{
    struct sl_bytes der = read_vector(KEY);
    const uint8_t *p = der.data;
    EVP_PKEY *key = d2i_PrivateKey(EVP_PKEY_RSA, NULL, &p, (long)der.len);
    X509 *cert = X509_new();
    BIGNUM *serial = NULL;
    assert_true(BN_hex2bn(&serial, serial_hex));
    X509_NAME *subject = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(subject, "CN", V_ASN1_UTF8STRING, (const uint8_t *)name, -1, -1, 0);
    X509_set_issuer_name(cert, subject);
    BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert));
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    uint8_t *out = NULL;
    int len = i2d_X509(cert, &out);
    struct sl_bytes bytes = {0};
    assert_ok(sl_bytes_append(&bytes, (struct sl_span){out, (size_t)len}, 1 << 16, NULL));
    OPENSSL_free(out);
    BN_free(serial);
    X509_free(cert);
    EVP_PKEY_free(key);
    sl_bytes_done(&der);
    return bytes;
}

static int unwrap(struct sl_span der, const char *key, const struct sl_bytes *cert,
                  struct sl_layer_key *ret, struct sl_error *err)
{
    SL_AUTO(sl_key_ring) ring = NULL;
    assert_ok(sl_key_ring_new(&ring, NULL));
    if (key)
        assert_ok(sl_key_ring_add_spec(ring, key, NULL));
    if (cert)
        assert_ok(sl_key_bytes_add(ring, sl_bytes_span(cert), NULL, NULL));
    return unwrap_element(sl_unwrap_pkcs7, ring, der, ret, err);
}

static void pkcs7_both_published_forms_open(void **state)
{
    (void)state;
    static const char *const forms[] = {VECTOR("ocicrypt_pkcs7_mozilla_form.der"),
                                        VECTOR("ocicrypt_pkcs7_smallstep_form.der")};
    struct sl_bytes cert = make_cert("localhost", "044EBFC28455F47306A8C734DF3560CF3AFC7389");
    for (size_t i = 0; i < 2; i++) {
        struct sl_layer_key key = {0};
        struct sl_bytes der = read_vector(forms[i]);
        assert_ok(unwrap(sl_bytes_span(&der), KEY, &cert, &key, NULL));
        assert_same_key(&key, PLBCO);
        sl_wipe(&key, sizeof(key));
        assert_ok(unwrap(sl_bytes_span(&der), KEY, NULL, &key, NULL));
        assert_same_key(&key, PLBCO);
        sl_bytes_done(&der);
    }
    sl_bytes_done(&cert);
}

static void pkcs7_standard_gcm_parameters_and_split_content_open(void **state)
{
    (void)state;
    struct sl_layer_key key = {0};
    struct sl_bytes old = read_vector(VECTOR("ocicrypt_pkcs7_mozilla_form.der"));
    /* 10 13 30 11 84 0c… becomes 30 11 04 0c…, two bytes shorter; the content becomes two octet
     * strings, two bytes longer, so that no outer length changes. */
    uint8_t *params = memmem(old.data, old.len, "\x10\x13\x30\x11\x84\x0c", 6);
    assert_non_null(params);
    assert_int_equal(params[-13], 0x30);
    uint8_t *content = memmem(old.data, old.len, "\xa0\x81\xd4\x04\x81\xd1", 6);
    assert_non_null(content);
    params[-12] = (uint8_t)(params[-12] - 2);
    params[4] = 0x04;
    memmove(params, params + 2, (size_t)(content - params) - 2);
    content -= 2;
    /* a0 81 d6 04 09 <9> 04 81 c8 <200>: a0's length covers 11 + 203. */
    uint8_t body[209];
    memcpy(body, content + 8, sizeof(body));
    static const uint8_t head[] = {0xa0, 0x81, 0xd6, 0x04, 0x09};
    memcpy(content, head, sizeof(head));
    memcpy(content + 5, body, 9);
    memcpy(content + 14, "\x04\x81\xc8", 3);
    memcpy(content + 17, body + 9, 200);
    assert_ptr_equal(content + 217, old.data + old.len);
    assert_ok(unwrap(sl_bytes_span(&old), KEY, NULL, &key, NULL));
    assert_same_key(&key, PLBCO);
    sl_bytes_done(&old);
}

static void pkcs7_other_certificate_matches_no_recipient(void **state)
{
    (void)state;
    struct sl_layer_key key = {0};
    struct sl_bytes der = read_vector(VECTOR("ocicrypt_pkcs7_mozilla_form.der"));
    static const char *const others[][2] = {
        {"localhost", "044EBFC28455F47306A8C734DF3560CF3AFC7388"},
        {"localhos1", "044EBFC28455F47306A8C734DF3560CF3AFC7389"}};
    for (size_t i = 0; i < 2; i++) {
        struct sl_error err = {0};
        struct sl_bytes cert = make_cert(others[i][0], others[i][1]);
        assert_fails(unwrap(sl_bytes_span(&der), KEY, &cert, &key, &err), ENOKEY, err, SL_E_AUTH);
        assert_contains(err.msg, "issuer and serial");
        sl_bytes_done(&cert);
    }
    struct sl_error err = {0};
    assert_fails(unwrap(sl_bytes_span(&der), NULL, NULL, &key, &err), ENOKEY, err, SL_E_AUTH);
    sl_bytes_done(&der);
}

/* RSA, content and tag: whatever is wrong, the answer is the same. */
static void pkcs7_any_changed_secret_part_fails_with_one_text(void **state)
{
    (void)state;
    struct sl_layer_key key = {0};
    struct sl_bytes der = read_vector(VECTOR("ocicrypt_pkcs7_smallstep_form.der"));
    struct sl_error first = {0};
    assert_fails(unwrap(sl_bytes_span(&der), OTHER_KEY, NULL, &key, &first), EBADMSG, first,
                 SL_E_AUTH);
    /* The last bytes of the encrypted key (in front of the content's SEQUENCE), nonce, text, tag.
     */
    const uint8_t *gcm = memmem(der.data, der.len, "\x10\x13\x30\x11", 4);
    const size_t at[] = {(size_t)(gcm - der.data) - 40, (size_t)(gcm - der.data) + 8, der.len - 30,
                         der.len - 1};
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
        struct sl_error err = {0};
        der.data[at[i]] ^= 1;
        assert_fails(unwrap(sl_bytes_span(&der), KEY, NULL, &key, &err), EBADMSG, err, SL_E_AUTH);
        assert_string_equal(err.msg, first.msg);
        der.data[at[i]] ^= 1;
    }
    sl_bytes_done(&der);
}

static void pkcs7_truncated_anywhere_is_refused(void **state)
{
    (void)state;
    struct sl_layer_key key = {0};
    struct sl_bytes der = read_vector(VECTOR("ocicrypt_pkcs7_smallstep_form.der"));
    for (size_t len = 0; len < der.len; len++) {
        struct sl_error err = {0};
        assert_fails(unwrap((struct sl_span){der.data, len}, NULL, NULL, &key, &err), EBADMSG, err,
                     SL_E_FORMAT);
    }
    struct sl_error err = {0};
    assert_fails(unwrap((struct sl_span){der.data, der.len + 1}, NULL, NULL, &key, &err), EBADMSG,
                 err, SL_E_FORMAT);
    sl_bytes_done(&der);
}

static void pkcs7_des_is_refused(void **state)
{
    (void)state;
    struct sl_layer_key key = {0};
    struct sl_error err = {0};
    struct sl_bytes der = read_vector(VECTOR("ocicrypt_pkcs7_smallstep_form.der"));
    uint8_t *oid = memmem(der.data, der.len, "\x60\x86\x48\x01\x65\x03\x04\x01\x06", 9);
    assert_non_null(oid);
    oid[8] = 0x07;
    assert_fails(unwrap(sl_bytes_span(&der), KEY, NULL, &key, &err), ENOTSUP, err,
                 SL_E_UNSUPPORTED);
    assert_contains(err.msg, "content cipher");
    sl_bytes_done(&der);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pkcs7_both_published_forms_open),
        cmocka_unit_test(pkcs7_standard_gcm_parameters_and_split_content_open),
        cmocka_unit_test(pkcs7_other_certificate_matches_no_recipient),
        cmocka_unit_test(pkcs7_any_changed_secret_part_fails_with_one_text),
        cmocka_unit_test(pkcs7_truncated_anywhere_is_refused),
        cmocka_unit_test(pkcs7_des_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
