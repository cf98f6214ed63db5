/* SPDX-License-Identifier: Apache-2.0 */
/* OCI layouts made on the spot, in a temporary folder, good or bad as a test needs them. */
#pragma once

#include "sluice/core/digest.h"

struct layout_fixture {
    char dir[64];
};

/* An empty folder with a good "oci-layout". */
void layout_fixture_new(struct layout_fixture *fx);
/* Removes the folder. */
void layout_fixture_free(struct layout_fixture *fx);
/* Writes a file below the folder. */
void layout_fixture_write(const struct layout_fixture *fx, const char *path, struct sl_span bytes);
/* Path of a blob, to be freed. */
char *layout_fixture_blob_path(const struct layout_fixture *fx, const struct sl_digest *digest);
/* Writes a blob and tells its digest. */
struct sl_digest layout_fixture_add(const struct layout_fixture *fx, struct sl_span bytes,
                                    enum sl_digest_alg alg);
/* The JSON of a descriptor, to be freed; more is put before its end: ",\"platform\":…". */
char *layout_fixture_descriptor(const char *media_type, const struct sl_digest *digest,
                                uint64_t size, const char *more);
/* Adds a document of text and gives its descriptor, to be freed. */
char *layout_fixture_add_document(const struct layout_fixture *fx, const char *media_type,
                                  const char *text, const char *more);
/* Writes index.json around descriptors, separated by commas. */
void layout_fixture_write_index(const struct layout_fixture *fx, const char *descriptors);
