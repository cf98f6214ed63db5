/* SPDX-License-Identifier: Apache-2.0 */
#include "sigstore_trust.h"

#include <stdlib.h>
#include <string.h>

enum { KEYS_MAX = 256, AUTHORITIES_MAX = 256 };

static void free_logs(struct sl_trusted_log *logs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sl_public_key_done(&logs[i].key);
        free(logs[i].host);
    }
    free(logs);
}

static void free_chains(struct sl_trusted_chain *chains, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sk_X509_pop_free(chains[i].certs, X509_free);
    free(chains);
}

struct sl_sigstore_trust *sl_sigstore_trust_free(struct sl_sigstore_trust *trust)
{
    if (!trust)
        return NULL;
    for (size_t i = 0; i < trust->n_keys; i++)
        sl_public_key_done(&trust->keys[i]);
    free(trust->keys);
    free_logs(trust->logs, trust->n_logs);
    free_logs(trust->ct_logs, trust->n_ct_logs);
    free_chains(trust->authorities, trust->n_authorities);
    free_chains(trust->timestampers, trust->n_timestampers);
    sk_X509_pop_free(trust->pki_roots, X509_free);
    sk_X509_pop_free(trust->pki_intermediates, X509_free);
    free(trust);
    return NULL;
}

static int open_source(const struct sl_key_source *source, enum sl_signature_code *ret_code,
                       struct sl_error *err)
{
    if (!source->is_unreadable)
        return 0;
    *ret_code = SL_SIG_KEY_FETCH;
    if (err)
        *err = source->problem;
    return source->problem.errnum ? -source->problem.errnum : -EIO;
}

static int name_source(const struct sl_key_source *source, const char *what, int r,
                       struct sl_error *err)
{
    return source->name ? sl_error_wrap(err, r, "%s %s", what, source->name)
                        : sl_error_wrap(err, r, "%s in the policy", what);
}

/* Room for one more of n elements; *itemsp stays the caller's. */
static int make_room(void **itemsp, size_t n, size_t size, size_t max, struct sl_error *err)
{
    if (n >= max)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %zu of them", max);
    void *more = reallocarray(*itemsp, n + 1, size);
    if (!more)
        return sl_error_oom(err);
    memset((char *)more + n * size, 0, size);
    *itemsp = more;
    return 0;
}

static int add_key(struct sl_sigstore_trust *trust, struct sl_span pem, struct sl_error *err)
{
    int r = make_room((void **)&trust->keys, trust->n_keys, sizeof(*trust->keys), KEYS_MAX, err);
    if (r == 0)
        r = sl_public_key_parse_pem(pem, &trust->keys[trust->n_keys], err);
    if (r == 0)
        trust->n_keys++;
    return r;
}

/* A log that only its key describes: entries name it by the hash of that key. */
static int add_log(struct sl_trusted_log **logs, size_t *n, struct sl_span pem,
                   struct sl_error *err)
{
    int r = make_room((void **)logs, *n, sizeof(**logs), KEYS_MAX, err);
    struct sl_trusted_log *log = r == 0 ? &(*logs)[*n] : NULL;
    if (r == 0)
        r = sl_public_key_parse_pem(pem, &log->key, err);
    if (r < 0)
        return r;
    memcpy(log->id, log->key.spki_sha256, sizeof(log->id));
    log->valid = (struct sl_validity){INT64_MIN, INT64_MAX};
    (*n)++;
    return 0;
}

static int add_rekor_key(struct sl_sigstore_trust *trust, struct sl_span pem, struct sl_error *err)
{
    return add_log(&trust->logs, &trust->n_logs, pem, err);
}

static int add_ct_key(struct sl_sigstore_trust *trust, struct sl_span pem, struct sl_error *err)
{
    return add_log(&trust->ct_logs, &trust->n_ct_logs, pem, err);
}

/* Each certificate is an anchor of its own, root or not. */
static int add_authority(struct sl_sigstore_trust *trust, X509 *cert, struct sl_error *err)
{
    int r = make_room((void **)&trust->authorities, trust->n_authorities,
                      sizeof(*trust->authorities), AUTHORITIES_MAX, err);
    if (r < 0)
        return r;
    struct sl_trusted_chain *chain = &trust->authorities[trust->n_authorities];
    chain->certs = sk_X509_new_null();
    if (!chain->certs)
        return sl_error_oom(err);
    trust->n_authorities++;
    chain->valid = (struct sl_validity){INT64_MIN, INT64_MAX};
    if (X509_add_cert(chain->certs, cert, X509_ADD_FLAG_UP_REF) != 1)
        return sl_error_oom(err);
    return 0;
}

static int add_authorities(struct sl_sigstore_trust *trust, struct sl_span pem,
                           struct sl_error *err)
{
    STACK_OF(X509) *certs = NULL;
    int r = sl_certificates_parse_pem(pem, &certs, err);
    for (int i = 0; r == 0 && i < sk_X509_num(certs); i++)
        r = add_authority(trust, sk_X509_value(certs, i), err);
    sk_X509_pop_free(certs, X509_free);
    return r;
}

