/* SPDX-License-Identifier: Apache-2.0 */
#include "key_ring.h"

#include "enc_annotations.h"
#include "plbco.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRIES_MAX = 256 }; /* of each kind: keys, certificates, providers */

#define UNWRAP_FAILED                                                                              \
    "Failed to decrypt the image layer, please ensure that the decryption key is placed and "      \
    "correct"

/* Every protocol there is. Providers have names,
 * and so are called in their own way. */
static const struct {
    const char *name;
    sl_unwrap_fn *unwrap;
} protocols[] = {
    [SL_WRAP_PROVIDER] = {"provider", NULL},         [SL_WRAP_JWE] = {"jwe", sl_unwrap_jwe},
    [SL_WRAP_PKCS7] = {"pkcs7", sl_unwrap_pkcs7},    [SL_WRAP_PGP] = {"pgp", sl_unwrap_pgp},
    [SL_WRAP_PKCS11] = {"pkcs11", sl_unwrap_pkcs11},
};

int sl_key_ring_new(struct sl_key_ring **ret, struct sl_error *err)
{
    struct sl_key_ring *ring = calloc(1, sizeof(*ring));
    if (!ring)
        return sl_error_oom(err);
    *ret = ring;
    return 0;
}

struct sl_key_ring *sl_key_ring_free(struct sl_key_ring *ring)
{
    if (!ring)
        return NULL;
    int saved = errno;
    for (size_t i = 0; i < ring->n_keys; i++)
        EVP_PKEY_free(ring->keys[i]);
    for (size_t i = 0; i < ring->n_certs; i++)
        X509_free(ring->certs[i]);
    for (size_t i = 0; i < ring->n_pgp; i++)
        sl_pgp_keys_free(ring->pgp[i]);
    for (size_t i = 0; i < ring->n_pkcs11; i++)
        sl_pkcs11_key_free(ring->pkcs11[i]);
    for (size_t i = 0; i < ring->n_providers; i++) {
        free(ring->providers[i].name);
        sl_secret_free(ring->providers[i].value);
    }
    free(ring->keys);
    free(ring->certs);
    free(ring->pgp);
    free(ring->pkcs11);
    free(ring->providers);
    free(ring->pgp_home);
    free(ring);
    errno = saved;
    return NULL;
}

/* Room for one more item of this size in a list of n. */
static int grow(void **list, size_t n, size_t size, struct sl_error *err)
{
    if (n == ENTRIES_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d decryption keys", ENTRIES_MAX);
    void *bigger = reallocarray(*list, n + 1, size);
    if (!bigger)
        return sl_error_oom(err);
    *list = bigger;
    return 0;
}

int sl_key_ring_add_key(struct sl_key_ring *ring, EVP_PKEY **keyp, struct sl_error *err)
{
    int r = grow((void **)&ring->keys, ring->n_keys, sizeof(void *), err);
    if (r == 0)
        ring->keys[ring->n_keys++] = sl_steal(keyp);
    return r;
}

int sl_key_ring_add_cert(struct sl_key_ring *ring, X509 **certp, struct sl_error *err)
{
    int r = grow((void **)&ring->certs, ring->n_certs, sizeof(void *), err);
    if (r == 0)
        ring->certs[ring->n_certs++] = sl_steal(certp);
    return r;
}

int sl_key_ring_add_pgp(struct sl_key_ring *ring, struct sl_pgp_keys **keysp, struct sl_error *err)
{
    int r = grow((void **)&ring->pgp, ring->n_pgp, sizeof(void *), err);
    if (r == 0)
        ring->pgp[ring->n_pgp++] = sl_steal(keysp);
    return r;
}

int sl_key_ring_add_pkcs11(struct sl_key_ring *ring, struct sl_pkcs11_key **keyp,
                           struct sl_error *err)
{
    int r = grow((void **)&ring->pkcs11, ring->n_pkcs11, sizeof(void *), err);
    if (r == 0)
        ring->pkcs11[ring->n_pkcs11++] = sl_steal(keyp);
    return r;
}

/* NAME[:PARAMS]; without PARAMS the word "Enabled" stands for them, as in other tools. */
int sl_key_ring_add_provider(struct sl_key_ring *ring, const char *text, struct sl_error *err)
{
    const char *colon = strchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : strlen(text);
    if (len == 0)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "provider: without a name");
    int r = grow((void **)&ring->providers, ring->n_providers, sizeof(*ring->providers), err);
    if (r < 0)
        return r;
    struct sl_pair *pair = &ring->providers[ring->n_providers];
    pair->name = strndup(text, len);
    pair->value = strdup(colon ? colon + 1 : "Enabled");
    if (!pair->name || !pair->value) {
        free(pair->name);
        sl_secret_free(pair->value);
        return sl_error_oom(err);
    }
    ring->n_providers++;
    return 0;
}

const char *sl_key_ring_provider(const struct sl_key_ring *ring, const char *name)
{
    for (size_t i = 0; i < ring->n_providers; i++)
        if (strcmp(ring->providers[i].name, name) == 0)
            return ring->providers[i].value;
    return NULL;
}

void sl_key_ring_set_kek_lookup(struct sl_key_ring *ring, sl_kek_lookup_fn *fn, void *arg)
{
    ring->kek_lookup = fn;
    ring->kek_arg = arg;
}

void sl_key_ring_set_provider(struct sl_key_ring *ring, sl_provider_unwrap_fn *fn, void *arg)
{
    ring->provider = fn;
    ring->provider_arg = arg;
}

void sl_key_ring_set_hub(struct sl_key_ring *ring, sl_provider_unwrap_fn *fn, void *arg, bool all)
{
    ring->hub = fn;
    ring->hub_arg = arg;
    ring->hub_unwraps_all = all;
}

