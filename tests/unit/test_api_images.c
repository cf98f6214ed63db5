/* SPDX-License-Identifier: Apache-2.0 */
/* Images that are in the store. Needs root; mounts in a namespace of its own. */
#include "own_mounts.h"
#include "store_fixture.h"

#include "sluice.h"

#define CONFIG                                                                                     \
    "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]" \
    "}}"
#define VERDICT "{\"insecure\":true}"

struct world {
    struct store_fixture *f;
    struct sluice *sluice;
    char bundle[512];
};

static void commit(struct store_fixture *f, struct sl_image_record *image)
{
    assert_ok(sl_image_commit(f->store, test_pass, image, ok_err));
    (void)sl_image_record_free(image);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    w->f = fixture_new("/mnt", "store");
    PUT_LAYER(w->f->store, 1, {'f', "one", 0});
    PUT_LAYER(w->f->store, 2, {'f', "two", 0});
    struct sl_image_record *image = NEW_IMAGE(1, "docker.io/library/busybox:latest", 1, 2);
    image->encrypted = true;
    sl_bytes_done(&image->config_json);
    assert_ok(sl_bytes_append(&image->config_json, sl_span_of(CONFIG), 1000, ok_err));
    assert_ok(sl_bytes_append(&image->verdict_json, sl_span_of(VERDICT), 100, ok_err));
    commit(w->f, image);
    commit(w->f, NEW_IMAGE(2, NULL, 1));
    const struct sluice_options o =
        SLUICE_OPTIONS(sluice_options, .parts = SLUICE_STORE_ONLY, .root = w->f->root);
    assert_int_equal(sluice_open(&o, &w->sluice, NULL), 0);
    (void)snprintf(w->bundle, sizeof(w->bundle), "%s/bundle", w->f->dir);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    char rootfs[600];
    (void)snprintf(rootfs, sizeof(rootfs), "%s/rootfs", w->bundle);
    (void)umount2(rootfs, MNT_DETACH);
    assert_null(sluice_close(w->sluice));
    fixture_free(w->f);
    free(w);
    return 0;
}

static size_t count_images(struct sluice *s)
{
    struct sluice_image_list *list = NULL;
    assert_int_equal(sluice_list(s, &list, NULL), 0);
    size_t n = list->n;
    assert_null(sluice_image_list_free(list));
    return n;
}

static void list_tells_what_is_known_of_each_image(void **state)
{
    const struct world *w = *state;
    struct sluice_image_list *list = NULL;
    char digest[SL_DIGEST_TEXT_MAX];
    assert_int_equal(sluice_list(w->sluice, &list, NULL), 0);
    assert_int_equal(list->n, 2);
    const struct sluice_image *named = list->images[0], *nameless = list->images[1];
    assert_string_equal(named->name, "docker.io/library/busybox:latest");
    struct sl_digest id = image_id(1);
    sl_digest_format(&id, digest);
    assert_string_equal(named->manifest, digest);
    assert_int_equal(named->n_layers, 2);
    id = layer_id(2);
    sl_digest_format(&id, digest);
    assert_string_equal(named->diff_ids[1], digest);
    assert_true(named->encrypted);
    assert_int_equal(named->bytes, 12345);
    assert_int_equal(named->pulled, 1700000000);
    assert_int_equal(strncmp(named->verdict, VERDICT, strlen(VERDICT)), 0);
    assert_null(nameless->name);
    assert_null(nameless->verdict);
    assert_false(nameless->encrypted);
    assert_null(sluice_image_list_free(list));
}

static void bundle_that_is_there_is_told(void **state)
{
    const struct world *w = *state;
    struct sluice_error err = {0};
    struct sluice_mount_list *mounts = NULL;
    assert_int_equal(sluice_mount_bundle(w->sluice, "busybox", w->bundle, &err), 0);
    assert_string_equal(err.message, "");
    assert_int_equal(sluice_mount_bundle(w->sluice, "busybox", w->bundle, &err), 1);
    assert_int_equal(sluice_mount_bundle(w->sluice, "cc0000", w->bundle, &err), -EINVAL);
    assert_int_equal(err.code, SLUICE_E_FORMAT); /* the beginning of two digests */
    assert_int_equal(sluice_list_mounts(w->sluice, &mounts, NULL), 0);
    assert_int_equal(mounts->n, 1);
    assert_true(mounts->mounts[0]->alive);
    assert_null(sluice_mount_list_free(mounts));
    assert_int_equal(sluice_unmount(w->sluice, w->bundle, &err), 0);
    char config[600];
    (void)snprintf(config, sizeof(config), "%s/config.json", w->bundle);
    assert_int_equal(access(config, F_OK), -1);
    assert_int_equal(sluice_list_mounts(w->sluice, &mounts, NULL), 0);
    assert_int_equal(mounts->n, 0);
    assert_null(sluice_mount_list_free(mounts));
}

/* Another name of a file of others, a pipe that nobody reads, a folder of the name it is written
 * under first: nothing of it is written to, and nobody waits. */
