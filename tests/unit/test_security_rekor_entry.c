/* SPDX-License-Identifier: Apache-2.0 */
/* The entries are of tests/support/sigstore_lab.py, which cosign believes. */
#include "sigstore_pieces.h"

struct log_and_trust {
    struct sl_trusted_log log;
    struct sl_sigstore_trust trust;
};

static void trust_one_log(struct log_and_trust *t, const char *key)
{
    *t = (struct log_and_trust){.log = log_of_key(read_public_key(key))};
    t->trust.logs = &t->log;
    t->trust.n_logs = 1;
}

/* ---- bodies ---- */

static int body_check(const struct pieces *p, struct sl_error *err)
{
    struct sl_logged_signature about = pieces_about(p);
    return sl_rekor_body_check(sl_bytes_span(&p->body), p->kind, p->version, &about, err);
}

static const char *const bundles[] = {
    "key-dsse",       "key-intoto",        "key-message",       "key-dsse-v2",
    "key-message-v2", "fulcio-dsse",       "fulcio-intoto-0.1", "fulcio-message",
    "fulcio-dsse-v2", "fulcio-message-v2", "key-message-vast",  "fulcio-dsse-v2-vast",
};
enum { N_BUNDLES = sizeof(bundles) / sizeof(bundles[0]) };

static void body_of_every_kind_is_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BUNDLES; i++) {
        PIECES p = pieces_read(bundles[i]);
        struct sl_error err = {0};
        assert_done(body_check(&p, &err));
    }
}

static void assert_other(const struct pieces *p, const struct sl_logged_signature *about)
{
    struct sl_error err = {0};
    assert_error(sl_rekor_body_check(sl_bytes_span(&p->body), NULL, NULL, about, &err), EBADMSG,
                 SL_E_INTEGRITY, "another signature");
}

static void body_about_something_else_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_BUNDLES; i++) {
        PIECES p = pieces_read(bundles[i]);
        const struct sl_logged_signature ours = pieces_about(&p);
        struct sl_logged_signature about = ours;
        about.signature.len--;
        assert_other(&p, &about);
        about = ours;
        about.signature.len = 0;
        assert_other(&p, &about);
        about = ours;
        if (about.pae.len && strcmp(p.version, "0.0.2") == 0 && strcmp(p.kind, "intoto") != 0)
            about.pae.len--;
        else
            about.payload.len--;
        assert_other(&p, &about);
        about = ours;
        about.spki.len -= about.spki.len != 0;
        about.certificate.len -= about.certificate.len != 0;
        assert_other(&p, &about);
        about = ours; /* a certificate where the entry has a key, and the other way round */
        about.spki = ours.certificate;
        about.certificate = ours.spki;
        assert_other(&p, &about);
        about = ours;
        about.spki.len = about.certificate.len = 0;
        assert_other(&p, &about);
    }
}

static void body_of_another_form_of_signature_is_refused(void **state)
{
    (void)state;
    PIECES message = pieces_read("key-message");
    PIECES dsse = pieces_read("key-dsse");
    PIECES intoto = pieces_read("key-intoto");
    struct sl_error err = {0};
    struct sl_logged_signature about = pieces_about(&message);
    about.pae = about.payload;
    assert_error(sl_rekor_body_check(sl_bytes_span(&message.body), NULL, NULL, &about, &err),
                 EINVAL, SL_E_FORMAT, "DSSE");
    about = pieces_about(&dsse);
    about.pae.len = 0;
    assert_error(sl_rekor_body_check(sl_bytes_span(&dsse.body), NULL, NULL, &about, &err), EINVAL,
                 SL_E_FORMAT, "plain");
    about = pieces_about(&intoto);
    about.pae.len = 0;
    assert_error(sl_rekor_body_check(sl_bytes_span(&intoto.body), NULL, NULL, &about, &err), EINVAL,
                 SL_E_FORMAT, "plain");
}

