/* SPDX-License-Identifier: Apache-2.0 */
#include "sigstore_trust.h"

#include "text_edit.h"

#include <fcntl.h>

static struct sl_bytes read_root(void)
{
    struct sl_bytes bytes = {0};
    struct sl_error err = {0};
    assert_done(
        sl_read_file(AT_FDCWD, SL_SIGSTORE_LAB "/trusted_root.json", 1 << 20, &bytes, &err));
    return bytes;
}

static int parse(const char *json, struct sl_sigstore_trust **ret, struct sl_error *err)
{
    *ret = calloc(1, sizeof(**ret));
    assert_non_null(*ret);
    return sl_trusted_root_parse(sl_span_of(json), *ret, err);
}

static void everything_is_read(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) json = read_root();
    struct sl_sigstore_trust *trust;
    struct sl_error err = {0};
    assert_done(parse((const char *)json.data, &trust, &err));
    assert_true(trust->has_trusted_root);
    assert_int_equal(trust->n_logs, 2);
    assert_string_equal(trust->logs[0].host, "rekor.lab.example.com");
    assert_memory_equal(trust->logs[0].id, trust->logs[0].key.spki_sha256, 32);
    assert_int_equal(trust->logs[0].valid.start, 1577836800); /* date -d 2020-01-01T00:00Z +%s */
    assert_true(trust->logs[0].valid.end == INT64_MAX);
    /* Rekor v2 has ids of its own. */
    assert_string_equal(trust->logs[1].host, "log2025.rekor.lab.example.com");
    assert_memory_not_equal(trust->logs[1].id, trust->logs[1].key.spki_sha256, 32);
    assert_int_equal(trust->n_ct_logs, 1);
    assert_int_equal(trust->n_authorities, 1);
    assert_int_equal(sk_X509_num(trust->authorities[0].certs), 2);
    assert_int_equal(trust->authorities[0].valid.start, 1577836800);
    assert_int_equal(trust->n_timestampers, 1);
    assert_int_equal(sk_X509_num(trust->timestampers[0].certs), 3);
    (void)sl_sigstore_trust_free(trust);
}

/* The first "start" is that of the first log. */
#define START "\"start\":\"2020-01-01T00:00:00Z\""

static void times_are_read_to_the_second(void **state)
{
    (void)state;
    static const struct {
        const char *range;
        int64_t start, end;
    } cases[] = {
        /* date -u -d TEXT +%s */
        {"\"start\":\"2021-01-12T11:53:27.000Z\"", 1610452407, INT64_MAX},
        {"\"start\":\"2021-01-12T11:53:27.5Z\"", 1610452408, INT64_MAX},
        {START ",\"end\":\"2022-10-31T23:59:59.999Z\"", 1577836800, 1667260799},
        {START ",\"end\":\"2020-01-01T00:00:00Z\"", 1577836800, 1577836800},
        {START ",\"end\":null", 1577836800, INT64_MAX},
        {"\"start\":\"2000-02-29T23:59:59Z\"", 951868799, INT64_MAX},
        {"\"start\":\"1969-12-31T23:59:59Z\"", -1, INT64_MAX},
    };
    SL_AUTO_DONE(sl_bytes) whole = read_root();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_FREE char *json = text_edit((const char *)whole.data, START, cases[i].range);
        struct sl_sigstore_trust *trust;
        struct sl_error err = {0};
        assert_done(parse(json, &trust, &err));
        assert_true(trust->logs[0].valid.start == cases[i].start);
        assert_true(trust->logs[0].valid.end == cases[i].end);
        assert_true(sl_validity_has(&trust->logs[0].valid, cases[i].start));
        assert_false(sl_validity_has(&trust->logs[0].valid, cases[i].start - 1));
        assert_true(sl_validity_has(&trust->logs[0].valid, cases[i].end));
        (void)sl_sigstore_trust_free(trust);
    }
}

#define TYPE "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
#define URL "\"baseUrl\":\"https://rekor.lab.example.com\""

