/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hot kernels over fixed data, for whoever counts their instructions
 * (tests/integration/test_instruction_counts.py):
 *
 *   instruction_driver FOLDER            under callgrind, which counts each kernel_…() by itself;
 *                                        FOLDER has layer.tar, layer.tar.gz, layer.tar.zst and
 * tree/ instruction_driver step NAME UNITS   counts by stepping through a child, one instruction at
 * a time: for instructions that valgrind does not know instruction_driver compiler          says
 * what made it: counts are those of one compiler
 */
#include "aes256_ctr.h"
#include "expansion_limit.h"
#include "sluice/core/flow.h"
#include "sluice/untar.h"
#include "stage_decrypt.h"
#include "staged_stub.h"
#include "tar_reader.h"

#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    FILE_MAX = 64 << 20, /* bytes of one input */
    LANE_ROUNDS = 1000,
    FLOW_BUFFERS = 256,
    FLOW_SEGMENTS = 3,
    EXPANSION_CALLS = 10000,
    STEPS_MAX = 10 * 1000 * 1000,
};

/* Callgrind finds them by name: each stays one function, under its name. */
#define KERNEL __attribute__((noinline, noclone, used)) static void

#define DEMAND(x)                                                                                  \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "instruction_driver: line %d: %s\n", __LINE__, #x);                    \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* ---- what takes everything ---- */

static int drop(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    (void)stage;
    (void)err;
    sl_buf_release(bufp);
    return 0;
}

static int drop_finish(struct sl_stage *stage, struct sl_error *err)
{
    (void)stage;
    (void)err;
    return 0;
}

static void drop_close(struct sl_stage *stage)
{
    (void)stage;
}

static int pass(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    return sl_stage_push(stage->next, bufp, err);
}

static const struct sl_stage_ops drop_ops = {
    .name = "drop", .push = drop, .finish = drop_finish, .close = drop_close};
static const struct sl_stage_ops pass_ops = {
    .name = "pass", .push = pass, .finish = drop_finish, .close = drop_close};

/* ---- a stage and its lanes ---- */

struct road {
    struct sl_buf_pool *pool;
    struct sl_buf_lane *in, *out;
    struct sl_stage end;
};

static void road_open(struct road *road)
{
    enum { BUFFERS = 4 };
    *road = (struct road){.end.ops = &drop_ops};
    DEMAND(sl_buf_pool_new(2 * (size_t)BUFFERS * SL_BUF_SIZE, &road->pool, NULL) == 0);
    DEMAND(sl_buf_lane_open(road->pool, BUFFERS, &road->in, NULL) == 0);
    DEMAND(sl_buf_lane_open(road->pool, BUFFERS, &road->out, NULL) == 0);
}

static void road_close(struct road *road)
{
    (void)sl_buf_lane_close(road->in);
    (void)sl_buf_lane_close(road->out);
    (void)sl_buf_pool_free(road->pool);
}

static void drive(struct road *road, struct sl_stage *stage, struct sl_span in)
{
    while (in.len) {
        struct sl_buf *buf = sl_buf_acquire(road->in);
        buf->len = in.len < buf->cap ? in.len : buf->cap;
        memcpy(buf->data, in.data, buf->len);
        in = (struct sl_span){in.data + buf->len, in.len - buf->len};
        DEMAND(sl_stage_push(stage, &buf, NULL) == 0);
    }
    DEMAND(sl_stage_finish(stage, NULL) == 0);
}

KERNEL kernel_gzip(struct road *road, struct sl_stage *stage, struct sl_span in)
{
    drive(road, stage, in);
}

KERNEL kernel_zstd(struct road *road, struct sl_stage *stage, struct sl_span in)
{
    drive(road, stage, in);
}

KERNEL kernel_unpack(struct road *road, struct sl_stage *stage, struct sl_span in)
{
    drive(road, stage, in);
}

