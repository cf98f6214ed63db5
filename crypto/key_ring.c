/* SPDX-License-Identifier: Apache-2.0 */
#include "key_ring.h"

#include "enc_annotations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRIES_MAX = 256 }; /* of each kind: keys, certificates, providers */

#define UNWRAP_FAILED                                                                              \
    "Failed to decrypt the image layer, please ensure that the decryption key is placed and "      \
    "correct"

/* Every protocol there is; those without a function are named in the error. */
static const struct {
    const char *name;
    sl_unwrap_fn *unwrap;
} protocols[] = {
    [SL_WRAP_PROVIDER] = {"provider", sl_unwrap_packet},
    [SL_WRAP_JWE] = {"jwe", sl_unwrap_jwe},
    [SL_WRAP_PKCS7] = {"pkcs7", sl_unwrap_pkcs7},
    [SL_WRAP_PGP] = {"pgp", NULL},
    [SL_WRAP_PKCS11] = {"pkcs11", NULL},
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
    for (size_t i = 0; i < ring->n_providers; i++) {
        free(ring->providers[i].name);
        sl_secret_free(ring->providers[i].value);
    }
    free(ring->keys);
    free(ring->certs);
    free(ring->providers);
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

void sl_key_ring_allow_a256ctr(struct sl_key_ring *ring, bool allow)
{
    ring->allow_a256ctr = allow;
}

int sl_unwrap_no_key(struct sl_error *err, const char *what)
{
    return sl_error_set(err, SL_E_AUTH, ENOKEY, "%s", what);
}

static int unwrap_element(const struct sl_key_ring *ring, const struct sl_wrapped_key *key,
                          struct sl_layer_key *ret, struct sl_error *err)
{
    if (!protocols[key->protocol].unwrap)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "keys wrapped with %s are not supported",
                            protocols[key->protocol].name);
    SL_AUTO_DONE(sl_bytes) element = {0};
    int r = sl_base64_decode(key->text, &element, err);
    if (r < 0)
        return r;
    return protocols[key->protocol].unwrap(ring, sl_bytes_span(&element), ret, err);
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

int sl_key_ring_unwrap(const struct sl_key_ring *ring, const struct sl_enc_annotations *a,
                       struct sl_layer_key *ret, struct sl_unwrapped *how, struct sl_error *err)
{
    struct sl_error all = {0};
    for (size_t i = 0; i < a->n_keys; i++) {
        const struct sl_wrapped_key *key = &a->keys[i];
        struct sl_error one = {0};
        struct sl_layer_key found = {.protocol = protocols[key->protocol].name};
        int r = unwrap_element(ring, key, &found, &one);
        if (r == 0) {
            *ret = found;
            if (how)
                how->index = i;
            sl_wipe(&found, sizeof(found));
            return 0;
        }
        collect(&all, key, &one);
        if (r == -ENOMEM || one.code == SL_E_CANCELLED)
            break;
    }
    return sl_error_set(err, all.code, all.errnum, "%s", all.msg);
}
