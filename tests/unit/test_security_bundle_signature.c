/* SPDX-License-Identifier: Apache-2.0 */
/* The bundles are made by tests/support/bundle_samples.py. */
#include "sigstore_signing.h"
#include "sigstore_trust.h"

#include "text_edit.h"

#include <fcntl.h>

#define MANIFEST "an image manifest"

/* ---- fixtures ---- */

static struct sl_bytes read_sample(const char *name)
{
    struct sl_bytes bytes = {0};
    struct sl_error err = {0};
    SL_AUTO_FREE char *path = sl_strf("%s/%s", SL_SIGSTORE_LAB, name);
    assert_done(sl_read_file(AT_FDCWD, path, SL_SIGNATURE_BUNDLE_MAX, &bytes, &err));
    return bytes;
}

/* What a requirement trusts: file names, NULL for none. */
struct trusted {
    const char *key, *rekor, *root, *fulcio_ca, *pki_root;
    bool is_fulcio;
    const char *root_from, *root_to; /* an edit of the root, not NULL */
};
static const struct trusted key_alone = {.key = "cosign.pub"};
static const struct trusted key_and_rekor = {.key = "cosign.pub", .rekor = "rekor.pub"};
static const struct trusted key_and_root = {.key = "cosign.pub", .root = "trusted_root.json"};
static const struct trusted other_key = {.key = "other.pub"};
static const struct trusted keyless = {.root = "trusted_root.json", .is_fulcio = true};
static const struct trusted own_fulcio = {
    .rekor = "rekor.pub", .fulcio_ca = "fulcio_root.pem", .is_fulcio = true};
static const struct trusted own_pki = {.pki_root = "pki_root.pem"};

/* The first validity is that of the first log, at whose time samples were signed. */
#define VALID_FROM "\"start\":\"2020-01-01T00:00:00Z\""
static const struct trusted log_until_then = {
    .key = "cosign.pub",
    .root = "trusted_root.json",
    .root_from = VALID_FROM,
    .root_to = VALID_FROM ",\"end\":\"2025-06-01T12:00:00Z\"",
};
static const struct trusted log_until_before = {
    .key = "cosign.pub",
    .root = "trusted_root.json",
    .root_from = VALID_FROM,
    .root_to = VALID_FROM ",\"end\":\"2025-06-01T11:59:59Z\"",
};
static const struct trusted log_from_then = {
    .key = "cosign.pub",
    .root = "trusted_root.json",
    .root_from = VALID_FROM,
    .root_to = "\"start\":\"2025-06-01T12:00:00Z\"",
};
static const struct trusted log_from_later = {
    .key = "cosign.pub",
    .root = "trusted_root.json",
    .root_from = VALID_FROM,
    .root_to = "\"start\":\"2025-06-01T12:00:01Z\"",
};
/* The same of the log that promises no time: a timestamp proves it, else it is now. */
#define V2_VALID_FROM "\"PKIX_ED25519\",\"validFor\":{\"start\":\"2020-01-01T00:00:00Z\""
#define V2_UNTIL(time) V2_VALID_FROM ",\"end\":\"" time "\""
static const struct trusted v2_log_until_then = {
    .root = "trusted_root.json",
    .is_fulcio = true,
    .root_from = V2_VALID_FROM,
    .root_to = V2_UNTIL("2025-06-01T12:00:00Z"),
};
static const struct trusted v2_log_until_before = {
    .root = "trusted_root.json",
    .is_fulcio = true,
    .root_from = V2_VALID_FROM,
    .root_to = V2_UNTIL("2025-06-01T11:59:59Z"),
};
static const struct trusted key_and_v2_log_that_was = {
    .key = "cosign.pub",
    .root = "trusted_root.json",
    .root_from = V2_VALID_FROM,
    .root_to = V2_UNTIL("2025-06-01T12:00:00Z"),
};
/* A trusted root demands a log entry, also when it has no log. */
static const struct trusted key_and_logless_root = {.key = "cosign.pub",
                                                    .root = "logless_root.json"};
static const struct trusted keyless_without_log = {.root = "logless_root.json", .is_fulcio = true};

struct fixture {
    struct sl_requirement requirement;
    struct sl_key_source sources[6];
    size_t n_sources;
};

