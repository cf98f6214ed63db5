/* SPDX-License-Identifier: Apache-2.0 */
/* A bundle beside an image, in the manifest that cosign gives it: an artifact with a subject
 * (image-spec manifest.md, "Guidelines for Artifact Usage"). */
#include "signing.h"

#include <time.h>

static const char manifest_type[] = "application/vnd.oci.image.manifest.v1+json";
static const char empty_type[] = "application/vnd.oci.empty.v1+json";

static int put_annotations(struct sl_json_writer *w, struct sl_error *err)
{
    char created[32];
    struct tm tm;
    time_t now = time(NULL);
    if (!gmtime_r(&now, &tm) || strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return sl_error_set(err, SL_E_SYSTEM, ERANGE, "this machine's clock gives no date");
    sl_json_open_object(w, "annotations");
    sl_json_put_string(w, "dev.sigstore.bundle.content", "dsse-envelope");
    sl_json_put_string(w, "dev.sigstore.bundle.predicateType", SL_PREDICATE_COSIGN_SIGN);
    sl_json_put_string(w, "org.opencontainers.image.created", created);
    sl_json_close_object(w);
    return 0;
}

static int write_manifest(const struct signing_target *target, const struct signing_blob *config,
                          const struct signing_blob *bundle, struct sl_bytes *ret,
                          struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    const struct signing_blob subject = {.digest = target->digest, .size = target->size};
    sl_json_put_int(w, "schemaVersion", 2);
    sl_json_put_string(w, "mediaType", manifest_type);
    sl_json_put_string(w, "artifactType", SL_BUNDLE_MEDIA_TYPE);
    sl_sign_open_descriptor(w, "config", empty_type, config);
    /* Twice, as cosign has it. */
    sl_json_put_string(w, "artifactType", SL_BUNDLE_MEDIA_TYPE);
    sl_json_close_object(w);
    sl_json_open_array(w, "layers");
    sl_sign_open_descriptor(w, NULL, SL_BUNDLE_MEDIA_TYPE, bundle);
    sl_json_close_object(w);
    sl_json_close_array(w);
    int r = put_annotations(w, err);
    if (r < 0)
        return r;
    sl_sign_open_descriptor(w, "subject", target->media_type, &subject);
    sl_json_close_object(w);
    return sl_json_end(w, ret, err);
}

int sl_sign_put_bundle(struct signing *s, const struct signing_work *work, char **ret_where,
                       struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) manifest = {0};
    struct signing_blob config;
    struct signing_blob bundle;
    struct signing_blob whole;
    int r = sl_sign_put_blob(s, sl_span_of("{}"), &config, err);
    if (r == 0)
        r = sl_sign_put_blob(s, sl_bytes_span(&work->made), &bundle, err);
    if (r == 0)
        r = write_manifest(work->target, &config, &bundle, &manifest, err);
    if (r == 0)
        r = sl_sign_describe(sl_bytes_span(&manifest), &whole, err);
    if (r == 0)
        r = sl_image_sink_put_referrer(s->sink, sl_bytes_span(&manifest), &whole.digest, err);
    if (r < 0)
        return r;
    char text[SL_DIGEST_TEXT_MAX];
    sl_digest_format(&whole.digest, text);
    *ret_where = sl_strf("referrer %s", text);
    return *ret_where ? 0 : sl_error_oom(err);
}
