/* SPDX-License-Identifier: Apache-2.0 */
/*
 * That an entry is in a log: the Merkle audit path of RFC 6962 section 2.1.1 up to a root that the
 * log has signed as a checkpoint (C2SP tlog-checkpoint, signed-note).
 *
 * A checkpoint of Rekor v1 has the origin "HOST - TREE ID" and an ECDSA signature whose key hint is
 * the start of the log id; of Rekor v2 the origin is the bare host and the signature Ed25519, with
 * a hint that binds the name too. An instance of one's own may call itself by another name than its
 * baseUrl has, so v1 is recognised by its key alone; v2 must have the name of the trusted root.
 */
#include "sigstore_trust.h"

#include "sluice/core/digest.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHECKPOINT_MAX = 64 * 1024, /* bytes of a signed note */
    NOTE_LINE_MAX = 4096,       /* bytes */
    NOTE_SIGNATURES_MAX = 100,  /* lines */
    NOTE_TRIES_MAX = 4,         /* of them under the log's name and hint: it signs once */
    NODE_SIZE = 32,             /* a SHA-256 */
    PATH_MAX_NODES = 64,        /* a tree of 2^64 leaves */
    HINT_SIZE = 4,              /* bytes before the signature */
    ED25519_KEY_SIZE = 32,
};

static const char signature_mark[] = "\xe2\x80\x94 "; /* an em dash and a blank */

/* ---- RFC 6962 ---- */

static int hash_parts(uint8_t prefix, struct sl_span a, struct sl_span b, uint8_t out[NODE_SIZE],
                      struct sl_error *err)
{
    SL_AUTO(sl_hash) h = NULL;
    struct sl_digest sum;
    int r = sl_hash_new(SL_SHA256, &h, err);
    if (r < 0)
        return r;
    sl_hash_update(h, (struct sl_span){&prefix, 1});
    sl_hash_update(h, a);
    sl_hash_update(h, b);
    sl_hash_final(h, &sum);
    memcpy(out, sum.bytes, NODE_SIZE);
    return 0;
}

static int hash_leaf(struct sl_span body, uint8_t out[NODE_SIZE], struct sl_error *err)
{
    return hash_parts(0, body, (struct sl_span){NULL, 0}, out, err);
}

static int hash_pair(struct sl_span left, struct sl_span right, uint8_t out[NODE_SIZE],
                     struct sl_error *err)
{
    return hash_parts(1, left, right, out, err);
}

static unsigned bit_length(uint64_t v)
{
    return v ? 64 - (unsigned)__builtin_clzll(v) : 0;
}

static int check_proof_shape(const struct sl_inclusion_proof *p, unsigned inner,
                             struct sl_error *err)
{
    unsigned border = inner < 64 ? (unsigned)__builtin_popcountll(p->index >> inner) : 0;
    if (p->root.len != NODE_SIZE || p->n_hashes != inner + border)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "the inclusion proof has %zu hashes, and %u are needed", p->n_hashes,
                            inner + border);
    for (size_t i = 0; i < p->n_hashes; i++)
        if (p->hashes[i].len != NODE_SIZE)
            return sl_error_set(err, SL_E_FORMAT, EINVAL,
                                "hash %zu of the inclusion proof has %zu bytes, not %d", i,
                                p->hashes[i].len, NODE_SIZE);
    return 0;
}

/* The lower levels, where the path still has something on both sides, follow the bits of the index;
 * above, only whole trees to the left remain. */
static int check_inclusion(struct sl_span body, const struct sl_inclusion_proof *p,
                           struct sl_error *err)
{
    if (p->index >= p->size || p->n_hashes > PATH_MAX_NODES)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "the inclusion proof is for entry %" PRIu64 " of %" PRIu64, p->index,
                            p->size);
    unsigned inner = bit_length(p->index ^ (p->size - 1));
    uint8_t node[NODE_SIZE];
    int r = check_proof_shape(p, inner, err);
    if (r == 0)
        r = hash_leaf(body, node, err);
    for (size_t k = 0; r == 0 && k < p->n_hashes; k++) {
        struct sl_span mine = {node, NODE_SIZE};
        bool is_left = k < inner && (p->index >> k & 1) == 0;
        r = is_left ? hash_pair(mine, p->hashes[k], node, err)
                    : hash_pair(p->hashes[k], mine, node, err);
    }
    if (r == 0 && memcmp(node, p->root.data, NODE_SIZE) != 0)
        r = sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                         "the inclusion proof does not lead from the entry to the root");
    return r;
}

/* ---- the checkpoint ---- */

struct checkpoint {
    struct sl_span text; /* what is signed: with the newline before the empty line */
    struct sl_span name; /* of the log: the host in its origin */
    bool is_v1;          /* by the form of the origin */
    struct sl_span size, root;
    struct sl_span signatures; /* lines, each with its newline */
};

/* Cuts a line, which must end, off the front. */
static bool take_line(struct sl_span *rest, struct sl_span *ret)
{
    const uint8_t *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
    if (!end || (size_t)(end - rest->data) > NOTE_LINE_MAX)
        return false;
    *ret = (struct sl_span){rest->data, (size_t)(end - rest->data)};
    rest->data += ret->len + 1;
    rest->len -= ret->len + 1;
    return true;
}

/* "rekor.example.com - 1193050959916656506" or "log2025.rekor.example.com". */
static bool parse_origin(struct sl_span origin, struct checkpoint *c)
{
    static const char infix[] = " - ";
    size_t digits = 0;
    while (digits < origin.len && origin.data[origin.len - 1 - digits] >= '0' &&
           origin.data[origin.len - 1 - digits] <= '9')
        digits++;
    size_t tail = digits + sizeof(infix) - 1;
    c->is_v1 = digits > 0 && origin.len > tail &&
               memcmp(origin.data + origin.len - tail, infix, sizeof(infix) - 1) == 0;
    c->name = (struct sl_span){origin.data, c->is_v1 ? origin.len - tail : origin.len};
    return c->name.len > 0 && !memchr(c->name.data, ' ', c->name.len) &&
           !memchr(c->name.data, '+', c->name.len);
}

