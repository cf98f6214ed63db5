/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 against RFC 4648 section 10 and its section 3; growth, limits, files. */
#include "sluice/core/bytes.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

typedef int decode_fn(struct sl_span text, struct sl_bytes *ret, struct sl_error *err);

static void assert_decodes(decode_fn *decode, const char *text, const void *bytes, size_t len)
{
    SL_AUTO_DONE(sl_bytes) out = {0};
    struct sl_error err = {0};
    if (decode(sl_span_of(text), &out, &err) < 0)
        fail_msg("'%s': %s", text, err.msg);
    assert_int_equal(out.len, len);
    assert_memory_equal(out.data, bytes, len);
    assert_int_equal(out.data[len], 0);
}

static void assert_no_base64(decode_fn *decode, struct sl_span text)
{
    SL_AUTO_DONE(sl_bytes) out = {0};
    struct sl_error err = {0};
    if (decode(text, &out, &err) != -EINVAL)
        fail_msg("accepted: '%.*s'", (int)text.len, (const char *)text.data);
    assert_int_equal(err.code, SL_E_FORMAT);
    assert_null(out.data);
}

static const struct {
    const char *plain, *base64, *base64url;
} rfc4648[] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
};

static void base64_vectors_of_rfc4648(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rfc4648) / sizeof(rfc4648[0]); i++) {
        size_t len = strlen(rfc4648[i].plain);
        assert_decodes(sl_base64_decode, rfc4648[i].base64, rfc4648[i].plain, len);
        assert_decodes(sl_base64url_decode, rfc4648[i].base64url, rfc4648[i].plain, len);
        SL_AUTO_FREE char *text = sl_base64_encode(sl_span_of(rfc4648[i].plain));
        assert_string_equal(text, rfc4648[i].base64);
    }
}

static void base64_alphabets_differ_in_two_letters(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0xfb, 0xff, 0xbf};
    assert_decodes(sl_base64_decode, "+/+/", bytes, 3);
    assert_decodes(sl_base64url_decode, "-_-_", bytes, 3);
    assert_no_base64(sl_base64_decode, sl_span_of("-_-_"));
    assert_no_base64(sl_base64url_decode, sl_span_of("+/+/"));
}

static void base64_is_strict(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Z",     "Zg",    "Zg=",      "Zg===",    "Z===",   "====",         "=",    "==",
        "=Zg=",  "Z=g=",  "Zg==Zg==", "Zm8=Zm8=", "Zm9v=",  "Zm9v====",     "Zh==", "Zm9=",
        "Zm 9v", " Zg==", "Zg== ",    "Zg=\n",    "Zm9v\n", "Zm9v\r\n\r\n", "Zm9*", "Zm9\xc3",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_no_base64(sl_base64_decode, sl_span_of(bad[i]));
    assert_no_base64(sl_base64_decode, (struct sl_span){(const uint8_t *)"Zm\0v", 4});
}

static void base64url_is_strict(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Z", "Zm9vY", "Zg==", "Zm8=", "Zh", "Zm9", "Zg ", " Zg", "Zm9v\n", "Zm\t8", "Z.g",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_no_base64(sl_base64url_decode, sl_span_of(bad[i]));
}

static void base64_round_trip_of_every_byte_and_length(void **state)
{
    (void)state;
    uint8_t all[256];
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (uint8_t)i;
    for (size_t len = 0; len <= sizeof(all); len++) {
        SL_AUTO_FREE char *text = sl_base64_encode((struct sl_span){all, len});
        assert_int_equal(strlen(text), (len + 2) / 3 * 4);
        assert_decodes(sl_base64_decode, text, all, len);
    }
}

static void base64_accepts_exactly_one_spelling_of_two_bytes(void **state)
{
    (void)state;
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned accepted = 0;
    for (size_t last = 0; last < 64; last++) {
        char text[5] = {'Q', 'U', letters[last], '=', 0};
        SL_AUTO_DONE(sl_bytes) out = {0};
        accepted += sl_base64_decode(sl_span_of(text), &out, NULL) == 0;
    }
    assert_int_equal(accepted, 16); /* the two stray bits must be zero */
}

