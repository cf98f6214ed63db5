/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages in the JSON form of protocol buffers (protobuf.dev, "ProtoJSON Format"), as sigstore
 * writes bundles and trusted roots. Stricter than that form where it leaves a choice: names in
 * camelCase only, bytes in standard base64 with padding only, enums by name only, times in UTC
 * only. Absent is the same as null, and as the empty or zero value. Unknown members are errors.
 * Inside security/ only.
 */
#pragma once

#include "sluice/core/json.h"

/* A member, or NULL when it is absent or null. */
const struct sl_json *sl_proto_get(const struct sl_json *object, const char *name);
/* An object with no other members than these (ended by NULL). node NULL: an error too. what names
 * it in errors. */
SL_MUST_CHECK int sl_proto_check(const struct sl_json *node, const char *what,
                                 const char *const *members, struct sl_error *err);
/* Borrowed; "" when the member is absent. */
SL_MUST_CHECK int sl_proto_text(const struct sl_json *object, const char *name, const char **ret,
                                struct sl_error *err);
/* The same, copied. */
SL_MUST_CHECK int sl_proto_string(const struct sl_json *object, const char *name, char **ret,
                                  struct sl_error *err);
/* *ret must be empty, and stays so when the member is absent. */
SL_MUST_CHECK int sl_proto_bytes(const struct sl_json *object, const char *name,
                                 struct sl_bytes *ret, struct sl_error *err);
/* The same, and at least one byte. */
SL_MUST_CHECK int sl_proto_need_bytes(const struct sl_json *object, const char *name,
                                      struct sl_bytes *ret, struct sl_error *err);
/* From 0 to INT64_MAX, as a decimal string or a number. */
SL_MUST_CHECK int sl_proto_count(const struct sl_json *object, const char *name, int64_t *ret,
                                 struct sl_error *err);
/* A list of at most max elements; *ret_n is 0 when the member is absent. */
SL_MUST_CHECK int sl_proto_list(const struct sl_json *object, const char *name, size_t max,
                                const struct sl_json **ret, size_t *ret_n, struct sl_error *err);
/* RFC 3339 in UTC ("2021-01-12T11:53:27.000Z"): whole seconds since 1970, and whether there was a
 * fraction of one behind them. */
SL_MUST_CHECK int sl_proto_time(const struct sl_json *object, const char *name, int64_t *ret,
                                bool *ret_has_fraction, struct sl_error *err);