static struct sl_key_sources add_source(struct fixture *f, const char *file)
{
    if (!file)
        return (struct sl_key_sources){0};
    struct sl_key_source *source = &f->sources[f->n_sources++];
    *source = (struct sl_key_source){.bytes = read_sample(file)};
    return (struct sl_key_sources){source, 1};
}

static void edit_root(struct fixture *f, const struct trusted *trusted)
{
    if (!trusted->root_from)
        return;
    struct sl_bytes *root = &f->requirement.trusted_root.items[0].bytes;
    SL_AUTO_FREE char *json =
        text_edit((const char *)root->data, trusted->root_from, trusted->root_to);
    sl_bytes_done(root);
    *root = (struct sl_bytes){0};
    assert_int_equal(sl_bytes_append(root, sl_span_of(json), 1 << 20, NULL), 0);
}

static void open_requirement(struct fixture *f, const struct trusted *trusted)
{
    struct sl_requirement *requirement = &f->requirement;
    struct sl_error err = {0};
    enum sl_signature_code code;
    *f = (struct fixture){0};
    *requirement = (struct sl_requirement){
        .type = SL_REQUIRE_SIGSTORE_SIGNED,
        .accepts_bundles = true,
        .ignores_sct = !trusted->root,
        .has_fulcio = trusted->is_fulcio,
        .oidc_issuer = trusted->is_fulcio ? "https://issuer.example.com" : NULL,
        .subject_email = trusted->is_fulcio ? "signer@example.com" : NULL,
        .has_pki = trusted->pki_root,
        .pki_email = trusted->pki_root ? "signer@example.com" : NULL,
        .keys = add_source(f, trusted->key),
        .rekor_keys = add_source(f, trusted->rekor),
        .trusted_root = add_source(f, trusted->root),
        .fulcio_ca = add_source(f, trusted->fulcio_ca),
        .pki_roots = add_source(f, trusted->pki_root),
        .pki_intermediates = add_source(f, trusted->pki_root ? "pki_intermediate.pem" : NULL),
    };
    edit_root(f, trusted);
    assert_done(sl_sigstore_trust_open(requirement, &requirement->trust, &code, &err));
}

static void close_requirement(struct fixture *f)
{
    (void)sl_sigstore_trust_free(f->requirement.trust);
    for (size_t i = 0; i < f->n_sources; i++)
        sl_bytes_done(&f->sources[i].bytes);
}

static struct sl_digest sha256_of(const char *text)
{
    struct sl_digest digest = {0};
    struct sl_error err = {0};
    assert_done(sl_digest_of(SL_SHA256, sl_span_of(text), &digest, &err));
    return digest;
}

static struct sl_judged_image image_of(const char *manifest, const char *index)
{
    struct sl_judged_image image = {
        .name = "registry.example.com/lab/image:1",
        .manifest = sl_span_of(manifest),
        .manifest_digest = sha256_of(manifest),
        .has_index = index,
    };
    if (index) {
        image.index = sl_span_of(index);
        image.index_digest = sha256_of(index);
    }
    return image;
}

static int judge(const struct trusted *trusted, const struct sl_judged_image *image,
                 const char *json, struct sl_signature_finding *finding)
{
    struct fixture f;
    open_requirement(&f, trusted);
    const struct sl_signature signature = {
        .kind = SL_SIGNATURE_BUNDLE,
        .bytes = {.data = (uint8_t *)(uintptr_t)json, .len = strlen(json)},
    };
    *finding = (struct sl_signature_finding){.code = SL_SIG_REJECT};
    int r = sl_bundle_signature_verify(&f.requirement, image, &signature, finding);
    close_requirement(&f);
    assert_int_equal(r == 0, finding->code == SL_SIG_OK);
    if (r != 0)
        assert_int_equal(r, -EKEYREJECTED);
    return r;
}

/* ---- good ones ---- */

struct good {
    const char *name;
    const struct trusted *trusted;
    bool proves_time;
};
static void assert_good(const struct good *cases, size_t n)
{
    const struct sl_judged_image image = image_of(MANIFEST, NULL);
    for (size_t i = 0; i < n; i++) {
        struct sl_signature_finding finding;
        SL_AUTO_FREE char *file = sl_strf("%s.json", cases[i].name);
        SL_AUTO_DONE(sl_bytes) json = read_sample(file);
        if (judge(cases[i].trusted, &image, (const char *)json.data, &finding) != 0)
            fail_msg("%s: %s", cases[i].name, finding.reason);
        assert_int_equal(finding.signed_at != 0, cases[i].proves_time);
        assert_int_equal(strncmp(finding.key, "sha256:", 7), 0);
        assert_false(finding.names_index);
        assert_string_equal(finding.reason, "");
    }
}

