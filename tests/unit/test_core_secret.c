/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "sluice/core/secret.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 100 };

static volatile bool is_watching, was_wiped;

void __real_free(void *p);
void __wrap_free(void *p);

/* What the ordinary heap gets back must be zero. */
void __wrap_free(void *p)
{
    static const uint8_t zeros[SIZE];
    if (p && is_watching)
        was_wiped = memcmp(p, zeros, SIZE) == 0;
    __real_free(p);
}

static bool is_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

/* Runs body in a child, since the locked heap is set up once for a process. */
static void in_child(int (*body)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(body());
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* The flags of the mapping that holds p, from smaps: " lo " locked, " dd " not in core dumps. */
static bool has_flags(const void *p, const char *flag, const char *other)
{
    char line[512];
    unsigned long first = 0, end = 0, a = 0, b = 0;
    bool found = false;
    FILE *f = fopen("/proc/self/smaps", "re");
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%lx-%lx ", &a, &b) == 2)
            first = a, end = b;
        if (strncmp(line, "VmFlags:", 8) == 0 && (unsigned long)p >= first &&
            (unsigned long)p < end)
            found = strstr(line, flag) && strstr(line, other);
    }
    if (f)
        (void)fclose(f);
    return found;
}

static int check_locked(void)
{
    sl_secret_init();
    uint8_t *p = sl_secret_alloc(SIZE);
    if (!p || !is_zero(p, SIZE) || !CRYPTO_secure_allocated(p))
        return 1;
    if (!has_flags(p, " lo ", " dd "))
        return 2;
    memset(p, 7, SIZE);
    (void)sl_secret_release(p);
    /* The block is still mapped; its first words are the list of free ones. */
    if (!is_zero(p + 32, SIZE - 32))
        return 3;
    uint8_t *again = sl_secret_alloc(SIZE);
    if (!again || !is_zero(again, SIZE))
        return 4;
    (void)sl_secret_release(again);
    return CRYPTO_secure_used() ? 5 : 0;
}

static int check_unlockable(void)
{
    const struct rlimit none = {0};
    if (setrlimit(RLIMIT_MEMLOCK, &none) < 0 || (geteuid() == 0 && setuid(65534) < 0))
        return 1;
    sl_secret_init();
    uint8_t *p = sl_secret_alloc(SIZE);
    if (!p || !is_zero(p, SIZE) || has_flags(p, " lo ", ""))
        return 2;
    (void)sl_secret_release(p);
    return 0;
}

static int check_full(void)
{
    static void *all[100];
    sl_secret_init();
    for (size_t i = 0; i < 100; i++) {
        all[i] = sl_secret_alloc(32 * 1024);
        if (!all[i] || !is_zero(all[i], 32 * 1024))
            return 1;
        memset(all[i], 7, 32 * 1024);
    }
    if (!CRYPTO_secure_allocated(all[0]) || CRYPTO_secure_allocated(all[99]))
        return 2;
    for (size_t i = 0; i < 100; i++)
        (void)sl_secret_release(all[i]);
    return CRYPTO_secure_used() ? 3 : 0;
}

/* Bytes that OpenSSL frees, also when it moves a block that grows. */
static int check_openssl(void)
{
    sl_secret_init();
    uint8_t *p = OPENSSL_malloc(SIZE);
    if (!p)
        return 1;
    memset(p, 7, SIZE);
    was_wiped = false;
    is_watching = true;
    uint8_t *moved = OPENSSL_realloc(p, (size_t)16 * SIZE);
    is_watching = false;
    if (!moved || !was_wiped || moved[0] != 7 || moved[SIZE - 1] != 7)
        return 2;
    was_wiped = false;
    is_watching = true;
    OPENSSL_free(moved);
    is_watching = false;
    return was_wiped ? 0 : 3;
}

static void secret_is_locked_kept_from_dumps_and_wiped(void **state)
{
    (void)state;
    in_child(check_locked);
}

static void secret_that_cannot_be_locked_is_given_all_the_same(void **state)
{
    (void)state;
    in_child(check_unlockable);
}

static void secret_beyond_the_locked_heap_is_ordinary(void **state)
{
    (void)state;
    in_child(check_full);
}

static void openssl_wipes_what_it_frees(void **state)
{
    (void)state;
    in_child(check_openssl);
}

static void secret_without_the_locked_heap_is_wiped_too(void **state)
{
    (void)state;
    uint8_t *p = sl_secret_alloc(SIZE);
    assert_non_null(p);
    assert_true(is_zero(p, SIZE));
    assert_false(CRYPTO_secure_allocated(p));
    memset(p, 7, SIZE);
    is_watching = true;
    (void)sl_secret_release(p);
    is_watching = false;
    assert_true(was_wiped);
}

static void secret_release_accepts_null_and_keeps_errno(void **state)
{
    (void)state;
    errno = ENOKEY;
    assert_null(sl_secret_release(NULL));
    assert_null(sl_secret_release(sl_secret_alloc(1)));
    assert_int_equal(errno, ENOKEY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secret_is_locked_kept_from_dumps_and_wiped),
        cmocka_unit_test(secret_that_cannot_be_locked_is_given_all_the_same),
        cmocka_unit_test(secret_beyond_the_locked_heap_is_ordinary),
        cmocka_unit_test(openssl_wipes_what_it_frees),
        cmocka_unit_test(secret_without_the_locked_heap_is_wiped_too),
        cmocka_unit_test(secret_release_accepts_null_and_keeps_errno),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
