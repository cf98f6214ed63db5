/* SPDX-License-Identifier: Apache-2.0 */
/* Outlines of messages, by hand; whole ones are gpg's, in the tests of simple signing. */
#include "pgp_signed_message.h"

#include "assert_result.h"

#include <zlib.h>

#define SPAN(text) ((struct sl_span){(const uint8_t *)(text), sizeof(text) - 1})

/* Type 0, RSA, SHA-256. Bodies, then whole packets. */
#define ID "\1\2\3\4\5\6\7\x8"
#define ONE_PASS_BODY "\3\0\x8\1" ID "\1"
#define V4_BODY "\4\0\1\x8\0\1h\0\1u\xab\xcdmpi"
#define V3_BODY "\3\5\0time" ID "\1\x8\xab\xcdmpi"
#define LITERAL_BODY "b\1ndateText"
#define ONE_PASS "\xc4\x0d" ONE_PASS_BODY
#define V4 "\xc2\x0f" V4_BODY
#define V3 "\xc2\x16" V3_BODY
#define LITERAL "\xcb\x0b" LITERAL_BODY
#define MESSAGE ONE_PASS LITERAL V4

static void message_of_every_form_is_read(void **state)
{
    (void)state;
    static const struct {
        struct sl_span text;
        unsigned version;
    } cases[] = {
        {SPAN(MESSAGE), 4},
        {SPAN(ONE_PASS LITERAL V3), 3},
        {SPAN(V4 LITERAL), 4},
        {SPAN(V3 LITERAL), 3},
        /* lengths: old of one, two and four bytes; up to the end; new of five; pieces */
        {SPAN("\x90\x0d" ONE_PASS_BODY "\xac\x0b" LITERAL_BODY "\x88\x0f" V4_BODY), 4},
        {SPAN("\x91\0\x0d" ONE_PASS_BODY "\xad\0\x0b" LITERAL_BODY "\x89\0\x0f" V4_BODY), 4},
        {SPAN("\x92\0\0\0\x0d" ONE_PASS_BODY "\xae\0\0\0\x0b" LITERAL_BODY
              "\x8a\0\0\0\x0f" V4_BODY),
         4},
        {SPAN("\x88\x0f" V4_BODY "\xaf" LITERAL_BODY), 4},
        {SPAN("\xc4\xff\0\0\0\x0d" ONE_PASS_BODY LITERAL V4), 4},
        {SPAN(ONE_PASS "\xcb\xe2"
                       "b\1nd"
                       "\xe1"
                       "at"
                       "\xe0"
                       "e"
                       "\4Text" V4),
         4},
        {SPAN(ONE_PASS "\xcb\xe2"
                       "b\1nd"
                       "\xe1"
                       "at"
                       "\xe0"
                       "e"
                       "\0" V4),
         4},
        /* without compression in a packet for it, of both formats */
        {SPAN("\xa3\0" MESSAGE), 4},
        {SPAN("\xc8\x2e\0" MESSAGE), 4},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_pgp_signed_message) message = {0};
        struct sl_error err = {0};
        print_message("case %zu\n", i);
        assert_done(sl_pgp_signed_message_parse(cases[i].text, &message, &err));
        assert_int_equal(message.version, cases[i].version);
        assert_int_equal(message.type, 0);
        assert_int_equal(message.key_algorithm, 1);
        assert_int_equal(message.hash_algorithm, 8);
        bool is_packed = i >= 11;
        size_t header = i == 11 ? 2 : is_packed ? 3 : 0;
        assert_int_equal(message.packets.len, cases[i].text.len - header);
        assert_memory_equal(message.packets.data, cases[i].text.data + header, message.packets.len);
    }
}

