/* SPDX-License-Identifier: Apache-2.0 */
/* Every case runs with io_uring, where there is one, and with pread. */
#include "sluice/core/ring.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

enum { FILE_SIZE = 10000, CHUNK = 1024, N_READS = 4 };

static uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 7 + i / 251);
}

static int make_file(void)
{
    FILE *f = tmpfile();
    assert_non_null(f);
    for (size_t i = 0; i < FILE_SIZE; i++)
        assert_int_equal(fputc(pattern(i), f), pattern(i));
    assert_int_equal(fflush(f), 0);
    int fd = dup(fileno(f));
    fclose(f);
    assert_true(fd >= 0);
    return fd;
}

static unsigned flags_of(void **state)
{
    return *(const unsigned *)*state;
}

static struct sl_ring *make_ring(unsigned entries, unsigned flags)
{
    struct sl_ring *ring = NULL;
    struct sl_error err = {0};
    assert_int_equal(sl_ring_new(entries, flags, &ring, &err), 0);
    if (flags & SL_RING_PLAIN)
        assert_true(sl_ring_is_plain(ring));
    return ring;
}

static void ring_reads_whole_file_several_in_flight(void **state)
{
    SL_AUTO_FD fd = make_file();
    SL_AUTO(sl_ring) ring = make_ring(N_READS, flags_of(state));
    static uint8_t data[FILE_SIZE];
    memset(data, 0, sizeof(data));
    size_t asked = 0, got = 0;
    while (got < FILE_SIZE) {
        while (asked < FILE_SIZE) {
            size_t len = FILE_SIZE - asked < CHUNK ? FILE_SIZE - asked : CHUNK;
            int r = sl_ring_read(ring, fd, data + asked, len, asked, data + asked, NULL);
            if (r == -EAGAIN)
                break;
            assert_int_equal(r, 0);
            asked += len;
        }
        struct sl_ring_done done;
        assert_int_equal(sl_ring_wait(ring, &done, NULL), 0);
        assert_true(done.result > 0);
        assert_int_equal(((uint8_t *)done.tag - data) % CHUNK, 0);
        got += (size_t)done.result;
    }
    assert_int_equal(sl_ring_in_flight(ring), 0);
    for (size_t i = 0; i < FILE_SIZE; i++)
        assert_int_equal(data[i], pattern(i));
}

static void ring_full_answers_eagain_and_recovers(void **state)
{
    SL_AUTO_FD fd = make_file();
    SL_AUTO(sl_ring) ring = make_ring(2, flags_of(state));
    struct sl_error err = {0};
    uint8_t data[3][16];
    assert_int_equal(sl_ring_read(ring, fd, data[0], 16, 0, data[0], &err), 0);
    assert_int_equal(sl_ring_read(ring, fd, data[1], 16, 16, data[1], &err), 0);
    assert_int_equal(sl_ring_read(ring, fd, data[2], 16, 32, data[2], &err), -EAGAIN);
    assert_int_equal(err.code, SL_OK);
    struct sl_ring_done done;
    assert_int_equal(sl_ring_wait(ring, &done, &err), 0);
    assert_int_equal(sl_ring_read(ring, fd, data[2], 16, 32, data[2], &err), 0);
    assert_int_equal(sl_ring_in_flight(ring), 2);
}

static void ring_at_end_of_file_reads_short_then_zero(void **state)
{
    SL_AUTO_FD fd = make_file();
    SL_AUTO(sl_ring) ring = make_ring(1, flags_of(state));
    uint8_t data[64];
    struct sl_ring_done done;
    assert_int_equal(sl_ring_read(ring, fd, data, 64, FILE_SIZE - 10, NULL, NULL), 0);
    assert_int_equal(sl_ring_wait(ring, &done, NULL), 0);
    assert_int_equal(done.result, 10);
    assert_int_equal(sl_ring_read(ring, fd, data, 64, FILE_SIZE, NULL, NULL), 0);
    assert_int_equal(sl_ring_wait(ring, &done, NULL), 0);
    assert_int_equal(done.result, 0);
}

static void ring_bad_descriptor_gives_ebadf(void **state)
{
    SL_AUTO(sl_ring) ring = make_ring(1, flags_of(state));
    uint8_t data[16];
    struct sl_ring_done done;
    assert_int_equal(sl_ring_read(ring, -1, data, 16, 0, data, NULL), 0);
    assert_int_equal(sl_ring_wait(ring, &done, NULL), 0);
    assert_int_equal(done.result, -EBADF);
    assert_ptr_equal(done.tag, data);
}