static void bundle_writes_to_nothing_that_is_there(void **state)
{
    const struct world *w = *state;
    SL_AUTO_DONE(sl_bytes) text = {0};
    struct sluice_error err = {0};
    assert_int_equal(mkdir(w->bundle, 0755), 0);
    SL_AUTO_FD fd = open(w->bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    put_file(fd, "precious", "precious");
    assert_int_equal(linkat(fd, "precious", fd, "config.json", 0), 0);
    assert_int_equal(linkat(fd, "precious", fd, ".config.json.new", 0), 0);
    assert_int_equal(sluice_mount_bundle(w->sluice, "busybox", w->bundle, &err), 0);
    assert_text(fd, "precious", "precious");
    assert_ok(sl_read_file(fd, "config.json", 1 << 20, &text, ok_err));
    assert_non_null(strstr((const char *)text.data, "ociVersion"));
    assert_int_equal(sluice_unmount(w->sluice, w->bundle, &err), 0);
    assert_int_equal(unlinkat(fd, ".config.json.new", 0), 0);
    assert_int_equal(mkfifoat(fd, ".config.json.new", 0600), 0);
    assert_int_equal(mkfifoat(fd, "config.json", 0600), 0);
    assert_int_equal(sluice_mount_bundle(w->sluice, "busybox", w->bundle, &err), 0);
    assert_int_equal(unlinkat(fd, ".config.json.new", 0), 0);
}

static int mount_bundle(const struct world *w, const char *bundle)
{
    struct sluice_error err = {0};
    return sluice_mount_bundle(w->sluice, "busybox", bundle, &err);
}

/* Its mount lives on elsewhere, or has something over it: what is said to be there must be there.
 */
static void bundle_whose_mount_was_moved_is_mounted_again(void **state)
{
    const struct world *w = *state;
    char rootfs[600], other[600];
    (void)snprintf(rootfs, sizeof(rootfs), "%s/rootfs", w->bundle);
    (void)snprintf(other, sizeof(other), "%s-other", w->bundle);
    assert_int_equal(mkdir(other, 0755), 0);
    assert_int_equal(mount_bundle(w, w->bundle), 0);
    assert_int_equal(mount(rootfs, other, NULL, MS_BIND, NULL), 0);
    assert_int_equal(umount(rootfs), 0);
    assert_int_equal(mount_bundle(w, w->bundle), 0);
    assert_int_equal(mount_bundle(w, w->bundle), 1);
    assert_int_equal(mount("tmpfs", rootfs, "tmpfs", 0, NULL), 0);
    assert_int_equal(mount_bundle(w, w->bundle), -EBUSY);
    assert_int_equal(umount(rootfs), 0);
    assert_int_equal(umount(other), 0);
}

/* Whoever lives in the image could change it. */
static void bundle_in_a_mounted_image_is_refused(void **state)
{
    const struct world *w = *state;
    char inner[600];
    assert_int_equal(mount_bundle(w, w->bundle), 0);
    (void)snprintf(inner, sizeof(inner), "%s/rootfs", w->bundle);
    assert_int_equal(mount_bundle(w, inner), -EPERM);
    (void)snprintf(inner, sizeof(inner), "%s/rootfs/inner", w->bundle);
    assert_int_equal(mount_bundle(w, inner), -EPERM);
    assert_int_equal(access(inner, F_OK), -1);
}

static void bundle_whose_rootfs_is_a_link_is_refused(void **state)
{
    const struct world *w = *state;
    char rootfs[600], other[600];
    (void)snprintf(rootfs, sizeof(rootfs), "%s/rootfs", w->bundle);
    (void)snprintf(other, sizeof(other), "%s-other", w->bundle);
    assert_int_equal(mkdir(other, 0755), 0);
    assert_int_equal(mkdir(w->bundle, 0755), 0);
    assert_int_equal(symlink(other, rootfs), 0);
    assert_true(mount_bundle(w, w->bundle) < 0);
    assert_int_equal(rmdir(other), 0);
}

static void image_in_use_is_removed_only_by_force(void **state)
{
    const struct world *w = *state;
    struct sluice_error err = {0};
    assert_int_equal(sluice_mount_bundle(w->sluice, "busybox", w->bundle, &err), 0);
    assert_int_equal(sluice_remove(w->sluice, "busybox", /* force= */ false, &err), -EBUSY);
    assert_int_equal(sluice_remove(w->sluice, "busybox", /* force= */ true, &err), 0);
}

/* By the beginning of its digest: there is no name that could be removed. */
static void image_without_a_name_is_removed_by_its_digest(void **state)
{
    const struct world *w = *state;
    char hex[2 * SL_DIGEST_MAX + 1];
    const struct sl_digest id = image_id(2);
    sl_digest_hex(&id, hex);
    assert_int_equal(sluice_remove(w->sluice, hex, /* force= */ false, NULL), 0);
    assert_int_equal(count_images(w->sluice), 1);
    assert_int_equal(sluice_remove(w->sluice, "busybox", /* force= */ false, NULL), 0);
    struct sluice_gc_result gc = SLUICE_OPTIONS(sluice_gc_result);
    assert_int_equal(sluice_gc(w->sluice, /* dry_run= */ false, &gc, NULL), 0);
    assert_int_equal(gc.layers, 2);
    assert_int_equal(count_images(w->sluice), 0);
}

int main(void)
{
    if (!own_mounts_enter() || mount("tmpfs", "/mnt", "tmpfs", 0, "mode=0755") != 0) {
        printf("skipped: mounting needs root\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(list_tells_what_is_known_of_each_image, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bundle_that_is_there_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bundle_writes_to_nothing_that_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bundle_whose_mount_was_moved_is_mounted_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(bundle_in_a_mounted_image_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bundle_whose_rootfs_is_a_link_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(image_in_use_is_removed_only_by_force, set_up, tear_down),
        cmocka_unit_test_setup_teardown(image_without_a_name_is_removed_by_its_digest, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