static void body_of_a_kind_not_announced_is_refused(void **state)
{
    (void)state;
    PIECES p = pieces_read("key-dsse");
    struct sl_logged_signature about = pieces_about(&p);
    struct sl_error err = {0};
    assert_error(sl_rekor_body_check(sl_bytes_span(&p.body), "hashedrekord", "0.0.1", &about, &err),
                 EBADMSG, SL_E_INTEGRITY, "announced");
    assert_error(sl_rekor_body_check(sl_bytes_span(&p.body), "dsse", "0.0.2", &about, &err),
                 EBADMSG, SL_E_INTEGRITY, "announced");
}

/* text with the first of from, which must be there, replaced. To be freed. */
static char *replaced(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    if (!at)
        fail_msg("%s is not in %s", from, text);
    char *out = sl_strf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    assert_non_null(out);
    return out;
}

/* text with the value of the first member of this name replaced. To be freed. */
static char *with_value(const char *text, const char *name, const char *value)
{
    SL_AUTO_FREE char *key = sl_strf("\"%s\":", name);
    const char *at = strstr(text, key);
    assert_non_null(at);
    at += strlen(key);
    size_t len = 0, depth = 0;
    bool quoted = false;
    for (; quoted || depth || !strchr(",}]", at[len]); len++) {
        quoted ^= at[len] == '"';
        depth += !quoted && strchr("{[", at[len]);
        depth -= !quoted && strchr("}]", at[len]);
    }
    char *out = sl_strf("%.*s%s%s", (int)(at - text), text, value, at + len);
    assert_non_null(out);
    return out;
}

static void assert_body_refused(const struct pieces *p, const char *body)
{
    struct sl_logged_signature about = pieces_about(p);
    struct sl_error err = {0};
    if (sl_rekor_body_check(sl_span_of(body), NULL, NULL, &about, &err) == 0)
        fail_msg("accepted: %s", body);
    assert_true(err.code == SL_E_FORMAT || err.code == SL_E_INTEGRITY ||
                err.code == SL_E_UNSUPPORTED);
}

static void body_with_any_member_spoilt_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bundle;
        const char *members[14];
    } cases[] = {
        {"key-message",
         {"apiVersion", "kind", "spec", "data", "hash", "algorithm", "value", "signature",
          "content", "publicKey"}},
        {"key-dsse",
         {"apiVersion", "kind", "spec", "payloadHash", "signatures", "signature", "verifier"}},
        {"key-intoto",
         {"apiVersion", "kind", "spec", "content", "envelope", "signatures", "publicKey", "sig",
          "payloadHash"}},
        {"fulcio-dsse-v2",
         {"apiVersion", "kind", "spec", "hashedRekordV002", "data", "algorithm", "digest",
          "signature", "content", "verifier", "keyDetails", "x509Certificate", "rawBytes"}},
    };
    static const char *const values[] = {"null", "1",           "\"\"",     "\"+\"",
                                         "[]",   "{}",          "true",     "\"x\"",
                                         "[{}]", "\"99.0.99\"", "\"AA==\"", "\"notHashedRekord\""};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        PIECES p = pieces_read(cases[i].bundle);
        const char *body = (const char *)p.body.data;
        for (size_t m = 0; m < 14 && cases[i].members[m]; m++) {
            SL_AUTO_FREE char *key = sl_strf("\"%s\":", cases[i].members[m]);
            SL_AUTO_FREE char *other = sl_strf("\"%sX\":", cases[i].members[m]);
            SL_AUTO_FREE char *twice =
                sl_strf("\"%s\":1,\"%s\":", cases[i].members[m], cases[i].members[m]);
            SL_AUTO_FREE char *missing = replaced(body, key, other);
            SL_AUTO_FREE char *doubled = replaced(body, key, twice);
            assert_body_refused(&p, missing);
            assert_body_refused(&p, doubled);
            for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
                SL_AUTO_FREE char *spoilt = with_value(body, cases[i].members[m], values[v]);
                assert_body_refused(&p, spoilt);
            }
        }
        for (size_t cut = 0; cut < p.body.len; cut++) {
            SL_AUTO_FREE char *head = strndup(body, cut);
            assert_body_refused(&p, head);
        }
    }
}

