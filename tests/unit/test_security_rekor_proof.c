/* SPDX-License-Identifier: Apache-2.0 */
/* Trees are built here by the recursive definitions of RFC 6962 section 2.1, which the code under
 * test does not use; whole entries are of tests/support/sigstore_lab.py, which cosign believes. */
#include "sigstore_pieces.h"

enum { TREE_MAX = 40, PATH_NODES = 8 };
#define HOST "log.example.com"

/* ---- a straightforward tree ---- */

struct node {
    uint8_t sum[32];
};

static struct node sum_of(const uint8_t *data, size_t len)
{
    struct node n;
    assert_int_equal(EVP_Digest(data, len, n.sum, NULL, EVP_sha256(), NULL), 1);
    return n;
}

static struct node leaf(size_t i)
{
    const uint8_t text[] = {0, 'e', (uint8_t)i};
    return sum_of(text, sizeof(text));
}

static struct sl_span body_of(size_t i, uint8_t out[2])
{
    out[0] = 'e';
    out[1] = (uint8_t)i;
    return (struct sl_span){out, 2};
}

static size_t split(size_t n)
{
    size_t k = 1;
    while (2 * k < n)
        k *= 2;
    return k;
}

static struct node tree(size_t from, size_t n)
{
    if (n == 1)
        return leaf(from);
    uint8_t text[65] = {1};
    struct node l = tree(from, split(n)), r = tree(from + split(n), n - split(n));
    memcpy(text + 1, l.sum, 32);
    memcpy(text + 33, r.sum, 32);
    return sum_of(text, sizeof(text));
}

static size_t path(size_t m, size_t from, size_t n, struct node *out)
{
    if (n == 1)
        return 0;
    size_t k = split(n), len;
    if (m < k) {
        len = path(m, from, k, out);
        out[len] = tree(from + k, n - k);
    } else {
        len = path(m - k, from + k, n - k, out);
        out[len] = tree(from, k);
    }
    return len + 1;
}

/* ---- a log ---- */

struct own_log {
    struct sl_trusted_log trusted;
    bool is_v2;
};

static void own_log_init(struct own_log *log, bool is_v2)
{
    EVP_PKEY *key = is_v2 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_EC_gen("P-256");
    assert_non_null(key);
    *log = (struct own_log){log_of_key(key), is_v2};
    log->trusted.host = strdup(HOST);
}

static char *sign_text(const struct own_log *log, const char *text, const char *name)
{
    uint8_t raw[256], seed[64];
    size_t len = sizeof(raw) - 4, key_len = 32;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY *key = log->trusted.key.key;
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, log->is_v2 ? NULL : EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, raw + 4, &len, (const uint8_t *)text, strlen(text)), 1);
    EVP_MD_CTX_free(ctx);
    memcpy(raw, log->trusted.key.spki_sha256, 4);
    if (log->is_v2) {
        int n = snprintf((char *)seed, sizeof(seed), "%s\n\1", HOST);
        assert_int_equal(EVP_PKEY_get_raw_public_key(key, seed + n, &key_len), 1);
        memcpy(raw, sum_of(seed, (size_t)n + key_len).sum, 4);
    }
    SL_AUTO_FREE char *b64 = sl_base64_encode((struct sl_span){raw, len + 4});
    return sl_strf("\u2014 %s %s\n", name, b64);
}

static char *checkpoint_text(const struct own_log *log, size_t size, const struct node *root)
{
    SL_AUTO_FREE char *b64 = sl_base64_encode((struct sl_span){root->sum, 32});
    return sl_strf("%s\n%zu\n%s\n", log->is_v2 ? HOST : HOST " - 123", size, b64);
}

static char *checkpoint(const struct own_log *log, size_t size, const struct node *root)
{
    SL_AUTO_FREE char *text = checkpoint_text(log, size, root);
    SL_AUTO_FREE char *line = sign_text(log, text, HOST);
    return sl_strf("%s\n%s", text, line);
}

struct own_proof {
    struct node root, nodes[PATH_NODES + 1];
    struct sl_span spans[PATH_NODES + 1];
    struct sl_inclusion_proof proof;
};

static void own_proof_init(struct own_proof *p, size_t index, size_t size, const char *note)
{
    p->root = tree(0, size);
    size_t n = path(index, 0, size, p->nodes);
    for (size_t i = 0; i <= PATH_NODES; i++)
        p->spans[i] = (struct sl_span){p->nodes[i].sum, 32};
    p->proof = (struct sl_inclusion_proof){
        .index = index,
        .size = size,
        .root = {p->root.sum, 32},
        .hashes = p->spans,
        .n_hashes = n,
        .checkpoint = note,
    };
}

