/* SPDX-License-Identifier: Apache-2.0 */
/*
 * element_driver wrap PROTOCOL [--pgp-home DIR] RECIPIENT…     < plain   > element
 * element_driver unwrap PROTOCOL [--pgp-home DIR] KEY…         < element > plain
 *
 * With "unwrap-at-once", several threads use one ring, and must all get the same; with
 * "unwrap-often" they do so many times, with "unwrap-apart" each has a ring of its own each time.
 *
 * $PGP_DEADLINE_MS is how long gpg has.
 *
 * One wrapped key without annotations around it. "error CODE: MESSAGE" and status 1 on failure.
 */
#include "key_ring.h"
#include "recipients.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 8, ROUNDS_MAX = 100 };

struct protocol {
    const char *name;
    sl_unwrap_fn *unwrap;
    sl_wrap_fn *wrap;
};

static const struct protocol protocols[] = {
    {"pgp", sl_unwrap_pgp, sl_wrap_pgp},
    {"pkcs11", sl_unwrap_pkcs11, sl_wrap_pkcs11},
};

static const struct protocol *find(const char *name)
{
    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
        if (strcmp(protocols[i].name, name) == 0)
            return &protocols[i];
    return NULL;
}

static int pgp_deadline_ms(void)
{
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): before there are threads */
    const char *text = getenv("PGP_DEADLINE_MS");
    return text ? atoi(text) : 0;
}

static int wrap(const struct protocol *protocol, const char *home, char **values,
                struct sl_span text, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO(sl_recipients) recipients = NULL;
    int r = sl_recipients_new(&recipients, err);
    if (r == 0)
        recipients->pgp_deadline_ms = pgp_deadline_ms();
    if (r == 0)
        r = sl_recipients_set_pgp_home(recipients, home, err);
    for (; r == 0 && *values; values++)
        r = sl_recipients_add_spec(recipients, *values, err);
    return r < 0 ? r : protocol->wrap(recipients, text, ret, err);
}

/* How often, and with which ring. */
struct way {
    const char *name;
    size_t n_threads;
    size_t n_rounds;
    bool is_own; /* a new ring each time */
};

static const struct way ways[] = {
    {"unwrap", 1, 1, false},
    {"unwrap-at-once", THREADS_MAX, 1, false},
    {"unwrap-often", 8, ROUNDS_MAX, false},
    {"unwrap-apart", 8, ROUNDS_MAX, true},
};

static const struct way *find_way(const char *name)
{
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        if (strcmp(ways[i].name, name) == 0)
            return &ways[i];
    return NULL;
}

struct one {
    const struct way *way;
    const struct protocol *protocol;
    pthread_barrier_t *start; /* of a round, which all begin together */
    struct sl_key_ring *rings[ROUNDS_MAX];
    struct sl_span text;
    struct sl_bytes result;
    struct sl_error err;
    int r;
};

static void *unwrap_all(void *arg)
{
    struct one *one = arg;
    for (size_t i = 0; i < one->way->n_rounds; i++) {
        (void)pthread_barrier_wait(one->start);
        sl_bytes_wipe(&one->result);
        if (one->r == 0)
            one->r = one->protocol->unwrap(one->rings[i], one->text, &one->result, &one->err);
        if (one->way->is_own)
            sl_key_ring_free(one->rings[i]);
    }
    return NULL;
}

static int make_ring(const char *home, char **values, struct sl_key_ring **ret,
                     struct sl_error *err)
{
    SL_AUTO(sl_key_ring) ring = NULL;
    int r = sl_key_ring_new(&ring, err);
    if (r == 0)
        ring->pgp_deadline_ms = pgp_deadline_ms();
    if (r == 0)
        r = sl_key_ring_set_pgp_home(ring, home, err);
    for (; r == 0 && *values; values++)
        r = sl_key_ring_add_spec(ring, *values, err);
    if (r == 0)
        *ret = sl_steal(&ring);
    return r;
}

/* The first failure, or what all got. */
static int join(struct one *all, const pthread_t *threads, size_t n, struct sl_bytes *ret,
                struct sl_error *err)
{
    int r = 0;
    for (size_t i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
        if (all[i].r < 0 && r == 0) {
            r = all[i].r;
            *err = all[i].err;
        }
        if (all[i].r == 0 && all[0].r == 0 &&
            (all[i].result.len != all[0].result.len ||
             memcmp(all[i].result.data, all[0].result.data, all[0].result.len) != 0))
            abort();
        if (i > 0 || r < 0)
            sl_bytes_wipe(&all[i].result);
    }
    if (r == 0)
        *ret = all[0].result;
    return r;
}

/* All rings are there before the threads, since key files may change the environment. */
static int unwrap(const struct way *way, const struct protocol *protocol, const char *home,
                  char **values, struct sl_span text, struct sl_bytes *ret, struct sl_error *err)
{
    static struct one all[THREADS_MAX];
    pthread_barrier_t start;
    pthread_t threads[THREADS_MAX];
    SL_AUTO(sl_key_ring) ring = NULL;
    int r = make_ring(home, values, &ring, err);
    if (r < 0)
        return r;
    if (pthread_barrier_init(&start, NULL, (unsigned)way->n_threads) != 0)
        abort();
    for (size_t i = 0; i < way->n_threads; i++) {
        all[i] = (struct one){.way = way, .protocol = protocol, .start = &start, .text = text};
        for (size_t k = 0; k < way->n_rounds; k++) {
            all[i].rings[k] = ring;
            if (way->is_own && make_ring(home, values, &all[i].rings[k], err) < 0)
                abort();
        }
    }
    for (size_t i = 0; i < way->n_threads; i++)
        if (pthread_create(&threads[i], NULL, unwrap_all, &all[i]) != 0)
            abort();
    return join(all, threads, way->n_threads, ret, err);
}

int main(int argc, char **argv)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    SL_AUTO_DONE(sl_bytes) result = {0};
    struct sl_error err = {0};
    const struct protocol *protocol = argc > 2 ? find(argv[2]) : NULL;
    const struct way *way = protocol ? find_way(argv[1]) : NULL;
    if (!protocol || (!way && strcmp(argv[1], "wrap") != 0))
        return 2;
    bool has_home = argc > 4 && strcmp(argv[3], "--pgp-home") == 0;
    const char *home = has_home ? argv[4] : NULL;
    char **values = argv + (has_home ? 5 : 3);
    int r = sl_read_file(AT_FDCWD, "/dev/stdin", 1 << 20, &text, &err);
    if (r == 0 && way)
        r = unwrap(way, protocol, home, values, sl_bytes_span(&text), &result, &err);
    else if (r == 0)
        r = wrap(protocol, home, values, sl_bytes_span(&text), &result, &err);
    if (r == 0)
        return fwrite(result.data, 1, result.len, stdout) == result.len ? 0 : 1;
    printf("error %s: %s\n", sl_errc_name(err.code), err.msg);
    return 1;
}
