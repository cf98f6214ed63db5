/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/bytes.h"

#include <openssl/crypto.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct sl_span sl_span_of(const char *text)
{
    return (struct sl_span){(const uint8_t *)text, text ? strlen(text) : 0};
}

struct sl_span sl_bytes_span(const struct sl_bytes *b)
{
    return (struct sl_span){b->data, b->len};
}

bool sl_span_is_equal(struct sl_span a, struct sl_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Moves to new memory by hand: realloc() would leave a secret behind in the old one. */
static int grow(struct sl_bytes *b, size_t need, struct sl_error *err)
{
    size_t cap = b->cap ? b->cap : 256;
    while (cap < need)
        cap *= 2;
    uint8_t *bigger = malloc(cap);
    if (!bigger)
        return sl_error_oom(err);
    if (b->data) {
        memcpy(bigger, b->data, b->len);
        sl_wipe(b->data, b->len);
        free(b->data);
    }
    b->data = bigger;
    b->cap = cap;
    return 0;
}

int sl_bytes_append(struct sl_bytes *b, struct sl_span more, size_t limit, struct sl_error *err)
{
    if (b->len > limit || more.len > limit - b->len)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "larger than %zu bytes", limit);
    size_t need = b->len + more.len + 1;
    if (need > b->cap) {
        int r = grow(b, need, err);
        if (r < 0)
            return r;
    }
    if (more.len)
        memcpy(b->data + b->len, more.data, more.len);
    b->len += more.len;
    b->data[b->len] = 0;
    return 0;
}

void sl_bytes_done(struct sl_bytes *b)
{
    int saved = errno;
    free(b->data);
    *b = (struct sl_bytes){0};
    errno = saved;
}

void sl_bytes_wipe(struct sl_bytes *b)
{
    sl_wipe(b->data, b->cap);
    sl_bytes_done(b);
}

/* Copying leaves pieces in vector registers, until somebody needs these. The dynamic linker saves
 * them all on the stack when a library calls a function for the first time, and so keys got there.
 */
#ifdef __x86_64__
#define CLEAR(n) "vpxord %%xmm" #n ", %%xmm" #n ", %%xmm" #n "\n\t"

__attribute__((target("avx512vl"))) static void wipe_registers_avx512(void)
{
    __asm__ volatile(
        CLEAR(16) CLEAR(17) CLEAR(18) CLEAR(19) CLEAR(20) CLEAR(21) CLEAR(22) CLEAR(23) CLEAR(24)
            CLEAR(25) CLEAR(26) CLEAR(27) CLEAR(28) CLEAR(29) CLEAR(30) CLEAR(31)::
                : "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24",
                  "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31");
}

__attribute__((target("avx"))) static void wipe_registers_avx(void)
{
    __asm__ volatile("vzeroall" ::
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                           "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

static void wipe_registers(void)
{
    if (__builtin_cpu_supports("avx"))
        wipe_registers_avx();
    if (__builtin_cpu_supports("avx512vl"))
        wipe_registers_avx512();
}
#else
static void wipe_registers(void)
{
}
#endif

void sl_wipe(void *p, size_t len)
{
    if (!p)
        return;
    OPENSSL_cleanse(p, len);
    wipe_registers();
}

__attribute__((noinline)) void sl_wipe_stack(void)
{
    uint8_t below[16 * 1024];
    sl_wipe(below, sizeof(below));
}

void sl_secret_free(char *secret)
{
    int saved = errno;
    if (secret)
        sl_wipe(secret, strlen(secret));
    free(secret);
    errno = saved;
}

void sl_cleanup_secretp(char **pp)
{
    sl_secret_free(*pp);
}

void sl_hex_format(struct sl_span bytes, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.len; i++) {
        *out++ = digits[bytes.data[i] >> 4];
        *out++ = digits[bytes.data[i] & 15];
    }
    *out = 0;
}

static int hex_nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool sl_hex_parse(const char *hex, uint8_t *out, size_t size)
{
    if (strlen(hex) / 2 != size || strlen(hex) % 2)
        return false;
    for (size_t i = 0; i < size; i++) {
        int hi = hex_nibble(hex[2 * i]), lo = hex_nibble(hex[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}

char *sl_strf(const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    return n < 0 ? NULL : text;
}

static int read_all(int fd, const char *path, size_t limit, struct sl_bytes *b,
                    struct sl_error *err)
{
    uint8_t chunk[16 * 1024];
    int r = 0;
    ssize_t n = 1;
    while (r == 0 && n != 0) {
        n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        /* With nothing left, too: an empty file is a document that has its NUL. */
        r = n < 0 ? sl_error_system(err, errno, "%s", path)
                  : sl_bytes_append(b, (struct sl_span){chunk, (size_t)n}, limit, err);
        if (r < 0 && n >= 0)
            r = sl_error_wrap(err, r, "%s", path);
    }
    sl_wipe(chunk, sizeof(chunk));
    return r;
}

int sl_read_file(int dirfd, const char *path, size_t limit, struct sl_bytes *ret,
                 struct sl_error *err)
{
    /* O_NONBLOCK: a FIFO without a writer must not hang us. */
    SL_AUTO_FD fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return sl_error_system(err, errno, "%s", path);
    struct stat st;
    if (fstat(fd, &st) < 0)
        return sl_error_system(err, errno, "%s", path);
    if (S_ISDIR(st.st_mode))
        return sl_error_system(err, EISDIR, "%s", path);
    /* A pipe that somebody has opened for us, as in <(command), is read to its end. */
    if (fcntl(fd, F_SETFL, O_RDONLY) < 0)
        return sl_error_system(err, errno, "%s", path);
    struct sl_bytes b = {0};
    int r = read_all(fd, path, limit, &b, err);
    if (r < 0) {
        sl_bytes_wipe(&b);
        return r;
    }
    *ret = b;
    return 0;
}
