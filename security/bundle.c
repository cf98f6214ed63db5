/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle.h"

#include "proto_json.h"

#include <stdlib.h>
#include <string.h>

enum {
    BUNDLE_DEPTH_MAX = 16,
    CERTIFICATES_MAX = 16,
    HASH_SIZE = 32,
};

static void list_done(struct sl_bytes *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sl_bytes_done(&list[i]);
    free(list);
}

static void entry_done(struct sl_bundle_entry *entry)
{
    free(entry->kind);
    free(entry->version);
    free(entry->checkpoint);
    sl_bytes_done(&entry->set);
    sl_bytes_done(&entry->body);
    list_done(entry->proof_hashes, entry->n_proof_hashes);
}

void sl_bundle_done(struct sl_bundle *bundle)
{
    for (size_t i = 0; i < bundle->n_entries; i++)
        entry_done(&bundle->entries[i]);
    free(bundle->entries);
    list_done(bundle->certificates, bundle->n_certificates);
    list_done(bundle->timestamps, bundle->n_timestamps);
    sl_dsse_envelope_done(&bundle->envelope);
    sl_bytes_done(&bundle->signature);
    *bundle = (struct sl_bundle){0};
}

static int wrong(struct sl_error *err, const char *what)
{
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "%s", what);
}

/* A list of messages that have one member each: bytes. */
struct bytes_list {
    const char *name, *member;
    size_t max;
};
static int read_bytes_list(const struct sl_json *object, const struct bytes_list *form,
                           struct sl_bytes **ret, size_t *ret_n, struct sl_error *err)
{
    const char *const members[] = {form->member, NULL};
    const struct sl_json *list = NULL;
    size_t n = 0;
    int r = sl_proto_list(object, form->name, form->max, &list, &n, err);
    if (r < 0 || n == 0)
        return r;
    *ret = calloc(n, sizeof(**ret)); /* the bundle's at once, and so freed with it */
    if (!*ret)
        return sl_error_oom(err);
    *ret_n = n;
    for (size_t i = 0; r == 0 && i < n; i++) {
        const struct sl_json *item = sl_json_at(list, i);
        r = sl_proto_check(item, form->name, members, err);
        if (r == 0)
            r = sl_proto_need_bytes(item, form->member, &(*ret)[i], err);
    }
    return r;
}

/* ---- log entries ---- */

static int read_hash(const struct sl_json *object, const char *name, uint8_t out[HASH_SIZE],
                     struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) bytes = {0};
    int r = sl_proto_bytes(object, name, &bytes, err);
    if (r < 0)
        return r;
    if (bytes.len != HASH_SIZE)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "'%s' must be of 32 bytes", name);
    memcpy(out, bytes.data, HASH_SIZE);
    return 0;
}

static int read_proof_hashes(const struct sl_json *proof, struct sl_bundle_entry *entry,
                             struct sl_error *err)
{
    const struct sl_json *list = NULL;
    size_t n = 0;
    int r = sl_proto_list(proof, "hashes", SL_BUNDLE_PROOF_HASHES_MAX, &list, &n, err);
    if (r < 0 || n == 0)
        return r;
    entry->proof_hashes = calloc(n, sizeof(*entry->proof_hashes));
    if (!entry->proof_hashes)
        return sl_error_oom(err);
    entry->n_proof_hashes = n;
    for (size_t i = 0; i < n; i++) {
        const char *text = sl_json_string(sl_json_at(list, i));
        struct sl_bytes *hash = &entry->proof_hashes[i];
        r = text ? sl_base64_decode(sl_span_of(text), hash, err) : -EINVAL;
        if (r == -ENOMEM)
            return r;
        if (r < 0 || hash->len != HASH_SIZE)
            return wrong(err, "'hashes' must be base64 of 32 bytes each");
    }
    return 0;
}

static int read_checkpoint(const struct sl_json *node, struct sl_bundle_entry *entry,
                           struct sl_error *err)
{
    static const char *const members[] = {"envelope", NULL};
    int r = sl_proto_check(node, "checkpoint", members, err);
    if (r == 0)
        r = sl_proto_string(node, "envelope", &entry->checkpoint, err);
    return r == 0 && !*entry->checkpoint ? wrong(err, "'checkpoint' is empty") : r;
}