static int add_to_stack(STACK_OF(X509) * *stack, struct sl_span pem, struct sl_error *err)
{
    STACK_OF(X509) *certs = NULL;
    int r = sl_certificates_parse_pem(pem, &certs, err);
    if (r == 0 && !*stack && !(*stack = sk_X509_new_null()))
        r = sl_error_oom(err);
    if (r == 0 && sk_X509_num(*stack) + sk_X509_num(certs) > AUTHORITIES_MAX)
        r = sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d certificates", AUTHORITIES_MAX);
    if (r == 0 && X509_add_certs(*stack, certs, X509_ADD_FLAG_UP_REF) != 1)
        r = sl_error_oom(err);
    sk_X509_pop_free(certs, X509_free);
    return r;
}

static int add_pki_root(struct sl_sigstore_trust *trust, struct sl_span pem, struct sl_error *err)
{
    return add_to_stack(&trust->pki_roots, pem, err);
}

static int add_pki_intermediate(struct sl_sigstore_trust *trust, struct sl_span pem,
                                struct sl_error *err)
{
    return add_to_stack(&trust->pki_intermediates, pem, err);
}

static int add_trusted_root(struct sl_sigstore_trust *trust, struct sl_span json,
                            struct sl_error *err)
{
    return sl_trusted_root_parse(json, trust, err);
}

typedef int add_source(struct sl_sigstore_trust *trust, struct sl_span bytes, struct sl_error *err);

static int add_all(struct sl_sigstore_trust *trust, const struct sl_key_sources *sources,
                   add_source *add, const char *what, enum sl_signature_code *ret_code,
                   struct sl_error *err)
{
    for (size_t i = 0; i < sources->n; i++) {
        const struct sl_key_source *source = &sources->items[i];
        int r = open_source(source, ret_code, err);
        if (r == 0) {
            r = add(trust, sl_bytes_span(&source->bytes), err);
            if (r < 0)
                *ret_code = r == -ENOTSUP ? SL_SIG_UNSUPPORTED : SL_SIG_KEY_PARSE;
        }
        if (r < 0)
            return name_source(source, what, r, err);
    }
    return 0;
}

static void drop_logs(struct sl_trusted_log **logs, size_t *n)
{
    free_logs(*logs, *n);
    *logs = NULL;
    *n = 0;
}

/* Whoever names CAs or logs means these, and not those of the trusted root as well. */
static int drop_what_is_named(const struct sl_requirement *q, struct sl_sigstore_trust *trust)
{
    if (q->fulcio_ca.n) {
        free_chains(trust->authorities, trust->n_authorities);
        trust->authorities = NULL;
        trust->n_authorities = 0;
    }
    if (q->rekor_keys.n)
        drop_logs(&trust->logs, &trust->n_logs);
    if (q->ct_keys.n)
        drop_logs(&trust->ct_logs, &trust->n_ct_logs);
    return 0;
}

static int add_everything(const struct sl_requirement *q, struct sl_sigstore_trust *trust,
                          enum sl_signature_code *code, struct sl_error *err)
{
    /* First: it finds the lists empty. */
    int r = add_all(trust, &q->trusted_root, add_trusted_root, "trusted root", code, err);
    if (r == 0)
        r = drop_what_is_named(q, trust);
    if (r == 0)
        r = add_all(trust, &q->keys, add_key, "public key", code, err);
    if (r == 0)
        r = add_all(trust, &q->rekor_keys, add_rekor_key, "Rekor key", code, err);
    if (r == 0)
        r = add_all(trust, &q->ct_keys, add_ct_key, "certificate log key", code, err);
    if (r == 0)
        r = add_all(trust, &q->fulcio_ca, add_authorities, "Fulcio CA", code, err);
    if (r == 0)
        r = add_all(trust, &q->pki_roots, add_pki_root, "CA roots", code, err);
    if (r == 0)
        r = add_all(trust, &q->pki_intermediates, add_pki_intermediate, "CA intermediates", code,
                    err);
    return r;
}

/* A requirement that names nobody would accept nobody; said here, it is said early. */
static int check_signers(const struct sl_requirement *q, const struct sl_sigstore_trust *trust,
                         enum sl_signature_code *ret_code, struct sl_error *err)
{
    bool has_signers = q->has_fulcio ? trust->n_authorities > 0
                       : q->has_pki  ? sk_X509_num(trust->pki_roots) > 0
                                     : trust->n_keys > 0;
    if (has_signers)
        return 0;
    *ret_code = SL_SIG_KEY_PARSE;
    return sl_error_set(err, SL_E_FORMAT, EBADMSG, "neither a key nor a CA to trust");
}

int sl_sigstore_trust_open(const struct sl_requirement *requirement, struct sl_sigstore_trust **ret,
                           enum sl_signature_code *ret_code, struct sl_error *err)
{
    enum sl_signature_code code = SL_SIG_KEY_PARSE;
    struct sl_sigstore_trust *trust = calloc(1, sizeof(*trust));
    int r = trust ? add_everything(requirement, trust, &code, err) : sl_error_oom(err);
    if (r == 0)
        r = check_signers(requirement, trust, &code, err);
    if (r < 0) {
        *ret_code = code;
        sl_sigstore_trust_free(trust);
        return r;
    }
    *ret = trust;
    return 0;
}
