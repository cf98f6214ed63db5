/* SPDX-License-Identifier: Apache-2.0 */
#include "wrap_packet.h"

#include "key_vectors.h"

#include <regex.h>
#include <unistd.h>

#define L1_PLBCO VECTOR("ocicrypt_l1_plbco.json")

static void sample_packet_w1_is_met_byte_for_byte(void **state)
{
    (void)state;
    struct sl_bytes plbco = read_vector(L1_PLBCO);
    struct sl_bytes want = read_vector(VECTOR("coco_packet_w1_sample.json"));
    SL_AUTO_DONE(sl_packet_params) params = {0};
    SL_AUTO_DONE(sl_bytes) packet = {0};
    assert_ok(sl_packet_params_parse("sample=true", &params, NULL));
    assert_ok(sl_packet_wrap_with_params(&params, /* allow_sample= */ true, /* allow_ctr= */ false,
                                         NULL, NULL, sl_bytes_span(&plbco), &packet, NULL));
    assert_int_equal(packet.len, want.len);
    assert_string_equal((char *)packet.data, (char *)want.data);
    sl_bytes_done(&want);
    sl_bytes_done(&plbco);
}

static void raw_published_outputs_are_met(void **state)
{
    (void)state;
    static const uint8_t *const key = (const uint8_t *)"0123456789abcdefghijklmnopqrstuv";
    SL_AUTO_DONE(sl_bytes) gcm = {0};
    SL_AUTO_DONE(sl_bytes) ctr = {0};
    assert_ok(sl_packet_wrap_with_iv(key, "kbs:///a/b/c", /* is_ctr= */ false,
                                     sl_span_of("unique nonce"), sl_span_of("plaintext1"), &gcm,
                                     NULL));
    assert_string_equal((char *)gcm.data,
                        "{\"kid\":\"kbs:///a/b/c\",\"wrapped_data\":"
                        "\"GNqUlVbGdCiKWNqP+nudQP29Tm+9XsFGHEI=\",\"iv\":\"dW5pcXVlIG5vbmNl\","
                        "\"wrap_type\":\"A256GCM\"}");
    assert_ok(sl_packet_wrap_with_iv(key, "kbs:///a/b/c", /* is_ctr= */ true,
                                     sl_span_of("16bytes ivlength"), sl_span_of("plaintext1"), &ctr,
                                     NULL));
    assert_string_equal((char *)ctr.data,
                        "{\"kid\":\"kbs:///a/b/c\",\"wrapped_data\":\"1TeNQEgjtp+yDg==\",\"iv\":"
                        "\"MTZieXRlcyBpdmxlbmd0aA==\",\"wrap_type\":\"A256CTR\"}");
}

static int give_sample_kek(void *arg, const char *kid, uint8_t ret[32], struct sl_error *err)
{
    char **asked = arg;
    (void)err;
    free(*asked);
    *asked = strdup(kid);
    memcpy(ret, sl_sample_kek, SL_KEK_SIZE);
    return 0;
}

static void packet_opens_again_and_each_has_its_own_iv(void **state)
{
    (void)state;
    SL_AUTO_FREE char *asked = NULL;
    SL_AUTO(sl_key_ring) ring = NULL;
    struct sl_bytes plbco = read_vector(L1_PLBCO);
    assert_ok(sl_key_ring_new(&ring, NULL));
    sl_key_ring_set_kek_lookup(ring, give_sample_kek, &asked);
    sl_key_ring_allow_a256ctr(ring, true);
    for (int is_ctr = 0; is_ctr < 2; is_ctr++) {
        struct sl_bytes packet[2] = {{0}, {0}};
        for (size_t i = 0; i < 2; i++) {
            struct sl_bytes opened = {0};
            assert_ok(sl_packet_wrap(sl_sample_kek, "kbs:///a/b/c", is_ctr, sl_bytes_span(&plbco),
                                     &packet[i], NULL));
            assert_ok(sl_packet_unwrap(ring, sl_bytes_span(&packet[i]), &opened, NULL));
            assert_string_equal((char *)opened.data, (char *)plbco.data);
            assert_string_equal(asked, "kbs:///a/b/c");
            sl_bytes_wipe(&opened);
        }
        assert_string_not_equal((char *)packet[0].data, (char *)packet[1].data);
        sl_bytes_done(&packet[0]);
        sl_bytes_done(&packet[1]);
    }
    sl_bytes_done(&plbco);
}

