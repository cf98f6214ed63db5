/* SPDX-License-Identifier: Apache-2.0 */
/* The one JSON writer. Failures stick and are told by sl_json_end(), so calls need no checks.
 * name is the member's name, or NULL for an element of an array. */
#pragma once

#include "sluice/core/digest.h"
#include "sluice/core/json.h"

struct sl_json_writer;
/* Opens the outermost object. NULL when out of memory; every call accepts it. */
struct sl_json_writer *sl_json_writer_new(bool pretty);
struct sl_json_writer *sl_json_writer_free(struct sl_json_writer *w);
SL_DEFINE_AUTO(sl_json_writer, sl_json_writer_free)

void sl_json_put_string(struct sl_json_writer *w, const char *name, const char *value);
/* A list of strings, ended by NULL; NULL is an empty list. */
void sl_json_put_strings(struct sl_json_writer *w, const char *name, char *const *values);
void sl_json_put_digest(struct sl_json_writer *w, const char *name, const struct sl_digest *value);
void sl_json_put_digests(struct sl_json_writer *w, const char *name, const struct sl_digest *values,
                         size_t n);
void sl_json_put_base64(struct sl_json_writer *w, const char *name, struct sl_span value);
void sl_json_put_bool(struct sl_json_writer *w, const char *name, bool value);
void sl_json_put_int(struct sl_json_writer *w, const char *name, int64_t value);
/* With a precision of a millionth: for seconds. */
void sl_json_put_decimal(struct sl_json_writer *w, const char *name, double value);
/* What was read, with everything below it, numbers as they were written: for documents that are
 * rewritten in part. NULL writes null. */
void sl_json_put_node(struct sl_json_writer *w, const char *name, const struct sl_json *node);
void sl_json_open_object(struct sl_json_writer *w, const char *name);
void sl_json_close_object(struct sl_json_writer *w);
void sl_json_open_array(struct sl_json_writer *w, const char *name);
void sl_json_close_array(struct sl_json_writer *w);

/* Closes the outermost object and gives the text, with a newline behind it. SL_E_FORMAT when some
 * string was not UTF-8. *ret must be empty. */
SL_MUST_CHECK int sl_json_end(struct sl_json_writer *w, struct sl_bytes *ret, struct sl_error *err);