static void bundles_of_a_key_are_accepted(void **state)
{
    (void)state;
    static const struct good cases[] = {
        {"key-dsse", &key_alone, false},
        {"key-dsse-old-media-type", &key_alone, false},
        {"key-dsse-nolog", &key_alone, false},
        {"key-dsse-0.1", &key_alone, false},
        {"key-dsse-0.2", &key_alone, false},
        {"key-dsse-v2", &key_alone, false},
        {"key-message", &key_alone, false},
        {"log-unknown", &key_alone, false}, /* without a log of its own, none is looked at */
        {"log-swapped", &key_alone, false},
        {"key-dsse", &key_and_rekor, true},
        {"key-dsse-0.1", &key_and_rekor, true},
        {"key-dsse-0.2", &key_and_rekor, true},
        {"key-intoto", &key_and_rekor, true},
        {"key-message", &key_and_rekor, true},
        {"log-unknown-and-known", &key_and_rekor, true},
        {"key-dsse", &key_and_root, true},
        {"key-dsse-v2", &key_and_root, false},
        {"key-message", &key_and_root, true},
        {"key-message-v2", &key_and_root, false},
        {"key-dsse", &log_until_then, true}, /* both ends belong to it */
        {"key-dsse", &log_from_then, true},
        {"statement-annotated", &key_alone, false},
        {"statement-second-subject", &key_alone, false},
        {"statement-unknown-members", &key_alone, false},
        {"message-without-digest", &key_alone, false},
        {"message-sha512", &key_alone, false},
    };
    assert_good(cases, sizeof(cases) / sizeof(cases[0]));
}

static void bundles_of_a_certificate_are_accepted(void **state)
{
    (void)state;
    static const struct good cases[] = {
        {"fulcio-dsse", &keyless, true},
        {"fulcio-dsse-old-media-type", &keyless, true},
        {"fulcio-dsse-timestamp", &keyless, true},
        {"fulcio-intoto-0.1", &keyless, true},
        {"fulcio-dsse-0.2", &keyless, true},
        {"fulcio-dsse-v2", &keyless, true},
        {"fulcio-message", &keyless, true},
        {"fulcio-message-v2", &keyless, true},
        {"fulcio-dsse-v2", &v2_log_until_then, true},
        {"fulcio-dsse-0.2", &own_fulcio, true}, /* its chain has the intermediate */
        {"pki-dsse", &own_pki, false},
    };
    assert_good(cases, sizeof(cases) / sizeof(cases[0]));
}

static void signatures_of_the_index_count(void **state)
{
    (void)state;
    static const char *const names[] = {"index-dsse.json", "index-message.json",
                                        "index-message-without-digest.json"};
    SL_AUTO_DONE(sl_bytes) index = read_sample("index.json");
    const struct sl_judged_image image = image_of(MANIFEST, (const char *)index.data);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct sl_signature_finding finding;
        SL_AUTO_DONE(sl_bytes) json = read_sample(names[i]);
        assert_int_equal(judge(&key_and_rekor, &image, (const char *)json.data, &finding),
                         i < 2 ? 0 : -EKEYREJECTED); /* the last has no log entry */
        assert_int_equal(finding.names_index, i < 2);
    }
}

/* ---- bad ones ---- */

/* It says something about its own members only. */
static void signatures_of_an_index_that_has_another_manifest_are_rejected(void **state)
{
    (void)state;
    static const char *const names[] = {"index-dsse.json", "index-message.json",
                                        "index-message-without-digest.json"};
    SL_AUTO_DONE(sl_bytes) index = read_sample("index.json");
    const struct sl_judged_image image = image_of("a stranger", (const char *)index.data);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct sl_signature_finding finding;
        SL_AUTO_DONE(sl_bytes) json = read_sample(names[i]);
        assert_int_equal(judge(&key_alone, &image, (const char *)json.data, &finding),
                         -EKEYREJECTED);
        assert_int_equal(finding.code, SL_SIG_DIGEST);
        assert_non_null(strstr(finding.reason, "does not have this manifest"));
        assert_false(finding.names_index);
    }
}