static void params_are_read_and_kids_become_canonical(void **state)
{
    (void)state;
    static const struct {
        const char *text, *keypath, *kid;
        bool is_ctr, is_sample;
    } cases[] = {
        {"keypath=/k::keyid=kbs:///a/b/c", "/k", "kbs:///a/b/c", false, false},
        {"keyid=/a/b/c", NULL, "kbs:///a/b/c", false, false},
        {"keyid=host/a/b/c", NULL, "kbs://host/a/b/c", false, false},
        {"keyid=kbs+resource:///a/b/c", NULL, "kbs:///a/b/c", false, false},
        {"algorithm=A256CTR::keyid=/a/b/c", NULL, "kbs:///a/b/c", true, false},
        {"algorithm=A256GCM::keyid=/a/b/c::sample=false", NULL, "kbs:///a/b/c", false, false},
        {"keypath=a=b:c::keyid=/a/b/c", "a=b:c", "kbs:///a/b/c", false, false},
        {"sample=true", NULL, NULL, false, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_packet_params) params = {0};
        assert_ok(sl_packet_params_parse(cases[i].text, &params, NULL));
        assert_string_equal(params.kid ?: "-", cases[i].kid ?: "-");
        assert_string_equal(params.keypath ?: "-", cases[i].keypath ?: "-");
        assert_int_equal(params.is_ctr, cases[i].is_ctr);
        assert_int_equal(params.is_sample, cases[i].is_sample);
    }
}

static void keypath_without_keyid_gets_a_random_one(void **state)
{
    (void)state;
    regex_t uuid;
    SL_AUTO_DONE(sl_packet_params) a = {0};
    SL_AUTO_DONE(sl_packet_params) b = {0};
    assert_ok(sl_packet_params_parse("keypath=/k", &a, NULL));
    assert_ok(sl_packet_params_parse("keypath=/k", &b, NULL));
    assert_int_equal(regcomp(&uuid,
                             "^kbs:///default/image-kek/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-"
                             "[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
                             REG_EXTENDED | REG_NOSUB),
                     0);
    assert_int_equal(regexec(&uuid, a.kid, 0, NULL, 0), 0);
    assert_string_not_equal(a.kid, b.kid);
    regfree(&uuid);
}

static void params_with_mistakes_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
        int errnum;
    } cases[] = {
        {"", "a part is not NAME=VALUE", EINVAL},
        {"Enabled", "a part is not NAME=VALUE", EINVAL},
        {"algorithm=A256GCM", "keyid is missing", EINVAL},
        {"keyid=/a/b/c::", "a part is not NAME=VALUE", EINVAL},
        {"keyid=/a/b/c::::sample=false", "a part is not NAME=VALUE", EINVAL},
        {"keyid=/a/b/c::kepath=/k", "unknown name kepath", EINVAL},
        {"keyid=/a/b/c::Keypath=/k", "unknown name Keypath", EINVAL},
        {"2Zt3BbC6ehaClbOjNnJwsN2bNxv1FMqLm6fwozcR2uo=", "unknown name (too long to show)", EINVAL},
        {"keyid=/a/b/c::keypath=", "keypath is empty", EINVAL},
        {"keyid=/a/b/c::keyid=/a/b/d", "given twice", EINVAL},
        {"keyid=/a/b/c::algorithm=a256gcm", "neither A256GCM", EINVAL},
        {"keyid=/a/b/c::sample=yes", "neither true", EINVAL},
        {"keyid=/a/b/c::sample=true", "a key of its own", EINVAL},
        {"sample=true::keypath=/k", "a key of its own", EINVAL},
        {"sample=true::algorithm=A256CTR", "a key of its own", EINVAL},
        {"keyid=/a/b/c?v=1", "keyid", EBADMSG},
        {"keyid=kbs:///a/b/c?v=1", "no query", EINVAL},
        {"keyid=kbs:///a/b", "keyid", EBADMSG},
        {"keyid=kbs+pkcs11:///a/b/c", "keyid", EBADMSG},
        {"keyid=http://h/a/b/c", "keyid", EBADMSG},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_packet_params) params = {0};
        struct sl_error err = {0};
        int r = sl_packet_params_parse(cases[i].text, &params, &err);
        assert_contains(err.msg, cases[i].why);
        assert_fails(r, cases[i].errnum, err, SL_E_FORMAT);
        assert_null(params.kid);
    }
    char *huge = malloc(20000);
    struct sl_error err = {0};
    SL_AUTO_DONE(sl_packet_params) params = {0};
    memset(huge, 'a', 19999);
    huge[19999] = 0;
    assert_fails(sl_packet_params_parse(huge, &params, &err), E2BIG, err, SL_E_LIMIT);
    free(huge);
}