static int read_proof(const struct sl_json *node, struct sl_bundle_entry *entry,
                      struct sl_error *err)
{
    static const char *const members[] = {"logIndex", "rootHash",   "treeSize",
                                          "hashes",   "checkpoint", NULL};
    int r = sl_proto_check(node, "inclusionProof", members, err);
    if (r == 0)
        r = sl_proto_count(node, "logIndex", &entry->proof_index, err);
    if (r == 0)
        r = sl_proto_count(node, "treeSize", &entry->proof_size, err);
    if (r == 0)
        r = read_hash(node, "rootHash", entry->proof_root, err);
    if (r == 0)
        r = read_proof_hashes(node, entry, err);
    if (r == 0)
        r = read_checkpoint(sl_proto_get(node, "checkpoint"), entry, err);
    entry->has_proof = r == 0;
    return r;
}

static int read_promise(const struct sl_json *node, struct sl_bundle_entry *entry,
                        struct sl_error *err)
{
    static const char *const members[] = {"signedEntryTimestamp", NULL};
    int r = sl_proto_check(node, "inclusionPromise", members, err);
    return r < 0 ? r : sl_proto_need_bytes(node, "signedEntryTimestamp", &entry->set, err);
}

static int read_kind(const struct sl_json *node, struct sl_bundle_entry *entry,
                     struct sl_error *err)
{
    static const char *const members[] = {"kind", "version", NULL};
    int r = sl_proto_check(node, "kindVersion", members, err);
    if (r == 0)
        r = sl_proto_string(node, "kind", &entry->kind, err);
    if (r == 0)
        r = sl_proto_string(node, "version", &entry->version, err);
    if (r == 0 && (!*entry->kind || !*entry->version))
        return wrong(err, "'kindVersion' must say kind and version");
    return r;
}

static int read_log_id(const struct sl_json *node, struct sl_bundle_entry *entry,
                       struct sl_error *err)
{
    static const char *const members[] = {"keyId", NULL};
    int r = sl_proto_check(node, "logId", members, err);
    return r < 0 ? r : read_hash(node, "keyId", entry->log_id, err);
}

static int read_evidence(enum sl_bundle_version version, const struct sl_json *node,
                         struct sl_bundle_entry *entry, struct sl_error *err)
{
    const struct sl_json *promise = sl_proto_get(node, "inclusionPromise");
    const struct sl_json *proof = sl_proto_get(node, "inclusionProof");
    if (version == SL_BUNDLE_0_1 && !promise)
        return wrong(err, "'inclusionPromise' is missing, which version 0.1 demands");
    if (version != SL_BUNDLE_0_1 && !proof)
        return wrong(err, "'inclusionProof' is missing, which versions from 0.2 on demand");
    int r = promise ? read_promise(promise, entry, err) : 0;
    return r == 0 && proof ? read_proof(proof, entry, err) : r;
}

static int read_entry(enum sl_bundle_version version, const struct sl_json *node,
                      struct sl_bundle_entry *entry, struct sl_error *err)
{
    static const char *const members[] = {
        "logIndex",         "logId",          "kindVersion",       "integratedTime",
        "inclusionPromise", "inclusionProof", "canonicalizedBody", NULL};
    int r = sl_proto_check(node, "tlogEntries", members, err);
    if (r == 0)
        r = sl_proto_count(node, "logIndex", &entry->log_index, err);
    if (r == 0)
        r = sl_proto_count(node, "integratedTime", &entry->integrated_time, err);
    if (r == 0)
        r = read_log_id(sl_proto_get(node, "logId"), entry, err);
    if (r == 0)
        r = read_kind(sl_proto_get(node, "kindVersion"), entry, err);
    if (r == 0)
        r = sl_proto_need_bytes(node, "canonicalizedBody", &entry->body, err);
    return r < 0 ? r : read_evidence(version, node, entry, err);
}

/* One entry told twice could pass for two. */
static bool is_double(const struct sl_bundle *bundle, const struct sl_bundle_entry *entry)
{
    for (const struct sl_bundle_entry *e = bundle->entries; e != entry; e++)
        if (e->log_index == entry->log_index &&
            memcmp(e->log_id, entry->log_id, sizeof(e->log_id)) == 0)
            return true;
    return false;
}

static int read_entries(const struct sl_json *material, struct sl_bundle *bundle,
                        struct sl_error *err)
{
    const struct sl_json *list = NULL;
    size_t n = 0;
    int r = sl_proto_list(material, "tlogEntries", SL_BUNDLE_ENTRIES_MAX, &list, &n, err);
    if (r < 0 || n == 0)
        return r;
    bundle->entries = calloc(n, sizeof(*bundle->entries));
    if (!bundle->entries)
        return sl_error_oom(err);
    for (size_t i = 0; i < n; i++) {
        struct sl_bundle_entry *entry = &bundle->entries[bundle->n_entries++];
        r = read_entry(bundle->version, sl_json_at(list, i), entry, err);
        if (r == 0 && is_double(bundle, entry))
            r = wrong(err, "is the same as one before it: log and index are equal");
        if (r < 0)
            return sl_error_wrap(err, r, "log entry %zu", i + 1);
    }
    return 0;
}