struct bad {
    const char *name;
    const struct trusted *trusted;
    enum sl_signature_code code;
    const char *part; /* of the reason */
};
static void assert_bad(const struct bad *c, const struct sl_judged_image *image, const char *json)
{
    struct sl_signature_finding finding;
    if (judge(c->trusted, image, json, &finding) == 0 || finding.code != c->code ||
        !strstr(finding.reason, c->part))
        fail_msg("%s: %s: %s", c->name, sl_signature_code_name(finding.code), finding.reason);
}

static void spoiled_under_a_good_signature_is_rejected(void **state)
{
    (void)state;
    static const struct bad cases[] = {
        {"key-dsse", &other_key, SL_SIG_CRYPTO, "any key"},
        {"key-message", &other_key, SL_SIG_CRYPTO, "any key"},
        {"payload-alone-signed", &key_alone, SL_SIG_CRYPTO, "does not verify"},
        {"other-payload-type", &key_alone, SL_SIG_PAYLOAD, "application/json"},
        {"two-signatures", &key_alone, SL_SIG_FORMAT, "2 signatures"},
        {"statement-other-type", &key_alone, SL_SIG_PAYLOAD, "'_type'"},
        {"statement-without-type", &key_alone, SL_SIG_PAYLOAD, "'_type'"},
        {"statement-provenance", &key_alone, SL_SIG_PAYLOAD, "slsa.dev"},
        {"statement-without-predicate-type", &key_alone, SL_SIG_PAYLOAD, "'predicateType'"},
        {"statement-longer-predicate-type", &key_alone, SL_SIG_PAYLOAD, "predicate type"},
        {"statement-other-digest", &key_alone, SL_SIG_DIGEST, "something else"},
        {"statement-upper-case", &key_alone, SL_SIG_DIGEST, "something else"},
        {"statement-other-algorithm", &key_alone, SL_SIG_DIGEST, "something else"},
        {"statement-without-subject", &key_alone, SL_SIG_PAYLOAD, "'subject'"},
        {"message-other-digest", &key_alone, SL_SIG_DIGEST, "something else"},
        {"message-of-other", &key_alone, SL_SIG_DIGEST, "something else"},
        {"message-of-other-without-digest", &key_alone, SL_SIG_CRYPTO, "does not verify"},
        {"message-of-digest-text", &key_alone, SL_SIG_CRYPTO, "does not verify"},
        /* logs */
        {"key-dsse-nolog", &key_and_rekor, SL_SIG_TLOG, "no entry"},
        {"key-dsse-nolog", &key_and_root, SL_SIG_TLOG, "no entry"},
        {"key-dsse-timestamp", &key_and_root, SL_SIG_TLOG, "no entry"},
        {"key-dsse-v2", &key_and_rekor, SL_SIG_TLOG, "no entry"},
        {"log-unknown", &key_and_rekor, SL_SIG_TLOG, "no entry"},
        {"log-unknown", &key_and_root, SL_SIG_TLOG, "no entry"},
        {"log-swapped", &key_and_rekor, SL_SIG_TLOG, "log entry 1"},
        {"log-good-and-spoiled", &key_and_rekor, SL_SIG_TLOG, "log entry 1"},
        {"key-dsse", &log_until_before, SL_SIG_TLOG, "not trusted at that time"},
        {"key-dsse", &log_from_later, SL_SIG_TLOG, "not trusted at that time"},
        {"fulcio-dsse-v2", &v2_log_until_before, SL_SIG_TLOG, "not trusted at"},
        {"key-dsse-v2", &key_and_v2_log_that_was, SL_SIG_TLOG, "not trusted at"},
        {"key-dsse", &key_and_logless_root, SL_SIG_TLOG, "no entry"},
        /* certificates */
        {"fulcio-dsse", &keyless_without_log, SL_SIG_CERT, "needs a trusted root"},
        {"fulcio-dsse", &key_alone, SL_SIG_KEY, "names keys"},
        {"key-dsse", &keyless, SL_SIG_KEY, "names certificates"},
        {"key-dsse", &own_pki, SL_SIG_KEY, "names certificates"},
        {"fulcio-nolog", &keyless, SL_SIG_TLOG, "no entry"},
        {"fulcio-v2-without-time", &keyless, SL_SIG_TIME, "nothing proves"},
        {"fulcio-late", &keyless, SL_SIG_TIME, ""},
        {"fulcio-one-time-late", &keyless, SL_SIG_TIME, ""},
        {"fulcio-other-issuer", &keyless, SL_SIG_IDENTITY, ""},
        {"fulcio-other-email", &keyless, SL_SIG_IDENTITY, ""},
        {"fulcio-uri-dsse", &keyless, SL_SIG_IDENTITY, ""},
        {"fulcio-stranger", &keyless, SL_SIG_CERT, ""},
        {"fulcio-dsse", &own_fulcio, SL_SIG_CERT, ""}, /* no intermediate anywhere */
        {"fulcio-dsse", &own_pki, SL_SIG_CERT, ""},
        {"chain-with-root", &keyless, SL_SIG_CERT, "certificate 3 is self-signed"},
    };
    const struct sl_judged_image image = image_of(MANIFEST, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_FREE char *file = sl_strf("%s.json", cases[i].name);
        SL_AUTO_DONE(sl_bytes) json = read_sample(file);
        assert_bad(&cases[i], &image, (const char *)json.data);
    }
}