static int proof_check(const struct own_log *log, size_t index, const struct own_proof *p,
                       struct sl_error *err)
{
    uint8_t body[2];
    return sl_rekor_proof_check(&log->trusted, body_of(index, body), &p->proof, err);
}

/* ---- inclusion ---- */

static void spoil_path(const struct own_log *log, size_t index, struct own_proof *p)
{
    struct sl_error err = {0};
    for (size_t i = 0; i < p->proof.n_hashes; i++) {
        p->nodes[i].sum[31] ^= 1;
        assert_error(proof_check(log, index, p, &err), EBADMSG, SL_E_INTEGRITY, "does not lead");
        p->nodes[i].sum[31] ^= 1;
    }
    p->proof.n_hashes++;
    assert_error(proof_check(log, index, p, &err), EINVAL, SL_E_FORMAT, "are needed");
    p->proof.n_hashes -= 2;
    if (p->proof.n_hashes != SIZE_MAX)
        assert_error(proof_check(log, index, p, &err), EINVAL, SL_E_FORMAT, "are needed");
    p->proof.n_hashes++;
}

/* Where another index has a path of the same length, it leads elsewhere. */
static void wrong_index(const struct own_log *log, size_t index, struct own_proof *p)
{
    struct sl_error err = {0};
    for (size_t other = 0; other < p->proof.size + 2; other++) {
        p->proof.index = other;
        assert_int_equal(proof_check(log, index, p, &err) == 0, other == index);
    }
    p->proof.index = index;
}

static void proof_of_every_place_in_every_tree_is_right(void **state)
{
    (void)state;
    struct own_log log;
    own_log_init(&log, /* is_v2= */ true);
    for (size_t size = 1; size <= TREE_MAX; size++) {
        struct node root = tree(0, size);
        SL_AUTO_FREE char *note = checkpoint(&log, size, &root);
        for (size_t index = 0; index < size; index++) {
            struct own_proof p;
            struct sl_error err = {0};
            own_proof_init(&p, index, size, note);
            assert_done(proof_check(&log, index, &p, &err));
            assert_true(proof_check(&log, index + 1, &p, &err) < 0);
            spoil_path(&log, index, &p);
            wrong_index(&log, index, &p);
        }
    }
    log_done(&log.trusted);
}

static void proof_of_odd_sizes_is_refused(void **state)
{
    (void)state;
    struct own_log log;
    struct own_proof p;
    struct sl_error err = {0};
    own_log_init(&log, true);
    struct node root = tree(0, 7);
    SL_AUTO_FREE char *note = checkpoint(&log, 7, &root);
    own_proof_init(&p, 3, 7, note);
    assert_done(proof_check(&log, 3, &p, &err));
    p.proof.root.len = 31;
    assert_error(proof_check(&log, 3, &p, &err), EINVAL, SL_E_FORMAT, "hashes");
    p.proof.root.len = 32;
    p.spans[1].len = 33;
    assert_error(proof_check(&log, 3, &p, &err), EINVAL, SL_E_FORMAT, "33 bytes");
    p.spans[1].len = 32;
    p.proof.n_hashes = SIZE_MAX;
    assert_error(proof_check(&log, 3, &p, &err), EINVAL, SL_E_FORMAT, "proof");
    own_proof_init(&p, 3, 7, note);
    p.proof.index = UINT64_MAX - 1;
    p.proof.size = UINT64_MAX;
    assert_error(proof_check(&log, 3, &p, &err), EINVAL, SL_E_FORMAT, "needed");
    p.proof.index = 0;
    p.proof.size = 0;
    assert_error(proof_check(&log, 3, &p, &err), EINVAL, SL_E_FORMAT, "entry 0 of 0");
    log_done(&log.trusted);
}

/* ---- checkpoints ---- */

/* Of a tree of 7 leaves, about leaf 3. */
static int note_check(const struct own_log *log, const char *note, struct sl_error *err)
{
    struct own_proof p;
    own_proof_init(&p, 3, 7, note);
    return proof_check(log, 3, &p, err);
}

/* A note whose text the log has signed, as it stands. */
static int named_text_check(const struct own_log *log, const char *text, const char *name,
                            struct sl_error *err)
{
    SL_AUTO_FREE char *line = sign_text(log, text, name);
    SL_AUTO_FREE char *note = sl_strf("%s\n%s", text, line);
    return note_check(log, note, err);
}

static int signed_text_check(const struct own_log *log, const char *text, struct sl_error *err)
{
    return named_text_check(log, text, HOST, err);
}

static void both_logs(void (*test)(const struct own_log *log, const char *text, const char *root))
{
    for (int v2 = 0; v2 <= 1; v2++) {
        struct own_log log;
        own_log_init(&log, v2);
        struct node root = tree(0, 7);
        SL_AUTO_FREE char *text = checkpoint_text(&log, 7, &root);
        SL_AUTO_FREE char *b64 = sl_base64_encode((struct sl_span){root.sum, 32});
        test(&log, text, b64);
        log_done(&log.trusted);
    }
}

