/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/digest.h"

#include <openssl/evp.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct algorithm {
    const char *name;
    size_t size;
    const EVP_MD *(*md)(void);
};

static const struct algorithm algorithms[] = {
    [SL_SHA256] = {"sha256", 32, EVP_sha256},
    [SL_SHA512] = {"sha512", 64, EVP_sha512},
};
enum { N_ALGORITHMS = sizeof(algorithms) / sizeof(algorithms[0]) };

struct sl_hash {
    EVP_MD_CTX *ctx;
    enum sl_digest_alg alg;
};

int sl_digest_parse(const char *text, struct sl_digest *ret, struct sl_error *err)
{
    const char *colon = text ? strchr(text, ':') : NULL;
    if (!colon)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "'%.80s' is not a digest (algorithm:hex)",
                            text ? text : "");
    size_t len = (size_t)(colon - text);
    for (size_t i = 0; i < N_ALGORITHMS; i++) {
        if (strlen(algorithms[i].name) != len || memcmp(algorithms[i].name, text, len) != 0)
            continue;
        struct sl_digest d = {.alg = (enum sl_digest_alg)i};
        if (!sl_hex_parse(colon + 1, d.bytes, algorithms[i].size))
            return sl_error_set(err, SL_E_FORMAT, EINVAL,
                                "digest '%.150s' must have %zu lower-case hex digits", text,
                                2 * algorithms[i].size);
        *ret = d;
        return 0;
    }
    return sl_error_set(err, SL_E_UNSUPPORTED, EOPNOTSUPP,
                        "digest '%.80s': only sha256 and sha512 are supported", text);
}

const char *sl_digest_alg_name(enum sl_digest_alg alg)
{
    return algorithms[alg].name;
}

size_t sl_digest_size(enum sl_digest_alg alg)
{
    return algorithms[alg].size;
}

void sl_digest_hex(const struct sl_digest *d, char out[2 * SL_DIGEST_MAX + 1])
{
    sl_hex_format((struct sl_span){d->bytes, sl_digest_size(d->alg)}, out);
}

void sl_digest_format(const struct sl_digest *d, char out[SL_DIGEST_TEXT_MAX])
{
    int prefix = snprintf(out, SL_DIGEST_TEXT_MAX, "%s:", sl_digest_alg_name(d->alg));
    sl_digest_hex(d, out + prefix);
}

bool sl_digest_is_equal(const struct sl_digest *a, const struct sl_digest *b)
{
    return a->alg == b->alg && memcmp(a->bytes, b->bytes, sl_digest_size(a->alg)) == 0;
}

int sl_digest_of(enum sl_digest_alg alg, struct sl_span bytes, struct sl_digest *ret,
                 struct sl_error *err)
{
    SL_AUTO(sl_hash) hash = NULL;
    int r = sl_hash_new(alg, &hash, err);
    if (r < 0)
        return r;
    sl_hash_update(hash, bytes);
    sl_hash_final(hash, ret);
    return 0;
}

int sl_digest_verify(const struct sl_digest *expected, struct sl_span bytes, struct sl_error *err)
{
    struct sl_digest actual;
    int r = sl_digest_of(expected->alg, bytes, &actual, err);
    if (r < 0)
        return r;
    if (sl_digest_is_equal(&actual, expected))
        return 0;
    char is[SL_DIGEST_TEXT_MAX], should[SL_DIGEST_TEXT_MAX];
    sl_digest_format(&actual, is);
    sl_digest_format(expected, should);
    return sl_error_set(err, SL_E_INTEGRITY, EBADMSG, "digest is %s, expected %s", is, should);
}

int sl_hash_new(enum sl_digest_alg alg, struct sl_hash **ret, struct sl_error *err)
{
    struct sl_hash *h = calloc(1, sizeof(*h));
    if (!h)
        return sl_error_oom(err);
    h->alg = alg;
    h->ctx = EVP_MD_CTX_new();
    if (!h->ctx || EVP_DigestInit_ex(h->ctx, algorithms[alg].md(), NULL) != 1) {
        (void)sl_hash_free(h);
        return sl_error_oom(err);
    }
    *ret = h;
    return 0;
}

struct sl_hash *sl_hash_free(struct sl_hash *h)
{
    if (h)
        EVP_MD_CTX_free(h->ctx);
    free(h);
    return NULL;
}

void sl_hash_update(struct sl_hash *h, struct sl_span bytes)
{
    /* Cannot fail on an initialised software digest; a digest that did would not verify. */
    if (EVP_DigestUpdate(h->ctx, bytes.data, bytes.len) != 1)
        abort();
}

void sl_hash_final(struct sl_hash *h, struct sl_digest *ret)
{
    *ret = (struct sl_digest){.alg = h->alg};
    if (EVP_DigestFinal_ex(h->ctx, ret->bytes, NULL) != 1)
        abort();
}