static void other_forms_are_read(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {TYPE, "application/vnd.dev.sigstore.trustedroot.v0.1+json", "rekor.lab.example.com"},
        {TYPE, "application/vnd.dev.sigstore.trustedroot.v0.2+json", "rekor.lab.example.com"},
        {URL, URL ",\"operator\":\"lab\"", "rekor.lab.example.com"},
        {URL, URL ",\"checkpointKeyId\":{\"keyId\":\"AAECAw==\"}", "rekor.lab.example.com"},
        {URL, "\"baseUrl\":\"http://localhost:8000/v1?x#y\"", "localhost:8000"},
        {URL, "\"baseUrl\":\"log.example.com\"", "log.example.com"},
        {URL, "\"baseUrl\":\"https://log.example.com/\"", "log.example.com"},
        {URL, "\"baseUrl\":\"\"", NULL},
        {URL ",", "", NULL},
    };
    SL_AUTO_DONE(sl_bytes) whole = read_root();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_FREE char *json = text_edit((const char *)whole.data, cases[i][0], cases[i][1]);
        struct sl_sigstore_trust *trust;
        struct sl_error err = {0};
        assert_done(parse(json, &trust, &err));
        if (cases[i][2])
            assert_string_equal(trust->logs[0].host, cases[i][2]);
        else
            assert_null(trust->logs[0].host);
        (void)sl_sigstore_trust_free(trust);
    }
}

