/* SPDX-License-Identifier: Apache-2.0 */
#include "answer_cache.h"

#include "sluice/core/secret.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Images choose the questions: what comes after these is asked again each time. */
enum { ENTRIES_MAX = 4096 };

struct entry {
    struct entry *next;
    unsigned users; /* those who ask or wait; while there are any, the entry stays */
    bool is_settled, is_kept;
    int result;
    struct sl_error error;
    uint8_t *answer; /* of sl_secret_alloc */
    size_t answer_len;
    size_t question_len;
    uint8_t question[];
};

struct sl_answer_cache {
    pthread_mutex_t lock;
    pthread_cond_t settled;
    struct entry *entries; /* under way or kept */
    size_t n_kept;
    bool keeps_refusals;
};

int sl_answer_cache_new(bool keeps_refusals, struct sl_answer_cache **ret, struct sl_error *err)
{
    struct sl_answer_cache *cache = calloc(1, sizeof(*cache));
    if (!cache)
        return sl_error_oom(err);
    cache->keeps_refusals = keeps_refusals;
    (void)pthread_mutex_init(&cache->lock, NULL);
    (void)pthread_cond_init(&cache->settled, NULL);
    *ret = cache;
    return 0;
}

static void entry_free(struct entry *entry)
{
    (void)sl_secret_release(entry->answer);
    free(entry);
}

struct sl_answer_cache *sl_answer_cache_free(struct sl_answer_cache *cache)
{
    if (!cache)
        return NULL;
    while (cache->entries) {
        struct entry *entry = cache->entries;
        cache->entries = entry->next;
        entry_free(entry);
    }
    (void)pthread_cond_destroy(&cache->settled);
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache);
    return NULL;
}

/* ---- entries, under the lock ---- */

static struct entry *find(struct sl_answer_cache *cache, struct sl_span question)
{
    for (struct entry *e = cache->entries; e; e = e->next)
        if (e->question_len == question.len &&
            memcmp(e->question, question.data, question.len) == 0)
            return e;
    return NULL;
}

static struct entry *add(struct sl_answer_cache *cache, struct sl_span question)
{
    struct entry *entry = calloc(1, sizeof(*entry) + question.len);
    if (!entry)
        return NULL;
    memcpy(entry->question, question.data, question.len);
    entry->question_len = question.len;
    entry->next = cache->entries;
    cache->entries = entry;
    return entry;
}

static void unlink_entry(struct sl_answer_cache *cache, struct entry *entry)
{
    struct entry **p = &cache->entries;
    while (*p != entry)
        p = &(*p)->next;
    *p = entry->next;
}

/* Whether somebody was asked and said no. */
static bool is_refusal(enum sl_errc code)
{
    return code == SL_E_AUTH || code == SL_E_FORMAT || code == SL_E_INTEGRITY ||
           code == SL_E_POLICY || code == SL_E_UNSUPPORTED;
}

static bool is_worth_keeping(const struct sl_answer_cache *cache, const struct entry *entry)
{
    if (cache->n_kept >= ENTRIES_MAX)
        return false;
    return entry->result == 0 || (cache->keeps_refusals && is_refusal(entry->error.code));
}

static void settle(struct sl_answer_cache *cache, struct entry *entry, struct sl_span answer)
{
    if (entry->result == 0) {
        entry->answer = sl_secret_alloc(answer.len ? answer.len : 1);
        if (!entry->answer)
            entry->result = sl_error_oom(&entry->error);
        else if (answer.len)
            memcpy(entry->answer, answer.data, answer.len);
        entry->answer_len = answer.len;
    }
    entry->is_settled = true;
    entry->is_kept = is_worth_keeping(cache, entry);
    if (entry->is_kept)
        cache->n_kept++;
    else
        unlink_entry(cache, entry);
    (void)pthread_cond_broadcast(&cache->settled);
}

static int copy_answer(const struct entry *entry, struct sl_bytes *ret, struct sl_error *err)
{
    if (entry->result < 0) {
        if (err)
            *err = entry->error;
        return entry->result;
    }
    return sl_bytes_append(ret, (struct sl_span){entry->answer, entry->answer_len}, SIZE_MAX, err);
}

/* ---- asking ---- */

/* Called and left with the lock held. */
static void ask_once(struct sl_answer_cache *cache, struct entry *entry, sl_ask_fn *ask, void *arg)
{
    struct sl_bytes answer = {0};
    (void)pthread_mutex_unlock(&cache->lock);
    int r = ask(arg, &answer, &entry->error);
    (void)pthread_mutex_lock(&cache->lock);
    entry->result = r;
    settle(cache, entry, sl_bytes_span(&answer));
    sl_bytes_wipe(&answer);
}

int sl_answer_cache_get(struct sl_answer_cache *cache, struct sl_span question, sl_ask_fn *ask,
                        void *arg, struct sl_bytes *ret, struct sl_error *err)
{
    int r;
    (void)pthread_mutex_lock(&cache->lock);
    struct entry *entry = find(cache, question);
    bool is_first = !entry;
    if (is_first)
        entry = add(cache, question);
    if (entry) {
        entry->users++;
        if (is_first)
            ask_once(cache, entry, ask, arg);
        while (!entry->is_settled)
            (void)pthread_cond_wait(&cache->settled, &cache->lock);
        r = copy_answer(entry, ret, err);
        if (--entry->users == 0 && !entry->is_kept)
            entry_free(entry);
    } else {
        r = sl_error_oom(err);
    }
    (void)pthread_mutex_unlock(&cache->lock);
    return r;
}
