/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decompression stage against the plain libraries. Bytes are those of the output. zlib and
 * isa-l stream through one buffer of 256 KiB; libdeflate and zstd's single call have the whole
 * layer in memory, which no puller can.
 */
#include "bench_case.h"
#include "bench_data.h"
#include "bench_stage.h"

#include "sluice/decompress.h"

#ifdef SL_BENCH_LIBDEFLATE
#include <libdeflate.h>
#endif
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum { IN_BUFFERS = 1, OUT_BUFFERS = 2 };

struct decompress_run {
    struct sl_span stream;
    struct sl_bench_lanes lanes;
    struct inflate_state isal;
    uint8_t *plain; /* as much as there will be; touched by those who want it whole */
};

static void tear_down(struct sl_bench_run *run)
{
    struct decompress_run *s = run->state;
    sl_bench_lanes_done(&s->lanes);
    free(s->plain);
    free(s);
}

static int prepare(struct decompress_run *s, const struct sl_bench_case *c,
                   struct sl_bench_run *run, struct sl_error *err)
{
    struct sl_span plain;
    int r = sl_bench_data_tar(SL_BENCH_MIXED, &plain, err);
    r = r ? r : sl_bench_data_stream((enum sl_bench_format)c->variant, &s->stream, err);
    if (r < 0)
        return r;
    run->bytes = plain.len;
    s->plain = malloc(plain.len);
    return s->plain ? sl_bench_lanes_open(IN_BUFFERS, OUT_BUFFERS, &s->lanes, err)
                    : sl_error_oom(err);
}

static int set_up(const struct sl_bench_case *c, struct sl_bench_run *run, struct sl_error *err)
{
    struct decompress_run *s = calloc(1, sizeof(*s));
    if (!s)
        return sl_error_oom(err);
    *run = (struct sl_bench_run){.state = s};
    int r = prepare(s, c, run, err);
    if (r < 0)
        tear_down(run);
    return r;
}

static int complete(const struct sl_bench_run *run, uint64_t output, const char *who,
                    struct sl_error *err)
{
    if (output == run->bytes)
        return 0;
    return sl_error_set(err, SL_E_FORMAT, EIO, "%s has made %llu bytes of %llu", who,
                        (unsigned long long)output, (unsigned long long)run->bytes);
}

/* The stage is at the end of the road: its output goes straight home. */
static int run_stage(struct sl_bench_run *run, struct sl_error *err)
{
    struct decompress_run *s = run->state;
    SL_AUTO(sl_stage) stage = NULL;
    run->peak_bytes = sl_buf_pool_peak(s->lanes.pool) * SL_BUF_SIZE;
    int r = sl_stage_decompress_new(s->lanes.out, /* limits= */ NULL, &stage, err);
    return r ? r : sl_bench_push_all(&s->lanes, stage, s->stream, /* piece= */ 0, err);
}

static int run_zlib(struct sl_bench_run *run, struct sl_error *err)
{
    struct decompress_run *s = run->state;
    struct sl_buf *buf = sl_buf_acquire(s->lanes.out);
    z_stream z = {.next_in = (Bytef *)s->stream.data, .avail_in = (uInt)s->stream.len};
    uint64_t output = 0;
    int r = inflateInit2(&z, MAX_WBITS + 16);
    while (r == Z_OK) {
        z.next_out = buf->data;
        z.avail_out = (uInt)buf->cap;
        r = inflate(&z, Z_NO_FLUSH);
        output += buf->cap - z.avail_out;
        if (r == Z_STREAM_END && z.avail_in)
            r = inflateReset(&z); /* the next member */
    }
    (void)inflateEnd(&z);
    sl_buf_release(&buf);
    return complete(run, r == Z_STREAM_END ? output : 0, "zlib", err);
}