static void strangers(const struct own_log *log, const char *text, const char *root)
{
    (void)root;
    struct sl_error err = {0};
    SL_AUTO_FREE char *ours = sign_text(log, text, HOST);
    SL_AUTO_FREE char *witness = sign_text(log, text, "witness.example.com");
    SL_AUTO_FREE char *longer = sign_text(log, text, HOST "m");
    SL_AUTO_FREE char *late = sl_strf("%s\n%s%s— x AAAA\n%s", text, witness, longer, ours);
    SL_AUTO_FREE char *early = sl_strf("%s\n%s%s— x ?\n", text, ours, witness);
    SL_AUTO_FREE char *none = sl_strf("%s\n%s%s", text, witness, longer);
    SL_AUTO_FREE char *same_name = sl_strf("%s\n— %s AAAAAAAA\n%s", text, HOST, ours);
    assert_done(note_check(log, late, &err));
    assert_done(note_check(log, early, &err));
    assert_done(note_check(log, same_name, &err));
    assert_error(note_check(log, none, &err), EBADMSG, SL_E_INTEGRITY, "did not sign");
}

static void checkpoint_lines_of_strangers_are_ignored(void **state)
{
    (void)state;
    both_logs(strangers);
}

/* Foreigners choose the lines, and each one under the log's name costs a signature check. */
static void many_false_lines(const struct own_log *log, const char *text, const char *root)
{
    (void)root;
    struct sl_error err = {0};
    SL_AUTO_FREE char *ours = sign_text(log, text, HOST);
    SL_AUTO_FREE char *other = sign_text(log, "another text", HOST);
    SL_AUTO_FREE char *one = sl_strf("%s\n%s%s", text, other, ours);
    SL_AUTO_FREE char *four = sl_strf("%s\n%s%s%s%s%s", text, other, other, other, other, ours);
    assert_done(note_check(log, one, &err));
    assert_error(note_check(log, four, &err), EBADMSG, SL_E_INTEGRITY, "did not sign");
}

static void false_lines_of_the_log_are_tried_a_few_times(void **state)
{
    (void)state;
    both_logs(many_false_lines);
}

static void spoilt_heads(const struct own_log *log, const char *text, const char *root)
{
    struct sl_error err = {0};
    const char *origin = log->is_v2 ? HOST : HOST " - 123";
    static const char *const sizes[] = {"8", "07", "7 ", "+7", "", "7.0", "0x7"};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        SL_AUTO_FREE char *t = sl_strf("%s\n%s\n%s\n", origin, sizes[i], root);
        assert_true(signed_text_check(log, t, &err) < 0);
    }
    SL_AUTO_FREE char *other_root = sl_strf("%s\n7\nA%s\n", origin, root + 1);
    SL_AUTO_FREE char *no_root = sl_strf("%s\n7\n", origin);
    SL_AUTO_FREE char *no_origin = sl_strf("7\n%s\n", root);
    SL_AUTO_FREE char *blank_origin = sl_strf("\n7\n%s\n", root);
    SL_AUTO_FREE char *other_host = sl_strf("x%s\n7\n%s\n", origin, root);
    SL_AUTO_FREE char *spaced = sl_strf("a %s\n7\n%s\n", origin, root);
    SL_AUTO_FREE char *no_tree = sl_strf("%s - \n7\n%s\n", HOST, root);
    SL_AUTO_FREE char *more = sl_strf("%smore\nlines\n", text);
    assert_done(signed_text_check(log, text, &err));
    assert_done(signed_text_check(log, more, &err));
    const char *const bad[] = {other_root, no_root, no_origin, blank_origin,
                               other_host, spaced,  no_tree};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_true(signed_text_check(log, bad[i], &err) < 0);
}

/* C2SP signed-note: a name is not empty and has no blank and no plus. */
static void odd_names(const struct own_log *log, const char *text, const char *root)
{
    (void)text;
    struct sl_error err = {0};
    static const char *const names[] = {"", "a b", "a+b"};
    if (log->is_v2)
        return; /* its name is that of the trusted root */
    for (size_t i = 0; i < 3; i++) {
        SL_AUTO_FREE char *t = sl_strf("%s - 1\n7\n%s\n", names[i], root);
        assert_error(named_text_check(log, t, names[i], &err), EINVAL, SL_E_FORMAT, "signed note");
    }
}

static void checkpoint_of_no_proper_name_is_refused(void **state)
{
    (void)state;
    both_logs(odd_names);
}

static void checkpoint_of_another_tree_is_refused(void **state)
{
    (void)state;
    both_logs(spoilt_heads);
}

