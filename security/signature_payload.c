/* SPDX-License-Identifier: Apache-2.0 */
#include "signature_payload.h"

#include "finding.h"
#include "signed_identity.h"
#include "sluice/core/json_writer.h"

#include <stdlib.h>
#include <string.h>

static const struct sl_json_limits limits = {.size = SL_SIGNATURE_PAYLOAD_MAX, .depth = 8};
/* Of an index, as the source that chose from it has read it. */
static const struct sl_json_limits index_limits = {.size = 4 * 1024 * 1024, .depth = 32};

void sl_signature_payload_done(struct sl_signature_payload *payload)
{
    free(payload->reference);
    free(payload->digest);
    free(payload->creator);
    *payload = (struct sl_signature_payload){0};
}

/* ---- reading ---- */

static int malformed(struct sl_error *err, const char *what)
{
    return sl_error_set(err, SL_E_FORMAT, EBADMSG, "payload: %s", what);
}

/* An object with exactly these members, which are not looked at. names is ended by NULL. */
static int need_members(const struct sl_json *object, const char *what, const char *const *names,
                        struct sl_error *err)
{
    size_t n = 0;
    if (sl_json_type(object) != SL_JSON_OBJECT)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "payload: %s must be an object", what);
    for (; names[n]; n++)
        if (!sl_json_get(object, names[n]))
            return sl_error_set(err, SL_E_FORMAT, EBADMSG, "payload: %s has no %s", what, names[n]);
    if (sl_json_count(object) != n)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "payload: %s has a member nobody knows",
                            what);
    return 0;
}

static int take_string(const struct sl_json *object, const char *name, char **ret,
                       struct sl_error *err)
{
    const char *text = NULL;
    int r = sl_json_need_string(object, name, &text, err);
    if (r < 0)
        return sl_error_wrap(err, r, "payload");
    *ret = strdup(text);
    return *ret ? 0 : sl_error_oom(err);
}

static int read_critical(const struct sl_json *critical, const char *type,
                         struct sl_signature_payload *payload, struct sl_error *err)
{
    const struct sl_json *image = sl_json_get(critical, "image");
    const struct sl_json *identity = sl_json_get(critical, "identity");
    struct sl_digest digest;
    int r = need_members(critical, "critical", (const char *[]){"type", "image", "identity", NULL},
                         err);
    if (r == 0)
        r = need_members(image, "image", (const char *[]){"docker-manifest-digest", NULL}, err);
    if (r == 0)
        r = need_members(identity, "identity", (const char *[]){"docker-reference", NULL}, err);
    if (r < 0)
        return r;
    const char *given = sl_json_string(sl_json_get(critical, "type"));
    if (!given || strcmp(given, type) != 0)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "payload: its type is not \"%s\"", type);
    r = take_string(image, "docker-manifest-digest", &payload->digest, err);
    if (r == 0)
        r = take_string(identity, "docker-reference", &payload->reference, err);
    if (r == 0 && sl_digest_parse(payload->digest, &digest, err) < 0)
        r = malformed(err, "its docker-manifest-digest is not a digest");
    return r;
}

/* Anybody may add to it; what has a meaning must have its type. */
static int read_optional(const struct sl_json *optional, bool may_be_null,
                         struct sl_signature_payload *payload, struct sl_error *err)
{
    if (may_be_null && sl_json_type(optional) == SL_JSON_NULL)
        return 0;
    if (sl_json_type(optional) != SL_JSON_OBJECT)
        return malformed(err, "optional must be an object");
    const struct sl_json *timestamp = sl_json_get(optional, "timestamp");
    if (timestamp && !sl_json_int64(timestamp, &payload->timestamp))
        return malformed(err, "its timestamp is not an integer");
    payload->has_timestamp = timestamp != NULL;
    return sl_json_get(optional, "creator")
               ? take_string(optional, "creator", &payload->creator, err)
               : 0;
}

int sl_signature_payload_parse(struct sl_span json, const char *type,
                               struct sl_signature_payload *ret, struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    SL_AUTO_DONE(sl_signature_payload) payload = {0};
    int r = sl_json_parse(json, "payload", &limits, &doc, err);
    if (r < 0)
        return r;
    const struct sl_json *root = sl_json_root(doc);
    r = need_members(root, "it", (const char *[]){"critical", "optional", NULL}, err);
    if (r == 0)
        r = read_critical(sl_json_get(root, "critical"), type, &payload, err);
    if (r == 0)
        r = read_optional(sl_json_get(root, "optional"),
                          /* may_be_null= */ strcmp(type, SL_PAYLOAD_TYPE_COSIGN) == 0, &payload,
                          err);
    if (r < 0)
        return r;
    *ret = payload;
    payload = (struct sl_signature_payload){0};
    return 0;
}

