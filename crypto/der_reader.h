/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small reader of DER (X.690): definite lengths in their shortest form, tag numbers below 31.
 * It looks at one element at a time and leaves the meaning to the caller, because the PKCS7
 * messages of container images are not quite standard.
 */
#pragma once

#include "sluice/core/bytes.h"

enum {
    SL_DER_INTEGER = 0x02,
    SL_DER_OCTETS = 0x04,
    SL_DER_OID = 0x06,
    SL_DER_SEQUENCE = 0x30,
    SL_DER_SET = 0x31,
    SL_DER_CONTEXT = 0x80,     /* [0], primitive; add the number */
    SL_DER_CONSTRUCTED = 0x20, /* bit of a tag */
};

/* Moves: rest becomes what follows the element just read. */
struct sl_der {
    struct sl_span rest;
};

struct sl_der_item {
    uint8_t tag;
    struct sl_span body;
    struct sl_span whole; /* with tag and length */
};

static inline struct sl_der sl_der_of(struct sl_span bytes)
{
    return (struct sl_der){bytes};
}
static inline bool sl_der_is_end(const struct sl_der *der)
{
    return der->rest.len == 0;
}
/* The next element, whatever it is. */
SL_MUST_CHECK int sl_der_next(struct sl_der *der, struct sl_der_item *ret, struct sl_error *err);
/* The next element, which must have this tag. */
SL_MUST_CHECK int sl_der_need(struct sl_der *der, uint8_t tag, struct sl_der_item *ret,
                              struct sl_error *err);
/* The inside of the next element, which must have this tag. */
SL_MUST_CHECK int sl_der_enter(struct sl_der *der, uint8_t tag, struct sl_der *ret,
                               struct sl_error *err);