static void spoilt_bytes(const struct own_log *log, const char *text, const char *root)
{
    (void)root;
    struct sl_error err = {0};
    SL_AUTO_FREE char *line = sign_text(log, text, HOST);
    SL_AUTO_FREE char *note = sl_strf("%s\n%s", text, line);
    for (size_t i = 0; note[i]; i++) {
        note[i] ^= 1;
        assert_true(note_check(log, note, &err) < 0);
        note[i] ^= 1;
    }
    for (size_t cut = 0; note[cut]; cut++) {
        SL_AUTO_FREE char *head = strndup(note, cut);
        assert_true(note_check(log, head, &err) < 0);
    }
    assert_error(note_check(log, NULL, &err), EINVAL, SL_E_FORMAT, "not a signed note");
}

static void checkpoint_with_any_byte_changed_is_refused(void **state)
{
    (void)state;
    both_logs(spoilt_bytes);
}

/* Rekor v2 binds the name; an own instance of v1 may call itself as it likes. */
static void checkpoint_of_a_log_by_another_name(void **state)
{
    (void)state;
    for (int v2 = 0; v2 <= 1; v2++) {
        struct own_log log;
        struct sl_error err = {0};
        own_log_init(&log, v2);
        struct node root = tree(0, 7);
        SL_AUTO_FREE char *note = checkpoint(&log, 7, &root);
        log.trusted.host[0] = 'm';
        assert_int_equal(note_check(&log, note, &err) == 0, !v2);
        free(sl_steal(&log.trusted.host));
        assert_int_equal(note_check(&log, note, &err) == 0, !v2);
        log_done(&log.trusted);
    }
}

static void checkpoint_of_another_key_is_refused(void **state)
{
    (void)state;
    for (int v2 = 0; v2 <= 1; v2++) {
        struct own_log log, other;
        struct sl_error err = {0};
        own_log_init(&log, v2);
        own_log_init(&other, v2);
        struct node root = tree(0, 7);
        SL_AUTO_FREE char *note = checkpoint(&log, 7, &root);
        assert_error(note_check(&other, note, &err), EBADMSG, SL_E_INTEGRITY, "did not sign");
        log_done(&log.trusted);
        log_done(&other.trusted);
    }
}

/* ---- whole entries ---- */

static void assert_entry_of(const char *bundle, struct sl_trusted_log *log)
{
    PIECES p = pieces_read(bundle);
    struct sl_span hashes[24];
    struct sl_error err = {0};
    size_t n = p.hashes.len / 32;
    assert_in_range(n, 1, 24);
    for (size_t i = 0; i < n; i++)
        hashes[i] = (struct sl_span){p.hashes.data + 32 * i, 32};
    struct sl_inclusion_proof proof = {
        .index = p.proof_index,
        .size = p.proof_size,
        .root = sl_bytes_span(&p.root),
        .hashes = hashes,
        .n_hashes = n,
        .checkpoint = (const char *)p.checkpoint.data,
    };
    assert_done(sl_rekor_proof_check(log, sl_bytes_span(&p.body), &proof, &err));
    p.body.len--;
    assert_error(sl_rekor_proof_check(log, sl_bytes_span(&p.body), &proof, &err), EBADMSG,
                 SL_E_INTEGRITY, "does not lead");
}

static void entry_of_both_rekors_is_accepted(void **state)
{
    (void)state;
    struct sl_trusted_log v1 = log_of_key(read_public_key("rekor.pub"));
    struct sl_trusted_log v2 = log_of_key(read_public_key("rekor2.pub"));
    v1.host = strdup("rekor.lab.example.com");
    v2.host = strdup("log2025.rekor.lab.example.com");
    assert_entry_of("key-dsse", &v1);
    assert_entry_of("fulcio-message", &v1);
    assert_entry_of("key-dsse-v2", &v2);
    assert_entry_of("fulcio-message-v2", &v2);
    /* Of 16 and of 4 million entries, the latter under a checkpoint with a witness. */
    assert_entry_of("key-message-vast", &v1);
    assert_entry_of("fulcio-dsse-v2-vast", &v2);
    log_done(&v1);
    log_done(&v2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proof_of_every_place_in_every_tree_is_right),
        cmocka_unit_test(proof_of_odd_sizes_is_refused),
        cmocka_unit_test(checkpoint_lines_of_strangers_are_ignored),
        cmocka_unit_test(false_lines_of_the_log_are_tried_a_few_times),
        cmocka_unit_test(checkpoint_of_no_proper_name_is_refused),
        cmocka_unit_test(checkpoint_of_another_tree_is_refused),
        cmocka_unit_test(checkpoint_with_any_byte_changed_is_refused),
        cmocka_unit_test(checkpoint_of_a_log_by_another_name),
        cmocka_unit_test(checkpoint_of_another_key_is_refused),
        cmocka_unit_test(entry_of_both_rekors_is_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
