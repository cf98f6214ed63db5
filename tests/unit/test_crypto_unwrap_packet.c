/* SPDX-License-Identifier: Apache-2.0 */
#include "coco_packet.h"
#include "key_ring.h"

#include "key_vectors.h"
#include "unwrap_element.h"

/* The constant key of the sample key broker. */
static const char sample_kek[] = "2Zt3BbC6ehaClbOjNnJwsN2bNxv1FMqLm6fwozcR2uo=";

struct broker {
    char asked[128];
    int r;
};

static int give_sample_kek(void *arg, const char *kid, uint8_t ret[32], struct sl_error *err)
{
    struct broker *broker = arg;
    (void)snprintf(broker->asked, sizeof(broker->asked), "%s", kid);
    if (broker->r < 0)
        return sl_error_set(err, SL_E_NETWORK, -broker->r, "broker is down");
    struct sl_bytes kek = {0};
    assert_ok(sl_base64_decode(sl_span_of(sample_kek), &kek, NULL));
    memcpy(ret, kek.data, 32);
    sl_bytes_wipe(&kek);
    return 0;
}

static int unwrap(const char *text, struct broker *broker, bool allow_ctr, struct sl_layer_key *ret,
                  struct sl_error *err)
{
    SL_AUTO(sl_key_ring) ring = NULL;
    assert_ok(sl_key_ring_new(&ring, NULL));
    if (broker)
        sl_key_ring_set_kek_lookup(ring, give_sample_kek, broker);
    sl_key_ring_allow_a256ctr(ring, allow_ctr);
    return unwrap_element(sl_packet_unwrap, ring, sl_span_of(text), ret, err);
}

static void packet_p1_published_opens(void **state)
{
    (void)state;
    struct broker broker = {0};
    struct sl_layer_key key = {0};
    char *text = read_text(VECTOR("coco_packet_p1_v1.json"));
    assert_ok(unwrap(text, &broker, false, &key, NULL));
    assert_same_key(&key, VECTOR("coco_packet_p1_plbco.json"));
    assert_string_equal(broker.asked, "kbs:///default/key/1");
    free(text);
}

static void packet_w1_sample_opens(void **state)
{
    (void)state;
    struct broker broker = {0};
    struct sl_layer_key key = {0};
    char *text = read_text(VECTOR("coco_packet_w1_sample.json"));
    assert_ok(unwrap(text, &broker, false, &key, NULL));
    assert_same_key(&key, VECTOR("ocicrypt_l1_plbco.json"));
    free(text);
}

static void packet_p2_published_parses_and_wrong_kek_is_integrity(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_coco_packet) packet = {0};
    struct broker broker = {0};
    struct sl_layer_key key = {0};
    struct sl_error err = {0};
    struct sl_bytes json = {0};
    char *b64 = read_text(VECTOR("coco_packet_p2_example_image.b64"));
    assert_ok(sl_base64_decode(sl_span_of(b64), &json, NULL));
    assert_ok(sl_coco_packet_parse(sl_bytes_span(&json), &packet, NULL));
    assert_string_equal(packet.kid, "kbs:///default/key/key_id1");
    assert_int_equal(packet.wrapped.len, 209);
    assert_int_equal(packet.iv.len, 12);
    assert_memory_equal(packet.iv.data, "\xe1\xec\xcb\x6d\xe3\x10\x74\x49\x18\xfe\x2b\x85", 12);
    assert_int_equal(packet.wrap_type, SL_WRAP_A256GCM);
    assert_fails(unwrap((char *)json.data, &broker, false, &key, &err), EBADMSG, err, SL_E_AUTH);
    sl_bytes_done(&json);
    free(b64);
}

static void packet_p3_doubled_kid_parses_and_is_not_looked_up(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_coco_packet) packet = {0};
    struct broker broker = {0};
    struct sl_layer_key key = {0};
    struct sl_error err = {0};
    char *text = read_text(VECTOR("coco_packet_p3_doubled_kid.json"));
    assert_ok(sl_coco_packet_parse(sl_span_of(text), &packet, NULL));
    assert_fails(unwrap(text, &broker, false, &key, &err), EBADMSG, err, SL_E_FORMAT);
    assert_contains(err.msg, "doubled");
    assert_string_equal(broker.asked, "");
    free(text);
}