int sl_key_ring_set_pgp_home(struct sl_key_ring *ring, const char *dir, struct sl_error *err)
{
    char *copy = dir ? strdup(dir) : NULL;
    if (dir && !copy)
        return sl_error_oom(err);
    free(ring->pgp_home);
    ring->pgp_home = copy;
    return 0;
}

void sl_key_ring_set_filter(struct sl_key_ring *ring, sl_wrapped_key_filter_fn *fn, void *arg)
{
    ring->filter = fn;
    ring->filter_arg = arg;
}

void sl_key_ring_allow_a256ctr(struct sl_key_ring *ring, bool allow)
{
    ring->allow_a256ctr = allow;
}

int sl_unwrap_no_key(struct sl_error *err, const char *what)
{
    return sl_error_set(err, SL_E_AUTH, ENOKEY, "%s", what);
}

/* Before any key or provider is touched. */
static int ask_filter(const struct sl_key_ring *ring, const struct sl_enc_annotations *a, size_t i,
                      struct sl_error *err)
{
    struct sl_wrapped_key_info info;
    if (!ring->filter)
        return 0;
    int r = sl_enc_annotations_info(a, i, &info, err);
    return r < 0 ? r : ring->filter(ring->filter_arg, &info, err);
}

/* Decodes and opens one element. */
static int open_element(const struct sl_key_ring *ring, const struct sl_wrapped_key *key,
                        struct sl_bytes *ret, struct sl_error *err)
{
    sl_unwrap_fn *unwrap = protocols[key->protocol].unwrap;
    SL_AUTO_DONE(sl_bytes) element = {0};
    int r = sl_base64_decode(key->text, &element, err);
    if (r < 0)
        return r;
    return unwrap ? unwrap(ring, sl_bytes_span(&element), ret, err)
                  : sl_unwrap_provider(ring, key->name + strlen(SL_PROVIDER_PREFIX),
                                       sl_bytes_span(&element), ret, err);
}

/* What was wrapped must be private options, or the element is of no use. */
static int try_element(const struct sl_key_ring *ring, const struct sl_enc_annotations *a, size_t i,
                       struct sl_layer_key *ret, struct sl_bytes *ret_plbco, struct sl_error *err)
{
    struct sl_bytes plbco = {0};
    int r = ask_filter(ring, a, i, err);
    if (r == 0)
        r = open_element(ring, &a->keys[i], &plbco, err);
    if (r == 0)
        r = sl_plbco_parse(sl_bytes_span(&plbco), ret, err);
    if (r == 0)
        *ret_plbco = plbco;
    else
        sl_bytes_wipe(&plbco);
    return r;
}

/* How much a failure says about why the layer stays locked: what is wrong on our side outweighs a
 * key that does not fit, which outweighs elements that are not for us. */
static int weight(enum sl_errc code)
{
    static const enum sl_errc ascending[] = {
        SL_E_UNSUPPORTED, SL_E_FORMAT,    SL_E_LIMIT,   SL_E_AUTH,
        SL_E_POLICY,      SL_E_INTEGRITY, SL_E_NETWORK, SL_E_SYSTEM,
    };
    int n = sizeof(ascending) / sizeof(ascending[0]);
    for (int i = 0; i < n; i++)
        if (ascending[i] == code)
            return i;
    return n;
}

/* Adds one element's reason; the code is that of the weightiest. */
static void collect(struct sl_error *all, const struct sl_wrapped_key *key,
                    const struct sl_error *one)
{
    size_t used = strlen(all->msg);
    (void)snprintf(all->msg + used, sizeof(all->msg) - used, "%s %.60s[%zu]: %s",
                   used ? ";" : UNWRAP_FAILED ":", key->name, key->index, one->msg);
    if (all->code == SL_OK || weight(one->code) > weight(all->code)) {
        all->code = one->code;
        all->errnum = one->errnum;
    }
}

/* Both ways of looking at what was wrapped; the caller wipes them. */
static int unwrap_any(const struct sl_key_ring *ring, const struct sl_enc_annotations *a,
                      struct sl_layer_key *ret, struct sl_bytes *ret_plbco,
                      struct sl_unwrapped *how, struct sl_error *err)
{
    struct sl_error all = {0};
    for (size_t i = 0; i < a->n_keys; i++) {
        struct sl_error one = {0};
        ret->protocol = protocols[a->keys[i].protocol].name;
        int r = try_element(ring, a, i, ret, ret_plbco, &one);
        if (r == 0) {
            if (how)
                how->index = i;
            return 0;
        }
        if (one.code == SL_E_CANCELLED) /* which says nothing of the keys */
            return sl_error_set(err, one.code, one.errnum, "%s", one.msg);
        collect(&all, &a->keys[i], &one);
        if (r == -ENOMEM)
            break;
    }
    return sl_error_set(err, all.code, all.errnum, "%s", all.msg);
}

int sl_key_ring_unwrap(const struct sl_key_ring *ring, const struct sl_enc_annotations *a,
                       struct sl_layer_key *ret, struct sl_unwrapped *how, struct sl_error *err)
{
    struct sl_layer_key key = {0};
    struct sl_bytes plbco = {0};
    int r = unwrap_any(ring, a, &key, &plbco, how, err);
    if (r == 0)
        *ret = key;
    sl_bytes_wipe(&plbco);
    sl_layer_key_done(&key);
    return r;
}

int sl_key_ring_unwrap_plbco(const struct sl_key_ring *ring, const struct sl_enc_annotations *a,
                             struct sl_bytes *ret, struct sl_unwrapped *how, struct sl_error *err)
{
    struct sl_layer_key key = {0};
    int r = unwrap_any(ring, a, &key, ret, how, err);
    sl_layer_key_done(&key);
    return r;
}