/* A hash that is right, under an algorithm that is not wanted, or written differently. */
static void body_with_another_spelling_of_its_hash_is_refused(void **state)
{
    (void)state;
    PIECES p = pieces_read("key-message");
    const char *body = (const char *)p.body.data;
    uint8_t sum[64];
    char hex[129], text[160];
    assert_int_equal(EVP_Digest(p.payload.data, p.payload.len, sum, NULL, EVP_sha512(), NULL), 1);
    sl_hex_format((struct sl_span){sum, sizeof(sum)}, hex);
    (void)snprintf(text, sizeof(text), "\"%s\"", hex);
    SL_AUTO_FREE char *value = with_value(body, "value", text);
    SL_AUTO_FREE char *both = replaced(value, "\"sha256\"", "\"sha512\"");
    assert_body_refused(&p, both);
    assert_int_equal(EVP_Digest(p.payload.data, p.payload.len, sum, NULL, EVP_sha256(), NULL), 1);
    sl_hex_format((struct sl_span){sum, 32}, hex);
    for (char *c = hex; *c; c++)
        *c = (char)(*c >= 'a' ? *c - 'a' + 'A' : *c);
    (void)snprintf(text, sizeof(text), "\"%s\"", hex);
    SL_AUTO_FREE char *upper = with_value(body, "value", text);
    assert_body_refused(&p, upper);
    hex[63] = 0;
    (void)snprintf(text, sizeof(text), "\"%s\"", hex);
    SL_AUTO_FREE char *odd = with_value(body, "value", text);
    assert_body_refused(&p, odd);
}

static void assert_pem_refused(const struct pieces *p, const char *pem)
{
    SL_AUTO_FREE char *b64 = sl_base64_encode(sl_span_of(pem));
    SL_AUTO_FREE char *quoted = sl_strf("{\"content\":\"%s\"}", b64);
    SL_AUTO_FREE char *body = with_value((const char *)p->body.data, "publicKey", quoted);
    assert_body_refused(p, body);
}

