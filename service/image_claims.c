/* SPDX-License-Identifier: Apache-2.0 */
#include "image_claims.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct sl_image_claim {
    LIST_ENTRY(sl_image_claim) all;
    struct sl_image_claims *claims;
    unsigned n_refs;
    char *manifest;
};

struct sl_image_claims {
    pthread_mutex_t lock; /* guards all below, and the claims */
    pthread_cond_t removed;
    LIST_HEAD(, sl_image_claim) list;
    const char *removing; /* lent by who removes; NULL: nothing is */
    void (*on_free)(void *arg);
    void *arg;
};

int sl_image_claims_new(struct sl_image_claims **ret, struct sl_error *err)
{
    struct sl_image_claims *claims = calloc(1, sizeof(*claims));
    if (!claims)
        return sl_error_oom(err);
    pthread_mutex_init(&claims->lock, NULL);
    pthread_cond_init(&claims->removed, NULL);
    LIST_INIT(&claims->list);
    *ret = claims;
    return 0;
}

struct sl_image_claims *sl_image_claims_free(struct sl_image_claims *claims)
{
    if (!claims)
        return NULL;
    pthread_cond_destroy(&claims->removed);
    pthread_mutex_destroy(&claims->lock);
    free(claims);
    return NULL;
}

void sl_image_claims_watch(struct sl_image_claims *claims, void (*fn)(void *arg), void *arg)
{
    claims->on_free = fn;
    claims->arg = arg;
}

/* ---- claims ---- */

/* Locked. */
static struct sl_image_claim *find(const struct sl_image_claims *claims, const char *manifest)
{
    struct sl_image_claim *claim;
    LIST_FOREACH(claim, &claims->list, all)
    if (strcmp(claim->manifest, manifest) == 0)
        return claim;
    return NULL;
}

/* Locked. NULL: out of memory. */
static struct sl_image_claim *add(struct sl_image_claims *claims, const char *manifest)
{
    struct sl_image_claim *claim = calloc(1, sizeof(*claim));
    char *copy = strdup(manifest);
    if (!claim || !copy) {
        free(claim);
        free(copy);
        return NULL;
    }
    claim->claims = claims;
    claim->manifest = copy;
    LIST_INSERT_HEAD(&claims->list, claim, all);
    return claim;
}

int sl_image_claim_take(struct sl_image_claims *claims, const char *manifest,
                        struct sl_image_claim **ret, struct sl_error *err)
{
    pthread_mutex_lock(&claims->lock);
    while (claims->removing && strcmp(claims->removing, manifest) == 0)
        pthread_cond_wait(&claims->removed, &claims->lock);
    struct sl_image_claim *claim = find(claims, manifest);
    if (!claim)
        claim = add(claims, manifest);
    if (claim)
        claim->n_refs++;
    pthread_mutex_unlock(&claims->lock);
    if (!claim)
        return sl_error_oom(err);
    *ret = claim;
    return 0;
}

struct sl_image_claim *sl_image_claim_share(struct sl_image_claim *claim)
{
    if (!claim)
        return NULL;
    pthread_mutex_lock(&claim->claims->lock);
    claim->n_refs++;
    pthread_mutex_unlock(&claim->claims->lock);
    return claim;
}

struct sl_image_claim *sl_image_claim_drop(struct sl_image_claim *claim)
{
    if (!claim)
        return NULL;
    struct sl_image_claims *claims = claim->claims;
    pthread_mutex_lock(&claims->lock);
    bool is_last = --claim->n_refs == 0;
    if (is_last)
        LIST_REMOVE(claim, all);
    pthread_mutex_unlock(&claims->lock);
    if (is_last) {
        free(claim->manifest);
        free(claim);
        if (claims->on_free)
            claims->on_free(claims->arg);
    }
    return NULL;
}

/* ---- removals ---- */

bool sl_image_claims_begin_removal(struct sl_image_claims *claims, const char *manifest)
{
    pthread_mutex_lock(&claims->lock);
    while (claims->removing)
        pthread_cond_wait(&claims->removed, &claims->lock);
    bool may = !find(claims, manifest);
    if (may)
        claims->removing = manifest;
    pthread_mutex_unlock(&claims->lock);
    return may;
}

void sl_image_claims_end_removal(struct sl_image_claims *claims)
{
    pthread_mutex_lock(&claims->lock);
    claims->removing = NULL;
    pthread_cond_broadcast(&claims->removed);
    pthread_mutex_unlock(&claims->lock);
}