static int run_isal(struct sl_bench_run *run, struct sl_error *err)
{
    struct decompress_run *s = run->state;
    struct sl_buf *buf = sl_buf_acquire(s->lanes.out);
    struct inflate_state *z = &s->isal;
    uint64_t output = 0;
    int r = ISAL_DECOMP_OK;
    isal_inflate_init(z);
    z->crc_flag = ISAL_GZIP;
    z->next_in = (uint8_t *)s->stream.data; /* isa-l only reads it */
    z->avail_in = (uint32_t)s->stream.len;
    while (r == ISAL_DECOMP_OK && (z->block_state != ISAL_BLOCK_FINISH || z->avail_in)) {
        if (z->block_state == ISAL_BLOCK_FINISH) {
            isal_inflate_reset(z);
            z->crc_flag = ISAL_GZIP;
        }
        z->next_out = buf->data;
        z->avail_out = (uint32_t)buf->cap;
        r = isal_inflate(z);
        output += buf->cap - z->avail_out;
    }
    sl_buf_release(&buf);
    return complete(run, r == ISAL_DECOMP_OK ? output : 0, "isa-l", err);
}

#ifdef SL_BENCH_LIBDEFLATE
static int run_libdeflate(struct sl_bench_run *run, struct sl_error *err)
{
    struct decompress_run *s = run->state;
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    if (!d)
        return sl_error_oom(err);
    enum libdeflate_result r = LIBDEFLATE_SUCCESS;
    size_t at = 0, output = 0;
    while (r == LIBDEFLATE_SUCCESS && at < s->stream.len) {
        size_t in = 0, out = 0;
        r = libdeflate_gzip_decompress_ex(d, s->stream.data + at, s->stream.len - at,
                                          s->plain + output, run->bytes - output, &in, &out);
        at += in;
        output += out;
    }
    libdeflate_free_decompressor(d);
    return complete(run, r == LIBDEFLATE_SUCCESS ? output : 0, "libdeflate", err);
}
#else
static int run_libdeflate(struct sl_bench_run *run, struct sl_error *err)
{
    (void)run;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "built without libdeflate");
}
#endif

static int run_libzstd(struct sl_bench_run *run, struct sl_error *err)
{
    struct decompress_run *s = run->state;
    size_t n = ZSTD_decompress(s->plain, run->bytes, s->stream.data, s->stream.len);
    return complete(run, ZSTD_isError(n) ? 0 : n, "libzstd", err);
}

#define CASE(name_, format, run_, ...)                                                             \
    {                                                                                              \
        "decompress/" name_, {__VA_ARGS__}, SL_BENCH_CPU, format, 0, set_up, run_, tear_down, NULL \
    }
#define GZIP(name_, format)                                                                        \
    CASE(name_ "/stage", format, run_stage, "decompress/" name_ "/isal",                           \
         "decompress/" name_ "/zlib", "decompress/" name_ "/libdeflate"),                          \
        CASE(name_ "/isal", format, run_isal, NULL), CASE(name_ "/zlib", format, run_zlib, NULL),  \
        CASE(name_ "/libdeflate", format, run_libdeflate, NULL)
#define ZSTD(name_, format)                                                                        \
    CASE(name_ "/stage", format, run_stage, "decompress/" name_ "/one_call"),                      \
        CASE(name_ "/one_call", format, run_libzstd, NULL)

static const struct sl_bench_case cases[] = {
    GZIP("gzip", SL_BENCH_GZIP),
    GZIP("gzip_members", SL_BENCH_MEMBERS),
    ZSTD("zstd_1", SL_BENCH_ZSTD_1),
    ZSTD("zstd_3", SL_BENCH_ZSTD_3),
    ZSTD("zstd_9", SL_BENCH_ZSTD_9),
    ZSTD("zstd_19", SL_BENCH_ZSTD_19),
    CASE("plain/stage", SL_BENCH_PLAIN, run_stage, NULL),
};

const struct sl_bench_table sl_bench_decompress = {cases, sizeof(cases) / sizeof(cases[0])};
