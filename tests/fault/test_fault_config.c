/* SPDX-License-Identifier: Apache-2.0 */
/* The service's configuration, read with too little memory. */
#include "alloc_fault.h"

#include "sources.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *environment(const char *name)
{
    return strcmp(name, "CDH_DEFAULT_IMAGE_AUTHENTICATED_REGISTRY_CREDENTIALS") == 0
               ? "kbs:///e/n/v"
               : NULL;
}

/* JSON: toml++ has its own way of telling that there is no memory. */
static const char text[] =
    "{\"kbc\": {\"name\": \"offline_fs_kbc\"}, \"imgae\": 1,\n"
    " \"image\": {\"image_security_policy\": \"{}\", \"image_security_policy_uri\": \"/p\",\n"
    "  \"image_pull_proxy\": {\"http_proxy\": \"http://u:p@h\"}, \"registry_config\": {\"a\": "
    "1}},\n"
    " \"credentials\": [{\"path\": \"/run/confidential-containers/cdh/kbs/a\",\n"
    "   \"resource_uri\": \"kbs:///a/b/c\"}],\n"
    " \"sluice\": {\"listen\": [\"unix:///a\", \"vsock://1:1\"], \"metrics\": \"127.0.0.1:9\"}}";

static int load(void *arg, struct sl_error *err)
{
    (void)arg;
    SL_AUTO(sl_loaded_config) config = NULL;
    const struct sl_config_texts texts = {
        .file = sl_span_of(text),
        .file_name = "cdh.json",
        .cmdline = sl_span_of("agent.no_proxy=x cdh.kbs_resources=kbs:///a/b/d::"
                              "/run/confidential-containers/cdh/kbs/b"),
        .environment = environment,
    };
    int r = sl_config_load_texts(&texts, &config, err);
    if (r < 0) {
        assert_null(config);
        return r;
    }
    const struct sl_config *v = &config->values;
    assert_int_equal(v->n_credentials, 2);
    assert_string_equal(v->authenticated_registry_credentials_uri, "kbs:///e/n/v");
    assert_string_equal(v->image_security_policy_uri, "/p");
    assert_string_equal(v->listen[1], "ttrpc+vsock://1:1");
    assert_string_equal(v->work_dir, "/run/kata-containers/image/");
    assert_true(config->n_lines > 40);
    assert_non_null(config->warnings[0]);
    return 0;
}

static void configuration_without_memory_fails(void **state)
{
    (void)state;
    fault_each_allocation(load, NULL, 150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(configuration_without_memory_fails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
