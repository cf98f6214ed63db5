/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small files a guest's owner provides: policy, keys, lookaside configuration, credentials. Named
 * by "file:///abs/path", a bare path, or "kbs:///repository/type/tag". Nothing is cached on disk.
 */
#pragma once

#include "sluice/core/bytes.h"
#include "sluice/kbc.h"

struct sl_resources {
    struct sl_kbc *kbc; /* borrowed; NULL: kbs names are refused */
};

enum { SL_RESOURCE_MAX = 1024 * 1024 }; /* bytes, unless a caller allows less */

/* Regular files only, at most limit bytes. The error names the resource, and says what is missing:
 * SL_E_SYSTEM, SL_E_AUTH (the broker), SL_E_LIMIT, SL_E_FORMAT (not a name). An empty resource is
 * an error. *ret may be secret. */
SL_MUST_CHECK int sl_resource_get(const struct sl_resources *resources, const char *name,
                                  size_t limit, struct sl_bytes *ret, struct sl_error *err);

/* "sha256:HEX" or "sha384:HEX" of bytes, as launch fields of confidential guests hold it: the
 * digest may be followed by zero bytes up to the size of the field (TDX MRCONFIGID: 48 bytes, SGX
 * CONFIGID: 64), and a SHA-384 may be cut to 32 bytes (SEV-SNP HOST_DATA). SL_E_POLICY: another
 * digest; SL_E_FORMAT: not such a text. what: "policy". */
SL_MUST_CHECK int sl_pinned_digest_check(const char *pin, struct sl_span bytes, const char *what,
                                         struct sl_error *err);
/* The same text without bytes yet: only its form. */
SL_MUST_CHECK int sl_pinned_digest_parse(const char *pin, struct sl_error *err);
