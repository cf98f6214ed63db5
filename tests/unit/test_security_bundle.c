/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle.h"

#include "text_edit.h"

#define B32 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=" /* bytes 0 to 31 */
#define KEY "\"publicKey\":{\"hint\":\"h\"}"
#define CHAIN                                                                                      \
    "\"x509CertificateChain\":{\"certificates\":[{\"rawBytes\":\"MAA=\"},{\"rawBytes\":\"MAI=\"}]" \
    "}"
#define CERTIFICATE "\"certificate\":{\"rawBytes\":\"MAA=\"}"
#define PROMISE "\"inclusionPromise\":{\"signedEntryTimestamp\":\"AAEC\"}"
#define PROOF                                                                                      \
    "\"inclusionProof\":{\"logIndex\":\"5\",\"rootHash\":\"" B32 "\",\"treeSize\":\"6\","          \
    "\"hashes\":[\"" B32 "\",\"" B32 "\"],\"checkpoint\":{\"envelope\":\"note\"}}"
#define ENTRY                                                                                      \
    "{\"logIndex\":\"7\",\"logId\":{\"keyId\":\"" B32 "\"},\"kindVersion\":{\"kind\":\"dsse\","    \
    "\"version\":\"0.0.1\"},\"integratedTime\":\"1700000000\"," PROMISE "," PROOF                  \
    ",\"canonicalizedBody\":\"e30=\"}"
#define TIMESTAMPS                                                                                 \
    "\"timestampVerificationData\":{\"rfc3161Timestamps\":[{\"signedTimestamp\":\"MAA=\"}]}"
#define MATERIAL(signer)                                                                           \
    "\"verificationMaterial\":{" signer ",\"tlogEntries\":[" ENTRY "]," TIMESTAMPS "}"
#define MESSAGE                                                                                    \
    "\"messageSignature\":{\"messageDigest\":{\"algorithm\":\"SHA2_256\",\"digest\":\"" B32        \
    "\"},\"signature\":\"AAEC\"}"
#define ENVELOPE                                                                                   \
    "\"dsseEnvelope\":{\"payload\":\"e30=\",\"payloadType\":\"application/vnd.in-toto+json\","     \
    "\"signatures\":[{\"sig\":\"AAEC\"}]}"
#define TYPE_0_1 "application/vnd.dev.sigstore.bundle+json;version=0.1"
#define TYPE_0_2 "application/vnd.dev.sigstore.bundle+json;version=0.2"
#define TYPE_0_3_OLD "application/vnd.dev.sigstore.bundle+json;version=0.3"
#define TYPE_0_3 "application/vnd.dev.sigstore.bundle.v0.3+json"
#define BUNDLE(type, signer, content)                                                              \
    "{\"mediaType\":\"" type "\"," MATERIAL(signer) "," content "}"

static void everything_is_read(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bundle) b = {0};
    struct sl_error err = {0};
    assert_done(sl_bundle_parse(sl_span_of(BUNDLE(TYPE_0_2, CHAIN, MESSAGE)), &b, &err));
    assert_int_equal(b.version, SL_BUNDLE_0_2);
    assert_int_equal(b.n_certificates, 2);
    assert_memory_equal(b.certificates[1].data, "\x30\x02", 2);
    assert_int_equal(b.n_entries, 1);
    const struct sl_bundle_entry *e = &b.entries[0];
    assert_int_equal(e->log_index, 7);
    assert_int_equal(e->integrated_time, 1700000000);
    assert_int_equal(e->log_id[31], 31);
    assert_string_equal(e->kind, "dsse");
    assert_string_equal(e->version, "0.0.1");
    assert_int_equal(e->set.len, 3);
    assert_string_equal((const char *)e->body.data, "{}");
    assert_true(e->has_proof);
    assert_int_equal(e->proof_index, 5);
    assert_int_equal(e->proof_size, 6);
    assert_int_equal(e->proof_root[30], 30);
    assert_int_equal(e->n_proof_hashes, 2);
    assert_int_equal(e->proof_hashes[1].len, 32);
    assert_string_equal(e->checkpoint, "note");
    assert_int_equal(b.n_timestamps, 1);
    assert_false(b.is_dsse);
    assert_true(b.has_message_digest);
    assert_int_equal(b.message_digest.alg, SL_SHA256);
    assert_int_equal(b.message_digest.bytes[31], 31);
    assert_int_equal(sl_bundle_signature(&b).len, 3);
}

