/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outside of a manifest or an index: what kind of document it is, and the descriptors in it.
 * Media types, image-spec manifest.md and image-index.md; docker manifest v2 schema 2. One kind
 * must never be read as the other: two clients would see two images (CVE-2021-41190).
 */
#pragma once

#include "sluice/core/json.h"
#include "sluice/manifest.h"

enum sl_document_kind { SL_DOCUMENT_MANIFEST, SL_DOCUMENT_INDEX };

struct sl_document {
    enum sl_document_kind kind;
    struct sl_json_doc *json;
    char *media_type; /* the body's own, or else the one it was served with, or else OCI's */
};

/* Parses at most SL_MANIFEST_MAX bytes. media_type is the Content-Type (parameters are ignored)
 * or NULL. Refuses schema 1, documents with parts of both kinds, disagreeing media types. */
SL_MUST_CHECK int sl_document_open(struct sl_span json, const char *media_type,
                                   struct sl_document **ret, struct sl_error *err);
struct sl_document *sl_document_close(struct sl_document *doc);
SL_DEFINE_AUTO(sl_document, sl_document_close)

/* sl_manifest_parse() for a document that is open already; doc stays the caller's. */
SL_MUST_CHECK int sl_manifest_from_document(const struct sl_document *doc, struct sl_manifest **ret,
                                            struct sl_error *err);

/* True for the media type of a manifest or an index; *ret tells which. */
bool sl_document_kind_of(const char *media_type, enum sl_document_kind *ret);

/* Reads one descriptor into *ret, which must be zero; on failure it is zero again. Embedded
 * "data" is verified and not kept. what names it in errors: "layer 3". */
SL_MUST_CHECK int sl_descriptor_parse(const struct sl_json *node, const char *what,
                                      struct sl_descriptor *ret, struct sl_error *err);
void sl_descriptor_done(struct sl_descriptor *d);

/* Copies an object of strings into *ret and *ret_n; NULL and JSON's null give none. what names it
 * in errors. More than max members, or a value above value_max bytes: SL_E_LIMIT. */
SL_MUST_CHECK int sl_pairs_parse(const struct sl_json *node, const char *what, size_t max,
                                 size_t value_max, struct sl_pair **ret, size_t *ret_n,
                                 struct sl_error *err);
void sl_pairs_free(struct sl_pair *pairs, size_t n);