static void run_decompress(struct sl_span in,
                           void (*kernel)(struct road *road, struct sl_stage *stage,
                                          struct sl_span in))
{
    struct road road;
    struct sl_stage *stage = NULL;
    road_open(&road);
    DEMAND(sl_stage_decompress_new(road.out, /* limits= */ NULL, &stage, NULL) == 0);
    stage->next = &road.end;
    kernel(&road, stage, in);
    (void)sl_stage_close(stage);
    road_close(&road);
}

static void run_unpack(const char *tree, struct sl_span tar)
{
    struct road road;
    struct sl_stage *stage = NULL;
    struct sl_staged_layer staged = {.fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    DEMAND(staged.fd >= 0);
    road_open(&road);
    DEMAND(sl_stage_untar_new(&staged, /* options= */ NULL, &stage, NULL) == 0);
    kernel_unpack(&road, stage, tar);
    (void)sl_stage_close(stage);
    road_close(&road);
    staged_stub_done(&staged);
}

/* ---- the tar reader by itself ---- */

static int ignore_begin(void *arg, const struct sl_tar_entry *entry, struct sl_error *err)
{
    (void)arg;
    (void)entry;
    (void)err;
    return 0;
}

static int ignore_data(void *arg, struct sl_span data, uint64_t offset, struct sl_error *err)
{
    (void)arg;
    (void)data;
    (void)offset;
    (void)err;
    return 0;
}

static int ignore_end(void *arg, struct sl_error *err)
{
    (void)arg;
    (void)err;
    return 0;
}

KERNEL kernel_tar_reader(struct sl_tar_reader *reader, struct sl_span tar)
{
    DEMAND(sl_tar_reader_push(reader, tar, NULL) == 0);
    DEMAND(sl_tar_reader_finish(reader, NULL) == 0);
}

static void run_tar_reader(struct sl_span tar)
{
    const struct sl_tar_sink sink = {.begin = ignore_begin, .data = ignore_data, .end = ignore_end};
    struct sl_tar_reader *reader = NULL;
    DEMAND(sl_tar_reader_new(/* limits= */ NULL, &sink, &reader, NULL) == 0);
    kernel_tar_reader(reader, tar);
    (void)sl_tar_reader_free(reader);
}

/* ---- lanes, limits, flows ---- */

KERNEL kernel_lane(struct sl_buf_lane *lane)
{
    for (int i = 0; i < LANE_ROUNDS; i++) {
        struct sl_buf *buf = sl_buf_acquire(lane);
        sl_buf_release(&buf);
    }
}

static void run_lane(void)
{
    struct road road;
    road_open(&road);
    kernel_lane(road.in);
    road_close(&road);
}

KERNEL kernel_expansion(struct sl_expansion *x)
{
    for (int i = 0; i < EXPANSION_CALLS; i++)
        DEMAND(sl_expansion_add(x, 100, 300, NULL) == 0);
}

static void run_expansion(void)
{
    struct sl_expansion x;
    sl_expansion_init(&x, NULL);
    kernel_expansion(&x);
}

/* Keeps the only worker busy until all is fed, so that the same thing happens every time. */
struct gate {
    struct sl_task task;
    pthread_mutex_t lock;
};

static void pass_gate(struct sl_task *task)
{
    struct gate *gate = (struct gate *)task;
    pthread_mutex_lock(&gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static void flow_done(void *arg, int r, const struct sl_error *err)
{
    (void)err;
    *(int *)arg = r;
}

KERNEL kernel_flow(struct sl_flow *flow, struct sl_buf_lane *lane, struct gate *gate,
                   struct sl_worker_pool *workers)
{
    for (int i = 0; i < FLOW_BUFFERS; i++) {
        struct sl_buf *buf = sl_buf_acquire(lane);
        buf->len = 1;
        sl_flow_feed(flow, &buf);
    }
    sl_flow_end(flow, 0, NULL);
    pthread_mutex_unlock(&gate->lock);
    sl_task_wait_idle(&gate->task);
    (void)sl_worker_pool_free(workers); /* once all is done */
}

static void run_flow(void)
{
    struct sl_buf_pool *pool = NULL;
    struct sl_buf_lane *lane = NULL;
    struct sl_worker_pool *workers = NULL;
    struct sl_flow *flow = NULL;
    struct sl_stage stages[FLOW_SEGMENTS];
    struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER};
    int result = 1;
    const struct sl_flow_events events = {.done = flow_done, .arg = &result};
    DEMAND(sl_buf_pool_new((size_t)FLOW_BUFFERS * SL_BUF_SIZE, &pool, NULL) == 0);
    DEMAND(sl_buf_lane_open(pool, FLOW_BUFFERS, &lane, NULL) == 0);
    DEMAND(sl_worker_pool_new(1, &workers, NULL) == 0);
    DEMAND(sl_flow_new(workers, &events, &flow, NULL) == 0);
    for (size_t i = 0; i < FLOW_SEGMENTS; i++) {
        stages[i] = (struct sl_stage){.ops = i + 1 < FLOW_SEGMENTS ? &pass_ops : &drop_ops};
        struct sl_stage *stage = &stages[i];
        DEMAND(sl_flow_add(flow, &stage, SL_NEW_SEGMENT, NULL) == 0);
    }
    pthread_mutex_lock(&gate.lock);
    sl_task_init(&gate.task, workers, pass_gate);
    sl_task_wake(&gate.task);
    sl_flow_start(flow);
    kernel_flow(flow, lane, &gate, workers);
    DEMAND(result == 0);
    (void)sl_flow_free(flow);
    (void)sl_buf_lane_close(lane);
    (void)sl_buf_pool_free(pool);
}

/* ---- stepping ---- */

static uint8_t message[64 * 1024];

static void step_sha256_pair(size_t blocks)
{
    uint32_t first[8] = {1}, second[8] = {2};
    sl_sha256_pair_blocks(first, second, message, blocks);
    __asm__ volatile("" ::"r"(first), "r"(second) : "memory"); /* somebody wants them */
}

static void step_sha256_two(size_t blocks)
{
    uint32_t first[8] = {1}, second[8] = {2};
    const size_t half = sizeof(message) / 2;
    sl_sha256_two_blocks(first, message, second, message + half, blocks);
    __asm__ volatile("" ::"r"(first), "r"(second) : "memory");
}

static void step_encrypt_pair(size_t blocks)
{
    static const uint8_t key[SL_AES256_KEY_SIZE], nonce[SL_AES_BLOCK];
    uint32_t first[8] = {1}, second[8] = {2};
    struct sl_aes256_ctr ctr;
    sl_aes256_ctr_init(&ctr, key, nonce);
    sl_aes256_ctr_encrypt_pair(&ctr, first, second, message, blocks);
    __asm__ volatile("" ::"r"(first), "r"(second) : "memory");
}

static struct sl_stage *decrypt;
static struct road decrypt_road;

static void open_decrypt(void)
{
    static const struct sl_layer_key key = {.lek = {1}, .nonce = {2}, .protocol = "jwe"};
    static const uint8_t hmac[SL_HMAC_SIZE];
    static const struct sl_digest digest = {.alg = SL_SHA256};
    road_open(&decrypt_road);
    DEMAND(sl_stage_decrypt_new(&key, hmac, &digest, UINT64_MAX, &decrypt, NULL) == 0);
    decrypt->next = &decrypt_road.end;
}

static void step_decrypt(size_t blocks)
{
    struct sl_buf *buf = sl_buf_acquire(decrypt_road.in);
    buf->len = blocks * SL_SHA256_BLOCK;
    DEMAND(sl_stage_push(decrypt, &buf, NULL) == 0);
}

static const struct {
    const char *name;
    void (*open)(void);
    void (*run)(size_t units);
} steps[] = {
    {"sha256_pair", NULL, step_sha256_pair},
    {"sha256_two", NULL, step_sha256_two},
    {"encrypt_pair", NULL, step_encrypt_pair},
    {"decrypt", open_decrypt, step_decrypt},
};

/* Where the program itself lies; what libraries do is theirs. */
struct range {
    uintptr_t first, end;
};

static int own_range(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    struct range *range = arg;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && (p->p_flags & PF_X))
            *range = (struct range){info->dlpi_addr + p->p_vaddr,
                                    info->dlpi_addr + p->p_vaddr + p->p_memsz};
    }
    return 1; /* the first is the program */
}

