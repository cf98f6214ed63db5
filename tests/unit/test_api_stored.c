/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "scratch_dir.h"

static struct sluice *open_store(const char *root)
{
    struct sluice *s = NULL;
    const struct sluice_options o =
        SLUICE_OPTIONS(sluice_options, .parts = SLUICE_STORE_ONLY, .root = root);
    assert_int_equal(sluice_open(&o, &s, NULL), 0);
    return s;
}

static size_t count_threads(void)
{
    char line[128];
    size_t n = 0;
    FILE *f = fopen("/proc/self/status", "re");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f))
        if (sscanf(line, "Threads: %zu", &n) == 1)
            break;
    assert_int_equal(fclose(f), 0);
    return n;
}

static void empty_store_has_empty_lists(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    struct sluice *s = open_store(dir.path);
    struct sluice_image_list *images = NULL;
    struct sluice_mount_list *mounts = NULL;
    assert_int_equal(sluice_list(s, &images, NULL), 0);
    assert_int_equal(images->n, 0);
    assert_int_equal(sluice_list_mounts(s, &mounts, NULL), 0);
    assert_int_equal(mounts->n, 0);
    assert_null(sluice_image_list_free(images));
    assert_null(sluice_mount_list_free(mounts));
    assert_null(sluice_image_list_free(NULL));
    assert_null(sluice_mount_list_free(NULL));
    assert_null(sluice_close(s));
}

static void empty_store_has_nothing_to_collect(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    struct sluice *s = open_store(dir.path);
    struct sluice_gc_result gc = SLUICE_OPTIONS(sluice_gc_result, .layers = 7);
    assert_int_equal(sluice_gc(s, /* dry_run= */ false, &gc, NULL), 0);
    assert_int_equal(gc.size, sizeof(gc));
    assert_int_equal(gc.layers, 0);
    assert_null(sluice_close(s));
}

static void image_that_is_not_there_is_told(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    struct sluice *s = open_store(dir.path);
    struct sluice_error err = {0};
    assert_int_equal(sluice_mount(s, "busybox", "/nowhere", false, &err), -ENOENT);
    assert_int_equal(err.code, SLUICE_E_SYSTEM);
    assert_non_null(strstr(err.message, "no image busybox in the store"));
    assert_int_equal(sluice_mount_bundle(s, "abcdef", "/nowhere", &err), -ENOENT);
    assert_int_equal(sluice_remove(s, NULL, false, &err), -EINVAL);
    assert_null(sluice_close(s));
}

static void store_alone_starts_no_thread_and_knows_its_disk(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    size_t before = count_threads();
    struct sluice *s = open_store(dir.path);
    struct sluice_usage usage = SLUICE_OPTIONS(sluice_usage);
    assert_int_equal(count_threads(), before);
    sluice_get_usage(s, &usage);
    assert_int_equal(usage.size, sizeof(usage));
    assert_int_equal(usage.buffers_limit, 0);
    assert_true(usage.store_total_bytes > 0);
    assert_true(usage.store_free_bytes <= usage.store_total_bytes);
    sluice_trim(s);
    assert_null(sluice_close(s));
}

static void whole_library_knows_its_buffers(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    struct sluice *s = NULL;
    struct sluice_usage usage = SLUICE_OPTIONS(sluice_usage);
    const struct sluice_options o =
        SLUICE_OPTIONS(sluice_options, .root = dir.path, .threads = 1, .memory = 8u << 20);
    assert_int_equal(sluice_open(&o, &s, NULL), 0);
    sluice_get_usage(s, &usage);
    assert_int_equal(usage.buffers_limit, 8u << 20);
    assert_int_equal(usage.buffer_bytes, 0);
    sluice_trim(s);
    assert_null(sluice_close(s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_store_has_empty_lists),
        cmocka_unit_test(empty_store_has_nothing_to_collect),
        cmocka_unit_test(image_that_is_not_there_is_told),
        cmocka_unit_test(store_alone_starts_no_thread_and_knows_its_disk),
        cmocka_unit_test(whole_library_knows_its_buffers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
