/* SPDX-License-Identifier: Apache-2.0 */
/* The whole way: annotations of a layer and a ring of keys in, the layer's key out. */
#include "key_ring.h"

#include "key_vectors.h"

#include <pthread.h>

#define PUBOPTS "org.opencontainers.image.enc.pubopts"
#define KEYS "org.opencontainers.image.enc.keys."
#define FAILED                                                                                     \
    "Failed to decrypt the image layer, please ensure that the decryption key is placed and "      \
    "correct: "
#define RSA_KEY VECTOR("ocicrypt_rsa2048_pkcs1.der")
#define PKCS7_KEY VECTOR("ocicrypt_rsa2048_pkcs7_pkcs1.der")
#define P521_KEY VECTOR("ocicrypt_p521_sec1.der")

/* Base64 of vectors, and what the tests combine into lists. */
struct elements {
    char *pubopts, *jwe1, *jwe2, *pkcs7, *packet, *other_packet;
};

static char *encode_vector(const char *path)
{
    struct sl_bytes b = read_vector(path);
    char *text = sl_base64_encode(sl_bytes_span(&b));
    sl_bytes_done(&b);
    return text;
}

static int set_up(void **state)
{
    struct elements *e = calloc(1, sizeof(*e));
    e->pubopts = read_text(VECTOR("ocicrypt_l1_pubopts.b64"));
    e->jwe1 = encode_vector(VECTOR("ocicrypt_jwe_flattened_rsa_oaep.json"));
    e->jwe2 = encode_vector(VECTOR("ocicrypt_jwe_general_rsa_and_p521.json"));
    e->pkcs7 = encode_vector(VECTOR("ocicrypt_pkcs7_smallstep_form.der"));
    e->packet = read_text(VECTOR("coco_packet_w1_sample.b64"));
    e->other_packet = read_text(VECTOR("coco_packet_p2_example_image.b64"));
    *state = e;
    return 0;
}

static int tear_down(void **state)
{
    struct elements *e = *state;
    free(e->pubopts);
    free(e->jwe1);
    free(e->jwe2);
    free(e->pkcs7);
    free(e->packet);
    free(e->other_packet);
    free(e);
    return 0;
}

static int sample_kek(void *arg, const char *kid, uint8_t ret[32], struct sl_error *err)
{
    enum sl_errc *refuse = arg;
    if (refuse && *refuse)
        return sl_error_set(err, *refuse, ECONNREFUSED, "broker says no");
    if (strcmp(kid, "kbs:///default/test-key/1") != 0)
        return sl_error_set(err, SL_E_AUTH, ENOKEY, "unknown");
    struct sl_bytes kek = {0};
    assert_ok(
        sl_base64_decode(sl_span_of("2Zt3BbC6ehaClbOjNnJwsN2bNxv1FMqLm6fwozcR2uo="), &kek, NULL));
    memcpy(ret, kek.data, 32);
    sl_bytes_wipe(&kek);
    return 0;
}

/* keys: up to three specs. */
static struct sl_key_ring *make_ring(const char *const keys[3], sl_kek_lookup_fn *fn, void *arg)
{
    struct sl_key_ring *ring = NULL;
    assert_ok(sl_key_ring_new(&ring, NULL));
    for (size_t i = 0; i < 3 && keys[i]; i++)
        assert_ok(sl_key_ring_add_spec(ring, keys[i], NULL));
    sl_key_ring_set_kek_lookup(ring, fn, arg);
    return ring;
}

static int unwrap(const struct sl_key_ring *ring, const struct elements *e,
                  const struct sl_pair *keys, size_t n, struct sl_layer_key *ret,
                  struct sl_error *err)
{
    SL_AUTO(sl_enc_annotations) a = NULL;
    struct sl_pair pairs[8] = {{(char *)PUBOPTS, e->pubopts}};
    memcpy(pairs + 1, keys, n * sizeof(*keys));
    assert_ok(sl_enc_annotations_parse(pairs, n + 1, &a, NULL));
    return sl_key_ring_unwrap(ring, a, ret, NULL, err);
}