/* ---- the signer ---- */

static int read_public_key(const struct sl_json *node, struct sl_error *err)
{
    static const char *const members[] = {"hint", NULL};
    const char *hint = "";
    int r = sl_proto_check(node, "publicKey", members, err);
    /* Whoever wrote the bundle chose the hint: which key has signed is found by trying. */
    return r < 0 ? r : sl_proto_text(node, "hint", &hint, err);
}

static int read_certificate(const struct sl_json *node, struct sl_bundle *bundle,
                            struct sl_error *err)
{
    static const char *const members[] = {"rawBytes", NULL};
    if (bundle->version != SL_BUNDLE_0_3)
        return wrong(err, "'certificate' is known from version 0.3 on");
    bundle->certificates = calloc(1, sizeof(*bundle->certificates));
    if (!bundle->certificates)
        return sl_error_oom(err);
    bundle->n_certificates = 1;
    int r = sl_proto_check(node, "certificate", members, err);
    return r < 0 ? r : sl_proto_need_bytes(node, "rawBytes", &bundle->certificates[0], err);
}

static int read_chain(const struct sl_json *node, struct sl_bundle *bundle, struct sl_error *err)
{
    static const char *const members[] = {"certificates", NULL};
    static const struct bytes_list form = {"certificates", "rawBytes", CERTIFICATES_MAX};
    if (bundle->version == SL_BUNDLE_0_3)
        return wrong(err, "'x509CertificateChain' is forbidden from version 0.3 on");
    int r = sl_proto_check(node, "x509CertificateChain", members, err);
    if (r == 0)
        r = read_bytes_list(node, &form, &bundle->certificates, &bundle->n_certificates, err);
    return r == 0 && bundle->n_certificates == 0 ? wrong(err, "the certificate chain is empty") : r;
}

static int read_signer(const struct sl_json *material, struct sl_bundle *bundle,
                       struct sl_error *err)
{
    const struct sl_json *key = sl_proto_get(material, "publicKey");
    const struct sl_json *certificate = sl_proto_get(material, "certificate");
    const struct sl_json *chain = sl_proto_get(material, "x509CertificateChain");
    if (!!key + !!certificate + !!chain != 1)
        return wrong(err, "'verificationMaterial' must have exactly one of 'publicKey', "
                          "'certificate', 'x509CertificateChain'");
    if (key)
        return read_public_key(key, err);
    return chain ? read_chain(chain, bundle, err) : read_certificate(certificate, bundle, err);
}

static int read_timestamps(const struct sl_json *node, struct sl_bundle *bundle,
                           struct sl_error *err)
{
    static const char *const members[] = {"rfc3161Timestamps", NULL};
    static const struct bytes_list form = {"rfc3161Timestamps", "signedTimestamp",
                                           SL_BUNDLE_TIMESTAMPS_MAX};
    if (!node)
        return 0;
    int r = sl_proto_check(node, "timestampVerificationData", members, err);
    return r < 0 ? r
                 : read_bytes_list(node, &form, &bundle->timestamps, &bundle->n_timestamps, err);
}

static int read_material(const struct sl_json *node, struct sl_bundle *bundle, struct sl_error *err)
{
    static const char *const members[] = {"publicKey",
                                          "certificate",
                                          "tlogEntries",
                                          "x509CertificateChain",
                                          "timestampVerificationData",
                                          NULL};
    int r = sl_proto_check(node, "verificationMaterial", members, err);
    if (r == 0)
        r = read_signer(node, bundle, err);
    if (r == 0)
        r = read_entries(node, bundle, err);
    return r < 0 ? r
                 : read_timestamps(sl_proto_get(node, "timestampVerificationData"), bundle, err);
}

/* ---- what is signed ---- */