static void other_images_are_rejected(void **state)
{
    (void)state;
    static const struct bad cases[] = {
        {"key-dsse.json", &key_and_rekor, SL_SIG_DIGEST, "something else"},
        {"key-message.json", &key_and_rekor, SL_SIG_DIGEST, "something else"},
        {"message-without-digest.json", &key_alone, SL_SIG_CRYPTO, "does not verify"},
    };
    const struct sl_judged_image alone = image_of("another manifest", NULL);
    const struct sl_judged_image both = image_of("another manifest", "another index");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_bytes) json = read_sample(cases[i].name);
        assert_bad(&cases[i], &alone, (const char *)json.data);
        assert_bad(&cases[i], &both, (const char *)json.data);
    }
}

/* What is approved is the digest; a message is verified over bytes. */
static void bytes_that_are_not_the_digests_count_for_nothing(void **state)
{
    (void)state;
    struct sl_judged_image image = image_of(MANIFEST, NULL);
    image.manifest_digest.bytes[0] ^= 1;
    const struct bad c = {"message-without-digest.json", &key_alone, SL_SIG_DIGEST,
                          "another manifest"};
    SL_AUTO_DONE(sl_bytes) json = read_sample(c.name);
    assert_bad(&c, &image, (const char *)json.data);
    image = image_of(MANIFEST, NULL);
    image.manifest = sl_span_of("other bytes");
    const struct bad dsse = {"key-dsse.json", &key_alone, SL_SIG_DIGEST, "another manifest"};
    SL_AUTO_DONE(sl_bytes) dsse_json = read_sample(dsse.name);
    assert_bad(&dsse, &image, (const char *)dsse_json.data);
}