static void body_with_more_than_one_pem_block_is_refused(void **state)
{
    (void)state;
    PIECES p = pieces_read("key-message");
    SL_AUTO_DONE(sl_bytes) pem = read_piece("cosign.pub");
    SL_AUTO_DONE(sl_bytes) stranger = read_piece("other.pub");
    const char *ours = (const char *)pem.data, *other = (const char *)stranger.data;
    SL_AUTO_FREE char *twice = sl_strf("%s%s", ours, ours);
    SL_AUTO_FREE char *before = sl_strf("x\n%s", ours);
    SL_AUTO_FREE char *behind = sl_strf("%sx", ours);
    SL_AUTO_FREE char *label = replaced(ours, "BEGIN PUBLIC", "BEGIN PRIVATE");
    const char *const bad[] = {twice, before, behind, label, other, "-----BEGIN ", "no PEM"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_pem_refused(&p, bad[i]);
}

static void body_with_a_second_signature_is_refused(void **state)
{
    (void)state;
    static const char *const two[] = {"key-dsse", "key-intoto"};
    for (size_t i = 0; i < 2; i++) {
        PIECES p = pieces_read(two[i]);
        SL_AUTO_FREE char *body = replaced((const char *)p.body.data, "}]", "},{}]");
        SL_AUTO_FREE char *none = with_value((const char *)p.body.data, "signatures", "[]");
        assert_body_refused(&p, body);
        assert_body_refused(&p, none);
    }
}

static void body_with_members_we_do_not_know_is_accepted(void **state)
{
    (void)state;
    PIECES p = pieces_read("key-message");
    struct sl_logged_signature about = pieces_about(&p);
    struct sl_error err = {0};
    SL_AUTO_FREE char *more =
        replaced((const char *)p.body.data, "\"spec\":{", "\"new\":[],\"spec\":{\"new\":1,");
    assert_done(sl_rekor_body_check(sl_span_of(more), NULL, NULL, &about, &err));
}

/* ---- signed entry timestamps ---- */

static int set_check(const struct sl_sigstore_trust *trust, const struct pieces *p, int64_t time,
                     int64_t index, struct sl_error *err)
{
    return sl_rekor_set_check(trust, sl_bytes_span(&p->set), sl_bytes_span(&p->body),
                              (struct sl_span){p->log_id, sizeof(p->log_id)}, time, index, err);
}

static void set_covers_all_it_says(void **state)
{
    (void)state;
    struct log_and_trust t;
    trust_one_log(&t, "rekor.pub");
    PIECES p = pieces_read("key-dsse");
    struct sl_error err = {0};
    assert_done(set_check(&t.trust, &p, p.time, p.log_index, &err));
    assert_error(set_check(&t.trust, &p, p.time + 1, p.log_index, &err), EBADMSG, SL_E_INTEGRITY,
                 "did not sign");
    assert_error(set_check(&t.trust, &p, p.time, p.log_index + 1, &err), EBADMSG, SL_E_INTEGRITY,
                 "did not sign");
    for (size_t i = 0; i < p.body.len; i++) {
        p.body.data[i] ^= 1;
        assert_error(set_check(&t.trust, &p, p.time, p.log_index, &err), EBADMSG, SL_E_INTEGRITY,
                     "did not sign");
        p.body.data[i] ^= 1;
    }
    for (size_t i = 0; i < p.set.len; i++) {
        p.set.data[i] ^= 1;
        assert_error(set_check(&t.trust, &p, p.time, p.log_index, &err), EBADMSG, SL_E_INTEGRITY,
                     "did not sign");
        p.set.data[i] ^= 1;
    }
    p.set.len = 0;
    assert_error(set_check(&t.trust, &p, p.time, p.log_index, &err), E2BIG, SL_E_LIMIT, "0 bytes");
    log_done(&t.log);
}

/* The place in the log is none in the tree of the proof. */
static void set_of_a_log_of_many_is_accepted(void **state)
{
    (void)state;
    struct log_and_trust t;
    trust_one_log(&t, "rekor.pub");
    PIECES p = pieces_read("key-message-vast");
    struct sl_error err = {0};
    assert_done(set_check(&t.trust, &p, 1748779200, 9877543, &err));
    assert_error(set_check(&t.trust, &p, 1748779200, 9876543, &err), EBADMSG, SL_E_INTEGRITY,
                 "did not sign");
    log_done(&t.log);
}

static void set_of_numbers_out_of_range_is_refused(void **state)
{
    (void)state;
    struct log_and_trust t;
    trust_one_log(&t, "rekor.pub");
    PIECES p = pieces_read("key-dsse");
    struct sl_error err = {0};
    const int64_t bad[] = {-1, INT64_MIN, INT64_C(1) << 53, INT64_MAX};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_error(set_check(&t.trust, &p, bad[i], p.log_index, &err), EINVAL, SL_E_FORMAT,
                     "2^53");
        assert_error(set_check(&t.trust, &p, p.time, bad[i], &err), EINVAL, SL_E_FORMAT, "2^53");
    }
    assert_error(set_check(&t.trust, &p, p.time, (INT64_C(1) << 53) - 1, &err), EBADMSG,
                 SL_E_INTEGRITY, "did not sign");
    log_done(&t.log);
}

static void set_of_a_log_not_trusted_is_refused(void **state)
{
    (void)state;
    struct log_and_trust t;
    trust_one_log(&t, "rekor.pub");
    PIECES p = pieces_read("key-dsse");
    struct sl_error err = {0};
    t.log.id[31] ^= 1;
    assert_error(set_check(&t.trust, &p, p.time, p.log_index, &err), EBADMSG, SL_E_INTEGRITY,
                 "no trusted transparency log");
    t.log.id[31] ^= 1;
    t.log.valid = (struct sl_validity){p.time + 1, INT64_MAX};
    assert_error(set_check(&t.trust, &p, p.time, p.log_index, &err), EBADMSG, SL_E_INTEGRITY,
                 "at that time");
    t.log.valid = (struct sl_validity){0, p.time - 1};
    assert_error(set_check(&t.trust, &p, p.time, p.log_index, &err), EBADMSG, SL_E_INTEGRITY,
                 "at that time");
    t.log.valid = (struct sl_validity){p.time, p.time};
    assert_done(set_check(&t.trust, &p, p.time, p.log_index, &err));
    t.trust.n_logs = 0;
    assert_error(set_check(&t.trust, &p, p.time, p.log_index, &err), EBADMSG, SL_E_INTEGRITY,
                 "no trusted transparency log");
    log_done(&t.log);
    trust_one_log(&t, "other.pub"); /* another key that goes by the log's id */
    memcpy(t.log.id, p.log_id, sizeof(p.log_id));
    assert_error(set_check(&t.trust, &p, p.time, p.log_index, &err), EBADMSG, SL_E_INTEGRITY,
                 "did not sign");
    log_done(&t.log);
}