static void hex_is_lower_case(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x00, 0x0f, 0xa5, 0xff};
    char out[9];
    sl_hex_format((struct sl_span){bytes, 4}, out);
    assert_string_equal(out, "000fa5ff");
    sl_hex_format((struct sl_span){NULL, 0}, out);
    assert_string_equal(out, "");
}

static void hex_is_read_as_it_is_written(void **state)
{
    (void)state;
    static const char *const bad[] = {"",           "000fa5",   "000fa5f",  "000fa5ff0",
                                      "000fa5ff00", "000FA5FF", "000fa5fg", "000fa5f ",
                                      "0x0fa5ff",   "000fa5f/", "000fa5f:", "000fa5f`"};
    static const uint8_t want[] = {0x00, 0x0f, 0xa5, 0xff};
    uint8_t out[4] = {0};
    assert_true(sl_hex_parse("000fa5ff", out, sizeof(out)));
    assert_memory_equal(out, want, sizeof(out));
    assert_true(sl_hex_parse("", out, 0));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (sl_hex_parse(bad[i], out, sizeof(out)))
            fail_msg("'%s' is no hex of four bytes", bad[i]);
}

static void spans_are_equal_in_length_and_bytes(void **state)
{
    (void)state;
    struct sl_span abc = {(const uint8_t *)"abcd", 3};
    assert_true(sl_span_is_equal(abc, sl_span_of("abc")));
    assert_false(sl_span_is_equal(abc, sl_span_of("abcd")));
    assert_false(sl_span_is_equal(abc, sl_span_of("ab")));
    assert_false(sl_span_is_equal(abc, sl_span_of("abd")));
    assert_true(sl_span_is_equal((struct sl_span){NULL, 0}, sl_span_of("")));
    assert_false(sl_span_is_equal((struct sl_span){NULL, 0}, abc));
}

static void bytes_grow_and_end_in_nul(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) b = {0};
    for (size_t i = 0; i < 5000; i++) {
        uint8_t one = (uint8_t)(i * 7);
        assert_int_equal(sl_bytes_append(&b, (struct sl_span){&one, 1}, 5000, NULL), 0);
        assert_int_equal(b.data[b.len], 0);
    }
    assert_int_equal(b.len, 5000);
    for (size_t i = 0; i < 5000; i++)
        assert_int_equal(b.data[i], (uint8_t)(i * 7));
}

static void bytes_limit_is_exact_and_keeps_what_is_there(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) b = {0};
    struct sl_error err = {0};
    assert_int_equal(sl_bytes_append(&b, sl_span_of("12345"), 5, &err), 0);
    assert_int_equal(sl_bytes_append(&b, sl_span_of(""), 5, &err), 0);
    assert_int_equal(sl_bytes_append(&b, sl_span_of("6"), 5, &err), -E2BIG);
    assert_int_equal(err.code, SL_E_LIMIT);
    assert_int_equal(sl_bytes_append(&b, (struct sl_span){b.data, SIZE_MAX}, SIZE_MAX - 1, &err),
                     -E2BIG);
    assert_int_equal(sl_bytes_append(&b, sl_span_of(""), 4, &err), -E2BIG);
    assert_string_equal((char *)b.data, "12345");
}

static void bytes_empty_append_gives_a_nul(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) b = {0};
    assert_int_equal(sl_bytes_append(&b, (struct sl_span){NULL, 0}, 0, NULL), 0);
    assert_non_null(b.data);
    assert_int_equal(b.data[0], 0);
}

static void spans_of_nothing_are_empty(void **state)
{
    (void)state;
    assert_int_equal(sl_span_of(NULL).len, 0);
    assert_int_equal(sl_span_of("").len, 0);
    sl_wipe(NULL, 0);
    sl_secret_free(NULL);
}

static void wipe_clears_every_byte(void **state)
{
    (void)state;
    uint8_t secret[64], zero[64] = {0};
    memset(secret, 0x5a, sizeof(secret));
    sl_wipe(secret, sizeof(secret));
    assert_memory_equal(secret, zero, sizeof(zero));
}

static void strf_makes_new_text(void **state)
{
    (void)state;
    SL_AUTO_FREE char *text = sl_strf("%s-%d", "a", 7);
    assert_string_equal(text, "a-7");
}

/* ---- files ---- */

static char *folder;

static int make_folder(void **state)
{
    (void)state;
    folder = strdup("/tmp/sluice-bytes-XXXXXX");
    return folder && mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    int r = rmdir(folder);
    free(folder);
    return r;
}