static void protocols_fall_back_to_whichever_opens(void **state)
{
    struct elements *e = *state;
    static const struct {
        const char *keys[3];
        sl_kek_lookup_fn *lookup;
        const char *protocol, *plbco;
    } cases[] = {
        {{RSA_KEY, PKCS7_KEY}, sample_kek, "provider", VECTOR("ocicrypt_l1_plbco.json")},
        {{PKCS7_KEY, RSA_KEY}, NULL, "jwe", VECTOR("ocicrypt_jwe_flattened_rsa_oaep_plbco.json")},
        {{PKCS7_KEY}, NULL, "pkcs7", VECTOR("ocicrypt_pkcs7_plbco.json")},
        {{PKCS7_KEY, P521_KEY}, NULL, "pkcs7", VECTOR("ocicrypt_pkcs7_plbco.json")},
    };
    struct sl_pair keys[] = {{(char *)KEYS "pgp", (char *)"AAAA"},
                             {(char *)KEYS "pkcs7", e->pkcs7},
                             {(char *)KEYS "jwe", e->jwe1},
                             {(char *)KEYS "provider.attestation-agent", e->packet}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO(sl_key_ring) ring = make_ring(cases[i].keys, cases[i].lookup, NULL);
        struct sl_layer_key key = {0};
        assert_ok(unwrap(ring, e, keys, 4, &key, NULL));
        assert_string_equal(key.protocol, cases[i].protocol);
        assert_same_key(&key, cases[i].plbco);
    }
}

static void elements_fall_back_past_bad_ones(void **state)
{
    struct elements *e = *state;
    struct sl_layer_key key = {0};
    SL_AUTO(sl_key_ring) ring = make_ring((const char *[3]){P521_KEY}, sample_kek, NULL);
    char *list = sl_strf("***, AAAA ,%s,%s", e->jwe1, e->jwe2);
    struct sl_pair jwe = {(char *)KEYS "jwe", list};
    assert_ok(unwrap(ring, e, &jwe, 1, &key, NULL));
    assert_same_key(&key, VECTOR("ocicrypt_jwe_general_rsa_and_p521_plbco.json"));
    free(list);

    list = sl_strf("%s,%s", e->other_packet, e->packet);
    struct sl_pair one = {(char *)KEYS "provider.attestation-agent", list};
    assert_ok(unwrap(ring, e, &one, 1, &key, NULL));
    assert_same_key(&key, VECTOR("ocicrypt_l1_plbco.json"));
    free(list);
}

static void nothing_fits_gives_one_line_with_all_reasons(void **state)
{
    struct elements *e = *state;
    struct sl_pair keys[] = {{(char *)KEYS "pgp", (char *)"AAAA"},
                             {(char *)KEYS "jwe", e->jwe1},
                             {(char *)KEYS "provider.attestation-agent", e->packet}};
    struct sl_layer_key key = {.lek = {7}};
    struct sl_error err = {0};
    SL_AUTO(sl_key_ring) empty = make_ring((const char *[3]){0}, NULL, NULL);
    assert_fails(unwrap(empty, e, keys, 3, &key, &err), ENOKEY, err, SL_E_AUTH);
    assert_string_equal(err.msg,
                        FAILED "provider.attestation-agent[0]: kid kbs:///default/test-key/1: no "
                               "key broker is configured (--kbc), nor a key provider "
                               "(OCICRYPT_KEYPROVIDER_CONFIG); jwe[0]: missing private key "
                               "needed for decryption (--decryption-key); pgp[0]: PGP message: "
                               "not an OpenPGP packet");
    assert_int_equal(key.lek[0], 7);

    SL_AUTO(sl_key_ring) wrong = make_ring((const char *[3]){PKCS7_KEY}, NULL, NULL);
    assert_fails(unwrap(wrong, e, keys, 3, &key, &err), ENOKEY, err, SL_E_AUTH);
    assert_memory_equal(err.msg, FAILED, strlen(FAILED));

    enum sl_errc refuse = SL_E_NETWORK;
    SL_AUTO(sl_key_ring) down = make_ring((const char *[3]){PKCS7_KEY}, sample_kek, &refuse);
    assert_fails(unwrap(down, e, keys, 3, &key, &err), ECONNREFUSED, err, SL_E_NETWORK);
    assert_contains(err.msg, "broker says no");
    refuse = SL_E_CANCELLED;
    assert_fails(unwrap(down, e, keys, 3, &key, &err), ECONNREFUSED, err, SL_E_CANCELLED);
    assert_string_equal(err.msg, "kid kbs:///default/test-key/1: broker says no");
}

