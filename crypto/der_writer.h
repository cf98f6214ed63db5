/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small writer of DER (X.690), as der_reader.h is a small reader. Failures stick and are told by
 * sl_der_end(), so calls need no checks.
 */
#pragma once

#include "der_reader.h"

struct sl_der_writer {
    struct sl_bytes out;
    int result; /* the first failure */
};
void sl_der_writer_done(struct sl_der_writer *w);
SL_DEFINE_AUTO_DONE(sl_der_writer, sl_der_writer_done)

/* A whole element. */
void sl_der_put(struct sl_der_writer *w, uint8_t tag, struct sl_span body);
/* An element that is encoded already. */
void sl_der_put_encoded(struct sl_der_writer *w, struct sl_span element);
/* What is written between the two becomes the body of an element: pass on what open gave. */
size_t sl_der_open(struct sl_der_writer *w);
void sl_der_close(struct sl_der_writer *w, uint8_t tag, size_t opened_at);
/* *ret must be empty. */
SL_MUST_CHECK int sl_der_end(struct sl_der_writer *w, struct sl_bytes *ret, struct sl_error *err);