static void each_version_allows_what_it_allows(void **state)
{
    (void)state;
    static const struct {
        const char *json, *part; /* of the error; NULL: none */
    } cases[] = {
        {BUNDLE(TYPE_0_1, KEY, MESSAGE), NULL},
        {BUNDLE(TYPE_0_2, KEY, ENVELOPE), NULL},
        {BUNDLE(TYPE_0_3, KEY, ENVELOPE), NULL},
        {BUNDLE(TYPE_0_3_OLD, KEY, MESSAGE), NULL},
        {BUNDLE(TYPE_0_1, CHAIN, ENVELOPE), NULL},
        {BUNDLE(TYPE_0_2, CHAIN, ENVELOPE), NULL},
        {BUNDLE(TYPE_0_3, CHAIN, ENVELOPE), "forbidden"},
        {BUNDLE(TYPE_0_3_OLD, CHAIN, ENVELOPE), "forbidden"},
        {BUNDLE(TYPE_0_1, CERTIFICATE, ENVELOPE), "0.3"},
        {BUNDLE(TYPE_0_2, CERTIFICATE, ENVELOPE), "0.3"},
        {BUNDLE(TYPE_0_3, CERTIFICATE, ENVELOPE), NULL},
        {BUNDLE(TYPE_0_3_OLD, CERTIFICATE, ENVELOPE), NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_bundle) b = {0};
        struct sl_error err = {0};
        if (cases[i].part)
            assert_error(sl_bundle_parse(sl_span_of(cases[i].json), &b, &err), EINVAL, SL_E_FORMAT,
                         cases[i].part);
        else
            assert_done(sl_bundle_parse(sl_span_of(cases[i].json), &b, &err));
    }
}

/* Promise, proof: which the versions can do without. */
static void each_version_demands_its_evidence(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        bool without_promise, without_proof;
    } cases[] = {
        {TYPE_0_1, false, true},
        {TYPE_0_2, true, false},
        {TYPE_0_3, true, false},
        {TYPE_0_3_OLD, true, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_FREE char *whole = text_edit(BUNDLE("@", KEY, ENVELOPE), "@", cases[i].type);
        SL_AUTO_FREE char *promised = text_edit(whole, PROOF ",", "");
        SL_AUTO_FREE char *proved = text_edit(whole, PROMISE ",", "");
        SL_AUTO_DONE(sl_bundle) b1 = {0};
        SL_AUTO_DONE(sl_bundle) b2 = {0};
        struct sl_error err = {0};
        assert_int_equal(sl_bundle_parse(sl_span_of(promised), &b1, &err) == 0,
                         cases[i].without_proof);
        assert_int_equal(sl_bundle_parse(sl_span_of(proved), &b2, &err) == 0,
                         cases[i].without_promise);
    }
}