/* ---- the annotation ---- */

struct annotation {
    struct log_and_trust t;
    struct sl_bytes payload, signature, log, spki;
    struct sl_logged_signature about;
};

static void annotation_init(struct annotation *a)
{
    trust_one_log(&a->t, "rekor.pub");
    a->payload = read_piece("sig/key-rekor.payload");
    a->signature = read_piece("sig/key-rekor.sig");
    a->log = read_piece("sig/key-rekor.log");
    a->spki = read_piece("pieces/key-dsse/spki");
    a->about = (struct sl_logged_signature){.signature = sl_bytes_span(&a->signature),
                                            .payload = sl_bytes_span(&a->payload),
                                            .spki = sl_bytes_span(&a->spki)};
}

static void annotation_done(struct annotation *a)
{
    log_done(&a->t.log);
    sl_bytes_done(&a->payload);
    sl_bytes_done(&a->signature);
    sl_bytes_done(&a->log);
    sl_bytes_done(&a->spki);
}

static void annotation_proves_its_time(void **state)
{
    (void)state;
    struct annotation a;
    int64_t time = 0;
    struct sl_error err = {0};
    annotation_init(&a);
    assert_done(sl_rekor_annotation_check(&a.t.trust, (char *)a.log.data, &a.about, &time, &err));
    assert_int_equal(time, 1748779200);
    a.about.payload.len--;
    time = 0;
    assert_error(sl_rekor_annotation_check(&a.t.trust, (char *)a.log.data, &a.about, &time, &err),
                 EBADMSG, SL_E_INTEGRITY, "payload hash");
    assert_int_equal(time, 0);
    annotation_done(&a);
}

static void assert_annotation_refused(struct annotation *a, const char *text)
{
    struct sl_error err = {0};
    int64_t time = 0;
    int r = sl_rekor_annotation_check(&a->t.trust, text, &a->about, &time, &err);
    if (r != -EINVAL || err.code != SL_E_FORMAT || time != 0)
        fail_msg("%d, %s: %s", r, err.msg, text);
}

/* The numbers are those that were signed, or close: only their spelling is wrong. */
static void annotation_with_odd_numbers_is_refused(void **state)
{
    (void)state;
    struct annotation a;
    annotation_init(&a);
    const char *text = (const char *)a.log.data;
    static const char *const times[] = {"1748779200.0",
                                        "1748779200.5",
                                        "1.7487792e9",
                                        "17487792e2",
                                        "\"1748779200\"",
                                        "-1",
                                        "9007199254740992",
                                        "1e400",
                                        "null",
                                        "true",
                                        "[]",
                                        "-0",
                                        "18446744073709551617"};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        SL_AUTO_FREE char *time = with_value(text, "integratedTime", times[i]);
        SL_AUTO_FREE char *index = with_value(text, "logIndex", times[i]);
        assert_annotation_refused(&a, time);
        assert_annotation_refused(&a, index);
    }
    annotation_done(&a);
}