static void spoiled_roots_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
        enum sl_errc code;
        const char *part;
    } cases[] = {
        {TYPE, "application/vnd.dev.sigstore.trustedroot.v0.3+json", SL_E_UNSUPPORTED, "0.1 and"},
        {"\"mediaType\"", "\"mediatype\"", SL_E_FORMAT, "mediaType"},
        {"{\"mediaType\"", "{\"x\":1,\"mediaType\"", SL_E_FORMAT, "unknown member 'x'"},
        {"\"tlogs\"", "\"tlogs\":[],\"tlogs\"", SL_E_FORMAT, "twice"},
        {"\"tlogs\":[", "\"tlogs\":[{},", SL_E_FORMAT, "'tlogs' 1"},
        {"\"tlogs\":[", "\"tlogs\":[null,", SL_E_FORMAT, "'tlogs' 1"},
        {"\"ctlogs\":[", "\"ctlogs\":[5,", SL_E_FORMAT, "'ctlogs' 1"},
        /* a log */
        {"\"validFor\":{" START "}", "\"validFor\":{}", SL_E_FORMAT, "'start'"},
        {",\"validFor\":{" START "}", "", SL_E_FORMAT, "'validFor' is missing"},
        {START, START ",\"end\":\"2019-12-31T23:59:59Z\"", SL_E_FORMAT, "ends before"},
        {START, START ",\"end\":{}", SL_E_FORMAT, "'end'"},
        {START, "\"start\":null", SL_E_FORMAT, "'start'"},
        {START, "\"start\":\"2020-01-01T00:00:00+00:00\"", SL_E_FORMAT, "'start'"},
        {START, "\"start\":\"2020-01-01T00:00:00\"", SL_E_FORMAT, "'start'"},
        {START, "\"start\":\"2020-01-01t00:00:00z\"", SL_E_FORMAT, "'start'"},
        {START, "\"start\":\"2020-01-01T00:00:00.Z\"", SL_E_FORMAT, "'start'"},
        {START, "\"start\":\"2020-01-01T00:00:00.0123456789Z\"", SL_E_FORMAT, "'start'"},
        {START, "\"start\":\"2020-02-30T00:00:00Z\"", SL_E_FORMAT, "'start'"},
        {START, "\"start\":\"2021-02-29T00:00:00Z\"", SL_E_FORMAT, "'start'"},
        {START, "\"start\":\"2020-13-01T00:00:00Z\"", SL_E_FORMAT, "'start'"},
        {START, "\"start\":\"2020-01-01T24:00:00Z\"", SL_E_FORMAT, "'start'"},
        {START, "\"start\":\"2020-1-01T00:00:00Z\"", SL_E_FORMAT, "'start'"},
        {START, "\"start\":\"2020-01-01T00:00:00ZZ\"", SL_E_FORMAT, "'start'"},
        {START, "\"start\":\"\"", SL_E_FORMAT, "'start'"},
        {START, "\"start\":1577836800", SL_E_FORMAT, "'start'"},
        {"SHA2_256", "SHA2_512", SL_E_FORMAT, "'hashAlgorithm'"},
        {"\"hashAlgorithm\":\"SHA2_256\",", "", SL_E_FORMAT, "'hashAlgorithm'"},
        {"\"logId\":{\"keyId\":\"", "\"logId\":{\"keyId\":\"AAEC", SL_E_FORMAT, "32 bytes"},
        {"\"logId\"", "\"logID\"", SL_E_FORMAT, "unknown member 'logID'"},
        {"\"PKIX_ECDSA_P256_SHA_256\"", "\"PKIX_ED25519\"", SL_E_FORMAT, "not of the kind"},
        {"\"PKIX_ECDSA_P256_SHA_256\"", "\"PKIX_ECDSA_P384_SHA_384\"", SL_E_FORMAT, "not of the"},
        {"\"PKIX_ECDSA_P256_SHA_256\"", "\"PKCS1_RSA_PKCS1V5\"", SL_E_FORMAT, "PKCS#1"},
        {"\"PKIX_ECDSA_P256_SHA_256\"", "\"ML_DSA_65\"", SL_E_UNSUPPORTED, "ML_DSA_65"},
        {"\"PKIX_ECDSA_P256_SHA_256\"", "5", SL_E_FORMAT, "'keyDetails'"},
        {"\"keyDetails\":\"PKIX_ECDSA_P256_SHA_256\",", "", SL_E_UNSUPPORTED, "kind ''"},
        {"\"publicKey\":{\"rawBytes\":\"MF", "\"publicKey\":{\"rawBytes\":\"ME", SL_E_FORMAT, ""},
        {"https://rekor.lab", "https://me@rekor.lab", SL_E_FORMAT, "plain URL"},
        /* an authority */
        {"\"certChain\":{\"certificates\":[", "\"certChain\":{\"certificates\":[{},", SL_E_FORMAT,
         "certificate 1"},
        {"\"certificates\":[{\"rawBytes\":\"MI", "\"certificates\":[{\"rawBytes\":\"MH",
         SL_E_FORMAT, "not a certificate"},
        {"\"certChain\"", "\"certchain\"", SL_E_FORMAT, "unknown member 'certchain'"},
        {"\"organization\"", "\"org\"", SL_E_FORMAT, "unknown member 'org'"},
        {"\"subject\":{", "\"extra\":1,\"subject\":{", SL_E_FORMAT, "unknown member 'extra'"},
    };
    SL_AUTO_DONE(sl_bytes) whole = read_root();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_FREE char *json = text_edit((const char *)whole.data, cases[i].from, cases[i].to);
        struct sl_sigstore_trust *trust;
        struct sl_error err = {0};
        int r = parse(json, &trust, &err);
        if (r >= 0 || err.code != cases[i].code || !strstr(err.msg, cases[i].part))
            fail_msg("%s: %d, %s", cases[i].to, r, err.msg);
        assert_false(trust->has_trusted_root);
        (void)sl_sigstore_trust_free(trust);
    }
}

static void an_authority_needs_validity_and_certificates(void **state)
{
    (void)state;
    static const char *const roots[][2] = {
        {"{\"mediaType\":\"" TYPE "\",\"timestampAuthorities\":[{\"certChain\":{}}]}", "validFor"},
        {"{\"mediaType\":\"" TYPE "\",\"timestampAuthorities\":[{\"validFor\":{" START
         "},\"certChain\":{}}]}",
         "'certChain' is empty"},
        {"{\"mediaType\":\"" TYPE "\",\"certificateAuthorities\":[{\"validFor\":{" START "}}]}",
         "'certChain' is missing"},
    };
    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        struct sl_sigstore_trust *trust;
        struct sl_error err = {0};
        assert_error(parse(roots[i][0], &trust, &err), EINVAL, SL_E_FORMAT, roots[i][1]);
        (void)sl_sigstore_trust_free(trust);
    }
}

