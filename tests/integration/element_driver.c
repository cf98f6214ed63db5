/* SPDX-License-Identifier: Apache-2.0 */
/*
 * element_driver wrap PROTOCOL [--pgp-home DIR] RECIPIENT…     < plain   > element
 * element_driver unwrap PROTOCOL [--pgp-home DIR] KEY…         < element > plain
 *
 * With "unwrap-at-once", several threads use one ring, and must all get the same.
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

enum { THREADS = 8 };

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

static int wrap(const struct protocol *protocol, const char *home, char **values,
                struct sl_span text, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO(sl_recipients) recipients = NULL;
    int r = sl_recipients_new(&recipients, err);
    if (r == 0)
        r = sl_recipients_set_pgp_home(recipients, home, err);
    for (; r == 0 && *values; values++)
        r = sl_recipients_add_spec(recipients, *values, err);
    return r < 0 ? r : protocol->wrap(recipients, text, ret, err);
}

struct one {
    const struct protocol *protocol;
    const struct sl_key_ring *ring;
    struct sl_span text;
    struct sl_bytes result;
    struct sl_error err;
    int r;
};

static void *unwrap_one(void *arg)
{
    struct one *one = arg;
    one->r = one->protocol->unwrap(one->ring, one->text, &one->result, &one->err);
    return NULL;
}

static int unwrap_with(const struct protocol *protocol, const struct sl_key_ring *ring,
                       size_t n_threads, struct sl_span text, struct sl_bytes *ret,
                       struct sl_error *err)
{
    struct one all[THREADS] = {0};
    pthread_t threads[THREADS];
    for (size_t i = 0; i < n_threads; i++) {
        all[i] = (struct one){.protocol = protocol, .ring = ring, .text = text};
        if (pthread_create(&threads[i], NULL, unwrap_one, &all[i]) != 0)
            abort();
    }
    int r = 0;
    for (size_t i = 0; i < n_threads; i++) {
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

static int unwrap(const struct protocol *protocol, size_t n_threads, const char *home,
                  char **values, struct sl_span text, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO(sl_key_ring) ring = NULL;
    int r = sl_key_ring_new(&ring, err);
    if (r == 0)
        r = sl_key_ring_set_pgp_home(ring, home, err);
    for (; r == 0 && *values; values++)
        r = sl_key_ring_add_spec(ring, *values, err);
    return r < 0 ? r : unwrap_with(protocol, ring, n_threads, text, ret, err);
}

int main(int argc, char **argv)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    SL_AUTO_DONE(sl_bytes) result = {0};
    struct sl_error err = {0};
    const struct protocol *protocol = argc > 2 ? find(argv[2]) : NULL;
    if (!protocol)
        return 2;
    bool has_home = argc > 4 && strcmp(argv[3], "--pgp-home") == 0;
    const char *home = has_home ? argv[4] : NULL;
    char **values = argv + (has_home ? 5 : 3);
    int r = sl_read_file(AT_FDCWD, "/dev/stdin", 1 << 20, &text, &err);
    if (r == 0 && strcmp(argv[1], "wrap") == 0)
        r = wrap(protocol, home, values, sl_bytes_span(&text), &result, &err);
    else if (r == 0)
        r = unwrap(protocol, strcmp(argv[1], "unwrap") == 0 ? 1 : THREADS, home, values,
                   sl_bytes_span(&text), &result, &err);
    if (r == 0)
        return fwrite(result.data, 1, result.len, stdout) == result.len ? 0 : 1;
    printf("error %s: %s\n", sl_errc_name(err.code), err.msg);
    return 1;
}
