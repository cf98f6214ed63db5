/* SPDX-License-Identifier: Apache-2.0 */
#include "assert_result.h"

#include "credentials.h"
#include "scratch_dir.h"

#include "sluice/core/bytes.h"

#include <fcntl.h>
#include <glob.h>

#define BELOW SL_CREDENTIALS_ROOT "/"

static size_t n_released;

/* Gives "secret of URI". */
static int get(void *arg, const char *uri, void **ret, size_t *ret_size, struct sl_error *err)
{
    if (strcmp(uri, "kbs:///a/b/missing") == 0)
        return sl_error_set(err, SL_E_AUTH, ENOENT, "there is no such resource");
    *ret = sl_strf("%s of %s", (const char *)arg, uri);
    *ret_size = strlen(*ret);
    return 0;
}

static void release(void *secret, size_t size)
{
    n_released++;
    sl_wipe(secret, size);
    free(secret);
}

static int write_files(const char *root, const struct sl_credential_file *files, size_t n,
                       struct sl_error *err)
{
    const struct sl_credential_source source = {get, release, "secret"};
    n_released = 0;
    return sl_credentials_write_below(root, files, n, &source, err);
}

static void expect_file(const char *path, const char *text)
{
    SL_AUTO_DONE(sl_bytes) bytes = {0};
    struct sl_error err = {0};
    struct stat st;
    assert_done(sl_read_file(AT_FDCWD, path, 4096, &bytes, &err));
    assert_string_equal((char *)bytes.data, text);
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
}

static void files_are_written_with_their_folders(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    SL_AUTO_FREE char *root = scratch_path(&dir, "not/there/yet");
    struct sl_credential_file files[] = {{BELOW "one", "kbs:///a/b/1"},
                                         {BELOW "x/y/two", "kbs:///a/b/2"},
                                         {BELOW "x/three", "kbs:///a/b/3"}};
    struct sl_error err = {0};
    struct stat st;
    mode_t old = umask(0);
    for (int i = 0; i < 2; i++) /* the second time over what is there */
        assert_done(write_files(root, files, 3, &err));
    umask(old);
    assert_int_equal(n_released, 3);
    SL_AUTO_FREE char *one = scratch_path(&dir, "not/there/yet/one");
    SL_AUTO_FREE char *two = scratch_path(&dir, "not/there/yet/x/y/two");
    SL_AUTO_FREE char *three = scratch_path(&dir, "not/there/yet/x/three");
    SL_AUTO_FREE char *folder = scratch_path(&dir, "not/there/yet/x/y");
    expect_file(one, "secret of kbs:///a/b/1");
    expect_file(two, "secret of kbs:///a/b/2");
    expect_file(three, "secret of kbs:///a/b/3");
    assert_int_equal(stat(folder, &st), 0);
    assert_int_equal(st.st_mode, S_IFDIR | 0700);
}

static void resource_that_is_refused_is_named_and_writes_nothing(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    struct sl_credential_file files[] = {{BELOW "one", "kbs:///a/b/1"},
                                         {BELOW "two", "kbs:///a/b/missing"},
                                         {BELOW "three", "kbs:///a/b/3"}};
    struct sl_error err = {0};
    assert_error(write_files(dir.path, files, 3, &err), ENOENT, SL_E_AUTH,
                 "credential file " BELOW "two: kbs:///a/b/missing: there is no such resource");
    SL_AUTO_FREE char *one = scratch_path(&dir, "one");
    SL_AUTO_FREE char *two = scratch_path(&dir, "two");
    SL_AUTO_FREE char *three = scratch_path(&dir, "three");
    expect_file(one, "secret of kbs:///a/b/1");
    assert_int_equal(access(two, F_OK), -1);
    assert_int_equal(access(three, F_OK), -1);
}

static void symbolic_links_lead_nowhere(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    scratch_write(&dir, "outside/file", "untouched", 0644);
    scratch_write(&dir, "root/there", "old", 0644);
    SL_AUTO_FREE char *root = scratch_path(&dir, "root");
    SL_AUTO_FREE char *folder_link = scratch_path(&dir, "root/folder");
    SL_AUTO_FREE char *file_link = scratch_path(&dir, "root/link");
    assert_int_equal(symlink("../outside", folder_link), 0);
    assert_int_equal(symlink("../outside/file", file_link), 0);
    struct sl_credential_file through = {BELOW "folder/file", "kbs:///a/b/1"};
    struct sl_credential_file over = {BELOW "link", "kbs:///a/b/1"};
    struct sl_error err = {0};
    assert_error(write_files(root, &through, 1, &err), ELOOP, SL_E_POLICY,
                 "credential file " BELOW "folder/file: 'folder' is a symbolic link");
    assert_done(write_files(root, &over, 1, &err));
    expect_file(file_link, "secret of kbs:///a/b/1"); /* the link is gone */
    SL_AUTO_DONE(sl_bytes) bytes = {0};
    SL_AUTO_FREE char *outside = scratch_path(&dir, "outside/file");
    assert_done(sl_read_file(AT_FDCWD, outside, 4096, &bytes, &err));
    assert_string_equal((char *)bytes.data, "untouched");
}

static void folder_in_the_way_is_told_and_nothing_is_left(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    scratch_write(&dir, "taken/x", "", 0644);
    struct sl_credential_file file = {BELOW "taken", "kbs:///a/b/1"};
    struct sl_credential_file below_file = {BELOW "taken/x/y", "kbs:///a/b/1"};
    struct sl_error err = {0};
    assert_error(write_files(dir.path, &file, 1, &err), EISDIR, SL_E_SYSTEM, BELOW "taken: ");
    assert_int_equal(n_released, 1);
    SL_AUTO_FREE char *aside = scratch_path(&dir, ".[!.]*");
    glob_t left = {0};
    assert_int_equal(glob(aside, 0, NULL, &left), GLOB_NOMATCH);
    assert_error(write_files(dir.path, &below_file, 1, &err), ENOTDIR, SL_E_SYSTEM,
                 BELOW "taken/x/y: 'x': Not a directory");
}

static void path_outside_is_refused(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    static const struct {
        const char *path;
        int errnum;
        enum sl_errc code;
        const char *why;
    } cases[] = {
        {"/etc/passwd", EPERM, SL_E_POLICY, "is not below"},
        {SL_CREDENTIALS_ROOT "x/a", EPERM, SL_E_POLICY, "is not below"},
        {BELOW "../x", EINVAL, SL_E_FORMAT, "'..'"},
        {BELOW "a/../../x", EINVAL, SL_E_FORMAT, "'..'"},
    };
    struct sl_error err = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_credential_file file = {(char *)cases[i].path, "kbs:///a/b/1"};
        assert_error(write_files(dir.path, &file, 1, &err), cases[i].errnum, cases[i].code,
                     cases[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_written_with_their_folders),
        cmocka_unit_test(resource_that_is_refused_is_named_and_writes_nothing),
        cmocka_unit_test(symbolic_links_lead_nowhere),
        cmocka_unit_test(folder_in_the_way_is_told_and_nothing_is_left),
        cmocka_unit_test(path_outside_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
