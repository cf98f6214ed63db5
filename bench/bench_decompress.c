/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decompression stage against the plain libraries, in bytes of output per second. Layers of
 * words and of noise in turn, which compress about as program files do; to measure with a layer
 * of your own, name a tar file in SLUICE_BENCH_LAYER.
 */
#include "bench_case.h"

#include "sluice/decompress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum { MIB = 1024 * 1024, IN_BUFFERS = 1, OUT_BUFFERS = 2, MEMBER_SIZE = 64 * 1024 };

enum variant { STAGE_GZIP, STAGE_MEMBERS, ZLIB, STAGE_ZSTD, LIBZSTD, STAGE_PLAIN };

struct decompress_run {
    enum variant variant;
    struct sl_bytes plain, stream;
    struct sl_buf_pool *pool;
    struct sl_buf_lane *in, *out;
};

static void tear_down(void *state)
{
    struct decompress_run *s = state;
    (void)sl_buf_lane_close(s->in);
    (void)sl_buf_lane_close(s->out);
    (void)sl_buf_pool_free(s->pool);
    free(s->plain.data);
    free(s->stream.data);
    free(s);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* One piece in four is noise of few bits, the others words from a small vocabulary. */
static void fill(uint8_t *to, size_t len)
{
    uint32_t seed = 1;
    for (size_t at = 0; at < len;) {
        uint32_t kind = next_random(&seed) % 4, word = next_random(&seed) % 4096;
        for (size_t end = at + 4 + word % 12; at < end && at < len; at++)
            to[at] = kind ? (uint8_t)(word = word * 75 + 74) : (uint8_t)next_random(&seed);
    }
}

static int read_layer(struct sl_bytes *plain, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return -errno;
    size_t n = fread(plain->data, 1, plain->len, f);
    (void)fclose(f);
    return n == plain->len ? 0 : -EINVAL; /* too short for the case */
}

static int gzip_members(struct decompress_run *s, size_t member_size)
{
    for (size_t at = 0; at < s->plain.len; at += member_size) {
        z_stream z = {0};
        size_t n = s->plain.len - at < member_size ? s->plain.len - at : member_size;
        if (deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
            return -ENOMEM;
        z.next_in = s->plain.data + at;
        z.avail_in = (uInt)n;
        z.next_out = s->stream.data + s->stream.len;
        z.avail_out = (uInt)(s->stream.cap - s->stream.len);
        int r = deflate(&z, Z_FINISH);
        s->stream.len += z.total_out;
        deflateEnd(&z);
        if (r != Z_STREAM_END)
            return -EIO;
    }
    return 0;
}

static int compress_plain(struct decompress_run *s)
{
    s->stream.cap = s->plain.len + s->plain.len / 4 + MIB;
    s->stream.data = malloc(s->stream.cap);
    if (!s->stream.data)
        return -ENOMEM;
    switch (s->variant) {
    case STAGE_GZIP:
    case ZLIB:
        return gzip_members(s, s->plain.len);
    case STAGE_MEMBERS:
        return gzip_members(s, MEMBER_SIZE);
    case STAGE_PLAIN:
        memcpy(s->stream.data, s->plain.data, s->stream.len = s->plain.len);
        return 0;
    default:
        s->stream.len =
            ZSTD_compress(s->stream.data, s->stream.cap, s->plain.data, s->plain.len, 3);
        return ZSTD_isError(s->stream.len) ? -EIO : 0;
    }
}

static int prepare(struct decompress_run *s, const struct sl_bench_case *c)
{
    s->variant = (enum variant)c->variant;
    s->plain = (struct sl_bytes){.data = malloc(c->bytes), .len = c->bytes};
    if (!s->plain.data)
        return -ENOMEM;
    const char *path = getenv("SLUICE_BENCH_LAYER");
    int r = path ? read_layer(&s->plain, path) : (fill(s->plain.data, s->plain.len), 0);
    if (!r)
        r = compress_plain(s);
    if (!r)
        r = sl_buf_pool_new((size_t)(IN_BUFFERS + OUT_BUFFERS) * SL_BUF_SIZE, &s->pool, NULL);
    if (!r)
        r = sl_buf_lane_open(s->pool, IN_BUFFERS, &s->in, NULL);
    return r ? r : sl_buf_lane_open(s->pool, OUT_BUFFERS, &s->out, NULL);
}

static int set_up(const struct sl_bench_case *c, void **ret_state)
{
    struct decompress_run *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    int r = prepare(s, c);
    if (r) {
        tear_down(s);
        return r;
    }
    *ret_state = s;
    return 0;
}

/* The stage is at the end of the road: its output goes straight home. */
static int run_stage(void *state)
{
    struct decompress_run *s = state;
    SL_AUTO(sl_stage) stage = NULL;
    int r = sl_stage_decompress_new(s->out, /* limits= */ NULL, &stage, NULL);
    for (size_t at = 0; r == 0 && at < s->stream.len;) {
        struct sl_buf *buf = sl_buf_acquire(s->in);
        buf->len = s->stream.len - at < buf->cap ? s->stream.len - at : buf->cap;
        memcpy(buf->data, s->stream.data + at, buf->len);
        at += buf->len;
        r = sl_stage_push(stage, &buf, NULL);
        sl_buf_release(&buf);
    }
    return r ? r : sl_stage_finish(stage, NULL);
}

static int run_zlib(void *state)
{
    static uint8_t out[SL_BUF_SIZE];
    struct decompress_run *s = state;
    z_stream z = {.next_in = s->stream.data, .avail_in = (uInt)s->stream.len};
    if (inflateInit2(&z, MAX_WBITS + 16) != Z_OK)
        return -ENOMEM;
    int r;
    do {
        z.next_out = out;
        z.avail_out = sizeof(out);
        r = inflate(&z, Z_NO_FLUSH);
    } while (r == Z_OK);
    inflateEnd(&z);
    return r == Z_STREAM_END ? 0 : -EIO;
}

/* One call, the whole layer in memory: what no puller can do. */
static int run_libzstd(void *state)
{
    struct decompress_run *s = state;
    size_t n = ZSTD_decompress(s->plain.data, s->plain.len, s->stream.data, s->stream.len);
    return n == s->plain.len ? 0 : -EIO;
}

#define CASE(name_, variant_, size, run_, rival_)                                                  \
    {                                                                                              \
        "decompress/" name_, rival_, size, variant_, set_up, run_, tear_down, NULL                 \
    }

static const struct sl_bench_case cases[] = {
    CASE("gzip/isal/64MiB", STAGE_GZIP, 64 * MIB, run_stage, "decompress/gzip/zlib/64MiB"),
    CASE("gzip/isal/1MiB", STAGE_GZIP, MIB, run_stage, "decompress/gzip/zlib/1MiB"),
    CASE("gzip/isal_members/64MiB", STAGE_MEMBERS, 64 * MIB, run_stage,
         "decompress/gzip/isal/64MiB"),
    CASE("gzip/zlib/64MiB", ZLIB, 64 * MIB, run_zlib, "decompress/gzip/isal/64MiB"),
    CASE("gzip/zlib/1MiB", ZLIB, MIB, run_zlib, "decompress/gzip/isal/1MiB"),
    CASE("zstd/stream/64MiB", STAGE_ZSTD, 64 * MIB, run_stage, "decompress/zstd/one_call/64MiB"),
    CASE("zstd/one_call/64MiB", LIBZSTD, 64 * MIB, run_libzstd, "decompress/zstd/stream/64MiB"),
    CASE("plain/64MiB", STAGE_PLAIN, 64 * MIB, run_stage, "one copy into the buffers"),
};

const struct sl_bench_table sl_bench_decompress = {cases, sizeof(cases) / sizeof(cases[0])};