static void ring_directory_gives_eisdir(void **state)
{
    SL_AUTO_FD fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    SL_AUTO(sl_ring) ring = make_ring(1, flags_of(state));
    uint8_t data[16];
    struct sl_ring_done done;
    assert_int_equal(sl_ring_read(ring, fd, data, 16, 0, NULL, NULL), 0);
    assert_int_equal(sl_ring_wait(ring, &done, NULL), 0);
    assert_int_equal(done.result, -EISDIR);
}

static void ring_wait_with_nothing_in_flight_fails(void **state)
{
    SL_AUTO(sl_ring) ring = make_ring(1, flags_of(state));
    struct sl_ring_done done = {.result = 77};
    struct sl_error err = {0};
    assert_int_equal(sl_ring_wait(ring, &done, &err), -EINVAL);
    assert_int_equal(err.code, SL_E_SYSTEM);
    assert_int_equal(done.result, 77);
}

static void ring_freed_with_reads_in_flight_is_clean(void **state)
{
    SL_AUTO_FD fd = make_file();
    struct sl_ring *ring = make_ring(N_READS, flags_of(state));
    uint8_t data[2][512];
    assert_int_equal(sl_ring_read(ring, fd, data[0], 512, 0, NULL, NULL), 0);
    assert_int_equal(sl_ring_read(ring, fd, data[1], 512, 512, NULL, NULL), 0);
    assert_null(sl_ring_free(ring));
}

static void ring_absurd_requests_are_refused(void **state)
{
    SL_AUTO(sl_ring) ring = make_ring(1, flags_of(state));
    struct sl_error err = {0};
    uint8_t data[1];
    assert_int_equal(sl_ring_read(ring, 0, data, (size_t)SL_RING_READ_MAX + 1, 0, NULL, &err),
                     -EINVAL);
    assert_int_equal(sl_ring_read(ring, 0, data, 1, UINT64_MAX, NULL, &err), -EINVAL);
    assert_int_equal(sl_ring_in_flight(ring), 0);
    struct sl_ring *none = NULL;
    assert_int_equal(sl_ring_new(0, flags_of(state), &none, &err), -EINVAL);
    assert_int_equal(sl_ring_new(SL_RING_ENTRIES_MAX + 1, flags_of(state), &none, &err), -EINVAL);
    assert_null(none);
}

/* io_uring_setup() needs a descriptor: without one to spare it fails, and reads still work. */
static void ring_setup_refused_falls_back_to_plain(void **state)
{
    (void)state;
    SL_AUTO_FD fd = make_file();
    struct rlimit saved, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &saved), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = saved.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct sl_ring *made = NULL;
    int r = sl_ring_new(1, 0, &made, NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &saved), 0);
    SL_AUTO(sl_ring) ring = made;
    assert_int_equal(r, 0);
    assert_true(sl_ring_is_plain(ring));
    uint8_t data[16];
    struct sl_ring_done done;
    assert_int_equal(sl_ring_read(ring, fd, data, 16, 0, NULL, NULL), 0);
    assert_int_equal(sl_ring_wait(ring, &done, NULL), 0);
    assert_int_equal(done.result, 16);
    assert_int_equal(data[15], pattern(15));
}

#define BOTH(test)                                                                                 \
    {#test "/uring", test, NULL, NULL, &default_flags},                                            \
    {                                                                                              \
#test "/plain", test, NULL, NULL, &plain                                                   \
    }

int main(void)
{
    static unsigned default_flags, plain = SL_RING_PLAIN;
    const struct CMUnitTest tests[] = {
        BOTH(ring_reads_whole_file_several_in_flight),
        BOTH(ring_full_answers_eagain_and_recovers),
        BOTH(ring_at_end_of_file_reads_short_then_zero),
        BOTH(ring_bad_descriptor_gives_ebadf),
        BOTH(ring_directory_gives_eisdir),
        BOTH(ring_wait_with_nothing_in_flight_fails),
        BOTH(ring_freed_with_reads_in_flight_is_clean),
        BOTH(ring_absurd_requests_are_refused),
        cmocka_unit_test(ring_setup_refused_falls_back_to_plain),
    };
    SL_AUTO(sl_ring) probe = make_ring(1, 0);
    print_message("io_uring: %s\n", sl_ring_is_plain(probe) ? "not available" : "available");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