static bool parse_checkpoint(struct sl_span note, struct checkpoint *ret)
{
    struct checkpoint c = {.text = note};
    struct sl_span rest = note, origin, line;
    if (note.len > CHECKPOINT_MAX || !take_line(&rest, &origin) || !parse_origin(origin, &c) ||
        !take_line(&rest, &c.size) || !take_line(&rest, &c.root))
        return false;
    do { /* lines the log may add, up to the empty one */
        if (!take_line(&rest, &line))
            return false;
    } while (line.len > 0);
    c.text.len = note.len - rest.len - 1;
    c.signatures = rest;
    *ret = c;
    return true;
}

/* As text, so that no other spelling of the number or of the base64 passes. */
static int check_checkpoint_head(const struct checkpoint *c, const struct sl_inclusion_proof *p,
                                 struct sl_error *err)
{
    char size[24];
    (void)snprintf(size, sizeof(size), "%" PRIu64, p->size);
    SL_AUTO_FREE char *root = sl_base64_encode(p->root);
    if (!root)
        return sl_error_oom(err);
    if (!sl_span_is_equal(c->size, sl_span_of(size)) ||
        !sl_span_is_equal(c->root, sl_span_of(root)))
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                            "the checkpoint is about another tree than the inclusion proof");
    return 0;
}

/* C2SP signed-note: ECDSA by the key alone, Ed25519 by name, type and key. */
static int key_hint(const struct sl_trusted_log *log, struct sl_span name, uint8_t out[HINT_SIZE],
                    struct sl_error *err)
{
    if (!EVP_PKEY_is_a(log->key.key, "ED25519")) {
        memcpy(out, log->key.spki_sha256, HINT_SIZE);
        return 0;
    }
    uint8_t tail[2 + ED25519_KEY_SIZE] = {'\n', 0x01};
    size_t len = ED25519_KEY_SIZE;
    SL_AUTO(sl_hash) h = NULL;
    struct sl_digest sum;
    if (EVP_PKEY_get_raw_public_key(log->key.key, tail + 2, &len) != 1 || len != ED25519_KEY_SIZE)
        return sl_error_oom(err);
    int r = sl_hash_new(SL_SHA256, &h, err);
    if (r < 0)
        return r;
    sl_hash_update(h, name);
    sl_hash_update(h, (struct sl_span){tail, sizeof(tail)});
    sl_hash_final(h, &sum);
    memcpy(out, sum.bytes, HINT_SIZE);
    return 0;
}

/* "— NAME BASE64": the base64 when the line has this name. */
static bool signature_of(struct sl_span line, struct sl_span name, struct sl_span *ret)
{
    size_t mark = sizeof(signature_mark) - 1;
    if (line.len <= mark + name.len + 1 || memcmp(line.data, signature_mark, mark) != 0 ||
        memcmp(line.data + mark, name.data, name.len) != 0 || line.data[mark + name.len] != ' ')
        return false;
    *ret = (struct sl_span){line.data + mark + name.len + 1, line.len - mark - name.len - 1};
    return true;
}

/* Counts those that had to be tried. */
static bool line_verifies(const struct sl_trusted_log *log, const struct checkpoint *c,
                          const uint8_t hint[HINT_SIZE], struct sl_span line, int *n_tries)
{
    SL_AUTO_DONE(sl_bytes) raw = {0};
    struct sl_span text;
    if (!signature_of(line, c->name, &text) || sl_base64_decode(text, &raw, /* err= */ NULL) < 0 ||
        raw.len <= HINT_SIZE || memcmp(raw.data, hint, HINT_SIZE) != 0)
        return false;
    (*n_tries)++;
    return sl_public_key_verify(&log->key, c->text,
                                (struct sl_span){raw.data + HINT_SIZE, raw.len - HINT_SIZE},
                                /* allow_ed25519ph= */ false);
}

/* One line of the log's is enough; those of witnesses and strangers say nothing. */
static int check_checkpoint_signature(const struct sl_trusted_log *log, const struct checkpoint *c,
                                      struct sl_error *err)
{
    uint8_t hint[HINT_SIZE];
    struct sl_span rest = c->signatures, line;
    int n_tries = 0;
    int r = key_hint(log, c->name, hint, err);
    if (r < 0)
        return r;
    for (int i = 0; i < NOTE_SIGNATURES_MAX && n_tries < NOTE_TRIES_MAX && take_line(&rest, &line);
         i++)
        if (line_verifies(log, c, hint, line, &n_tries))
            return 0;
    return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                        "the transparency log did not sign the checkpoint");
}

int sl_rekor_proof_check(const struct sl_trusted_log *log, struct sl_span body,
                         const struct sl_inclusion_proof *proof, struct sl_error *err)
{
    struct checkpoint c;
    if (!proof->checkpoint || !parse_checkpoint(sl_span_of(proof->checkpoint), &c))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "the checkpoint is not a signed note");
    if (!c.is_v1 && (!log->host || !sl_span_is_equal(c.name, sl_span_of(log->host))))
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                            "the checkpoint is of %.*s, and the trusted log is %s", (int)c.name.len,
                            (const char *)c.name.data, log->host ? log->host : "without a name");
    int r = check_inclusion(body, proof, err);
    if (r == 0)
        r = check_checkpoint_head(&c, proof, err);
    if (r == 0)
        r = check_checkpoint_signature(log, &c, err);
    return r;
}