static void packet_version_2_members_decide(void **state)
{
    (void)state;
#define BODY ",\"kid\":\"kbs:///a/b/c\",\"wrapped_data\":\"AAAA\",\"iv\":\"AAAA\",\"wrap_type\":"
    static const struct {
        const char *json;
        int errnum;
        const char *text;
    } cases[] = {
        {"{\"version\":\"0.1.0\",\"provider\":\"kbs\",\"provider_settings\":{},\"annotations\":{"
         "}" BODY "\"A256GCM\"}",
         0, ""},
        {"{\"version\":\"0.2.0\"" BODY "\"A256GCM\"}", ENOTSUP, "version 0.2.0"},
        {"{\"provider\":\"aliyun\"" BODY "\"A256GCM\"}", ENOTSUP, "provider aliyun"},
        {"{\"provider\":\"KBS\"" BODY "\"A256GCM\"}", ENOTSUP, "provider KBS"},
        {"{\"x\":1" BODY "\"a256gcm\"}", ENOTSUP, "Unknown WrapType: a256gcm"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_coco_packet) packet = {0};
        struct sl_error err = {0};
        int r = sl_coco_packet_parse(sl_span_of(cases[i].json), &packet, &err);
        assert_int_equal(r, -cases[i].errnum);
        assert_contains(err.msg, cases[i].text);
    }
    static const char *const malformed[] = {
        "", "[]", "{}", "{\"provider\":1" BODY "\"A256GCM\"}",
        "{\"kid\":\"a\",\"wrapped_data\":\"!\",\"iv\":\"AAAA\",\"wrap_type\":\"A256GCM\"}"};
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        SL_AUTO_DONE(sl_coco_packet) packet = {0};
        struct sl_error err = {0};
        assert_true(sl_coco_packet_parse(sl_span_of(malformed[i]), &packet, &err) < 0);
        assert_int_equal(err.code, SL_E_FORMAT);
    }
}

static void packet_a256ctr_only_when_allowed(void **state)
{
    (void)state;
    /* L1's private options under the sample KEK, made with "openssl enc -aes-256-ctr". */
    char *text = read_text(VECTOR("coco_packet_a256ctr_l1.json"));
    struct broker broker = {0};
    struct sl_layer_key key = {0};
    struct sl_error err = {0};
    assert_fails(unwrap(text, &broker, false, &key, &err), EPERM, err, SL_E_POLICY);
    assert_string_equal(broker.asked, "");
    assert_ok(unwrap(text, &broker, true, &key, NULL));
    assert_same_key(&key, VECTOR("ocicrypt_l1_plbco.json"));
    free(text);
}

static void packet_broker_absent_or_down_is_told(void **state)
{
    (void)state;
    struct sl_layer_key key = {0};
    struct sl_error err = {0};
    char *text = read_text(VECTOR("coco_packet_p1_v1.json"));
    assert_fails(unwrap(text, NULL, false, &key, &err), ENOKEY, err, SL_E_AUTH);
    struct broker broker = {.r = -ETIMEDOUT};
    assert_fails(unwrap(text, &broker, false, &key, &err), ETIMEDOUT, err, SL_E_NETWORK);
    assert_contains(err.msg, "kbs:///default/key/1");
    free(text);
}

/* The grammar itself has its tests in core. */
static void packet_malformed_kid_is_not_looked_up(void **state)
{
    (void)state;
    struct broker broker = {0};
    struct sl_layer_key key = {0};
    struct sl_error err = {0};
    assert_fails(unwrap("{\"kid\":\"kbs:///a/../b\",\"wrapped_data\":\"AAAA\",\"iv\":\"AAAA\","
                        "\"wrap_type\":\"A256GCM\"}",
                        &broker, false, &key, &err),
                 EBADMSG, err, SL_E_FORMAT);
    assert_contains(err.msg, "kid: resource URI kbs:///a/../b: malformed path segment '..'");
    assert_string_equal(broker.asked, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packet_p1_published_opens),
        cmocka_unit_test(packet_w1_sample_opens),
        cmocka_unit_test(packet_p2_published_parses_and_wrong_kek_is_integrity),
        cmocka_unit_test(packet_p3_doubled_kid_parses_and_is_not_looked_up),
        cmocka_unit_test(packet_version_2_members_decide),
        cmocka_unit_test(packet_a256ctr_only_when_allowed),
        cmocka_unit_test(packet_broker_absent_or_down_is_told),
        cmocka_unit_test(packet_malformed_kid_is_not_looked_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
