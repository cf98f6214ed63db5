/* SPDX-License-Identifier: Apache-2.0 */
/* Where an image is, or shall be: the texts that sources and sinks are opened by. */
#pragma once

#include "sluice/core/reference.h"

struct sl_image_name {
    char *text;               /* canonical: "docker.io/library/busybox:latest", "oci:DIR:TAG" */
    struct sl_reference *ref; /* of a registry's image; NULL: of a layout */
    bool host_was_explicit;   /* the user wrote the host */
    char *dir, *tag;          /* of a layout; tag may be NULL */
    bool has_digest;
    struct sl_digest digest;
};
/* "docker://REF", "REF", "oci:DIR", "oci:DIR:TAG", "oci:DIR@DIGEST". *ret must be zero; on failure
 * it is to be released all the same. */
SL_MUST_CHECK int sl_image_name_parse(const char *text, struct sl_image_name *ret,
                                      struct sl_error *err);
/* The text with this directory instead; NULL when there is no memory. Of a layout. */
char *sl_image_name_text_at(const struct sl_image_name *name, const char *dir);
void sl_image_name_done(struct sl_image_name *name);
SL_DEFINE_AUTO_DONE(sl_image_name, sl_image_name_done)
