/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON text of the records of the store: one object of plain members. The first failure
 * sticks and is told by the end. */
#pragma once

#include "sluice/core/digest.h"

struct sl_record_writer;
/* NULL when out of memory; every call accepts it. */
struct sl_record_writer *sl_record_writer_new(void);
struct sl_record_writer *sl_record_writer_free(struct sl_record_writer *w);
SL_DEFINE_AUTO(sl_record_writer, sl_record_writer_free)

/* name may be NULL: an element of an array. */
void sl_record_string(struct sl_record_writer *w, const char *name, const char *value);
void sl_record_digest(struct sl_record_writer *w, const char *name, const struct sl_digest *value);
void sl_record_base64(struct sl_record_writer *w, const char *name, struct sl_span value);
void sl_record_bool(struct sl_record_writer *w, const char *name, bool value);
void sl_record_int(struct sl_record_writer *w, const char *name, int64_t value);
void sl_record_digests(struct sl_record_writer *w, const char *name, const struct sl_digest *values,
                       size_t n);
void sl_record_array_open(struct sl_record_writer *w, const char *name);
void sl_record_array_close(struct sl_record_writer *w);
/* *ret must be empty. */
SL_MUST_CHECK int sl_record_end(struct sl_record_writer *w, struct sl_bytes *ret,
                                struct sl_error *err);