static void message_that_is_not_exactly_one_is_refused(void **state)
{
    (void)state;
    static const struct {
        struct sl_span text;
        int errnum;
        enum sl_errc code;
        const char *says;
    } cases[] = {
        {SPAN(""), EBADMSG, SL_E_FORMAT, "not an OpenPGP packet"},
        {SPAN("{}"), EBADMSG, SL_E_FORMAT, "not an OpenPGP packet"},
        {SPAN("-----BEGIN PGP SIGNED MESSAGE-----\n"), EBADMSG, SL_E_FORMAT, "clear-signed"},
        {SPAN(LITERAL), EBADMSG, SL_E_FORMAT, "it is not signed"},
        {SPAN(V4), EBADMSG, SL_E_FORMAT, "without what it signs"},
        {SPAN(ONE_PASS), EBADMSG, SL_E_FORMAT, "without what it signs"},
        {SPAN(ONE_PASS LITERAL), EBADMSG, SL_E_FORMAT, "its signature is missing"},
        {SPAN(LITERAL V4), EBADMSG, SL_E_FORMAT, "it is not signed"},
        {SPAN(LITERAL MESSAGE), EBADMSG, SL_E_FORMAT, "it is not signed"},
        {SPAN(ONE_PASS LITERAL LITERAL V4), EBADMSG, SL_E_FORMAT, "it is not signed"},
        {SPAN(MESSAGE LITERAL), EBADMSG, SL_E_FORMAT, "bytes behind its signature"},
        {SPAN(MESSAGE "\0"), EBADMSG, SL_E_FORMAT, "bytes behind its signature"},
        {SPAN(MESSAGE MESSAGE), EBADMSG, SL_E_FORMAT, "bytes behind its signature"},
        {SPAN(V4 LITERAL V4), EBADMSG, SL_E_FORMAT, "bytes behind its literal"},
        {SPAN(V4 V4 LITERAL), EBADMSG, SL_E_FORMAT, "more than one signature"},
        {SPAN(V4 MESSAGE), EBADMSG, SL_E_FORMAT, "more than one signature"},
        {SPAN(ONE_PASS ONE_PASS LITERAL V4 V4), EBADMSG, SL_E_FORMAT, "more than one signature"},
        {SPAN(ONE_PASS V4 LITERAL), EBADMSG, SL_E_FORMAT, "more than one signature"},
        {SPAN("\xca\3PGP" MESSAGE), EBADMSG, SL_E_FORMAT, "packet 10 does not belong"},
        {SPAN(ONE_PASS "\xca\3PGP" LITERAL V4), EBADMSG, SL_E_FORMAT, "packet 10 does not belong"},
        {SPAN("\xd5\1p" MESSAGE), EBADMSG, SL_E_FORMAT, "packet 21 does not belong"},
        {SPAN("\xc6\1k" MESSAGE), EBADMSG, SL_E_FORMAT, "packet 6 does not belong"},
        {SPAN("\x84\1x"), EBADMSG, SL_E_FORMAT, "it is encrypted"},
        {SPAN("\xc3\1x"), EBADMSG, SL_E_FORMAT, "it is encrypted"},
        {SPAN("\xd2\1x"), EBADMSG, SL_E_FORMAT, "it is encrypted"},
        {SPAN("\xd4\1x"), EBADMSG, SL_E_FORMAT, "it is encrypted"},
        {SPAN("\xa3\0\xa3\0" MESSAGE), EBADMSG, SL_E_FORMAT, "compressed twice"},
        {SPAN("\xc8\x2e\0" MESSAGE "\0"), EBADMSG, SL_E_FORMAT, "behind its compressed packet"},
        {SPAN("\xc8\x2e\0" MESSAGE LITERAL), EBADMSG, SL_E_FORMAT, "behind its compressed packet"},
        {SPAN("\xa3\0"), EBADMSG, SL_E_FORMAT, "not an OpenPGP packet"},
        {SPAN("\xa3\1"), EBADMSG, SL_E_FORMAT, "damaged or cut short"},
        {SPAN("\xa3\1\xff\xff\xff"), EBADMSG, SL_E_FORMAT, "damaged or cut short"},
        {SPAN("\xa3\3BZh9"), ENOTSUP, SL_E_UNSUPPORTED, "BZip2"},
        {SPAN("\xa3\4x"), ENOTSUP, SL_E_UNSUPPORTED, "compression 4"},
        {SPAN("\xc4\xff\xff\xff\xff\xff\3"), EBADMSG, SL_E_FORMAT, "cut short"},
        {SPAN(ONE_PASS LITERAL "\x8b" V4_BODY), EBADMSG, SL_E_FORMAT, "in pieces"},
        {SPAN("\xc4\xe3\3\0\x8\1\1\2\3\4\5\6\7\x8\1" LITERAL V4), EBADMSG, SL_E_FORMAT, ""},
        /* what the one-pass signature says of the signature */
        {SPAN("\xc4\x0d\4\0\x8\1" ID "\1" LITERAL V4), EBADMSG, SL_E_FORMAT, "is malformed"},
        {SPAN("\xc4\x0c\3\0\x8\1" ID LITERAL V4), EBADMSG, SL_E_FORMAT, "is malformed"},
        {SPAN("\xc4\x0d\3\1\x8\1" ID "\1" LITERAL V4), EBADMSG, SL_E_FORMAT, "announces another"},
        {SPAN("\xc4\x0d\3\0\x9\1" ID "\1" LITERAL V4), EBADMSG, SL_E_FORMAT, "announces another"},
        {SPAN("\xc4\x0d\3\0\x8\2" ID "\1" LITERAL V4), EBADMSG, SL_E_FORMAT, "announces another"},
        {SPAN("\xc4\x0d\3\0\x8\1" ID "\0" LITERAL V4), EBADMSG, SL_E_FORMAT, "announces another"},
        /* the signature */
        {SPAN("\xc2\4\5\0\1\x8" LITERAL), ENOTSUP, SL_E_UNSUPPORTED, "version 5"},
        {SPAN("\xc2\4\2\0\1\x8" LITERAL), ENOTSUP, SL_E_UNSUPPORTED, "version 2"},
        {SPAN("\xc2\1\4" LITERAL), EBADMSG, SL_E_FORMAT, "version 4 is malformed"},
        {SPAN("\xc2\x0c\4\0\1\x8\0\3h\0\1u\xab\xcd" LITERAL), EBADMSG, SL_E_FORMAT, "malformed"},
        {SPAN("\xc2\x0c\4\0\1\x8\xff\xffh\0\1u\xab\xcd" LITERAL), EBADMSG, SL_E_FORMAT,
         "malformed"},
        {SPAN("\xc2\x0c\4\0\1\x8\0\1h\0\2u\xab\xcd" LITERAL), EBADMSG, SL_E_FORMAT, "malformed"},
        {SPAN("\xc2\x12\3\5\0time" ID "\1\x8\xab" LITERAL), EBADMSG, SL_E_FORMAT, "malformed"},
        {SPAN("\xc2\x13\3\6\0time" ID "\1\x8\xab\xcd" LITERAL), EBADMSG, SL_E_FORMAT, "malformed"},
        {SPAN("\xc2\x0f\4\2\1\x8\0\1h\0\1u\xab\xcdmpi" LITERAL), EBADMSG, SL_E_FORMAT, "0x02"},
        {SPAN("\xc2\x0f\4\x10\1\x8\0\1h\0\1u\xab\xcdmpi" LITERAL), EBADMSG, SL_E_FORMAT, "0x10"},
        {SPAN("\xc2\x0f\4\x40\1\x8\0\1h\0\1u\xab\xcdmpi" LITERAL), EBADMSG, SL_E_FORMAT, "0x40"},
        /* the literal */
        {SPAN(V4 "\xcb\x0bt\1ndateText"), EBADMSG, SL_E_FORMAT, "is not binary"},
        {SPAN(V4 "\xcb\x0bu\1ndateText"), EBADMSG, SL_E_FORMAT, "is not binary"},
        {SPAN(V4 "\xcb\x0bm\1ndateText"), EBADMSG, SL_E_FORMAT, "is not binary"},
        {SPAN(V4 "\xcb\6b\1ndat"), EBADMSG, SL_E_FORMAT, "literal data is malformed"},
        {SPAN(V4 "\xcb\5b\0dat"), EBADMSG, SL_E_FORMAT, "literal data is malformed"},
        {SPAN(V4 "\xcb\1b"), EBADMSG, SL_E_FORMAT, "literal data is malformed"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_pgp_signed_message message = {0};
        struct sl_error err;
        print_message("case %zu\n", i);
        assert_error(sl_pgp_signed_message_parse(cases[i].text, &message, &err), cases[i].errnum,
                     cases[i].code, cases[i].says);
        assert_null(message.packets.data);
    }
}

static void message_cut_anywhere_is_refused(void **state)
{
    (void)state;
    struct sl_span whole = SPAN(MESSAGE);
    for (size_t len = 0; len < whole.len; len++) {
        struct sl_pgp_signed_message message = {0};
        struct sl_error err = {0};
        assert_int_equal(
            sl_pgp_signed_message_parse((struct sl_span){whole.data, len}, &message, &err),
            -EBADMSG);
    }
}

static void text_signature_is_told(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_pgp_signed_message) message = {0};
    struct sl_error err = {0};
    assert_done(sl_pgp_signed_message_parse(
        SPAN("\xc2\x0f\4\1\1\x8\0\1h\0\1u\xab\xcdmpi\xcb\x0bt\1ndateText"), &message, &err));
    assert_int_equal(message.type, SL_PGP_TYPE_TEXT);
}