static void be_stepped(size_t which, size_t units)
{
    if (steps[which].open)
        steps[which].open();
    steps[which].run(units); /* what is done once is done now */
    DEMAND(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
    (void)raise(SIGSTOP);
    steps[which].run(units);
    (void)raise(SIGSTOP);
    _exit(0);
}

/* From one SIGSTOP to the next. */
static long count_steps(pid_t child)
{
    struct range own = {0};
    int status;
    long n = 0;
    (void)dl_iterate_phdr(own_range, &own);
    DEMAND(waitpid(child, &status, 0) == child && WIFSTOPPED(status) &&
           WSTOPSIG(status) == SIGSTOP);
    for (long i = 0;; i++) {
        DEMAND(i < STEPS_MAX);
        uintptr_t at = (uintptr_t)ptrace(PTRACE_PEEKUSER, child,
                                         (void *)offsetof(struct user_regs_struct, rip), NULL);
        DEMAND(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0);
        DEMAND(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
        n += at >= own.first && at < own.end;
        if (WSTOPSIG(status) != SIGTRAP)
            break;
    }
    DEMAND(WSTOPSIG(status) == SIGSTOP);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, &status, 0);
    return n;
}

static int run_step(const char *name, size_t units)
{
    DEMAND(units * SL_SHA256_BLOCK <= sizeof(message) / 2);
    if (!sl_aes256_ctr_is_supported()) /* and SHA */
        return 77;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (strcmp(steps[i].name, name) != 0)
            continue;
        pid_t child = fork();
        DEMAND(child >= 0);
        if (child == 0)
            be_stepped(i, units);
        printf("%ld\n", count_steps(child));
        return 0;
    }
    fprintf(stderr, "instruction_driver: no kernel is named %s\n", name);
    return 2;
}