static void many_reasons_stay_within_the_message(void **state)
{
    struct elements *e = *state;
    struct sl_bytes list = {0};
    for (int i = 0; i < 64; i++)
        assert_ok(sl_bytes_append(&list, sl_span_of("AAAA,"), 1 << 16, NULL));
    struct sl_pair jwe = {(char *)KEYS "jwe", (char *)list.data};
    struct sl_layer_key key = {0};
    struct sl_error err = {0};
    SL_AUTO(sl_key_ring) ring = make_ring((const char *[3]){0}, NULL, NULL);
    assert_fails(unwrap(ring, e, &jwe, 1, &key, &err), EBADMSG, err, SL_E_FORMAT);
    assert_int_equal(strlen(err.msg), SL_ERROR_MSG_MAX - 1);
    assert_memory_equal(err.msg, FAILED, strlen(FAILED));
    sl_bytes_done(&list);
}

static void provider_specs_are_recorded(void **state)
{
    (void)state;
    SL_AUTO(sl_key_ring) ring = make_ring(
        (const char *[3]){"provider:attestation-agent:offline_fs_kbc::null", "provider:other"},
        NULL, NULL);
    assert_string_equal(sl_key_ring_provider(ring, "attestation-agent"), "offline_fs_kbc::null");
    assert_string_equal(sl_key_ring_provider(ring, "other"), "Enabled");
    assert_null(sl_key_ring_provider(ring, "none"));
    struct sl_error err = {0};
    assert_fails(sl_key_ring_add_spec(ring, "provider::x", &err), EINVAL, err, SL_E_FORMAT);
}

/* A provider's side: what it was asked, and what it answers. */
struct provider {
    const char *has;
    int fails; /* errno */
    char asked[128];
    unsigned n_asked;
};

static int ask_provider(void *arg, const char *name, const char *params, struct sl_span element,
                        struct sl_bytes *ret, struct sl_error *err)
{
    struct provider *p = arg;
    if (strcmp(name, p->has) != 0)
        return sl_error_set(err, SL_E_AUTH, ENOENT, "none of this name");
    p->n_asked++;
    (void)snprintf(p->asked, sizeof(p->asked), "%s %s %.*s", name, params ? params : "(none)",
                   (int)element.len, (const char *)element.data);
    if (p->fails)
        return sl_error_set(err, SL_E_NETWORK, p->fails, "provider is down");
    *ret = read_vector(VECTOR("ocicrypt_pkcs7_plbco.json"));
    return 0;
}

static void provider_of_exactly_the_name_is_asked(void **state)
{
    struct elements *e = *state;
    struct provider p = {.has = "b"};
    struct sl_layer_key key = {0};
    struct sl_error err = {0};
    SL_AUTO(sl_key_ring) ring = make_ring((const char *[3]){"provider:b:x=1"}, NULL, NULL);
    sl_key_ring_set_provider(ring, ask_provider, &p);
    struct sl_pair keys[] = {{(char *)KEYS "provider.a", (char *)"b3RoZXI="},
                             {(char *)KEYS "provider.b", (char *)"b3BhcXVl"}};
    assert_ok(unwrap(ring, e, keys, 2, &key, NULL));
    assert_same_key(&key, VECTOR("ocicrypt_pkcs7_plbco.json"));
    assert_string_equal(key.protocol, "provider");
    assert_string_equal(p.asked, "b x=1 opaque");
    assert_int_equal(p.n_asked, 1);

    assert_fails(unwrap(ring, e, keys, 1, &key, &err), ENOKEY, err, SL_E_AUTH);
    assert_string_equal(err.msg, FAILED "provider.a[0]: key provider a is not configured: set "
                                        "OCICRYPT_KEYPROVIDER_CONFIG");
    p.fails = ECONNREFUSED;
    assert_fails(unwrap(ring, e, keys, 2, &key, &err), ECONNREFUSED, err, SL_E_NETWORK);
}