static int wrap(const char *text, sl_kek_lookup_fn *lookup, void *arg, struct sl_error *err)
{
    SL_AUTO_DONE(sl_packet_params) params = {0};
    SL_AUTO_DONE(sl_bytes) packet = {0};
    assert_ok(sl_packet_params_parse(text, &params, NULL));
    return sl_packet_wrap_with_params(&params, /* allow_sample= */ false, /* allow_ctr= */ false,
                                      lookup, arg, sl_span_of("x"), &packet, err);
}

static int refuse_kek(void *arg, const char *kid, uint8_t ret[32], struct sl_error *err)
{
    (void)arg, (void)kid, (void)ret;
    return sl_error_set(err, SL_E_NETWORK, ETIMEDOUT, "broker is down");
}

static void kek_comes_from_file_or_lookup_or_not_at_all(void **state)
{
    (void)state;
    struct sl_error err = {0};
    SL_AUTO_FREE char *asked = NULL;
    assert_fails(wrap("keyid=/a/b/c", NULL, NULL, &err), ENOKEY, err, SL_E_AUTH);
    assert_contains(err.msg, "neither keypath=FILE nor a key broker");
    assert_fails(wrap("keyid=/a/b/c", refuse_kek, NULL, &err), ETIMEDOUT, err, SL_E_NETWORK);
    assert_ok(wrap("keyid=/a/b/c", give_sample_kek, &asked, NULL));
    assert_string_equal(asked, "kbs:///a/b/c");
    assert_fails(wrap("sample=true", NULL, NULL, &err), EPERM, err, SL_E_POLICY);
    assert_fails(wrap("keyid=/a/b/c::algorithm=A256CTR", refuse_kek, NULL, &err), EPERM, err,
                 SL_E_POLICY);

    char path[] = "/tmp/sluice-kek-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    SL_AUTO_FREE char *text = sl_strf("keyid=/a/b/c::keypath=%s", path);
    for (int n = 0; n <= 33; n++) {
        int r = wrap(text, refuse_kek, NULL, &err);
        if (n == SL_KEK_SIZE)
            assert_ok(r);
        else
            assert_fails(r, EBADMSG, err, SL_E_FORMAT);
        assert_int_equal(write(fd, "k", 1), 1);
    }
    assert_ok(close(fd));
    assert_ok(unlink(path));
    assert_fails(wrap(text, refuse_kek, NULL, &err), ENOENT, err, SL_E_SYSTEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sample_packet_w1_is_met_byte_for_byte),
        cmocka_unit_test(raw_published_outputs_are_met),
        cmocka_unit_test(packet_opens_again_and_each_has_its_own_iv),
        cmocka_unit_test(params_are_read_and_kids_become_canonical),
        cmocka_unit_test(keypath_without_keyid_gets_a_random_one),
        cmocka_unit_test(params_with_mistakes_are_refused),
        cmocka_unit_test(kek_comes_from_file_or_lookup_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