/* zlib's own deflate around a message, padded inside its literal to len bytes, and tail behind. */
static struct sl_bytes pack(uint8_t algorithm, size_t len, const char *tail)
{
    static const uint8_t head[] = V4 "\xcb\xff";
    struct sl_bytes packed = {.data = calloc(1, 128 * 1024), .cap = 128 * 1024};
    uint8_t *plain = calloc(1, len);
    assert_non_null(packed.data);
    assert_non_null(plain);
    size_t body = len - (sizeof(head) - 1) - 4;
    const uint8_t body_len[] = {body >> 24, body >> 16 & 255, body >> 8 & 255, body & 255};
    memcpy(plain, head, sizeof(head) - 1);
    memcpy(plain + sizeof(head) - 1, body_len, 4);
    plain[sizeof(head) - 1 + 4] = 'b';
    packed.data[0] = 0xa3;
    packed.data[1] = algorithm;
    z_stream z = {.next_in = plain,
                  .avail_in = (uInt)len,
                  .next_out = packed.data + 2,
                  .avail_out = (uInt)packed.cap - 2};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, algorithm == 1 ? -15 : 15, 8, 0), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    packed.len = 2 + z.total_out;
    (void)deflateEnd(&z);
    memcpy(packed.data + packed.len, tail, strlen(tail));
    packed.len += strlen(tail);
    free(plain);
    return packed;
}

