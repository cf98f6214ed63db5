/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of "sluice-bench limit". All times are in seconds. One thread; functions block.
 *
 *   limit.c          options, and the story: (measure, pull) as often as asked, then the report
 *   limit_image.c    the image: documents and keys
 *   limit_meter.c    clocks: this process, another one, threads of the kernel
 *   limit_wire.c     what receiving a blob costs
 *   limit_kernels.c  what sums, cipher, decompression and diff_id cost, from memory
 *   limit_tree.c     what a layer's tree costs
 *   limit_pull.c     a whole pull
 *   limit_bound.c    the bound: arithmetic only
 *   limit_report.c   table and JSON
 */
#pragma once

#include "sluice/key_unwrap.h"
#include "sluice/pipeline.h"

#include <sys/types.h>

enum {
    LIMIT_RUNS_MAX = 9,
    LIMIT_KEYS_MAX = 16, /* --decryption-key */
    LIMIT_COLUMNS_MAX = 64,
};

/* ---- what is measured ---- */

enum limit_part {
    LIMIT_RECEIVE,   /* the blob from the wire into memory */
    LIMIT_SERVER,    /* the registry's CPU, where it is on this machine */
    LIMIT_SUMS,      /* digest of the blob; of an encrypted one also its MAC */
    LIMIT_CIPHER,    /* AES-CTR */
    LIMIT_INFLATE,   /* decompression, whatever the format */
    LIMIT_DIFF_ID,   /* SHA-256 of the plain tar */
    LIMIT_TREE,      /* creating and filling its files */
    LIMIT_WRITE_OUT, /* threads of the kernel, until the tree is on its disk */
    LIMIT_PARTS,
};

struct limit_cost {
    double cpu;     /* of all threads together */
    double wall;    /* of what has one way to go: the least that it takes with cores enough */
    const char *by; /* static: whose code it was; NULL: not measured */
};

struct limit_layer {
    const struct sl_descriptor *blob;
    const struct sl_digest *diff_id;
    struct sl_enc_annotations *annotations; /* NULL: not encrypted */
    struct sl_layer_key *key;
    uint64_t plain_bytes;
    struct limit_cost runs[LIMIT_RUNS_MAX][LIMIT_PARTS];
    struct limit_cost costs[LIMIT_PARTS]; /* medians of them */
    double gnu_tar_cpu, gnu_tar_wall;     /* 0: not measured; for information */
};

struct limit_image {
    char *name; /* canonical */
    struct sl_registry *registry;
    struct sl_image_source *source;
    struct sl_resolved_image *resolved;
    struct sl_buf_pool *buffers;
    struct sl_worker_pool *worker; /* one */
    struct limit_layer *layers;
    size_t n_layers;
    bool insecure;
    pid_t server; /* 0: not on this machine, or not found */
};

struct limit_options {
    const char *image, *root;
    const char *decryption_keys[LIMIT_KEYS_MAX + 1];
    bool insecure, json;
    unsigned runs;
    pid_t server;
    uint64_t memory; /* bytes that may be used at once; 0: half of what is free */
};

/* ---- limit_meter.c ---- */

struct limit_meter {
    double cpu, wall;
};
/* Of this process, all threads. */
struct limit_meter limit_meter_now(void);
/* Adds what has passed since then. */
void limit_meter_add(struct limit_cost *to, struct limit_meter since);
/* CPU of one process so far; 0 for none, or when it is gone. */
double limit_process_cpu(pid_t pid);
/* CPU of all threads of the kernel so far. */
double limit_kernel_cpu(void);
/* The process that listens at host ("127.0.0.1:5000"), if that is this machine; 0: not found. */
pid_t limit_find_listener(const char *host);
/* What the system says could be used, bytes. */
uint64_t limit_free_memory(void);

/* ---- limit_image.c ---- */

/* Documents and keys; no layer. Done also when it fails. */
SL_MUST_CHECK int limit_image_open(const struct limit_options *options, struct limit_image *ret,
                                   struct sl_error *err);
void limit_image_done(struct limit_image *image);

/* ---- measuring ---- */

/* The better of what was and what is. */
void limit_keep_best(struct limit_cost *best, const struct limit_cost *other);

