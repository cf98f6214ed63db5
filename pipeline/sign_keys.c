/* SPDX-License-Identifier: Apache-2.0 */
/* The secrets of a run: read once, from files or the environment, and told to nobody. */
#include "signing.h"

#include "sluice/core/secret.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { PASSPHRASE_MAX = 4 * 1024 /* bytes of its file */ };

/* In memory for secrets. */
static int keep_passphrase(struct sl_span text, struct signing *s, struct sl_error *err)
{
    char *copy = sl_secret_alloc(text.len + 1);
    if (!copy)
        return sl_error_oom(err);
    s->passphrase = memcpy(copy, text.data, text.len);
    return 0;
}

/* The newline at the end is an editor's. */
static int take_line(struct sl_span text, struct signing *s, struct sl_error *err)
{
    if (text.len > 0 && text.data[text.len - 1] == '\n')
        text.len--;
    if (text.len > 0 && text.data[text.len - 1] == '\r')
        text.len--;
    if (memchr(text.data, '\n', text.len) || memchr(text.data, '\0', text.len))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "it has more than one line of text");
    return keep_passphrase(text, s, err);
}

static int read_passphrase(struct signing *s, struct sl_error *err)
{
    struct sl_bytes text = {0};
    const char *path = s->options->passphrase_file;
    int r = sl_read_file(AT_FDCWD, path, PASSPHRASE_MAX, &text, err);
    if (r == 0) {
        r = take_line(sl_bytes_span(&text), s, err);
        if (r < 0)
            r = sl_error_wrap(err, r, "%.200s", path);
    }
    sl_bytes_wipe(&text);
    return r < 0 ? sl_error_wrap(err, r, "passphrase file") : 0;
}

/* cosign's variable; an empty one is a passphrase, which sl_environment_get() would not say. */
static int open_passphrase(struct signing *s, struct sl_error *err)
{
    if (s->options->passphrase_file)
        return read_passphrase(s, err);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes the environment */
    const char *text = s->options->key ? getenv("COSIGN_PASSWORD") : NULL;
    return text ? keep_passphrase(sl_span_of(text), s, err) : 0;
}

static int read_key(struct signing *s, struct sl_error *err)
{
    struct sl_bytes pem = {0};
    const char *path = s->options->key;
    int r = sl_read_file(AT_FDCWD, path, SL_SIGNING_KEY_MAX, &pem, err);
    bool was_read = r == 0;
    if (was_read)
        r = sl_signing_key_parse(sl_bytes_span(&pem), s->passphrase, &s->key, err);
    sl_bytes_wipe(&pem);
    if (!was_read)
        return r;
    if (r == -ENOKEY)
        return sl_error_set(err, SL_E_AUTH, ENOKEY,
                            "%.200s: the private key needs a passphrase: give --passphrase-file, "
                            "or set COSIGN_PASSWORD",
                            path);
    return r < 0 ? sl_error_wrap(err, r, "%.200s", path) : 0;
}

int sl_sign_open_keys(struct signing *s, struct sl_error *err)
{
    int r = open_passphrase(s, err);
    return r < 0 || !s->options->key ? r : read_key(s, err);
}
