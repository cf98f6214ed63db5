/* SPDX-License-Identifier: Apache-2.0 */
/* What an archive may cost: each limit of unpacking, kept and exceeded by one. And what must not
 * show in the tree: the umask. (What comes out of archives is tested by untar_corpus.py.) */
#include "sluice/untar.h"

#include "stage_harness.h"
#include "staged_stub.h"
#include "tar_maker.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "scratch_dir.h"

/* Unpacks into root/ below dir, in one piece. */
static int unpack(const struct scratch_dir *dir, const struct sl_bytes *tar,
                  struct sl_untar_limits limits, struct sl_error *err)
{
    const struct sl_untar_options options = {.limits = limits};
    struct sl_staged_layer staged = {.fd = open(dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    struct sl_stage_harness h;
    struct sl_stage *stage = NULL;
    sl_stage_harness_open(&h, 1);
    assert_int_equal(sl_stage_untar_new(&staged, &options, &stage, NULL), 0);
    int r = sl_stage_harness_run(&h, &stage, sl_bytes_span(tar), (struct sl_cuts){0}, err);
    sl_stage_harness_close(&h);
    staged_stub_done(&staged);
    (void)close(staged.fd);
    return r;
}

static void assert_fits(const struct sl_bytes *tar, struct sl_untar_limits limits)
{
    SCRATCH_DIR dir = scratch_make();
    struct sl_error err = {0};
    if (unpack(&dir, tar, limits, &err) != 0)
        fail_msg("%s", err.msg);
}

static void assert_exceeds(const struct sl_bytes *tar, struct sl_untar_limits limits,
                           const char *text)
{
    SCRATCH_DIR dir = scratch_make();
    struct sl_error err = {0};
    assert_int_equal(unpack(&dir, tar, limits, &err), -E2BIG);
    assert_int_equal(err.code, SL_E_LIMIT);
    if (!strstr(err.msg, text))
        fail_msg("\"%s\" lacks \"%s\"", err.msg, text);
}

static void untar_entries_are_limited(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) tar = {0};
    for (int i = 0; i < 3; i++)
        tar_entry(&tar, "f", '0', "", 0);
    tar_end(&tar);
    assert_fits(&tar, (struct sl_untar_limits){.entries = 3});
    assert_exceeds(&tar, (struct sl_untar_limits){.entries = 2}, "more than 2 entries");
}

static void untar_file_size_is_limited(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) tar = {0};
    tar_entry(&tar, "f", '0', "12345", 5);
    tar_end(&tar);
    assert_fits(&tar, (struct sl_untar_limits){.file_size = 5});
    assert_exceeds(&tar, (struct sl_untar_limits){.file_size = 4}, "the limit for a file is 4");
}

/* Also when one name takes it all in turn. */
static void untar_total_size_is_limited(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) tar = {0};
    for (int i = 0; i < 3; i++)
        tar_entry(&tar, "f", '0', "12345", 5);
    tar_end(&tar);
    assert_fits(&tar, (struct sl_untar_limits){.total_size = 15});
    assert_exceeds(&tar, (struct sl_untar_limits){.total_size = 14}, "the limit of 14 bytes");
}

static void untar_extended_headers_are_limited(void **state)
{
    (void)state;
    static const char record[] = "20 comment=12345678\n";
    SL_AUTO_DONE(sl_bytes) tar = {0};
    tar_entry(&tar, "x", 'x', record, 20);
    tar_entry(&tar, "f", '0', "", 0);
    tar_end(&tar);
    assert_fits(&tar, (struct sl_untar_limits){.pax_size = 20});
    assert_exceeds(&tar, (struct sl_untar_limits){.pax_size = 19}, "19");
}

static void untar_path_is_limited(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) tar = {0};
    tar_entry(&tar, "12345678", '0', "", 0);
    tar_end(&tar);
    assert_fits(&tar, (struct sl_untar_limits){.path_size = 8});
    assert_exceeds(&tar, (struct sl_untar_limits){.path_size = 7}, "more than 7 bytes");
}

static void untar_depth_is_limited(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) tar = {0};
    tar_entry(&tar, "a/b/c", '0', "", 0);
    tar_end(&tar);
    assert_fits(&tar, (struct sl_untar_limits){.depth = 3});
    assert_exceeds(&tar, (struct sl_untar_limits){.depth = 2}, "more than 2 components");
}

static void assert_mode(const struct scratch_dir *dir, const char *name, mode_t mode)
{
    struct stat st;
    SL_AUTO_FREE char *path = scratch_path(dir, name);
    assert_int_equal(stat(path, &st), 0);
    if ((st.st_mode & 07777) != mode)
        fail_msg("%s has mode %o", name, st.st_mode & 07777u);
}

static void untar_modes_are_those_of_the_layer_under_any_umask(void **state)
{
    (void)state;
    static const mode_t masks[] = {0, 022, 077, 0777};
    SL_AUTO_DONE(sl_bytes) tar = {0};
    tar_entry(&tar, "d/", '5', "", 0);
    tar_entry(&tar, "d/f", '0', "x", 1);
    tar_entry(&tar, "d/fifo", '6', "", 0);
    tar_entry(&tar, "implicit/f", '0', "x", 1);
    tar_end(&tar);
    for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
        mode_t before = umask(022);
        SCRATCH_DIR dir = scratch_make();
        struct sl_error err = {0};
        umask(masks[i]);
        int r = unpack(&dir, &tar, (struct sl_untar_limits){0}, &err);
        umask(before);
        if (r < 0)
            fail_msg("umask %o: %s", masks[i], err.msg);
        assert_mode(&dir, ".", 0755);
        assert_mode(&dir, "d", 0751);
        assert_mode(&dir, "d/f", 0751);
        assert_mode(&dir, "d/fifo", 0751);
        assert_mode(&dir, "implicit", 0755);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(untar_entries_are_limited),
        cmocka_unit_test(untar_file_size_is_limited),
        cmocka_unit_test(untar_total_size_is_limited),
        cmocka_unit_test(untar_extended_headers_are_limited),
        cmocka_unit_test(untar_path_is_limited),
        cmocka_unit_test(untar_depth_is_limited),
        cmocka_unit_test(untar_modes_are_those_of_the_layer_under_any_umask),
    };
    if (geteuid() != 0) {
        print_message("skipped: needs root, to give files to root\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