/* Each byte of evidence counts: a digit or letter of it is replaced. */
static void spoiled_evidence_is_rejected(void **state)
{
    (void)state;
    static const struct {
        struct bad bad;
        const char *from, *to;
    } cases[] = {
        {{"key-dsse", &key_and_rekor, SL_SIG_TLOG, ""},
         "\"integratedTime\":\"17",
         "\"integratedTime\":\"16"},
        {{"key-dsse", &key_and_rekor, SL_SIG_TLOG, ""}, "{\"logIndex\":\"1", "{\"logIndex\":\"2"},
        {{"key-dsse", &key_and_rekor, SL_SIG_TLOG, ""},
         "\"signedEntryTimestamp\":\"ME",
         "\"signedEntryTimestamp\":\"MC"},
        {{"key-dsse", &key_and_rekor, SL_SIG_TLOG, ""}, "\"kind\":\"dsse\"", "\"kind\":\"intoto\""},
        {{"key-dsse", &key_and_rekor, SL_SIG_TLOG, ""},
         "\"version\":\"0.0.1\"",
         "\"version\":\"0.0.2\""},
        {{"key-dsse", &key_and_rekor, SL_SIG_TLOG, ""}, "\"treeSize\":\"", "\"treeSize\":\"1"},
        {{"key-dsse", &key_and_rekor, SL_SIG_TLOG, ""},
         "\"hashes\":[\"",
         "\"hashes\":[\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\",\""},
        {{"key-dsse", &key_and_rekor, SL_SIG_TLOG, ""},
         "\"envelope\":\"rekor",
         "\"envelope\":\"relor"},
        {{"key-dsse", &key_and_rekor, SL_SIG_TLOG, ""},
         "\"canonicalizedBody\":\"ey",
         "\"canonicalizedBody\":\"ez"},
        {{"key-dsse-v2", &key_and_root, SL_SIG_TLOG, ""},
         "\"envelope\":\"log2025",
         "\"envelope\":\"log2026"},
        {{"key-dsse-v2", &key_and_root, SL_SIG_TLOG, ""},
         "\"canonicalizedBody\":\"ey",
         "\"canonicalizedBody\":\"ez"},
        {{"key-dsse", &key_alone, SL_SIG_CRYPTO, ""}, "\"payload\":\"ey", "\"payload\":\"ez"},
        {{"key-dsse", &key_alone, SL_SIG_CRYPTO, ""}, "{\"sig\":\"ME", "{\"sig\":\"MC"},
        {{"key-message", &key_alone, SL_SIG_CRYPTO, ""},
         "\"signature\":\"ME",
         "\"signature\":\"MC"},
        {{"key-message", &key_alone, SL_SIG_UNSUPPORTED, "0.4"}, "v0.3", "v0.4"},
        {{"key-dsse", &key_alone, SL_SIG_FORMAT, "unknown member"},
         "{\"mediaType\"",
         "{\"x\":1,\"mediaType\""},
        {{"fulcio-dsse-v2", &keyless, SL_SIG_TIME, ""},
         "\"signedTimestamp\":\"MI",
         "\"signedTimestamp\":\"MH"},
        {{"fulcio-dsse", &keyless, SL_SIG_FORMAT, "certificate 1"},
         "\"certificate\":{\"rawBytes\":\"MI",
         "\"certificate\":{\"rawBytes\":\"MH"},
        {{"fulcio-dsse", &keyless, SL_SIG_TLOG, ""},
         "\"integratedTime\":\"17",
         "\"integratedTime\":\"11"},
    };
    const struct sl_judged_image image = image_of(MANIFEST, NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_FREE char *file = sl_strf("%s.json", cases[i].bad.name);
        SL_AUTO_DONE(sl_bytes) whole = read_sample(file);
        SL_AUTO_FREE char *json = text_edit((const char *)whole.data, cases[i].from, cases[i].to);
        assert_bad(&cases[i].bad, &image, json);
    }
}

/* The hint selects nothing and proves nothing. */
static void a_wrong_hint_does_not_matter(void **state)
{
    (void)state;
    const struct sl_judged_image image = image_of(MANIFEST, NULL);
    struct sl_signature_finding finding;
    SL_AUTO_DONE(sl_bytes) whole = read_sample("key-dsse.json");
    SL_AUTO_FREE char *json = text_edit((const char *)whole.data, "\"hint\":\"", "\"hint\":\"x");
    assert_int_equal(judge(&key_and_rekor, &image, json, &finding), 0);
}

static void bundles_count_only_where_the_policy_says_so(void **state)
{
    (void)state;
    const struct sl_judged_image image = image_of(MANIFEST, NULL);
    struct sl_signature_finding finding = {0};
    struct fixture f;
    open_requirement(&f, &key_alone);
    f.requirement.accepts_bundles = false;
    SL_AUTO_DONE(sl_bytes) json = read_sample("key-dsse.json");
    const struct sl_signature signature = {.kind = SL_SIGNATURE_BUNDLE, .bytes = json};
    assert_int_equal(sl_bundle_signature_verify(&f.requirement, &image, &signature, &finding),
                     -EKEYREJECTED);
    assert_int_equal(finding.code, SL_SIG_IDENTITY);
    assert_non_null(strstr(finding.reason, "\"x-bundles\": \"digest-only\""));
    close_requirement(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bundles_of_a_key_are_accepted),
        cmocka_unit_test(bundles_of_a_certificate_are_accepted),
        cmocka_unit_test(signatures_of_the_index_count),
        cmocka_unit_test(signatures_of_an_index_that_has_another_manifest_are_rejected),
        cmocka_unit_test(spoiled_under_a_good_signature_is_rejected),
        cmocka_unit_test(other_images_are_rejected),
        cmocka_unit_test(bytes_that_are_not_the_digests_count_for_nothing),
        cmocka_unit_test(spoiled_evidence_is_rejected),
        cmocka_unit_test(a_wrong_hint_does_not_matter),
        cmocka_unit_test(bundles_count_only_where_the_policy_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
