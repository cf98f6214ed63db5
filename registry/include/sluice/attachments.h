/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small things that lie beside an image where it came from: signatures. The source must have been
 * resolved; they are asked of the place that served the manifest, and of no other. Layouts have
 * them too. Everything blocks; any thread, several at once, also beside streams of the source.
 * 1: found, 0: there is none, which only HTTP 404 says, or a layout; all else is an error.
 */
#pragma once

#include "sluice/image_source.h"

enum {
    SL_REFERRERS_MAX = 128, /* of one manifest */
};

/* The manifest behind a tag of the image's repository, hashed but otherwise as it came. */
SL_MUST_CHECK int sl_attachment_by_tag(struct sl_image_source *src, const char *tag,
                                       struct sl_image_document *ret, struct sl_error *err);
/* By digest, verified. */
SL_MUST_CHECK int sl_attachment_by_digest(struct sl_image_source *src,
                                          const struct sl_digest *digest,
                                          struct sl_image_document *ret, struct sl_error *err);
/* A small blob, whole and verified. At most limit bytes. */
SL_MUST_CHECK int sl_attachment_blob(struct sl_image_source *src, const struct sl_descriptor *blob,
                                     size_t limit, struct sl_bytes *ret, struct sl_error *err);

/* A manifest whose subject is the image, as an index lists it: nothing of it is verified. */
struct sl_referrer {
    struct sl_descriptor descriptor;
    char *artifact_type; /* never NULL, may be "" */
};
struct sl_referrers {
    struct sl_referrer *items;
    size_t n;
};
void sl_referrers_done(struct sl_referrers *referrers);
SL_DEFINE_AUTO_DONE(sl_referrers, sl_referrers_done)
/* The referrers API (OCI distribution-spec 1.1), or, where a registry has none, the index under the
 * tag sha256-HEX. All pages; entries that cannot be read are passed over. More than
 * SL_REFERRERS_MAX: SL_E_LIMIT. */
SL_MUST_CHECK int sl_attachment_referrers(struct sl_image_source *src,
                                          const struct sl_digest *image, struct sl_referrers *ret,
                                          struct sl_error *err);

/* An attachment's manifest, read: its layers, what it is and what it belongs to. */
struct sl_artifact {
    char *artifact_type; /* its own, else the config's media type; never NULL */
    struct sl_descriptor *layers;
    size_t n_layers;
    bool has_subject;
    struct sl_digest subject;
};
/* At most 128 layers; none may have "urls". What is no OCI image manifest: SL_E_UNSUPPORTED. */
SL_MUST_CHECK int sl_artifact_parse(struct sl_span json, struct sl_artifact **ret,
                                    struct sl_error *err);
struct sl_artifact *sl_artifact_free(struct sl_artifact *artifact);
SL_DEFINE_AUTO(sl_artifact, sl_artifact_free)

/* The JSON of the registry's signature extension (X-Registry-Supports-Signatures). 0 also where the
 * registry does not offer it; one that does and then fails, be it with 404, is an error. */
SL_MUST_CHECK int sl_attachment_extension(struct sl_image_source *src,
                                          const struct sl_digest *image, size_t limit,
                                          struct sl_bytes *ret, struct sl_error *err);
/* A file of a web server, without credentials: lookaside signatures. http:// and https://;
 * redirects stay on the host and the scheme. 404 and 410: 0. */
SL_MUST_CHECK int sl_registry_get_url(struct sl_registry *registry, const char *url, size_t limit,
                                      struct sl_bytes *ret, struct sl_error *err);
/* The same on behalf of an image: sl_image_source_cancel() ends it too. The source was opened with
 * a registry. Any thread. */
SL_MUST_CHECK int sl_attachment_get_url(struct sl_image_source *src, const char *url, size_t limit,
                                        struct sl_bytes *ret, struct sl_error *err);
