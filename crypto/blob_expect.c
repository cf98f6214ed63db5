/* SPDX-License-Identifier: Apache-2.0 */
#include "blob_expect.h"

#include <inttypes.h>

int sl_blob_expect_count(struct sl_blob_expect *e, size_t n, struct sl_error *err)
{
    if (n > e->size - e->seen)
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                            "blob is longer than the %" PRIu64 " bytes of its descriptor", e->size);
    e->seen += n;
    return 0;
}

int sl_blob_expect_verify(const struct sl_blob_expect *e, const struct sl_digest *actual,
                          struct sl_error *err)
{
    if (e->seen != e->size)
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                            "blob ends after %" PRIu64 " of the %" PRIu64
                            " bytes of its descriptor",
                            e->seen, e->size);
    if (sl_digest_is_equal(actual, &e->digest))
        return 0;
    char is[SL_DIGEST_TEXT_MAX];
    char should[SL_DIGEST_TEXT_MAX];
    sl_digest_format(actual, is);
    sl_digest_format(&e->digest, should);
    return sl_error_set(err, SL_E_INTEGRITY, EBADMSG, "blob digest is %s, descriptor says %s", is,
                        should);
}
