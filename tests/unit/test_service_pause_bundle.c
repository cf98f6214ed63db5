/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pause_bundle.h"
#include "scratch_dir.h"

#include <fcntl.h>

#define MANIFEST "extension/etc/kata-extensions/components.toml"
static const char config[] = "{\"process\": {\"args\": [\"/pause\", \"-v\"]}}";

struct place {
    struct scratch_dir d;
    char *bundle, *extension, *root;
};

static struct place make_place(void)
{
    struct place p = {.d = scratch_make()};
    p.bundle = scratch_path(&p.d, "pause");
    p.extension = scratch_path(&p.d, "extension");
    p.root = scratch_path(&p.d, "root");
    scratch_write(&p.d, "pause/config.json", config, 0600);
    scratch_write(&p.d, "pause/rootfs/pause", "program", 04755);
    scratch_write(&p.d, "pause/rootfs/other", "not copied", 0644);
    assert_int_equal(mkdir(p.root, 0755), 0);
    return p;
}

static void remove_place(struct place *p)
{
    scratch_remove(&p->d);
    free(p->bundle);
    free(p->extension);
    free(p->root);
}
#define PLACE __attribute__((cleanup(remove_place), unused)) struct place

static int copy(const struct place *p, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bundle_path) to = {.root_fd = -1};
    const struct sl_pause_options options = {.bundle = p->bundle, .extension = p->extension};
    char *path = scratch_path(&p->d, "root/cid");
    char *roots[] = {p->root, NULL};
    int r = sl_bundle_path_open(roots, /* store= */ NULL, path, &to, err);
    free(path);
    return r < 0 ? r : sl_pause_bundle_copy(&options, &to, err);
}

static void assert_refused(const struct place *p, int errnum)
{
    struct sl_error err = {0};
    char *cid = scratch_path(&p->d, "root/cid");
    assert_int_equal(copy(p, &err), -errnum);
    assert_int_not_equal(err.code, SL_OK);
    assert_int_equal(access(cid, F_OK), -1); /* nothing stays */
    free(cid);
}

static void assert_file(const struct place *p, const char *name, const char *text, mode_t mode)
{
    char *path = scratch_path(&p->d, name);
    SL_AUTO_DONE(sl_bytes) bytes = {0};
    struct stat st;
    assert_int_equal(sl_read_file(AT_FDCWD, path, 4096, &bytes, NULL), 0);
    assert_string_equal((const char *)bytes.data, text);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
    free(path);
}

static void pause_bundle_gives_config_and_one_program(void **state)
{
    (void)state;
    PLACE p = make_place();
    char *other = scratch_path(&p.d, "root/cid/rootfs/other");
    assert_int_equal(copy(&p, NULL), 0);
    assert_int_equal(copy(&p, NULL), 0); /* again */
    assert_file(&p, "root/cid/config.json", config, 0644);
    assert_file(&p, "root/cid/rootfs/pause", "program", 0755);
    assert_int_equal(access(other, F_OK), -1);
    free(other);
}

static void pause_bundle_of_an_extension_wins(void **state)
{
    (void)state;
    PLACE p = make_place();
    scratch_write(&p.d, MANIFEST,
                  "schema_version = 1\n[paths]\npause-bundle = \"/usr/share/pause\"\n", 0644);
    scratch_write(&p.d, "extension/usr/share/pause/config.json", config, 0644);
    scratch_write(&p.d, "extension/usr/share/pause/rootfs/pause", "its own", 0711);
    assert_int_equal(copy(&p, NULL), 0);
    assert_file(&p, "root/cid/rootfs/pause", "its own", 0711);
}

static void pause_bundle_of_an_unclear_extension_is_refused(void **state)
{
    (void)state;
    PLACE p = make_place();
    scratch_write(&p.d, MANIFEST, "schema_version = 2\n[paths]\npause-bundle = \"/a\"\n", 0644);
    assert_refused(&p, EOPNOTSUPP);
    scratch_write(&p.d, MANIFEST, "schema_version = 1\n[paths]\n", 0644);
    assert_refused(&p, ENOENT);
    scratch_write(&p.d, MANIFEST, "schema_version = 1\n[paths]\npause-bundle = \"../pause\"\n",
                  0644);
    assert_refused(&p, EINVAL);
}

static void pause_bundle_that_is_missing_is_refused(void **state)
{
    (void)state;
    PLACE p = make_place();
    free(p.bundle);
    p.bundle = scratch_path(&p.d, "none");
    assert_refused(&p, ENOENT);
    free(p.bundle);
    p.bundle = NULL;
    assert_refused(&p, ENOENT);
}

static void pause_bundle_program_stays_within_its_rootfs(void **state)
{
    (void)state;
    PLACE p = make_place();
    char *link = scratch_path(&p.d, "pause/rootfs/pause");
    scratch_write(&p.d, "pause/config.json", "{\"process\":{\"args\":[\"/../config.json\"]}}",
                  0644);
    assert_refused(&p, EINVAL);
    scratch_write(&p.d, "pause/config.json", "{\"process\":{\"args\":[]}}", 0644);
    assert_refused(&p, EINVAL);
    scratch_write(&p.d, "pause/config.json", "{", 0644);
    assert_refused(&p, EINVAL);
    scratch_write(&p.d, "pause/config.json", config, 0644);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(symlink("/etc/passwd", link), 0);
    assert_refused(&p, ELOOP);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(mkdir(link, 0755), 0);
    assert_refused(&p, EINVAL);
    assert_int_equal(rmdir(link), 0);
    assert_int_equal(mkfifo(link, 0755), 0); /* would block for ever */
    assert_refused(&p, EINVAL);
    free(link);
}

static void pause_bundle_target_is_not_escaped_by_links(void **state)
{
    (void)state;
    PLACE p = make_place();
    struct sl_error err = {0};
    scratch_write(&p.d, "pause/config.json", "{\"process\":{\"args\":[\"/bin/pause\"]}}", 0644);
    scratch_write(&p.d, "pause/rootfs/bin/pause", "program", 0755);
    scratch_write(&p.d, "root/cid/rootfs/x", "", 0644);
    char *link = scratch_path(&p.d, "root/cid/rootfs/bin");
    char *outside = scratch_path(&p.d, "outside");
    assert_int_equal(mkdir(outside, 0755), 0);
    assert_int_equal(symlink(outside, link), 0);
    assert_int_equal(copy(&p, &err), -ELOOP);
    assert_int_equal(rmdir(outside), 0); /* still empty */
    free(link);
    free(outside);
}

static void pause_bundle_that_cannot_be_completed_leaves_nothing(void **state)
{
    (void)state;
    PLACE p = make_place();
    struct sl_error err = {0};
    scratch_write(&p.d, "root/cid/config.json/in-the-way", "", 0644);
    char *rootfs = scratch_path(&p.d, "root/cid/rootfs");
    assert_int_equal(copy(&p, &err), -EISDIR);
    assert_int_equal(access(rootfs, F_OK), -1);
    free(rootfs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pause_bundle_gives_config_and_one_program),
        cmocka_unit_test(pause_bundle_of_an_extension_wins),
        cmocka_unit_test(pause_bundle_of_an_unclear_extension_is_refused),
        cmocka_unit_test(pause_bundle_that_is_missing_is_refused),
        cmocka_unit_test(pause_bundle_program_stays_within_its_rootfs),
        cmocka_unit_test(pause_bundle_target_is_not_escaped_by_links),
        cmocka_unit_test(pause_bundle_that_cannot_be_completed_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
