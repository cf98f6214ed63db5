/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands in a lookaside or in a registry's list of signatures. A blob tells by its first byte
 * what it is: the first byte of an OpenPGP packet, or NUL and the name of a format, as
 * containers/image frames what has no packets.
 */
#include "sluice/core/json.h"
#include "sluice/lookaside.h"

#include <stdlib.h>
#include <string.h>

static const char frame_simple[] = "simple-signing\n";
static const char frame_sigstore[] = "sigstore-json\n";
static const char cosign_media_type[] = "application/vnd.dev.cosign.simplesigning.v1+json";

static int refuse(struct sl_error *err, const char *why)
{
    return sl_error_set(err, SL_E_FORMAT, EBADMSG, "not a signature: %s", why);
}

/* RFC 4880 section 4.2: the tags of compressed data, one-pass signature and signature, in the old
 * form with any type of length, and in the new form. */
static bool begins_openpgp(uint8_t byte)
{
    unsigned tag = (byte & 0x40) ? byte & 0x3fU : (byte >> 2) & 0xfU;
    return (byte & 0x80) && (tag == 2 || tag == 4 || tag == 8);
}

static int take_bytes(struct sl_span bytes, size_t limit, struct sl_signature *ret,
                      struct sl_error *err)
{
    if (bytes.len == 0)
        return refuse(err, "it is empty");
    return sl_bytes_append(&ret->bytes, bytes, limit, err);
}

/* ---- sigstore signatures in a frame ---- */

static int take_annotations(const struct sl_json *annotations, struct sl_signature *ret,
                            struct sl_error *err)
{
    char **field = NULL;
    const char *name;
    for (size_t i = 0; i < sl_json_count(annotations); i++)
        if (!sl_json_string(sl_json_at(annotations, i)))
            return refuse(err, "an annotation is not a string");
    for (size_t i = 0; (name = sl_signature_annotation(ret, i, &field)) != NULL; i++) {
        const char *value = sl_json_string(sl_json_get(annotations, name));
        if (value && !(*field = strdup(value)))
            return sl_error_oom(err);
    }
    return 0;
}

static int from_sigstore_json(struct sl_span json, struct sl_signature *ret, struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    SL_AUTO_DONE(sl_bytes) payload = {0};
    int r = sl_json_parse(json, "signature", NULL, &doc, err);
    if (r < 0)
        return r;
    const struct sl_json *root = sl_json_root(doc);
    const char *type = sl_json_string(sl_json_get(root, "mimeType"));
    const char *base64 = sl_json_string(sl_json_get(root, "payload"));
    if (!type || !base64 || sl_json_type(sl_json_get(root, "annotations")) != SL_JSON_OBJECT)
        return refuse(err, "mimeType, payload or annotations are missing");
    if (strcmp(type, cosign_media_type) != 0)
        return sl_error_set(err, SL_E_UNSUPPORTED, EOPNOTSUPP, "an attachment of type '%.100s'",
                            type);
    r = sl_base64_decode(sl_span_of(base64), &payload, err);
    if (r == 0)
        r = take_bytes(sl_bytes_span(&payload), SL_SIGNATURE_PAYLOAD_MAX, ret, err);
    ret->kind = SL_SIGNATURE_COSIGN;
    return r < 0 ? r : take_annotations(sl_json_get(root, "annotations"), ret, err);
}

/* ---- frames ---- */

static bool take_frame(struct sl_span *blob, const char *frame)
{
    size_t len = strlen(frame);
    if (blob->len <= len || memcmp(blob->data + 1, frame, len) != 0)
        return false;
    *blob = (struct sl_span){blob->data + 1 + len, blob->len - 1 - len};
    return true;
}

static int from_blob(struct sl_span blob, struct sl_signature *ret, struct sl_error *err)
{
    if (blob.len == 0)
        return refuse(err, "it is empty");
    ret->kind = SL_SIGNATURE_SIMPLE;
    if (begins_openpgp(blob.data[0]))
        return take_bytes(blob, SL_SIMPLE_SIGNATURE_MAX, ret, err);
    if (blob.data[0] == 0 && take_frame(&blob, frame_simple))
        return take_bytes(blob, SL_SIMPLE_SIGNATURE_MAX, ret, err);
    if (blob.data[0] == 0 && take_frame(&blob, frame_sigstore))
        return from_sigstore_json(blob, ret, err);
    if (blob.data[0] == '-')
        return refuse(err, "ASCII armour and clear-signed text are not accepted");
    return refuse(err, "it is neither an OpenPGP message nor one of the known frames");
}

int sl_signature_from_blob(struct sl_span blob, struct sl_signature *ret, struct sl_error *err)
{
    struct sl_signature signature = {0};
    int r = from_blob(blob, &signature, err);
    if (r < 0) {
        sl_signature_done(&signature);
        return r;
    }
    signature.where = ret->where;
    *ret = signature;
    return 0;
}

/* ---- the registry's list ---- */

/* Entries of other versions and types are for others. */
static bool is_ours(const struct sl_json *entry)
{
    int64_t version = 0;
    const char *type = sl_json_string(sl_json_get(entry, "type"));
    return sl_json_int64(sl_json_get(entry, "schemaVersion"), &version) && version == 2 && type &&
           strcmp(type, "atomic") == 0;
}

static int add_entry(const struct sl_json *entry, const char *where, struct sl_signatures *ret,
                     struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) message = {0};
    const char *content = sl_json_string(sl_json_get(entry, "content"));
    const char *name = sl_json_string(sl_json_get(entry, "name"));
    if (!content)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "an entry has no content");
    int r = sl_base64_decode(sl_span_of(content), &message, err);
    if (r < 0)
        return r;
    struct sl_signature signature = {.kind = SL_SIGNATURE_SIMPLE,
                                     .where = sl_strf("%s %.200s", where, name ? name : "")};
    if (!signature.where)
        return sl_error_oom(err);
    r = take_bytes(sl_bytes_span(&message), SL_SIMPLE_SIGNATURE_MAX, &signature, err);
    if (r < 0) {
        sl_signature_done(&signature);
        return r;
    }
    return sl_signatures_add(ret, &signature, err);
}

int sl_signatures_from_extension(struct sl_span json, const char *where, struct sl_signatures *ret,
                                 struct sl_error *err)
{
    const struct sl_json_limits limits = {.size = SL_SIGNATURE_EXTENSION_MAX};
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = sl_json_parse(json, "list of signatures", &limits, &doc, err);
    if (r < 0)
        return r;
    const struct sl_json *list = sl_json_get(sl_json_root(doc), "signatures");
    if (sl_json_type(list) != SL_JSON_ARRAY)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "list of signatures: there is no list");
    if (sl_json_count(list) > SL_SIGNATURES_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "list of signatures: more than %d entries",
                            SL_SIGNATURES_MAX);
    for (size_t i = 0; r == 0 && i < sl_json_count(list); i++) {
        const struct sl_json *entry = sl_json_at(list, i);
        if (is_ours(entry))
            r = add_entry(entry, where, ret, err);
        else
            ret->n_others++;
    }
    return r < 0 ? sl_error_wrap(err, r, "list of signatures") : 0;
}
