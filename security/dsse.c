/* SPDX-License-Identifier: Apache-2.0 */
#include "dsse.h"

#include "proto_json.h"
#include "sluice/signature.h"

#include <stdlib.h>
#include <string.h>

enum {
    STATEMENT_DEPTH_MAX = 8,
    SUBJECTS_MAX = 1024,
    SUBJECT_DIGESTS_MAX = 32,
    PAE_MAX = SL_SIGNATURE_BUNDLE_MAX, /* bytes; the base64 of its payload stood in a bundle */
};

void sl_dsse_envelope_done(struct sl_dsse_envelope *envelope)
{
    free(envelope->payload_type);
    sl_bytes_done(&envelope->payload);
    sl_bytes_done(&envelope->signature);
    *envelope = (struct sl_dsse_envelope){0};
}

static int read_signature(const struct sl_json *node, struct sl_dsse_envelope *ret,
                          struct sl_error *err)
{
    static const char *const members[] = {"sig", "keyid", NULL};
    const char *keyid = "";
    int r = sl_proto_check(node, "signatures", members, err);
    if (r == 0) /* a hint, only looked at for its form */
        r = sl_proto_text(node, "keyid", &keyid, err);
    return r < 0 ? r : sl_proto_need_bytes(node, "sig", &ret->signature, err);
}

int sl_dsse_envelope_read(const struct sl_json *node, struct sl_dsse_envelope *ret,
                          struct sl_error *err)
{
    static const char *const members[] = {"payload", "payloadType", "signatures", NULL};
    const struct sl_json *signatures = NULL;
    size_t n = 0;
    int r = sl_proto_check(node, "dsseEnvelope", members, err);
    if (r == 0)
        r = sl_proto_string(node, "payloadType", &ret->payload_type, err);
    if (r == 0)
        r = sl_proto_need_bytes(node, "payload", &ret->payload, err);
    if (r == 0)
        r = sl_proto_list(node, "signatures", SIZE_MAX, &signatures, &n, err);
    if (r < 0)
        return r;
    if (n != 1)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "'dsseEnvelope' has %zu signatures; exactly one is allowed", n);
    return read_signature(sl_json_at(signatures, 0), ret, err);
}

int sl_dsse_pae(const char *type, struct sl_span payload, struct sl_bytes *ret,
                struct sl_error *err)
{
    SL_AUTO_FREE char *head = sl_strf("DSSEv1 %zu %s %zu ", strlen(type), type, payload.len);
    if (!head)
        return sl_error_oom(err);
    int r = sl_bytes_append(ret, sl_span_of(head), PAE_MAX, err);
    return r < 0 ? r : sl_bytes_append(ret, payload, PAE_MAX, err);
}

/* ---- the statement ---- */

void sl_statement_done(struct sl_statement *statement)
{
    free(statement->predicate_type);
    for (size_t i = 0; i < statement->n_subjects; i++)
        free(statement->subjects[i]);
    free(statement->subjects);
    *statement = (struct sl_statement){0};
}

static int wrong(struct sl_error *err, const char *what)
{
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "in-toto statement: %s", what);
}

static int read_subject(const struct sl_json *subject, struct sl_statement *ret,
                        struct sl_error *err)
{
    const struct sl_json *digests = sl_json_get(subject, "digest");
    size_t n = sl_json_count(digests);
    if (sl_json_type(digests) != SL_JSON_OBJECT || n == 0)
        return wrong(err, "each subject must have a 'digest'");
    if (n > SUBJECT_DIGESTS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "in-toto statement: more than %d digests",
                            SUBJECT_DIGESTS_MAX);
    for (size_t i = 0; i < n; i++)
        if (!sl_json_string(sl_json_at(digests, i)))
            return wrong(err, "each digest must be a string");
    const char *sha256 = sl_json_string(sl_json_get(digests, "sha256"));
    if (!sha256)
        return 0;
    char *copy = strdup(sha256);
    if (!copy)
        return sl_error_oom(err);
    ret->subjects[ret->n_subjects++] = copy;
    return 0;
}

static int read_subjects(const struct sl_json *subjects, struct sl_statement *ret,
                         struct sl_error *err)
{
    size_t n = sl_json_count(subjects);
    if (sl_json_type(subjects) != SL_JSON_ARRAY || n == 0)
        return wrong(err, "'subject' must be a list with at least one element");
    if (n > SUBJECTS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "in-toto statement: more than %d subjects",
                            SUBJECTS_MAX);
    ret->subjects = calloc(n, sizeof(*ret->subjects));
    if (!ret->subjects)
        return sl_error_oom(err);
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = read_subject(sl_json_at(subjects, i), ret, err);
    return r;
}

static int read_statement(const struct sl_json *root, struct sl_statement *ret,
                          struct sl_error *err)
{
    const char *type = sl_json_string(sl_json_get(root, "_type"));
    const char *predicate_type = sl_json_string(sl_json_get(root, "predicateType"));
    if (!type || strcmp(type, SL_STATEMENT_TYPE) != 0)
        return wrong(err, "'_type' must be " SL_STATEMENT_TYPE
                          ", as signatures have it; attestations are none");
    if (!predicate_type || !*predicate_type)
        return wrong(err, "'predicateType' must be a string");
    ret->predicate_type = strdup(predicate_type);
    if (!ret->predicate_type)
        return sl_error_oom(err);
    return read_subjects(sl_json_get(root, "subject"), ret, err);
}

int sl_statement_parse(struct sl_span json, struct sl_statement *ret, struct sl_error *err)
{
    const struct sl_json_limits limits = {.size = PAE_MAX, .depth = STATEMENT_DEPTH_MAX};
    SL_AUTO(sl_json_doc) doc = NULL;
    SL_AUTO_DONE(sl_statement) statement = {0};
    int r = sl_json_parse(json, "in-toto statement", &limits, &doc, err);
    if (r == 0)
        r = read_statement(sl_json_root(doc), &statement, err);
    if (r < 0)
        return r;
    *ret = statement;
    statement = (struct sl_statement){0};
    return 0;
}

bool sl_statement_names(const struct sl_statement *statement, const struct sl_digest *digest)
{
    char hex[2 * SL_DIGEST_MAX + 1];
    if (digest->alg != SL_SHA256)
        return false;
    sl_digest_hex(digest, hex);
    for (size_t i = 0; i < statement->n_subjects; i++)
        if (strcmp(statement->subjects[i], hex) == 0)
            return true;
    return false;
}
