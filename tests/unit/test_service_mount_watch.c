/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of images whose mounts have gone, over a store that is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mount_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct sluice_mount *const mounts[] = {
    &(struct sluice_mount){.target = "/a", .manifest = "sha256:a"},
    &(struct sluice_mount){.target = "/b", .manifest = "sha256:b"},
};

static struct {
    struct sl_config config;
    struct sl_generation generation;
    struct sluice_mount_list list;
    struct sl_image_claims *claims;
    char removed[64]; /* the last letters of digests */
} fake;

/* ---- a library and a configuration as the test wants them ---- */

struct sl_generation *sl_backend_peek(struct sl_backend *backend)
{
    (void)backend;
    return &fake.generation;
}

void sl_backend_release(struct sl_backend *backend, struct sl_generation *generation)
{
    (void)backend, (void)generation;
}

struct sl_generation *sl_backend_hold_config(struct sl_backend *backend)
{
    (void)backend;
    return &fake.generation;
}

void sl_backend_release_config(struct sl_backend *backend, struct sl_generation *generation)
{
    (void)backend, (void)generation;
}

int sluice_list_mounts(struct sluice *s, struct sluice_mount_list **ret, struct sluice_error *err)
{
    (void)s, (void)err;
    *ret = &fake.list;
    return 0;
}

struct sluice_mount_list *sluice_mount_list_free(struct sluice_mount_list *list)
{
    (void)list;
    return NULL;
}

int sluice_forget_dead_mounts(struct sluice *s, unsigned *ret, struct sluice_error *err)
{
    (void)s, (void)err;
    *ret = (unsigned)fake.list.n;
    return 0;
}

int sluice_remove(struct sluice *s, const char *image, bool force, struct sluice_error *err)
{
    (void)s, (void)err;
    assert_false(force);
    strncat(fake.removed, strchr(image, ':') + 1, 1);
    return 0;
}

int sluice_gc(struct sluice *s, bool dry_run, struct sluice_gc_result *ret,
              struct sluice_error *err)
{
    (void)s, (void)dry_run, (void)err;
    ret->layers = 1;
    return 0;
}

/* ---- looking ---- */

static void look(void)
{
    SL_AUTO(sl_worker_pool) pool = NULL;
    SL_AUTO(sl_mount_watch) watch = NULL;
    fake.removed[0] = '\0';
    fake.generation = (struct sl_generation){.config = &fake.config};
    fake.list = (struct sluice_mount_list){.n = 2, .mounts = mounts};
    assert_int_equal(sl_worker_pool_new(1, &pool, NULL), 0);
    assert_int_equal(sl_mount_watch_new(/* backend= */ NULL, fake.claims, pool, &watch, NULL), 0);
    sl_mount_watch_look(watch);
    watch = sl_mount_watch_free(watch); /* waits */
}

static void begin(enum sl_keep keep)
{
    fake.config = (struct sl_config){.keep = keep, .work_dir = "/nowhere"};
    assert_int_equal(sl_image_claims_new(&fake.claims, NULL), 0);
}

static void finish(void)
{
    fake.claims = sl_image_claims_free(fake.claims);
}

static void images_without_mounts_are_removed(void **state)
{
    (void)state;
    begin(SL_KEEP_MOUNTED);
    look();
    assert_string_equal(fake.removed, "ab");
    finish();
}

static void images_that_somebody_claims_stay(void **state)
{
    (void)state;
    struct sl_image_claim *claim = NULL;
    begin(SL_KEEP_MOUNTED);
    assert_int_equal(sl_image_claim_take(fake.claims, "sha256:a", &claim, NULL), 0);
    look();
    assert_string_equal(fake.removed, "b");
    claim = sl_image_claim_drop(claim);
    look();
    assert_string_equal(fake.removed, "ab");
    assert_null(claim);
    finish();
}

static void all_images_stay_where_that_is_said(void **state)
{
    (void)state;
    begin(SL_KEEP_ALL);
    look();
    assert_string_equal(fake.removed, "");
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_without_mounts_are_removed),
        cmocka_unit_test(images_that_somebody_claims_stay),
        cmocka_unit_test(all_images_stay_where_that_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