/* Writers leave out what is zero or empty. */
static void zero_and_empty_may_be_left_out(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"logIndex\":\"7\",", ""},
        {"\"logIndex\":\"7\"", "\"logIndex\":0"},
        {"\"logIndex\":\"7\"", "\"logIndex\":\"9223372036854775807\""},
        {"\"integratedTime\":\"1700000000\",", ""},
        {"\"integratedTime\":\"1700000000\"", "\"integratedTime\":1700000000"},
        {"\"logIndex\":\"5\",", ""},
        {"\"hashes\":[\"" B32 "\",\"" B32 "\"],", ""},
        {"{\"hint\":\"h\"}", "{}"},
        {KEY, KEY ",\"certificate\":null"},
        {PROMISE, "\"inclusionPromise\":null"},
        {"\"logIndex\":\"7\"", "\"logIndex\":null"},
        {MESSAGE, MESSAGE ",\"dsseEnvelope\":null"},
        {"[" ENTRY "]", "null"},
        {",\"tlogEntries\":[" ENTRY "]", ""},
        {"[" ENTRY "]", "[]"},
        {"," TIMESTAMPS, ""},
        {"{\"rfc3161Timestamps\":[{\"signedTimestamp\":\"MAA=\"}]}", "{}"},
        {"\"messageDigest\":{\"algorithm\":\"SHA2_256\",\"digest\":\"" B32 "\"},", ""},
        {"SHA2_256\",\"digest\":\"" B32,
         "SHA2_512\",\"digest\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
         "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_FREE char *json =
            text_edit(BUNDLE(TYPE_0_3, KEY, MESSAGE), cases[i][0], cases[i][1]);
        SL_AUTO_DONE(sl_bundle) b = {0};
        struct sl_error err = {0};
        assert_done(sl_bundle_parse(sl_span_of(json), &b, &err));
    }
}