static int read_message_digest(const struct sl_json *node, struct sl_bundle *bundle,
                               struct sl_error *err)
{
    static const char *const members[] = {"algorithm", "digest", NULL};
    const char *algorithm = "";
    SL_AUTO_DONE(sl_bytes) digest = {0};
    int r = sl_proto_check(node, "messageDigest", members, err);
    if (r == 0)
        r = sl_proto_text(node, "algorithm", &algorithm, err);
    if (r == 0)
        r = sl_proto_bytes(node, "digest", &digest, err);
    if (r < 0)
        return r;
    bool is_sha256 = strcmp(algorithm, "SHA2_256") == 0;
    if (!is_sha256 && strcmp(algorithm, "SHA2_512") != 0)
        return wrong(err, "the algorithm of 'messageDigest' must be SHA2_256 or SHA2_512");
    bundle->message_digest.alg = is_sha256 ? SL_SHA256 : SL_SHA512;
    if (!digest.data || digest.len != sl_digest_size(bundle->message_digest.alg))
        return wrong(err, "'messageDigest' is not as long as its algorithm says");
    memcpy(bundle->message_digest.bytes, digest.data, digest.len);
    bundle->has_message_digest = true;
    return 0;
}

static int read_message(const struct sl_json *node, struct sl_bundle *bundle, struct sl_error *err)
{
    static const char *const members[] = {"messageDigest", "signature", NULL};
    const struct sl_json *digest = sl_proto_get(node, "messageDigest");
    int r = sl_proto_check(node, "messageSignature", members, err);
    if (r == 0 && digest)
        r = read_message_digest(digest, bundle, err);
    return r < 0 ? r : sl_proto_need_bytes(node, "signature", &bundle->signature, err);
}

static int read_content(const struct sl_json *root, struct sl_bundle *bundle, struct sl_error *err)
{
    const struct sl_json *message = sl_proto_get(root, "messageSignature");
    const struct sl_json *envelope = sl_proto_get(root, "dsseEnvelope");
    if (!message == !envelope)
        return wrong(err, "must have exactly one of 'messageSignature', 'dsseEnvelope'");
    bundle->is_dsse = envelope;
    return envelope ? sl_dsse_envelope_read(envelope, &bundle->envelope, err)
                    : read_message(message, bundle, err);
}

/* ---- the document ---- */

static int read_version(const char *media_type, enum sl_bundle_version *ret, struct sl_error *err)
{
    static const struct {
        const char *media_type;
        enum sl_bundle_version version;
    } known[] = {
        {"application/vnd.dev.sigstore.bundle.v0.3+json", SL_BUNDLE_0_3},
        {"application/vnd.dev.sigstore.bundle+json;version=0.3", SL_BUNDLE_0_3},
        {"application/vnd.dev.sigstore.bundle+json;version=0.2", SL_BUNDLE_0_2},
        {"application/vnd.dev.sigstore.bundle+json;version=0.1", SL_BUNDLE_0_1},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(media_type, known[i].media_type) == 0) {
            *ret = known[i].version;
            return 0;
        }
    }
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                        "'mediaType' is '%.80s', and versions 0.1 to 0.3 are known", media_type);
}

static int read_bundle(const struct sl_json *root, struct sl_bundle *bundle, struct sl_error *err)
{
    static const char *const members[] = {"mediaType", "verificationMaterial", "messageSignature",
                                          "dsseEnvelope", NULL};
    const char *media_type = sl_json_string(sl_proto_get(root, "mediaType"));
    if (!media_type)
        return wrong(err, "'mediaType' must be a string");
    /* First: another version may well have other members. */
    int r = read_version(media_type, &bundle->version, err);
    if (r == 0)
        r = sl_proto_check(root, "bundle", members, err);
    if (r == 0)
        r = read_material(sl_proto_get(root, "verificationMaterial"), bundle, err);
    return r < 0 ? r : read_content(root, bundle, err);
}

int sl_bundle_parse(struct sl_span json, struct sl_bundle *ret, struct sl_error *err)
{
    const struct sl_json_limits limits = {SL_SIGNATURE_BUNDLE_MAX, BUNDLE_DEPTH_MAX};
    SL_AUTO(sl_json_doc) doc = NULL;
    SL_AUTO_DONE(sl_bundle) bundle = {0};
    int r = sl_json_parse(json, "sigstore bundle", &limits, &doc, err);
    if (r < 0)
        return r;
    r = read_bundle(sl_json_root(doc), &bundle, err);
    if (r < 0)
        return sl_error_wrap(err, r, "sigstore bundle");
    *ret = bundle;
    bundle = (struct sl_bundle){0};
    return 0;
}

struct sl_span sl_bundle_signature(const struct sl_bundle *bundle)
{
    return sl_bytes_span(bundle->is_dsse ? &bundle->envelope.signature : &bundle->signature);
}
