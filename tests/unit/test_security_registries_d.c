/* SPDX-License-Identifier: Apache-2.0 */
/* containers-registries.d(5), and the tables of its implementation, registries_d_test.go. */
#include "sluice/lookaside.h"

#include "assert_result.h"
#include "scratch_dir.h"

static int open_folder(const struct scratch_dir *dir, bool compat, struct sl_registries_d **ret,
                       struct sl_error *err)
{
    const struct sl_resources resources = {0};
    return sl_registries_d_open(&resources, dir->path, compat, ret, err);
}

static struct sl_registries_d *open_text(const char *yaml)
{
    SCRATCH_DIR dir = scratch_make();
    struct sl_registries_d *config = NULL;
    struct sl_error err = {0};
    scratch_write(&dir, "a.yaml", yaml, 0600);
    assert_done(open_folder(&dir, false, &config, &err));
    return config;
}

static struct sl_lookaside find(const struct sl_registries_d *config, const char *name)
{
    struct sl_lookaside found = {0};
    struct sl_error err = {0};
    assert_done(sl_registries_d_find(config, name, &found, &err));
    return found;
}

static void section_with_these_fields_is_read_and_written_there(void **state)
{
    (void)state;
    static const struct {
        const char *section, *read, *write;
    } cases[] = {
        {"{lookaside-staging: 'file:///a', lookaside: 'file:///b'}", "file:///b", "file:///a"},
        {"{lookaside: 'file:///b'}", "file:///b", "file:///b"},
        {"{lookaside-staging: 'file:///a'}", "file:///default", "file:///a"},
        {"{lookaside-staging: 'file:///a', lookaside: 'file:///b', sigstore-staging: 'file:///c', "
         "sigstore: 'file:///d'}",
         "file:///b", "file:///a"},
        {"{lookaside: 'file:///b', sigstore-staging: 'file:///c', sigstore: 'file:///d'}",
         "file:///b", "file:///c"},
        {"{lookaside: 'file:///b', sigstore: 'file:///d'}", "file:///b", "file:///b"},
        {"{sigstore: 'file:///d'}", "file:///d", "file:///d"},
        {"{}", "file:///default", "file:///default"},
        {"", "file:///default", "file:///default"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_FREE char *yaml =
            sl_strf("default-docker: {lookaside: 'file:///default'}\ndocker:\n  example.com: %s\n",
                    cases[i].section);
        SL_AUTO(sl_registries_d) config = open_text(yaml);
        const struct sl_lookaside found = find(config, "example.com/app:tag");
        assert_string_equal(found.read_url, cases[i].read);
        assert_string_equal(found.write_url, cases[i].write);
    }
}

static void most_specific_section_counts(void **state)
{
    (void)state;
    SL_AUTO(sl_registries_d)
    config = open_text("default-docker: {lookaside: 'file:///default'}\n"
                       "docker:\n"
                       "  localhost: {lookaside: 'file:///localhost'}\n"
                       "  localhost:5000: {lookaside: 'file:///localhost:5000'}\n"
                       "  example.com: {lookaside: 'file:///example.com'}\n"
                       "  example.com/ns1: {lookaside: 'file:///ns1'}\n"
                       "  example.com/ns1/ns2: {lookaside: 'file:///ns2'}\n"
                       "  example.com/ns1/ns2/repo: {lookaside: 'file:///repo'}\n"
                       "  example.com/ns1/ns2/repo:notlatest: {lookaside: 'file:///tag'}\n"
                       "  '*.wild.org': {lookaside: 'file:///wild'}\n");
    static const char *const cases[][2] = {
        {"example.com/ns1/ns2/repo:notlatest", "file:///tag"},
        {"example.com/ns1/ns2/repo:unmatched", "file:///repo"},
        {"example.com/ns1/ns2/notrepo:notlatest", "file:///ns2"},
        {"example.com/ns1/notns2/repo:notlatest", "file:///ns1"},
        {"example.com/notns1/ns2/repo:notlatest", "file:///example.com"},
        {"unknown.example.com/busybox:latest", "file:///default"},
        {"localhost:5000/busybox:latest", "file:///localhost:5000"},
        {"localhost/busybox:latest", "file:///localhost"},
        {"localhost:9999/busybox:latest", "file:///default"},
        {"a.wild.org:8443/busybox:latest", "file:///wild"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(find(config, cases[i][0]).read_url, cases[i][1]);
}

static void unset_field_is_looked_for_in_wider_scopes(void **state)
{
    (void)state;
    SL_AUTO(sl_registries_d)
    config = open_text("default-docker: {lookaside: 'file:///d', use-sigstore-attachments: false}\n"
                       "docker:\n"
                       "  example.com: {lookaside: 'https://e.com/s'}\n"
                       "  example.com/ns: {use-sigstore-attachments: true}\n"
                       "  example.com/other: {lookaside-staging: 'file:///w'}\n");
    struct sl_lookaside found = find(config, "example.com/ns/app:tag");
    assert_string_equal(found.read_url, "https://e.com/s");
    assert_true(found.use_attachments);
    found = find(config, "example.com/other:tag");
    assert_string_equal(found.read_url, "https://e.com/s");
    assert_string_equal(found.write_url, "file:///w");
    assert_false(found.use_attachments);
}

static void nothing_configured_is_the_system_s_folder(void **state)
{
    (void)state;
    SL_AUTO(sl_registries_d) config = open_text("");
    const struct sl_lookaside found = find(config, "example.com/app:tag");
    assert_string_equal(found.read_url, SL_LOOKASIDE_DEFAULT);
    assert_true(found.use_attachments);
}

/* ---- several files ---- */

static void files_are_merged_and_other_names_ignored(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    struct sl_error err = {0};
    scratch_write(&dir, "a.yaml", "docker: {a.com: {lookaside: 'file:///a'}}", 0600);
    scratch_write(&dir, "b.yaml", "docker: {b.com: {sigstore: 'file:///b'}}\n", 0600);
    scratch_write(&dir, "c.yml", "]", 0600);
    scratch_write(&dir, "d.yaml/file", "]", 0600);
    SL_AUTO(sl_registries_d) config = NULL;
    assert_done(open_folder(&dir, false, &config, &err));
    assert_string_equal(find(config, "a.com/x:1").read_url, "file:///a");
    assert_string_equal(find(config, "b.com/x:1").read_url, "file:///b");
}

static void same_section_twice_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
        bool ok_in_compat;
    } cases[] = {
        {"default-docker: {sigstore: 'file:///a'}", "default-docker: {sigstore: 'file:///a'}",
         true},
        {"default-docker: {sigstore: 'file:///a'}", "default-docker: {sigstore: 'file:///b'}",
         false},
        {"docker: {a.com: {sigstore: 'file:///a'}}", "docker: {a.com: {sigstore: 'file:///a'}}",
         true},
        {"docker: {a.com: {sigstore: 'file:///a'}}", "docker: {a.com: {lookaside: 'file:///a'}}",
         false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SCRATCH_DIR dir = scratch_make();
        struct sl_error err = {0};
        struct sl_registries_d *config = NULL;
        scratch_write(&dir, "a.yaml", cases[i].first, 0600);
        scratch_write(&dir, "b.yaml", cases[i].second, 0600);
        assert_error(open_folder(&dir, false, &config, &err), EEXIST, SL_E_FORMAT,
                     "a.yaml already");
        int r = open_folder(&dir, true, &config, &err);
        assert_int_equal(r, cases[i].ok_in_compat ? 0 : -EEXIST);
        config = sl_registries_d_free(config);
    }
}

/* ---- what is wrong ---- */

static void malformed_file_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "]",
        "docker: [a]",
        "- a",
        "docker: {a.com: [b]}",
        "docker: {a.com: {lookaside: [b]}}",
        "docker: {a.com: {lookaside: 7}}",
        "docker: {a.com: {use-sigstore-attachments: 'true'}}",
        "docker: {a.com: {lookaside: 'file:///a', lookaside: 'file:///b'}}",
        "docker: {a.com: {}, a.com: {}}",
        "docker: &x {a.com: *x}",
        "default-docker: 3",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        SCRATCH_DIR dir = scratch_make();
        struct sl_error err = {0};
        struct sl_registries_d *config = NULL;
        scratch_write(&dir, "bad.yaml", texts[i], 0600);
        assert_true(open_folder(&dir, false, &config, &err) < 0);
        assert_int_equal(err.code, SL_E_FORMAT);
        assert_non_null(strstr(err.msg, "bad.yaml"));
    }
}

