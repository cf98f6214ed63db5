/* SPDX-License-Identifier: Apache-2.0 */
/* Image references, as docker and skopeo read them (distribution/reference grammar). */
#pragma once

#include "sluice/core/digest.h"

struct sl_reference {
    char *host;       /* "docker.io", "localhost:5000": as written, never rewritten */
    char *repository; /* "library/busybox" */
    char *tag;        /* NULL when absent; "latest" when neither tag nor digest was given */
    bool has_digest;
    struct sl_digest digest;
};

/* Parses "busybox", "quay.io/a/b:tag@sha256:…". No transport prefix. */
SL_MUST_CHECK int sl_reference_parse(const char *text, struct sl_reference **ret,
                                     struct sl_error *err);
/* The same without a default: tag stays NULL. For names others wrote, such as those in signatures.
 */
SL_MUST_CHECK int sl_reference_parse_as_written(const char *text, struct sl_reference **ret,
                                                struct sl_error *err);
struct sl_reference *sl_reference_free(struct sl_reference *ref);
SL_DEFINE_AUTO(sl_reference, sl_reference_free)
/* "host/repository[:tag][@digest]", to be freed; NULL when out of memory. */
char *sl_reference_format(const struct sl_reference *ref);