static void file_is_read_up_to_its_limit(void **state)
{
    (void)state;
    SL_AUTO_FREE char *path = sl_strf("%s/file", folder);
    enum { SIZE = 40000 }; /* more than one read */
    static uint8_t data[SIZE];
    memset(data, 'x', SIZE);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, data, SIZE), SIZE);
    close(fd);
    SL_AUTO_DONE(sl_bytes) b = {0};
    struct sl_error err = {0};
    assert_int_equal(sl_read_file(AT_FDCWD, path, SIZE - 1, &b, &err), -E2BIG);
    assert_int_equal(err.code, SL_E_LIMIT);
    assert_non_null(strstr(err.msg, path));
    assert_null(b.data);
    assert_int_equal(sl_read_file(AT_FDCWD, path, SIZE, &b, &err), 0);
    assert_int_equal(b.len, SIZE);
    assert_memory_equal(b.data, data, SIZE);
    unlink(path);
}

static void file_that_is_empty_gives_an_empty_document(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) b = {0};
    assert_int_equal(sl_read_file(AT_FDCWD, "/dev/null", 0, &b, NULL), 0);
    assert_int_equal(b.len, 0);
    assert_int_equal(b.data[0], 0);
}

static void file_errors_name_the_path(void **state)
{
    (void)state;
    SL_AUTO_FREE char *missing = sl_strf("%s/missing", folder);
    SL_AUTO_DONE(sl_bytes) b = {0};
    struct sl_error err = {0};
    assert_int_equal(sl_read_file(AT_FDCWD, missing, 10, &b, &err), -ENOENT);
    assert_int_equal(err.code, SL_E_SYSTEM);
    assert_non_null(strstr(err.msg, missing));
    assert_int_equal(sl_read_file(AT_FDCWD, folder, 10, &b, &err), -EISDIR);
}

static void fifo_without_a_writer_does_not_hang(void **state)
{
    (void)state;
    SL_AUTO_FREE char *path = sl_strf("%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    SL_AUTO_DONE(sl_bytes) b = {0};
    assert_int_equal(sl_read_file(AT_FDCWD, path, 10, &b, NULL), 0);
    assert_int_equal(b.len, 0);
    unlink(path);
}

/* What another function has left there: ours is not asked to keep it. */
static void wiping_leaves_nothing_in_vector_registers(void **state)
{
    (void)state;
#ifdef __x86_64__
    static const char secret[] = "sixteen letters!";
    char left[16];
    char copy[16] = "";
    __asm__ volatile("movdqu %0, %%xmm5" ::"m"(secret) : "xmm5");
    sl_wipe(copy, sizeof(copy));
    __asm__ volatile("movdqu %%xmm5, %0" : "=m"(left));
    if (__builtin_cpu_supports("avx"))
        assert_memory_not_equal(left, secret, sizeof(left));
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wiping_leaves_nothing_in_vector_registers),
        cmocka_unit_test(base64_vectors_of_rfc4648),
        cmocka_unit_test(base64_alphabets_differ_in_two_letters),
        cmocka_unit_test(base64_is_strict),
        cmocka_unit_test(base64url_is_strict),
        cmocka_unit_test(base64_round_trip_of_every_byte_and_length),
        cmocka_unit_test(base64_accepts_exactly_one_spelling_of_two_bytes),
        cmocka_unit_test(hex_is_lower_case),
        cmocka_unit_test(hex_is_read_as_it_is_written),
        cmocka_unit_test(spans_are_equal_in_length_and_bytes),
        cmocka_unit_test(bytes_grow_and_end_in_nul),
        cmocka_unit_test(bytes_limit_is_exact_and_keeps_what_is_there),
        cmocka_unit_test(bytes_empty_append_gives_a_nul),
        cmocka_unit_test(spans_of_nothing_are_empty),
        cmocka_unit_test(wipe_clears_every_byte),
        cmocka_unit_test(strf_makes_new_text),
        cmocka_unit_test(file_is_read_up_to_its_limit),
        cmocka_unit_test(file_that_is_empty_gives_an_empty_document),
        cmocka_unit_test(file_errors_name_the_path),
        cmocka_unit_test(fifo_without_a_writer_does_not_hang),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