/* ---- writing ---- */

/* cosign says null where containers/image says {}. */
static void put_optional(struct sl_json_writer *w, bool may_be_null, const char *creator,
                         int64_t timestamp)
{
    if (may_be_null && !creator && !timestamp) {
        sl_json_put_node(w, "optional", NULL);
        return;
    }
    sl_json_open_object(w, "optional");
    if (creator)
        sl_json_put_string(w, "creator", creator);
    if (timestamp)
        sl_json_put_int(w, "timestamp", timestamp);
    sl_json_close_object(w);
}

/* Members in the order of Go's maps, which is what both projects write. */
int sl_signature_payload_write(const char *type, const char *reference,
                               const struct sl_digest *manifest, const char *creator,
                               int64_t timestamp, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    sl_json_open_object(w, "critical");
    sl_json_open_object(w, "identity");
    sl_json_put_string(w, "docker-reference", reference);
    sl_json_close_object(w);
    sl_json_open_object(w, "image");
    sl_json_put_digest(w, "docker-manifest-digest", manifest);
    sl_json_close_object(w);
    sl_json_put_string(w, "type", type);
    sl_json_close_object(w);
    put_optional(w, strcmp(type, SL_PAYLOAD_TYPE_COSIGN) == 0, creator, timestamp);
    int r = sl_json_end(w, ret, err);
    if (r < 0)
        return r;
    ret->data[--ret->len] = 0; /* the newline */
    return 0;
}

/* ---- judging ---- */

/* Both have been verified and one was chosen from the other; that is looked at once more since a
 * signature of an index says something about its own members only. */
static bool index_has(struct sl_span index, const struct sl_digest *manifest)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    char wanted[SL_DIGEST_TEXT_MAX];
    sl_digest_format(manifest, wanted);
    if (sl_json_parse(index, "index", &index_limits, &doc, NULL) < 0)
        return false;
    const struct sl_json *manifests = sl_json_get(sl_json_root(doc), "manifests");
    for (size_t i = 0; i < sl_json_count(manifests); i++) {
        const char *digest = sl_json_string(sl_json_get(sl_json_at(manifests, i), "digest"));
        if (digest && strcmp(digest, wanted) == 0)
            return true;
    }
    return false;
}

/* Computed over the bytes, in the algorithm that was signed. */
int sl_signed_digest_check(const struct sl_judged_image *image, const char *digest,
                           struct sl_signature_finding *finding)
{
    struct sl_digest wanted;
    struct sl_error err = {0};
    finding->names_index = false;
    if (sl_digest_parse(digest, &wanted, &err) < 0)
        return sl_finding_reject(finding, SL_SIG_PAYLOAD, "%s", err.msg);
    int r = sl_digest_verify(&wanted, image->manifest, &err);
    if (r == 0)
        return 0;
    if (r == -EBADMSG && image->has_index)
        r = sl_digest_verify(&wanted, image->index, &err);
    if (r == -EBADMSG)
        return sl_finding_reject(finding, SL_SIG_DIGEST, "it signs another manifest, %s", digest);
    if (r < 0)
        return sl_finding_reject(finding, SL_SIG_LIMIT, "%s", err.msg);
    if (!index_has(image->index, &image->manifest_digest))
        return sl_finding_reject(finding, SL_SIG_DIGEST,
                                 "it signs an index that does not have this manifest");
    finding->names_index = true;
    return 0;
}

int sl_signature_payload_check(struct sl_span json, const char *type,
                               const struct sl_requirement *requirement,
                               const struct sl_judged_image *image,
                               struct sl_signature_finding *finding)
{
    SL_AUTO_DONE(sl_signature_payload) payload = {0};
    struct sl_error err = {0};
    int r = sl_signature_payload_parse(json, type, &payload, &err);
    if (r < 0)
        return sl_finding_reject(finding, err.code == SL_E_LIMIT ? SL_SIG_LIMIT : SL_SIG_PAYLOAD,
                                 "%s", err.msg);
    r = sl_signed_digest_check(image, payload.digest, finding);
    if (r < 0)
        return r;
    sl_finding_set_text(finding->signed_name, payload.reference);
    if (!sl_identity_accepts(&requirement->identity, image->name, payload.reference))
        return sl_finding_reject(finding, SL_SIG_IDENTITY, "it is for another image, %s",
                                 payload.reference);
    finding->code = SL_SIG_OK;
    finding->reason[0] = 0;
    return 0;
}