static void annotation_with_any_member_spoilt_is_refused(void **state)
{
    (void)state;
    struct annotation a;
    annotation_init(&a);
    const char *text = (const char *)a.log.data;
    static const char *const members[] = {"SignedEntryTimestamp", "Payload",  "body",
                                          "integratedTime",       "logIndex", "logID"};
    static const char *const values[] = {"null", "1.5", "[]", "{}", "\"+\"", "true"};
    for (size_t m = 0; m < sizeof(members) / sizeof(members[0]); m++) {
        SL_AUTO_FREE char *key = sl_strf("\"%s\":", members[m]);
        SL_AUTO_FREE char *other = sl_strf("\"%sX\":", members[m]);
        SL_AUTO_FREE char *twice = sl_strf("\"%s\":\"\",\"%s\":", members[m], members[m]);
        SL_AUTO_FREE char *more = sl_strf("\"new\":1,\"%s\":", members[m]);
        SL_AUTO_FREE char *missing = replaced(text, key, other);
        SL_AUTO_FREE char *doubled = replaced(text, key, twice);
        SL_AUTO_FREE char *extra = replaced(text, key, more);
        assert_annotation_refused(&a, missing);
        assert_annotation_refused(&a, doubled);
        assert_annotation_refused(&a, extra);
        for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
            SL_AUTO_FREE char *spoilt = with_value(text, members[m], values[v]);
            assert_annotation_refused(&a, spoilt);
        }
    }
    SL_AUTO_FREE char *upper = replaced(text, "7d807f", "7D807F");
    assert_annotation_refused(&a, upper);
    SL_AUTO_FREE char *behind = sl_strf("%s{}", text);
    assert_annotation_refused(&a, behind);
    for (size_t cut = 0; cut < a.log.len; cut += 3) {
        SL_AUTO_FREE char *head = strndup(text, cut);
        assert_annotation_refused(&a, head);
    }
    annotation_done(&a);
}

/* cosign's annotation is for payloads; an entry of an envelope is none of them. */
static void annotation_of_another_kind_of_entry_is_refused(void **state)
{
    (void)state;
    struct annotation a;
    annotation_init(&a);
    PIECES p = pieces_read("key-dsse");
    struct sl_logged_signature about = pieces_about(&p);
    SL_AUTO_FREE char *body = sl_base64_encode(sl_bytes_span(&p.body));
    SL_AUTO_FREE char *set = sl_base64_encode(sl_bytes_span(&p.set));
    char id[65];
    int64_t time = 0;
    struct sl_error err = {0};
    sl_hex_format((struct sl_span){p.log_id, sizeof(p.log_id)}, id);
    SL_AUTO_FREE char *text =
        sl_strf("{\"SignedEntryTimestamp\":\"%s\",\"Payload\":{\"body\":\"%s\",\"integratedTime\":"
                "%" PRId64 ",\"logIndex\":%" PRId64 ",\"logID\":\"%s\"}}",
                set, body, p.time, p.log_index, id);
    assert_error(sl_rekor_annotation_check(&a.t.trust, text, &about, &time, &err), EBADMSG,
                 SL_E_INTEGRITY, "announced");
    annotation_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(body_of_every_kind_is_accepted),
        cmocka_unit_test(body_about_something_else_is_refused),
        cmocka_unit_test(body_of_another_form_of_signature_is_refused),
        cmocka_unit_test(body_of_a_kind_not_announced_is_refused),
        cmocka_unit_test(body_with_any_member_spoilt_is_refused),
        cmocka_unit_test(body_with_another_spelling_of_its_hash_is_refused),
        cmocka_unit_test(body_with_more_than_one_pem_block_is_refused),
        cmocka_unit_test(body_with_a_second_signature_is_refused),
        cmocka_unit_test(body_with_members_we_do_not_know_is_accepted),
        cmocka_unit_test(set_covers_all_it_says),
        cmocka_unit_test(set_of_a_log_of_many_is_accepted),
        cmocka_unit_test(set_of_numbers_out_of_range_is_refused),
        cmocka_unit_test(set_of_a_log_not_trusted_is_refused),
        cmocka_unit_test(annotation_proves_its_time),
        cmocka_unit_test(annotation_with_odd_numbers_is_refused),
        cmocka_unit_test(annotation_with_any_member_spoilt_is_refused),
        cmocka_unit_test(annotation_of_another_kind_of_entry_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
