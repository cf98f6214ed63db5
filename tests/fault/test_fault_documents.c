/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of an image, read with too little memory. */
#include "alloc_fault.h"

#include "sluice/core/reference.h"
#include "sluice/image_source.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CORPUS SL_TEST_DATA "/../../fuzz/corpus"

static struct sl_bytes document;

static void load(const char *path)
{
    sl_bytes_done(&document);
    assert_int_equal(sl_read_file(AT_FDCWD, path, 1 << 20, &document, NULL), 0);
}

static int parse_manifest(void *arg, struct sl_error *err)
{
    SL_AUTO(sl_manifest) manifest = NULL;
    const size_t *n_layers = arg;
    int r = sl_manifest_parse(sl_bytes_span(&document), NULL, &manifest, err);
    if (r == 0)
        assert_int_equal(manifest->n_layers, *n_layers);
    else
        assert_null(manifest);
    return r;
}

static void manifest_without_memory_fails(void **state)
{
    (void)state;
    size_t n_layers = 1;
    load(CORPUS "/manifest/encrypted.json");
    fault_each_allocation(parse_manifest, &n_layers, 10);
}

static int parse_config(void *arg, struct sl_error *err)
{
    (void)arg;
    SL_AUTO(sl_image_config) config = NULL;
    int r = sl_image_config_parse(sl_bytes_span(&document), &config, err);
    if (r == 0) {
        assert_string_equal(config->os, "linux");
        assert_non_null(config->diff_ids);
    }
    return r;
}

static void config_without_memory_fails(void **state)
{
    (void)state;
    load(CORPUS "/image_config/umoci.json");
    fault_each_allocation(parse_config, NULL, 5);
}

static int resolve_layout(void *arg, struct sl_error *err)
{
    (void)arg;
    SL_AUTO(sl_image_source) source = NULL;
    SL_AUTO(sl_resolved_image) image = NULL;
    const struct sl_platform platform = {0};
    int r = sl_image_source_open(NULL, "oci:" SL_TEST_DATA "/layouts/umoci:hello", &source, err);
    if (r == 0)
        r = sl_image_source_resolve(source, &platform, &image, err);
    if (r == 0) {
        assert_int_equal(image->manifest->n_layers, 1);
        assert_int_equal(image->config->n_diff_ids, 1);
    }
    return r;
}

static void layout_without_memory_is_not_resolved(void **state)
{
    (void)state;
    fault_each_allocation(resolve_layout, NULL, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manifest_without_memory_fails),
        cmocka_unit_test(config_without_memory_fails),
        cmocka_unit_test(layout_without_memory_is_not_resolved),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sl_bytes_done(&document);
    return failed;
}
