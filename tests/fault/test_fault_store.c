/* SPDX-License-Identifier: Apache-2.0 */
/* Commits with too little memory: a layer and an image are there whole, or not at all. */
#include "alloc_fault.h"

#include "store_fixture.h"

#include "private_tmpfs.h"

#define NAME "docker.io/library/fault:latest"

static bool is_empty(const struct store_fixture *f, const char *name)
{
    SL_AUTO_FREE char *path = sl_strf("%s/%s", f->root, name);
    return rmdir(path) == 0 && mkdir(path, 0700) == 0;
}

/* Back to an empty store. Whatever was left in staging/ is rubbish that gc takes. */
static void clear(struct store_fixture *f)
{
    struct sl_gc_result gc;
    struct sl_error err;
    int r = sl_store_remove_image(f->store, NAME, /* force= */ false, &err);
    assert_true(r == 0 || r == -ENOENT);
    assert_ok(sl_store_gc(f->store, /* dry_run= */ false, &gc, ok_err));
    assert_true(is_empty(f, "staging"));
    assert_true(is_empty(f, "layers/sha256"));
    assert_true(is_empty(f, "images/sha256"));
    assert_true(is_empty(f, "blobs/sha256"));
    assert_true(is_empty(f, "refs"));
}

static int commit_layer(struct store_fixture *f, struct sl_error *err)
{
    SL_AUTO(sl_staged_layer) staged = NULL;
    int r = sl_staged_layer_new(f->store, &staged, err);
    if (r < 0)
        return r;
    put_file(sl_staged_layer_fd(staged), "f", "content");
    r = sl_staged_layer_add_implicit(staged, sl_span_of("usr"), err);
    if (r == 0)
        r = sl_staged_layer_add_implicit(staged, sl_span_of("usr/bin"), err);
    if (r == 0)
        r = commit_as(staged, 1, 1, err);
    fault_pause();
    staged = sl_staged_layer_free(staged);
    assert_true(is_empty(f, "staging"));
    fault_resume();
    return r;
}

static int find(struct store_fixture *f, struct sl_error *err)
{
    SL_AUTO(sl_image_record) found = NULL;
    struct sl_image_record **all = NULL;
    int r = sl_store_find_image(f->store, NAME, &found, err);
    if (r == 0)
        r = sl_store_list_images(f->store, &all, err);
    if (r < 0)
        return r;
    assert_string_equal(found->name, NAME);
    assert_int_equal(found->n_layers, 1);
    assert_string_equal(all[0]->name, NAME);
    assert_null(all[1]);
    sl_image_record_free(all[0]);
    free(all);
    return 0;
}

static int commit_and_find(void *arg, struct sl_error *err)
{
    struct store_fixture *f = arg;
    const struct sl_digest id = layer_id(1);
    fault_pause();
    SL_AUTO(sl_image_record) image = NEW_IMAGE(1, NAME, 1);
    fault_resume();
    int r = commit_layer(f, err);
    if (r == 0)
        r = sl_image_commit(f->store, test_pass, image, err);
    if (r == 0)
        r = find(f, err);
    fault_pause();
    if (r == 0)
        assert_int_equal(sl_store_has_layer(f->store, &id, NULL), 1);
    clear(f);
    fault_resume();
    return r;
}

static void commit_without_memory_leaves_nothing_half_done(void **state)
{
    fault_each_allocation(commit_and_find, *state, 20);
}

/* A tree that was not committed, and cannot be removed right away either. */
static int stage_and_drop(void *arg, struct sl_error *err)
{
    struct store_fixture *f = arg;
    struct sl_staged_layer *staged = NULL;
    int r = sl_staged_layer_new(f->store, &staged, err);
    if (r == 0) {
        assert_int_equal(mkdirat(sl_staged_layer_fd(staged), "d", 0755), 0);
        put_file(sl_staged_layer_fd(staged), "d/f", "content");
    }
    sl_staged_layer_free(staged);
    fault_pause();
    clear(f);
    fault_resume();
    return r;
}

static void drop_without_memory_leaves_only_what_gc_takes(void **state)
{
    fault_each_allocation(stage_and_drop, *state, 4);
}

static int open_store(void *arg, struct sl_error *err)
{
    struct store_fixture *f = arg;
    SL_AUTO(sl_store) store = NULL;
    return sl_store_open(f->root, &store, err);
}

static void open_without_memory_fails(void **state)
{
    fault_each_allocation(open_store, *state, 2);
}

static int set_up(void **state)
{
    *state = fixture_new(PRIVATE_TMPFS, "root");
    /* The directories of this algorithm come with the first commit. */
    PUT_LAYER(((struct store_fixture *)*state)->store, 1, {'f', "f", 0});
    struct sl_image_record *image = NEW_IMAGE(1, NAME, 1);
    assert_ok(sl_image_commit(((struct store_fixture *)*state)->store, test_pass, image, ok_err));
    sl_image_record_free(image);
    clear(*state);
    return 0;
}

static int tear_down(void **state)
{
    fixture_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_without_memory_fails),
        cmocka_unit_test(commit_without_memory_leaves_nothing_half_done),
        cmocka_unit_test(drop_without_memory_leaves_only_what_gc_takes),
    };
    if (!private_tmpfs_mount())
        return 77;
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