/* The staging certificate log's of 2021 is written this way; this key is openssl's:
 * openssl genrsa 2048 | openssl rsa -RSAPublicKey_out -outform DER | base64 -w0 */
#define PKCS1_KEY                                                                                  \
    "MIIBCgKCAQEApHhmAmKXxMpg3GMyaXvxGSbry+dTz4SdjNEtDMkDmOQCHOcy0i+boErLfIl3kadMMzkg"             \
    "ifSpcmhNF/wsuA+LSA32XD1e7aRbYU6T5vaWZizdh+z3QTXns05vr9LV+D669soHP8KsG1eVmhTt+Kps"             \
    "Z6MrwQlkllY4H37WXeAUIn8iZHm1Tc5KthqVvaVRTa0igcS0IEwulo7QX2xVZbg69Yada73o7a75leMQ"             \
    "ij+u87GY+UqVpg5Cvw4pWlVAy1rcdsMKHAIr327vQGEc2DBZY7xVj3sJILK3ishYediHxvRyPSRiwFeI"             \
    "AFw0MqSiU/YCqHmWqYIGv2gkSBbhxyu9AQIDAQAB"

/* The first log's key becomes this one. */
static char *with_rsa_key(const char *base64)
{
    SL_AUTO_DONE(sl_bytes) whole = read_root();
    const char *at = strstr((const char *)whole.data, "\"publicKey\":{\"rawBytes\":\"");
    assert_non_null(at);
    const char *end = strstr(at, "\",\"validFor\"");
    assert_non_null(end);
    SL_AUTO_FREE char *old = sl_strf("%.*s", (int)(end - at), at);
    SL_AUTO_FREE char *key =
        sl_strf("\"publicKey\":{\"rawBytes\":\"%s\",\"keyDetails\":\"PKCS1_RSA_PKCS1V5", base64);
    return text_edit((const char *)whole.data, old, key);
}

static void bare_rsa_keys_are_read(void **state)
{
    (void)state;
    SL_AUTO_FREE char *json = with_rsa_key(PKCS1_KEY);
    SL_AUTO_FREE char *longer = with_rsa_key(PKCS1_KEY "AAAA");
    struct sl_sigstore_trust *trust;
    struct sl_error err = {0};
    assert_done(parse(json, &trust, &err));
    assert_int_equal(EVP_PKEY_get_base_id(trust->logs[0].key.key), EVP_PKEY_RSA);
    (void)sl_sigstore_trust_free(trust);
    assert_error(parse(longer, &trust, &err), EINVAL, SL_E_FORMAT, "PKCS#1");
    (void)sl_sigstore_trust_free(trust);
}

static void nothing_stands_behind_a_certificate(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) whole = read_root();
    SL_AUTO_DONE(sl_bytes) der = {0};
    struct sl_error err = {0};
    const char *mark = "\"certificates\":[{\"rawBytes\":\"";
    const char *at = strstr((const char *)whole.data, mark);
    assert_non_null(at);
    at += strlen(mark);
    SL_AUTO_FREE char *base64 = sl_strf("%.*s", (int)strcspn(at, "\""), at);
    assert_done(sl_base64_decode(sl_span_of(base64), &der, &err));
    assert_done(sl_bytes_append(&der, (struct sl_span){(const uint8_t *)"", 1}, 1 << 16, &err));
    SL_AUTO_FREE char *longer = sl_base64_encode(sl_bytes_span(&der));
    SL_AUTO_FREE char *json = text_edit((const char *)whole.data, base64, longer);
    struct sl_sigstore_trust *trust;
    assert_error(parse(json, &trust, &err), EBADMSG, SL_E_FORMAT, "not a certificate");
    (void)sl_sigstore_trust_free(trust);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_read),
        cmocka_unit_test(times_are_read_to_the_second),
        cmocka_unit_test(other_forms_are_read),
        cmocka_unit_test(spoiled_roots_are_refused),
        cmocka_unit_test(an_authority_needs_validity_and_certificates),
        cmocka_unit_test(bare_rsa_keys_are_read),
        cmocka_unit_test(nothing_stands_behind_a_certificate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
