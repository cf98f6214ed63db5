/* SPDX-License-Identifier: Apache-2.0 */
/*
 * element_driver wrap PROTOCOL [--pgp-home DIR] RECIPIENT…     < plain   > element
 * element_driver unwrap PROTOCOL [--pgp-home DIR] KEY…         < element > plain
 *
 * One wrapped key without annotations around it. "error CODE: MESSAGE" and status 1 on failure.
 */
#include "key_ring.h"
#include "recipients.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

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

static int unwrap(const struct protocol *protocol, const char *home, char **values,
                  struct sl_span text, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO(sl_key_ring) ring = NULL;
    int r = sl_key_ring_new(&ring, err);
    if (r == 0)
        r = sl_key_ring_set_pgp_home(ring, home, err);
    for (; r == 0 && *values; values++)
        r = sl_key_ring_add_spec(ring, *values, err);
    return r < 0 ? r : protocol->unwrap(ring, text, ret, err);
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
    if (r == 0)
        r = (strcmp(argv[1], "wrap") == 0 ? wrap : unwrap)(protocol, home, values,
                                                           sl_bytes_span(&text), &result, &err);
    if (r == 0)
        return fwrite(result.data, 1, result.len, stdout) == result.len ? 0 : 1;
    printf("error %s: %s\n", sl_errc_name(err.code), err.msg);
    return 1;
}