static void spoiled_bundles_are_refused(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"\"mediaType\":\"" TYPE_0_3 "\",", "", "mediaType"},
        {"\"" TYPE_0_3 "\"", "3", "mediaType"},
        {"{\"mediaType\"", "{\"media_type\":\"\",\"mediaType\"", "unknown member 'media_type'"},
        {"{\"mediaType\"", "{\"mediaType\":\"" TYPE_0_3 "\",\"mediaType\"", "mediaType"},
        /* who signed */
        {KEY ",", "", "exactly one"},
        {KEY, KEY "," CERTIFICATE, "exactly one"},
        {KEY, KEY "," CHAIN, "exactly one"},
        {KEY, KEY ",\"publicKey\":{}", "publicKey"},
        {KEY, "\"publicKey\":null", "exactly one"},
        {KEY, "\"publicKey\":[]", "must be an object"},
        {KEY, "\"publicKey\":{\"rawBytes\":\"MAA=\"}", "unknown member"},
        {KEY, "\"publicKey\":{\"hint\":1}", "must be a string"},
        {KEY, "\"certificate\":{}", "'rawBytes' is missing"},
        {KEY, "\"certificate\":{\"rawBytes\":\"MA\"}", "'rawBytes'"},
        {KEY, "\"certificate\":{\"rawBytes\":\"MAA=\",\"x\":1}", "unknown member"},
        {KEY, KEY ",\"more\":1", "unknown member 'more'"},
        /* what is signed */
        {"," MESSAGE, "", "exactly one"},
        {MESSAGE, MESSAGE "," ENVELOPE, "exactly one"},
        {MESSAGE, "\"messageSignature\":{}", "'signature' is missing"},
        {MESSAGE, "\"messageSignature\":[]", "must be an object"},
        {"SHA2_256", "SHA2_384", "must be SHA2_256"},
        {"SHA2_256", "sha2_256", "must be SHA2_256"},
        {"\"SHA2_256\"", "1", "must be a string"},
        {"SHA2_256", "SHA2_512", "not as long"},
        {"\"algorithm\":\"SHA2_256\",", "", "must be SHA2_256"},
        {"\"signature\":\"AAEC\"", "\"signature\":\"AAEC\",\"x\":1", "unknown member"},
        {"\"signature\":\"AAEC\"", "\"signature\":\"AAEC=\"", "'signature'"},
        {"\"signature\":\"AAEC\"", "\"signature\":\"\"", "'signature' is missing"},
        /* log entries */
        {"[" ENTRY "]", ENTRY, "must be a list"},
        {"[" ENTRY "]", "[null]", "entry 1"},
        {"[" ENTRY "]", "[{}]", "entry 1"},
        {ENTRY, ENTRY "," ENTRY, "entry 2: is the same"},
        {"\"logIndex\":\"7\"", "\"logIndex\":\"-1\"", "not negative"},
        {"\"logIndex\":\"7\"", "\"logIndex\":-1", "not negative"},
        {"\"logIndex\":\"7\"", "\"logIndex\":\"07\"", "decimal"},
        {"\"logIndex\":\"7\"", "\"logIndex\":\"+7\"", "decimal"},
        {"\"logIndex\":\"7\"", "\"logIndex\":\" 7\"", "decimal"},
        {"\"logIndex\":\"7\"", "\"logIndex\":\"7e0\"", "decimal"},
        {"\"logIndex\":\"7\"", "\"logIndex\":7.0", "decimal"},
        {"\"logIndex\":\"7\"", "\"logIndex\":7e1", "decimal"},
        {"\"logIndex\":\"7\"", "\"logIndex\":\"\"", "decimal"},
        {"\"logIndex\":\"7\"", "\"logIndex\":[]", "decimal"},
        {"\"logIndex\":\"7\"", "\"logIndex\":\"9223372036854775808\"", "decimal"},
        {"\"logIndex\":\"7\"", "\"logIndex\":18446744073709551616", "decimal"},
        {"\"logIndex\":\"7\"", "\"log_index\":\"7\"", "unknown member 'log_index'"},
        {"\"logId\":{\"keyId\":\"" B32 "\"},", "", "'logId' is missing"},
        {"{\"keyId\":\"" B32 "\"}", "{}", "32 bytes"},
        {"{\"keyId\":\"" B32 "\"}", "{\"keyId\":\"AAEC\"}", "32 bytes"},
        {"\"kind\":\"dsse\",", "", "kind and version"},
        {"\"version\":\"0.0.1\"", "\"version\":\"\"", "kind and version"},
        {"\"version\":\"0.0.1\"", "\"version\":1", "must be a string"},
        {"1700000000", "1700000000.5", "decimal"},
        {",\"canonicalizedBody\":\"e30=\"", "", "'canonicalizedBody' is missing"},
        {"\"signedEntryTimestamp\":\"AAEC\"", "", "'signedEntryTimestamp' is missing"},
        {PROMISE, "\"inclusionPromise\":\"AAEC\"", "must be an object"},
        {PROOF, "\"inclusionProof\":null", "'inclusionProof' is missing"},
        {PROOF, "\"inclusionProof\":{}", "'rootHash' must be of 32 bytes"},
        {"\"treeSize\":\"6\"", "\"treeSize\":\"-6\"", "not negative"},
        {"\"" B32 "\",\"" B32 "\"", "\"" B32 "\",\"AAEC\"", "'hashes'"},
        {"\"" B32 "\",\"" B32 "\"", "\"" B32 "\",null", "'hashes'"},
        {"{\"envelope\":\"note\"}", "{}", "'checkpoint' is empty"},
        {",\"checkpoint\":{\"envelope\":\"note\"}", "", "'checkpoint' is missing"},
        {"{\"envelope\":\"note\"}", "{\"envelope\":\"no\\u0000te\"}", ""},
        /* timestamps */
        {"{\"signedTimestamp\":\"MAA=\"}", "{}", "'signedTimestamp' is missing"},
        {"{\"signedTimestamp\":\"MAA=\"}", "\"MAA=\"", "must be an object"},
        {"\"rfc3161Timestamps\"", "\"rfc3161_timestamps\"", "unknown member"},
        {"\"signature\":\"AAEC\"}}", "\"signature\":\"AAEC\"}} {}", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_FREE char *json =
            text_edit(BUNDLE(TYPE_0_3, KEY, MESSAGE), cases[i][0], cases[i][1]);
        SL_AUTO_DONE(sl_bundle) b = {0};
        struct sl_error err = {0};
        assert_error(sl_bundle_parse(sl_span_of(json), &b, &err), EINVAL, SL_E_FORMAT, cases[i][2]);
        assert_null(b.entries);
    }
}

