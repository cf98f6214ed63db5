/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON between us and a key provider, seen by who asks. Other ends: key_provider.h. */
#pragma once

#include "sluice/key_provider.h"

enum { SL_PROVIDER_MESSAGE_MAX = 1024 * 1024 }; /* bytes of a request or an answer */

/* payload: the element to unwrap, or the PLBCO to wrap. params go under the provider's name; NULL:
 * there are none. One line without its end. *ret is secret and must be empty. */
SL_MUST_CHECK int sl_provider_request_write(enum sl_provider_op op, const char *name,
                                            const char *params, struct sl_span payload,
                                            struct sl_bytes *ret, struct sl_error *err);
/* What the provider wrapped or unwrapped. Accepts both encodings of bytes, and never quotes the
 * answer in an error. *ret is secret and must be empty. */
SL_MUST_CHECK int sl_provider_answer_parse(enum sl_provider_op op, struct sl_span json,
                                           struct sl_bytes *ret, struct sl_error *err);