static void compressed_message_is_unpacked_up_to_a_limit(void **state)
{
    (void)state;
    static const struct {
        uint8_t algorithm;
        size_t len;
        const char *tail;
        int errnum;
        enum sl_errc code;
        const char *says;
    } cases[] = {
        {1, 100, "", 0, 0, ""},
        {2, 100, "", 0, 0, ""},
        {1, 64 * 1024, "", 0, 0, ""},
        {1, 64 * 1024 + 1, "", E2BIG, SL_E_LIMIT, "unpacks to more than 65536"},
        {2, 64 * 1024 + 1, "", E2BIG, SL_E_LIMIT, "unpacks to more than 65536"},
        {1, 8 * 1024 * 1024, "", E2BIG, SL_E_LIMIT, "unpacks to more than 65536"},
        {1, 100, "x", EBADMSG, SL_E_FORMAT, "behind its compressed data"},
        {2, 100, "x", EBADMSG, SL_E_FORMAT, "behind its compressed data"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_bytes) packed = pack(cases[i].algorithm, cases[i].len, cases[i].tail);
        SL_AUTO_DONE(sl_pgp_signed_message) message = {0};
        struct sl_error err = {0};
        print_message("case %zu\n", i);
        if (cases[i].errnum)
            assert_error(sl_pgp_signed_message_parse(sl_bytes_span(&packed), &message, &err),
                         cases[i].errnum, cases[i].code, cases[i].says);
        else
            assert_done(sl_pgp_signed_message_parse(sl_bytes_span(&packed), &message, &err));
        assert_int_equal(message.packets.len, cases[i].errnum ? 0 : cases[i].len);
    }
}

static void compressed_message_cut_anywhere_is_refused(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) packed = pack(2, 100, "");
    for (size_t len = 0; len < packed.len; len++) {
        struct sl_pgp_signed_message message = {0};
        struct sl_span cut = {packed.data, len};
        assert_int_equal(sl_pgp_signed_message_parse(cut, &message, NULL), -EBADMSG);
    }
}

static void message_that_is_too_large_is_not_looked_at(void **state)
{
    (void)state;
    static const uint8_t zeros[64 * 1024 + 1];
    struct sl_pgp_signed_message message = {0};
    struct sl_error err;
    assert_error(
        sl_pgp_signed_message_parse((struct sl_span){zeros, sizeof(zeros)}, &message, &err), E2BIG,
        SL_E_LIMIT, "larger than 65536");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_of_every_form_is_read),
        cmocka_unit_test(message_that_is_not_exactly_one_is_refused),
        cmocka_unit_test(message_cut_anywhere_is_refused),
        cmocka_unit_test(text_signature_is_told),
        cmocka_unit_test(compressed_message_is_unpacked_up_to_a_limit),
        cmocka_unit_test(compressed_message_cut_anywhere_is_refused),
        cmocka_unit_test(message_that_is_too_large_is_not_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