static struct sl_bytes read_input(const char *folder, const char *name)
{
    struct sl_bytes data = {0};
    SL_AUTO_FREE char *path = sl_strf("%s/%s", folder, name);
    struct sl_error err;
    if (!path || sl_read_file(AT_FDCWD, path, FILE_MAX, &data, &err) < 0) {
        fprintf(stderr, "instruction_driver: %s\n", path ? err.msg : "out of memory");
        exit(1);
    }
    return data;
}

#ifdef __clang__
#define COMPILER "clang"
#define COMPILER_MAJOR __clang_major__
#else
#define COMPILER "gcc"
#define COMPILER_MAJOR __GNUC__
#endif

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "compiler") == 0)
        return printf("%s %d\n", COMPILER, COMPILER_MAJOR) < 0;
    if (argc == 4 && strcmp(argv[1], "step") == 0)
        return run_step(argv[2], strtoul(argv[3], NULL, 10));
    if (argc != 2) {
        fprintf(stderr, "usage: instruction_driver FOLDER | step NAME UNITS\n");
        return 2;
    }
    SL_AUTO_DONE(sl_bytes) tar = read_input(argv[1], "layer.tar");
    SL_AUTO_DONE(sl_bytes) gz = read_input(argv[1], "layer.tar.gz");
    SL_AUTO_DONE(sl_bytes) zst = read_input(argv[1], "layer.tar.zst");
    SL_AUTO_FREE char *tree = sl_strf("%s/tree", argv[1]);
    run_decompress(sl_bytes_span(&gz), kernel_gzip);
    run_decompress(sl_bytes_span(&zst), kernel_zstd);
    run_tar_reader(sl_bytes_span(&tar));
    run_unpack(tree, sl_bytes_span(&tar));
    run_lane();
    run_expansion();
    run_flow();
    return 0;
}
