/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of layers, unwrapped with too little memory: never a wrong key, never a wrong reason. */
#include "alloc_fault.h"

#include "key_vectors.h"
#include "sluice/key_wrap.h"

#define PUBOPTS "org.opencontainers.image.enc.pubopts"
#define KEYS "org.opencontainers.image.enc.keys."
#define RSA_KEY VECTOR("ocicrypt_rsa2048_pkcs1.der")
#define P521_KEY VECTOR("ocicrypt_p521_sec1.der")

struct unwrap {
    const char *spec; /* of the private key; NULL: the broker has it */
    const char *plbco;
    struct sl_pair annotations[2];
};

/* The constant key of the sample key broker. */
static int give_sample_kek(void *arg, const char *kid, uint8_t ret[32], struct sl_error *err)
{
    (void)arg, (void)kid, (void)err;
    static const uint8_t kek[32] = {0xd9, 0x9b, 0x77, 0x05, 0xb0, 0xba, 0x7a, 0x16,
                                    0x82, 0x95, 0xb3, 0xa3, 0x36, 0x72, 0x70, 0xb0,
                                    0xdd, 0x9b, 0x37, 0x1b, 0xf5, 0x14, 0xca, 0x8b,
                                    0x9b, 0xa7, 0xf0, 0xa3, 0x37, 0x11, 0xda, 0xea};
    memcpy(ret, kek, sizeof(kek));
    return 0;
}

static int look_at_all(const struct sl_enc_annotations *annotations, struct sl_error *err)
{
    struct sl_wrapped_key_info info;
    int r = 1;
    for (size_t i = 0; r == 1; i++) {
        r = sl_enc_annotations_info(annotations, i, &info, err);
        assert_true(r != 1 || !info.malformed);
    }
    return r;
}

static int unwrap_once(void *arg, struct sl_error *err)
{
    const struct unwrap *u = arg;
    SL_AUTO(sl_key_ring) ring = NULL;
    SL_AUTO(sl_enc_annotations) annotations = NULL;
    struct sl_layer_key key = {0};
    int r = sl_key_ring_new(&ring, err);
    if (r == 0 && u->spec)
        r = sl_key_ring_add_spec(ring, u->spec, err);
    if (r == 0 && !u->spec)
        sl_key_ring_set_kek_lookup(ring, give_sample_kek, NULL);
    if (r == 0)
        r = sl_enc_annotations_parse(u->annotations, 2, &annotations, err);
    if (r == 0)
        r = look_at_all(annotations, err);
    if (r == 0)
        r = sl_key_ring_unwrap(ring, annotations, &key, NULL, err);
    fault_pause();
    if (r == 0)
        assert_same_key(&key, u->plbco);
    fault_resume();
    sl_layer_key_done(&key);
    return r;
}

static void unwrap_at_every_fault(const char *protocol, const char *vector, const char *spec,
                                  const char *plbco)
{
    struct sl_bytes wrapped = read_vector(vector);
    struct unwrap u = {.spec = spec, .plbco = plbco};
    u.annotations[0] = (struct sl_pair){strdup(PUBOPTS), NULL};
    u.annotations[0].value = read_text(VECTOR("ocicrypt_l1_pubopts.b64"));
    u.annotations[1] = (struct sl_pair){sl_strf(KEYS "%s", protocol), NULL};
    u.annotations[1].value = sl_base64_encode(sl_bytes_span(&wrapped));
    fault_each_allocation(unwrap_once, &u, 10);
    for (size_t i = 0; i < 2; i++) {
        free(u.annotations[i].name);
        free(u.annotations[i].value);
    }
    sl_bytes_done(&wrapped);
}

static void jwe_rsa_without_memory_fails(void **state)
{
    (void)state;
    unwrap_at_every_fault("jwe", VECTOR("ocicrypt_jwe_flattened_rsa_oaep.json"), RSA_KEY,
                          VECTOR("ocicrypt_jwe_flattened_rsa_oaep_plbco.json"));
}

static void jwe_ecdh_without_memory_fails(void **state)
{
    (void)state;
    unwrap_at_every_fault("jwe", VECTOR("ocicrypt_jwe_general_rsa_and_p521.json"), P521_KEY,
                          VECTOR("ocicrypt_jwe_general_rsa_and_p521_plbco.json"));
}

static void pkcs7_without_memory_fails(void **state)
{
    (void)state;
    unwrap_at_every_fault("pkcs7", VECTOR("ocicrypt_pkcs7_smallstep_form.der"),
                          VECTOR("ocicrypt_rsa2048_pkcs7_pkcs1.der"),
                          VECTOR("ocicrypt_pkcs7_plbco.json"));
}

static void packet_without_memory_fails(void **state)
{
    (void)state;
    unwrap_at_every_fault("provider.attestation-agent", VECTOR("coco_packet_w1_sample.json"), NULL,
                          VECTOR("ocicrypt_l1_plbco.json"));
}

static int wrap_once(void *arg, struct sl_error *err)
{
    static const uint8_t hmac[SL_HMAC_SIZE];
    const char *const *specs = arg;
    const struct sl_layer_key key = {.lek = {1}, .nonce = {2}};
    const struct sl_digest plain = {.alg = SL_SHA256};
    const struct sl_pair other = {(char *)"org.example.kept", (char *)"yes"};
    SL_AUTO(sl_recipients) recipients = NULL;
    SL_AUTO_DONE(sl_annotations) list = {0};
    SL_AUTO_DONE(sl_annotations) longer = {0};
    SL_AUTO_DONE(sl_annotations) without = {0};
    struct sl_bytes plbco = {0};
    int r = sl_recipients_new(&recipients, err);
    if (r == 0)
        sl_recipients_allow_sample(recipients, true);
    for (; r == 0 && *specs; specs++)
        r = sl_recipients_add_spec(recipients, *specs, err);
    if (r == 0)
        r = sl_plbco_write(&key, &plain, &plbco, err);
    struct sl_span span = sl_bytes_span(&plbco);
    if (r == 0)
        r = sl_recipients_annotate(recipients, span, hmac, &other, 1, &list, err);
    if (r == 0)
        r = sl_recipients_append(recipients, span, list.pairs, list.n, &longer, err);
    if (r == 0)
        r = sl_annotations_without_encryption(longer.pairs, longer.n, &without, err);
    sl_bytes_wipe(&plbco);
    if (r == 0) {
        assert_int_equal(list.n, 5);
        assert_int_equal(longer.n, 5);
        assert_int_equal(without.n, 1);
    }
    return r;
}

static void wrapping_without_memory_fails(void **state)
{
    (void)state;
    static const char *const specs[] = {"jwe:" SL_TEST_DATA "/keys/p521.jwk",
                                        "jwe:" SL_TEST_DATA "/keys/rsa.jwk",
                                        "pkcs7:" SL_TEST_DATA "/keys/rsa_certificate.pem",
                                        "provider:attestation-agent:sample=true", NULL};
    fault_each_allocation(wrap_once, (void *)specs, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jwe_rsa_without_memory_fails),
        cmocka_unit_test(jwe_ecdh_without_memory_fails),
        cmocka_unit_test(pkcs7_without_memory_fails),
        cmocka_unit_test(packet_without_memory_fails),
        cmocka_unit_test(wrapping_without_memory_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
