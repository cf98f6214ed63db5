/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 of one and of two messages against OpenSSL's, over lengths around every boundary, random
 * cuts and addresses. */
#include "sha256.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <string.h>

enum { LENGTH_MAX = 3000 };

static uint8_t data[2][LENGTH_MAX];

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static int set_up(void **state)
{
    (void)state;
    unsigned seed = 7;
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < LENGTH_MAX; j++)
            data[i][j] = (uint8_t)next_random(&seed);
    return 0;
}

static void require_sha_extensions(void)
{
    if (!sl_sha256_is_supported()) {
        print_message("this processor has no SHA extensions\n");
        skip();
    }
}

static void assert_ends_as_openssl(struct sl_sha256 *s, struct sl_span message)
{
    uint8_t want[SL_SHA256_SIZE], got[SL_SHA256_SIZE];
    assert_int_equal(EVP_Digest(message.data, message.len, want, NULL, EVP_sha256(), NULL), 1);
    sl_sha256_final(s, got);
    assert_memory_equal(got, want, sizeof(want));
}

/* The next piece of a message of which `done` bytes were taken. */
static struct sl_span cut(struct sl_span message, size_t *done, size_t max_cut, unsigned *seed)
{
    size_t n = next_random(seed) % (max_cut + 1);
    if (n > message.len - *done)
        n = message.len - *done;
    struct sl_span piece = {message.data + *done, n};
    *done += n;
    return piece;
}

static struct sl_span random_message(const uint8_t *from, unsigned *seed)
{
    size_t off = next_random(seed) % SL_SHA256_BLOCK;
    return (struct sl_span){from + off, next_random(seed) % (LENGTH_MAX - SL_SHA256_BLOCK)};
}

static void one_every_short_length_equals_openssl(void **state)
{
    (void)state;
    require_sha_extensions();
    for (size_t len = 0; len <= 4 * SL_SHA256_BLOCK + 1; len++) {
        struct sl_sha256 s;
        sl_sha256_init(&s);
        sl_sha256_update(&s, (struct sl_span){data[0], len});
        assert_ends_as_openssl(&s, (struct sl_span){data[0], len});
    }
}

static void one_random_cuts_equal_openssl(void **state)
{
    (void)state;
    require_sha_extensions();
    unsigned seed = 1;
    for (int i = 0; i < 300; i++) {
        struct sl_span message = random_message(data[0], &seed);
        struct sl_sha256 s;
        sl_sha256_init(&s);
        for (size_t done = 0; done < message.len;)
            sl_sha256_update(&s, cut(message, &done, 1 + next_random(&seed) % 300, &seed));
        assert_ends_as_openssl(&s, message);
    }
}

/* Of different lengths, out of step, with empty pieces, and with updates of one alone between. */
static void two_random_cuts_equal_openssl(void **state)
{
    (void)state;
    require_sha_extensions();
    unsigned seed = 2;
    for (int i = 0; i < 600; i++) {
        struct sl_span x = random_message(data[0], &seed);
        struct sl_span y = random_message(data[1], &seed);
        size_t max_cut = 1 + next_random(&seed) % 600;
        struct sl_sha256 a, b;
        sl_sha256_init(&a);
        sl_sha256_init(&b);
        for (size_t x_done = 0, y_done = 0; x_done < x.len || y_done < y.len;) {
            struct sl_span x_piece = cut(x, &x_done, max_cut, &seed);
            struct sl_span y_piece = cut(y, &y_done, max_cut, &seed);
            sl_sha256_update_two(&a, x_piece, &b, y_piece);
            if (next_random(&seed) % 4 == 0)
                sl_sha256_update(&a, cut(x, &x_done, max_cut, &seed));
        }
        assert_ends_as_openssl(&a, x);
        assert_ends_as_openssl(&b, y);
    }
}

/* The kernel itself: neither chain touches the other. */
static void two_blocks_equal_one_after_the_other(void **state)
{
    (void)state;
    require_sha_extensions();
    for (size_t n = 0; n <= 17; n++) {
        struct sl_sha256 a, b, a_alone, b_alone;
        sl_sha256_init(&a);
        sl_sha256_init(&b);
        sl_sha256_blocks(b.state, data[0] + 1, 1); /* no longer the same state */
        a_alone = a;
        b_alone = b;
        sl_sha256_two_blocks(a.state, data[0] + n, b.state, data[1] + 3, n);
        sl_sha256_blocks(a_alone.state, data[0] + n, n);
        sl_sha256_blocks(b_alone.state, data[1] + 3, n);
        assert_memory_equal(a.state, a_alone.state, sizeof(a.state));
        assert_memory_equal(b.state, b_alone.state, sizeof(b.state));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_every_short_length_equals_openssl),
        cmocka_unit_test(one_random_cuts_equal_openssl),
        cmocka_unit_test(two_random_cuts_equal_openssl),
        cmocka_unit_test(two_blocks_equal_one_after_the_other),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