static void other_scheme_is_refused_when_it_is_needed(void **state)
{
    (void)state;
    SL_AUTO(sl_registries_d)
    config =
        open_text("docker: {a.com: {lookaside: 'ftp://a'}, b.com: {lookaside: 'file:relative'}}");
    struct sl_lookaside found;
    struct sl_error err = {0};
    assert_error(sl_registries_d_find(config, "a.com/x:1", &found, &err), EINVAL, SL_E_FORMAT,
                 "ftp://a");
    assert_error(sl_registries_d_find(config, "b.com/x:1", &found, &err), EINVAL, SL_E_FORMAT,
                 "file:relative");
    assert_string_equal(find(config, "c.com/x:1").read_url, SL_LOOKASIDE_DEFAULT);
}

static void named_place_must_exist(void **state)
{
    (void)state;
    const struct sl_resources resources = {0};
    struct sl_registries_d *config = NULL;
    struct sl_error err = {0};
    assert_error(
        sl_registries_d_open(&resources, "/nonexistent/registries.d", false, &config, &err), ENOENT,
        SL_E_SYSTEM, "/nonexistent/registries.d");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(section_with_these_fields_is_read_and_written_there),
        cmocka_unit_test(most_specific_section_counts),
        cmocka_unit_test(unset_field_is_looked_for_in_wider_scopes),
        cmocka_unit_test(nothing_configured_is_the_system_s_folder),
        cmocka_unit_test(files_are_merged_and_other_names_ignored),
        cmocka_unit_test(same_section_twice_is_refused),
        cmocka_unit_test(malformed_file_is_refused_by_name),
        cmocka_unit_test(other_scheme_is_refused_when_it_is_needed),
        cmocka_unit_test(named_place_must_exist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