static int know_no_kek(void *arg, const char *kid, uint8_t ret[32], struct sl_error *err)
{
    (void)arg, (void)kid, (void)ret;
    return sl_error_set(err, SL_E_AUTH, ENOKEY, "no such key");
}

static void named_broker_comes_before_the_provider(void **state)
{
    struct elements *e = *state;
    struct provider p = {.has = "attestation-agent"};
    struct sl_layer_key key = {0};
    struct sl_pair packet = {(char *)KEYS "provider.attestation-agent", e->packet};
    SL_AUTO(sl_key_ring) ring = make_ring((const char *[3]){0}, sample_kek, NULL);
    sl_key_ring_set_provider(ring, ask_provider, &p);
    assert_ok(unwrap(ring, e, &packet, 1, &key, NULL));
    assert_same_key(&key, VECTOR("ocicrypt_l1_plbco.json"));
    assert_int_equal(p.n_asked, 0);

    struct sl_error err = {0};
    sl_key_ring_set_kek_lookup(ring, know_no_kek, NULL);
    assert_ok(unwrap(ring, e, &packet, 1, &key, NULL));
    assert_same_key(&key, VECTOR("ocicrypt_pkcs7_plbco.json"));
    assert_memory_equal(p.asked, "attestation-agent (none) {", 26);
    p.fails = ECONNREFUSED;
    assert_fails(unwrap(ring, e, &packet, 1, &key, &err), ECONNREFUSED, err, SL_E_NETWORK);
    assert_contains(err.msg, "no such key; key provider: ");

    p.has = "another";
    assert_fails(unwrap(ring, e, &packet, 1, &key, &err), ENOKEY, err, SL_E_AUTH);
    assert_contains(err.msg, "no such key");
    packet.name = (char *)KEYS "provider.stranger";
    assert_fails(unwrap(ring, e, &packet, 1, &key, &err), ENOKEY, err, SL_E_AUTH);
}

static int answer_nonsense(void *arg, const char *name, const char *params, struct sl_span element,
                           struct sl_bytes *ret, struct sl_error *err)
{
    (void)arg, (void)name, (void)params, (void)element;
    return sl_bytes_append(ret, sl_span_of("{\"symkey\":\"AAAA\"}"), 1024, err);
}

/* What a provider answers is checked like anything else that was unwrapped. */
static void provider_with_bad_private_options_is_passed_over(void **state)
{
    struct elements *e = *state;
    struct sl_layer_key key = {0};
    struct sl_error err = {0};
    struct sl_pair keys[] = {{(char *)KEYS "provider.x", (char *)"AAAA"},
                             {(char *)KEYS "jwe", e->jwe1}};
    SL_AUTO(sl_key_ring) ring = make_ring((const char *[3]){RSA_KEY}, NULL, NULL);
    sl_key_ring_set_provider(ring, answer_nonsense, NULL);
    assert_ok(unwrap(ring, e, keys, 2, &key, NULL));
    assert_string_equal(key.protocol, "jwe");
    assert_fails(unwrap(ring, e, keys, 1, &key, &err), EBADMSG, err, SL_E_FORMAT);
    assert_contains(err.msg, "symkey has 3 bytes");
}

/* Refuses one protocol, or all. */
static int refuse_protocol(void *arg, const struct sl_wrapped_key_info *info, struct sl_error *err)
{
    const char *refused = arg;
    if (*refused && strcmp(refused, info->protocol) != 0)
        return 0;
    return sl_error_set(err, SL_E_POLICY, EACCES, "%s is not allowed", info->protocol);
}

static void filter_refuses_before_anything_is_tried(void **state)
{
    struct elements *e = *state;
    struct provider p = {.has = "attestation-agent"};
    struct sl_layer_key key = {0};
    struct sl_error err = {0};
    struct sl_pair keys[] = {{(char *)KEYS "jwe", e->jwe1},
                             {(char *)KEYS "provider.attestation-agent", e->packet}};
    SL_AUTO(sl_key_ring) ring = make_ring((const char *[3]){RSA_KEY}, sample_kek, NULL);
    sl_key_ring_set_provider(ring, ask_provider, &p);
    sl_key_ring_set_filter(ring, refuse_protocol, (void *)"provider");
    assert_ok(unwrap(ring, e, keys, 2, &key, NULL));
    assert_string_equal(key.protocol, "jwe");
    sl_key_ring_set_filter(ring, refuse_protocol, (void *)"");
    assert_fails(unwrap(ring, e, keys, 2, &key, &err), EACCES, err, SL_E_POLICY);
    assert_string_equal(err.msg, FAILED "provider.attestation-agent[0]: provider is not allowed; "
                                        "jwe[0]: jwe is not allowed");
    assert_int_equal(p.n_asked, 0);
}