static void empty_chains_are_refused(void **state)
{
    (void)state;
    static const char *const chains[] = {"\"certificates\":[]", "", "\"certificates\":[{}]"};
    for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++) {
        SL_AUTO_FREE char *json = text_edit(
            BUNDLE(TYPE_0_1, CHAIN, MESSAGE),
            "\"certificates\":[{\"rawBytes\":\"MAA=\"},{\"rawBytes\":\"MAI=\"}]", chains[i]);
        SL_AUTO_DONE(sl_bundle) b = {0};
        struct sl_error err = {0};
        assert_error(sl_bundle_parse(sl_span_of(json), &b, &err), EINVAL, SL_E_FORMAT,
                     i < 2 ? "chain is empty" : "'rawBytes' is missing");
    }
}

static void other_versions_are_not_supported(void **state)
{
    (void)state;
    static const char *const types[] = {
        "application/vnd.dev.sigstore.bundle.v0.4+json",
        "application/vnd.dev.sigstore.bundle.v0.1+json",
        "application/vnd.dev.sigstore.bundle+json;version=0.4",
        "application/vnd.dev.sigstore.bundle+json;version=99.9",
        "application/vnd.dev.sigstore.bundle+json; version=0.3",
        "application/vnd.dev.sigstore.bundle.v0.3+json ",
        "Application/vnd.dev.sigstore.bundle.v0.3+json",
        "",
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        SL_AUTO_FREE char *json = text_edit(BUNDLE("@", KEY, MESSAGE), "@", types[i]);
        SL_AUTO_DONE(sl_bundle) b = {0};
        struct sl_error err = {0};
        assert_error(sl_bundle_parse(sl_span_of(json), &b, &err), ENOTSUP, SL_E_UNSUPPORTED,
                     "versions 0.1 to 0.3");
    }
}

/* n copies of a piece with a number in each. */
static char *numbered(const char *piece, int n)
{
    SL_AUTO_DONE(sl_bytes) list = {0};
    for (int i = 0; i < n; i++) {
        SL_AUTO_FREE char *item = strstr(piece, "\"7\"") ? sl_strf("\"%d\"", i) : strdup("");
        SL_AUTO_FREE char *edited = *item ? text_edit(piece, "\"7\"", item) : strdup(piece);
        assert_int_equal(sl_bytes_append(&list, sl_span_of(i ? "," : ""), 1 << 20, NULL), 0);
        assert_int_equal(sl_bytes_append(&list, sl_span_of(edited), 1 << 20, NULL), 0);
    }
    return strdup((const char *)list.data);
}

static void lists_have_limits(void **state)
{
    (void)state;
    static const struct {
        const char *piece;
        int max;
    } cases[] = {
        {ENTRY, 32},
        {"{\"signedTimestamp\":\"MAA=\"}", 32},
        {"{\"rawBytes\":\"MAI=\"}", 16 - 1}, /* beside the leaf */
        {"\"" B32 "\",\"" B32 "\"", 64 / 2},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int more = 0; more < 2; more++) {
            SL_AUTO_FREE char *list = numbered(cases[i].piece, cases[i].max + more);
            SL_AUTO_FREE char *json =
                text_edit(BUNDLE(TYPE_0_1, CHAIN, MESSAGE), cases[i].piece, list);
            SL_AUTO_DONE(sl_bundle) b = {0};
            struct sl_error err = {0};
            if (more)
                assert_error(sl_bundle_parse(sl_span_of(json), &b, &err), E2BIG, SL_E_LIMIT,
                             "more than");
            else
                assert_done(sl_bundle_parse(sl_span_of(json), &b, &err));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_read),
        cmocka_unit_test(each_version_allows_what_it_allows),
        cmocka_unit_test(each_version_demands_its_evidence),
        cmocka_unit_test(zero_and_empty_may_be_left_out),
        cmocka_unit_test(spoiled_bundles_are_refused),
        cmocka_unit_test(empty_chains_are_refused),
        cmocka_unit_test(other_versions_are_not_supported),
        cmocka_unit_test(lists_have_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