/* A stage at the end of the road that keeps what comes, at most limit bytes (SL_E_LIMIT), in *to;
 * *spent is the CPU that this takes. Both outlive it. */
SL_MUST_CHECK int limit_keeper_new(struct sl_bytes *to, size_t limit, double *spent,
                                   struct sl_stage **ret, struct sl_error *err);
/* Pushes bytes in buffers of lane, and finishes; the cost of that without filling the buffers. */
SL_MUST_CHECK int limit_drive(struct sl_stage *stage, struct sl_span bytes,
                              struct sl_buf_lane *lane, struct limit_cost *cost,
                              struct sl_error *err);

/* Into *blob, which is empty: SL_RECEIVE and SL_SERVER of costs. */
SL_MUST_CHECK int limit_receive(const struct limit_image *image, const struct limit_layer *layer,
                                struct sl_bytes *blob, struct limit_cost costs[LIMIT_PARTS],
                                struct sl_error *err);
/* Verifies the blob, decrypts it in place, and unpacks it into *plain, which is empty and gets at
 * most limit bytes. */
SL_MUST_CHECK int limit_decode(const struct limit_image *image, const struct limit_layer *layer,
                               struct sl_bytes *blob, struct sl_bytes *plain, size_t limit,
                               struct limit_cost costs[LIMIT_PARTS], struct sl_error *err);
/* Makes the tree in a store of its own at root, which it creates. With gnu_tar also by GNU tar. */
SL_MUST_CHECK int limit_make_tree(const struct limit_image *image, struct limit_layer *layer,
                                  struct sl_span plain, const char *root, bool gnu_tar,
                                  struct limit_cost costs[LIMIT_PARTS], struct sl_error *err);
/* Whether files of this folder live in memory only. */
bool limit_is_volatile(const char *root);
/* Before so many bytes are written to this volatile folder: uses more memory than that for a file,
 * and frees it. A virtual machine hands free memory back to its host, and whoever touches it next
 * waits for each page. As far as there is room: what is missing is dearer, not wrong. */
void limit_touch_memory(const char *folder, uint64_t bytes);

/* ---- limit_pull.c ---- */

struct limit_pull {
    double wall, cpu, server_cpu, kernel_cpu;
    double before, commit, after; /* until the first layer began; the longest commit; since the last
                                   * one's flow was through */
    struct sl_pull_report *report;
};
/* Into a fresh store at root, which it creates. */
SL_MUST_CHECK int limit_pull_once(const struct limit_options *options,
                                  const struct limit_image *image, const char *root,
                                  struct limit_pull *ret, struct sl_error *err);

/* ---- limit_bound.c ---- */

enum limit_reason {
    LIMIT_BY_CPU, /* all there is to do, by all cores */
    LIMIT_BY_RECEIVE,
    LIMIT_BY_SERVER,
    LIMIT_BY_CIPHER, /* sums and AES-CTR, which one thread does to each slice */
    LIMIT_BY_INFLATE,
    LIMIT_BY_DIFF_ID,
    LIMIT_BY_TREE,
    LIMIT_BY_WRITE_OUT, /* the tree and its way to the disk */
    LIMIT_BY_LINK,      /* of a registry elsewhere: all blobs, one after the other */
    LIMIT_REASONS,
};
struct limit_bound {
    double seconds;
    enum limit_reason reason;
    size_t layer; /* whose lane it is; of no meaning for CPU and link */
};
const char *limit_reason_name(enum limit_reason reason);
const char *limit_part_name(enum limit_part part);
/* Of one layer, CPU of a part or all of it. */
double limit_layer_cpu(const struct limit_layer *layer);
double limit_total_cpu(const struct limit_image *image);
struct limit_bound limit_bound_of(const struct limit_image *image, unsigned cores);

/* ---- limit_report.c ---- */

struct limit_result {
    const struct limit_options *options;
    const struct limit_image *image;
    const struct limit_pull *pulls;
    unsigned cores;
    double copy_rate; /* bytes per second from memory to memory */
    bool is_volatile;
};
void limit_print(const struct limit_result *result);
SL_MUST_CHECK int limit_print_json(const struct limit_result *result, struct sl_error *err);
