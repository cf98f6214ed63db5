/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of calls: published frames of ttrpc, and a connection that only writes down what a wire
 * asks of it. */
#pragma once

#include "connection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define assert_ok(r) assert_int_equal((r), 0)
#define assert_fails(r, want_errno, err, want_code)                                                \
    do {                                                                                           \
        assert_int_equal((r), -(want_errno));                                                      \
        assert_int_equal((err).code, (want_code));                                                 \
    } while (0)
#define assert_span(span, text) assert_bytes((span), (const uint8_t *)(text), sizeof(text) - 1)

#define UNWRAP_REQUEST_HEX                                                                         \
    "000000400000000101000a1e6b657970726f76696465722e4b657950726f766964657253657276696365"         \
    "1209556e577261704b65791a0c0a0a7b226f70223a2278227d2080e8eda1ba01"
#define GET_RESOURCE_HEX                                                                           \
    "000000440000000301000a166170692e4765745265736f7572636553657276696365"                         \
    "120b4765745265736f757263651a160a146b62733a2f2f2f64656661756c742f6b65792f312080e8eda1ba01"
#define UNWRAP_RESULTS "{\"keyunwrapresults\":{\"optsdata\":[123,125]}}"
#define UNWRAP_RESULTS_HEX                                                                         \
    "7b226b6579756e77726170726573756c7473223a7b226f70747364617461223a5b3132332c3132355d7d7d"
#define GO_RESPONSE_HEX "0000002f000000010200122d0a2b" UNWRAP_RESULTS_HEX
#define RUST_RESPONSE_HEX "000000310000000102000a00122d0a2b" UNWRAP_RESULTS_HEX
#define ERROR_RESPONSE_HEX "000000160000000102000a14080d12105b4344485d205b4552524f525d3a2078"

static inline void assert_bytes(struct sl_span span, const uint8_t *want, size_t len)
{
    assert_int_equal(span.len, len);
    if (len)
        assert_memory_equal(span.data, want, len);
}

static inline struct sl_bytes from_hex(const char *hex)
{
    struct sl_bytes b = {0};
    for (; *hex; hex += 2) {
        const char digits[3] = {hex[0], hex[1], 0};
        uint8_t byte = (uint8_t)strtoul(digits, NULL, 16);
        assert_ok(sl_bytes_append(&b, (struct sl_span){&byte, 1}, 1 << 20, NULL));
    }
    return b;
}
