/* SPDX-License-Identifier: Apache-2.0 */
/* Small pieces of memory outside the data path: lent spans, owned documents, secrets. */
#pragma once

#include "sluice/core/cleanup.h"
#include "sluice/core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Lent for the length of a call. */
struct sl_span {
    const uint8_t *data;
    size_t len;
};

/* Owned memory. There is always a NUL behind the last byte that len does not count. */
struct sl_bytes {
    uint8_t *data;
    size_t len;
    size_t cap;
};

/* A name and its value, both owned: annotations, labels. */
struct sl_pair {
    char *name;
    char *value;
};

struct sl_span sl_span_of(const char *text);
struct sl_span sl_bytes_span(const struct sl_bytes *b);
/* Not in constant time: nothing for secrets. */
bool sl_span_is_equal(struct sl_span a, struct sl_span b);

/* Appends; -ENOMEM, or -E2BIG with SL_E_LIMIT when the total would exceed limit bytes. */
SL_MUST_CHECK int sl_bytes_append(struct sl_bytes *b, struct sl_span more, size_t limit,
                                  struct sl_error *err);
void sl_bytes_done(struct sl_bytes *b);
/* Wipes, then frees. For keys and tokens. */
void sl_bytes_wipe(struct sl_bytes *b);
SL_DEFINE_AUTO_DONE(sl_bytes, sl_bytes_done)

/* Wipes memory in a way the compiler keeps, and what copies of it have left in vector registers. p
 * may be NULL. */
void sl_wipe(void *p, size_t len);
/* Overwrites what calls that have returned have left on the stack below the caller, as far as a
 * reader of text with keys in it may have gone. */
void sl_wipe_stack(void);
/* Wipes and frees a NUL-terminated secret. */
void sl_secret_free(char *secret);
void sl_cleanup_secretp(char **pp);
#define SL_AUTO_SECRET __attribute__((cleanup(sl_cleanup_secretp), unused)) char *

/* Standard alphabet with padding (RFC 4648 section 4), strict: no blanks, no stray bits. The
 * caller wipes *ret if it is secret. *ret must be empty. */
SL_MUST_CHECK int sl_base64_decode(struct sl_span text, struct sl_bytes *ret, struct sl_error *err);
/* URL alphabet without padding (RFC 4648 section 5), as JOSE uses it. */
SL_MUST_CHECK int sl_base64url_decode(struct sl_span text, struct sl_bytes *ret,
                                      struct sl_error *err);
/* Standard alphabet with padding, NUL-terminated, to be freed; NULL when out of memory. */
char *sl_base64_encode(struct sl_span bytes);
/* URL alphabet without padding; otherwise the same. */
char *sl_base64url_encode(struct sl_span bytes);
/* Lower-case hex, NUL-terminated; out has room for 2 * bytes.len + 1. */
void sl_hex_format(struct sl_span bytes, char *out);
/* Exactly 2 * size lower-case digits and nothing else; false otherwise. */
bool sl_hex_parse(const char *hex, uint8_t *out, size_t size);

/* printf into new memory, or NULL. */
char *sl_strf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The absolute path, without symbolic links, of what is open, to be freed; NULL with errno. Of a
 * folder that was removed it ends in " (deleted)", as proc(5) has it. */
char *sl_path_of_fd(int fd);

/* Puts a file of that mode (whatever the umask) in the place of what the name means, which need not
 * be there: whoever sees it sees all of it. name is that of one file in the folder. Nothing that is
 * there already, link, pipe or file with another name, is written to or waited for. */
SL_MUST_CHECK int sl_replace_file(int dirfd, const char *name, struct sl_span data, unsigned mode,
                                  struct sl_error *err);
/* All of it, whatever write(2) takes at once; 0, or -errno. */
int sl_write_all(int fd, struct sl_span data);
/* Reads a whole file relative to dirfd (AT_FDCWD allowed); more than limit bytes is SL_E_LIMIT.
 * Errors name the path. */
SL_MUST_CHECK int sl_read_file(int dirfd, const char *path, size_t limit, struct sl_bytes *ret,
                               struct sl_error *err);
