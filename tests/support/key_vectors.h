/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of key unwrapping: vectors, annotations made of them, and keys. */
#pragma once

#include "sluice/key_unwrap.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VECTOR(name) SL_TEST_DATA "/vectors/" name
#define assert_ok(r) assert_int_equal((r), 0)
#define assert_fails(r, want_errno, err, want_code)                                                \
    do {                                                                                           \
        assert_int_equal((r), -(want_errno));                                                      \
        assert_int_equal((err).code, (want_code));                                                 \
    } while (0)
#define assert_contains(text, part)                                                                \
    do {                                                                                           \
        if (!strstr((text), (part)))                                                               \
            fail_msg("\"%s\" lacks \"%s\"", (text), (part));                                       \
    } while (0)

static inline struct sl_bytes read_vector(const char *path)
{
    struct sl_bytes b = {0};
    assert_ok(sl_read_file(AT_FDCWD, path, 1 << 20, &b, NULL));
    return b;
}

static inline char *read_text(const char *path)
{
    return (char *)read_vector(path).data;
}

/* symkey and nonce of a PLBCO vector, found by plain string search: not by the code under test. */
static inline struct sl_layer_key expected_key(const char *plbco_path)
{
    struct sl_layer_key key = {0};
    char *text = read_text(plbco_path);
    const char *symkey = strstr(text, "\"symkey\":\"") + 10;
    const char *nonce = strstr(text, "\"nonce\":\"") + 9;
    struct sl_bytes a = {0};
    struct sl_bytes b = {0};
    assert_ok(sl_base64_decode((struct sl_span){(const uint8_t *)symkey, 44}, &a, NULL));
    assert_ok(sl_base64_decode((struct sl_span){(const uint8_t *)nonce, 24}, &b, NULL));
    memcpy(key.lek, a.data, sizeof(key.lek));
    memcpy(key.nonce, b.data, sizeof(key.nonce));
    sl_bytes_done(&a);
    sl_bytes_done(&b);
    free(text);
    return key;
}

static inline void assert_same_key(const struct sl_layer_key *got, const char *plbco_path)
{
    struct sl_layer_key want = expected_key(plbco_path);
    assert_memory_equal(got->lek, want.lek, sizeof(want.lek));
    assert_memory_equal(got->nonce, want.nonce, sizeof(want.nonce));
}
