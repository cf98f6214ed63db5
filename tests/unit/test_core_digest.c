/* SPDX-License-Identifier: Apache-2.0 */
/* Expected sums are those of FIPS 180-4's examples. */
#include "sluice/core/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ABC_256 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ABC_512                                                                                    \
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"                             \
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
#define EMPTY_256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static struct sl_digest parse(const char *text)
{
    struct sl_digest d;
    struct sl_error err = {0};
    if (sl_digest_parse(text, &d, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    return d;
}

static void digest_text_survives_parsing(void **state)
{
    (void)state;
    static const char *const texts[] = {"sha256:" ABC_256, "sha512:" ABC_512, "sha256:" EMPTY_256};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct sl_digest d = parse(texts[i]);
        char text[SL_DIGEST_TEXT_MAX], hex[2 * SL_DIGEST_MAX + 1];
        sl_digest_format(&d, text);
        sl_digest_hex(&d, hex);
        assert_string_equal(text, texts[i]);
        assert_string_equal(hex, texts[i] + 7);
        assert_int_equal(strlen(hex), 2 * sl_digest_size(d.alg));
        assert_memory_equal(sl_digest_alg_name(d.alg), texts[i], 6);
    }
}

static void digest_other_texts_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum sl_errc code;
    } rows[] = {
        {NULL, SL_E_FORMAT},
        {"", SL_E_FORMAT},
        {ABC_256, SL_E_FORMAT},
        {"sha256", SL_E_FORMAT},
        {"sha256:", SL_E_FORMAT},
        {"sha256:ba78", SL_E_FORMAT},
        {"sha256:" ABC_256 "0", SL_E_FORMAT},
        {"sha256:" ABC_256 "\n", SL_E_FORMAT},
        {" sha256:" ABC_256, SL_E_UNSUPPORTED},
        {"sha256: " EMPTY_256, SL_E_FORMAT},
        {"sha256:Ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", SL_E_FORMAT},
        {"sha256:ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", SL_E_FORMAT},
        {"sha256:../../8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", SL_E_FORMAT},
        {"sha512:" ABC_256, SL_E_FORMAT},
        {"sha256:" ABC_512, SL_E_FORMAT},
        {"SHA256:" ABC_256, SL_E_UNSUPPORTED},
        {"sha384:" ABC_256, SL_E_UNSUPPORTED},
        {"md5:d41d8cd98f00b204e9800998ecf8427e", SL_E_UNSUPPORTED},
        {":" ABC_256, SL_E_UNSUPPORTED},
        {"sha25:" ABC_256, SL_E_UNSUPPORTED},
        {"sha2566:" ABC_256, SL_E_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sl_digest d = {.bytes = {42}};
        struct sl_error err = {0};
        assert_true(sl_digest_parse(rows[i].text, &d, &err) < 0);
        assert_int_equal(err.code, rows[i].code);
        assert_int_equal(d.bytes[0], 42);
    }
}

static void digest_error_quotes_at_most_a_part(void **state)
{
    (void)state;
    char text[5000] = "sha256:";
    struct sl_error err = {0};
    struct sl_digest d;
    memset(text + 7, 'a', sizeof(text) - 8);
    assert_int_equal(sl_digest_parse(text, &d, &err), -EINVAL);
    assert_true(strlen(err.msg) < 300);
}

static void digest_equality_looks_at_algorithm_and_all_bytes(void **state)
{
    (void)state;
    struct sl_digest a = parse("sha256:" ABC_256), b = a;
    assert_true(sl_digest_is_equal(&a, &b));
    for (size_t i = 0; i < sl_digest_size(a.alg); i++) {
        b = a;
        b.bytes[i] ^= 1;
        assert_false(sl_digest_is_equal(&a, &b));
    }
    b = a;
    b.alg = SL_SHA512;
    assert_false(sl_digest_is_equal(&a, &b));
    b = a;
    b.bytes[SL_DIGEST_MAX - 1] = 9; /* behind its end */
    assert_true(sl_digest_is_equal(&a, &b));
}

static void digest_verify_tells_both_sums(void **state)
{
    (void)state;
    struct sl_digest d256 = parse("sha256:" ABC_256), d512 = parse("sha512:" ABC_512);
    struct sl_error err = {0};
    assert_int_equal(sl_digest_verify(&d256, sl_span_of("abc"), &err), 0);
    assert_int_equal(sl_digest_verify(&d512, sl_span_of("abc"), &err), 0);
    assert_int_equal(err.code, SL_OK);
    assert_int_equal(sl_digest_verify(&d256, sl_span_of(""), &err), -EBADMSG);
    assert_int_equal(err.code, SL_E_INTEGRITY);
    assert_string_equal(err.msg, "digest is sha256:" EMPTY_256 ", expected sha256:" ABC_256);
}

static void digest_of_pieces_is_that_of_the_whole(void **state)
{
    (void)state;
    struct sl_digest sum, d256 = parse("sha256:" ABC_256);
    SL_AUTO(sl_hash) h = NULL;
    assert_int_equal(sl_hash_new(SL_SHA256, &h, NULL), 0);
    for (const char *c = "abc"; *c; c++) {
        sl_hash_update(h, (struct sl_span){(const uint8_t *)c, 1});
        sl_hash_update(h, (struct sl_span){NULL, 0});
    }
    sl_hash_final(h, &sum);
    assert_true(sl_digest_is_equal(&sum, &d256));
}

static void digest_of_bytes_is_by_the_wanted_algorithm(void **state)
{
    (void)state;
    struct sl_digest sum, d256 = parse("sha256:" ABC_256);
    assert_int_equal(sl_digest_of(SL_SHA256, sl_span_of("abc"), &sum, NULL), 0);
    assert_true(sl_digest_is_equal(&sum, &d256));
    assert_int_equal(sl_digest_of(SL_SHA512, sl_span_of("abc"), &sum, NULL), 0);
    assert_int_equal(sum.alg, SL_SHA512);
    assert_int_equal(sl_digest_verify(&sum, sl_span_of("abc"), NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digest_text_survives_parsing),
        cmocka_unit_test(digest_other_texts_are_refused),
        cmocka_unit_test(digest_error_quotes_at_most_a_part),
        cmocka_unit_test(digest_equality_looks_at_algorithm_and_all_bytes),
        cmocka_unit_test(digest_verify_tells_both_sums),
        cmocka_unit_test(digest_of_pieces_is_that_of_the_whole),
        cmocka_unit_test(digest_of_bytes_is_by_the_wanted_algorithm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