static void unwrapped_bytes_and_index_are_those_of_the_element(void **state)
{
    struct elements *e = *state;
    SL_AUTO(sl_enc_annotations) a = NULL;
    SL_AUTO(sl_key_ring) ring = make_ring((const char *[3]){RSA_KEY}, NULL, NULL);
    char *want = read_text(VECTOR("ocicrypt_jwe_flattened_rsa_oaep_plbco.json"));
    struct sl_pair pairs[] = {{(char *)PUBOPTS, e->pubopts},
                              {(char *)KEYS "provider.attestation-agent", e->packet},
                              {(char *)KEYS "jwe", e->jwe1}};
    struct sl_bytes plbco = {0};
    struct sl_unwrapped how = {0};
    struct sl_wrapped_key_info info;
    assert_ok(sl_enc_annotations_parse(pairs, 3, &a, NULL));
    assert_ok(sl_key_ring_unwrap_plbco(ring, a, &plbco, &how, NULL));
    assert_int_equal(plbco.len, strlen(want));
    assert_string_equal((char *)plbco.data, want);
    assert_int_equal(how.index, 1);
    assert_int_equal(sl_enc_annotations_info(a, how.index, &info, NULL), 1);
    assert_string_equal(info.protocol, "jwe");
    sl_bytes_wipe(&plbco);
    free(want);
}

struct shared {
    const struct sl_key_ring *ring;
    const struct elements *elements;
    int failures;
};

static void *unwrap_again_and_again(void *arg)
{
    struct shared *shared = arg;
    const struct elements *e = shared->elements;
    struct sl_pair pairs[] = {{(char *)PUBOPTS, e->pubopts}, {(char *)KEYS "jwe", e->jwe2}};
    for (int i = 0; i < 8; i++) {
        SL_AUTO(sl_enc_annotations) a = NULL;
        struct sl_layer_key key = {0};
        if (sl_enc_annotations_parse(pairs, 2, &a, NULL) < 0 ||
            sl_key_ring_unwrap(shared->ring, a, &key, NULL, NULL) < 0)
            shared->failures++;
    }
    return NULL;
}

/* For the thread sanitizer: layers are unwrapped in parallel from one ring. */
static void ring_is_used_by_many_threads_at_once(void **state)
{
    enum { THREADS = 4 };
    SL_AUTO(sl_key_ring) ring = make_ring((const char *[3]){PKCS7_KEY, P521_KEY}, NULL, NULL);
    struct shared shared[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        shared[i] = (struct shared){.ring = ring, .elements = *state};
        assert_ok(pthread_create(&threads[i], NULL, unwrap_again_and_again, &shared[i]));
    }
    for (int i = 0; i < THREADS; i++) {
        assert_ok(pthread_join(threads[i], NULL));
        assert_int_equal(shared[i].failures, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protocols_fall_back_to_whichever_opens),
        cmocka_unit_test(elements_fall_back_past_bad_ones),
        cmocka_unit_test(nothing_fits_gives_one_line_with_all_reasons),
        cmocka_unit_test(many_reasons_stay_within_the_message),
        cmocka_unit_test(provider_specs_are_recorded),
        cmocka_unit_test(provider_of_exactly_the_name_is_asked),
        cmocka_unit_test(named_broker_comes_before_the_provider),
        cmocka_unit_test(provider_with_bad_private_options_is_passed_over),
        cmocka_unit_test(filter_refuses_before_anything_is_tried),
        cmocka_unit_test(unwrapped_bytes_and_index_are_those_of_the_element),
        cmocka_unit_test(ring_is_used_by_many_threads_at_once),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
