/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "registry_rules.h"
#include "scratch_dir.h"

static void expect_refused(const char *toml, enum sl_errc code, const char *in_msg)
{
    struct sl_registry_rules *rules = NULL;
    struct sl_error err = {0};
    assert_true(sl_registry_rules_parse(sl_span_of(toml), "test.conf", &rules, &err) < 0);
    assert_null(rules);
    assert_string_equal(sl_errc_name(err.code), sl_errc_name(code));
    if (!strstr(err.msg, in_msg) || strncmp(err.msg, "test.conf: ", 11) != 0)
        fail_msg("%s", err.msg);
}

static struct sl_registry_rules *rules_of(const char *toml)
{
    struct sl_registry_rules *rules = NULL;
    struct sl_error err = {0};
    if (sl_registry_rules_parse(sl_span_of(toml), "test.conf", &rules, &err) < 0)
        fail_msg("%s", err.msg);
    return rules;
}

static void conf_with_every_key_is_read(void **state)
{
    (void)state;
    SL_AUTO(sl_registry_rules)
    rules = rules_of("unqualified-search-registries = ['a.io', 'b.io:5000/team/']\n"
                     "credential-helpers = ['containers-auth.json', 'pass']\n"
                     "short-name-mode = 'enforcing'\n"
                     "[[registry]]\nprefix = 'q.io/a/'\nlocation = 'r.io'\ninsecure = true\n"
                     "blocked = true\n"
                     "[[registry.mirror]]\nlocation = '[::1]:5000/m/'\ninsecure = true\n"
                     "pull-from-mirror = 'tag-only'\n"
                     "[[registry.mirror]]\nlocation = 'm2'\n"
                     "[[registry]]\nlocation = 's.io'\nmirror-by-digest-only = true\n"
                     "[aliases]\nx = 'q.io/x'\ny = ''\n");
    assert_string_equal(rules->search[0], "a.io");
    assert_string_equal(rules->search[1], "b.io:5000/team");
    assert_null(rules->search[2]);
    assert_string_equal(sl_registry_rules_helpers(rules)[1], "pass");
    assert_null(sl_registry_rules_helpers(rules)[2]);
    assert_int_equal(rules->short_name_mode, SL_SHORT_NAMES_ENFORCING);
    assert_int_equal(rules->n_rules, 2);
    const struct sl_registry_rule *a = &rules->rules[0], *s = &rules->rules[1];
    assert_string_equal(a->prefix, "q.io/a");
    assert_string_equal(a->location, "r.io");
    assert_true(a->insecure && a->blocked && !a->mirror_by_digest_only);
    assert_int_equal(a->n_mirrors, 2);
    assert_string_equal(a->mirrors[0].location, "[::1]:5000/m");
    assert_true(a->mirrors[0].insecure && !a->mirrors[1].insecure);
    assert_int_equal(a->mirrors[0].pull_from, SL_PULL_TAG_ONLY);
    assert_int_equal(a->mirrors[1].pull_from, SL_PULL_ALL);
    assert_string_equal(s->prefix, "s.io");
    assert_null(s->location);
    assert_true(s->mirror_by_digest_only && !s->insecure && !s->blocked);
    assert_int_equal(rules->n_aliases, 2);
}

static void conf_with_unknown_keys_is_read(void **state)
{
    (void)state;
    SL_AUTO(sl_registry_rules)
    rules = rules_of("new = 1\n[[registry]]\nlocation = 'a.io'\nnew = []\n"
                     "[[registry.mirror]]\nlocation = 'm'\nnew.er = true\n[other]\n");
    assert_int_equal(rules->n_rules, 1);
    assert_null(rules->search);
    assert_null(sl_registry_rules_helpers(rules));
}

static void conf_with_broken_values_names_the_place(void **state)
{
    (void)state;
    expect_refused("a = \n", SL_E_FORMAT, "line 1");
    expect_refused("[[registry]]\ninsecure = true\n", SL_E_FORMAT,
                   "[[registry]] 1: needs a prefix or a location");
    expect_refused("[[registry]]\nlocation = 'a'\n[[registry]]\nlocation = 7\n", SL_E_FORMAT,
                   "[[registry]] 2: location must be a string");
    expect_refused("[[registry]]\nlocation = 'a'\ninsecure = 'yes'\n", SL_E_FORMAT,
                   "insecure must be true or false");
    expect_refused("[[registry]]\nlocation = 'a'\nblocked = 1\n", SL_E_FORMAT,
                   "blocked must be true or false");
    expect_refused("[[registry]]\nlocation = 'a'\n[[registry.mirror]]\n", SL_E_FORMAT,
                   "[[registry]] 1: mirror 1: a mirror needs a location");
    expect_refused("[[registry]]\nlocation = 'a'\nmirror-by-digest-only = true\n"
                   "[[registry.mirror]]\nlocation = 'b'\npull-from-mirror = 'tag-only'\n",
                   SL_E_FORMAT, "mirror-by-digest-only");
    expect_refused("[[registry]]\nlocation = 'a'\n[[registry.mirror]]\nlocation = 'b'\n"
                   "pull-from-mirror = 'never'\n",
                   SL_E_FORMAT, "pull-from-mirror = \"never\" is not known");
    expect_refused("registry = 1\n", SL_E_FORMAT, "registry must be an array");
    expect_refused("registry = [1]\n", SL_E_FORMAT, "must be a table");
    expect_refused("short-name-mode = 'ask'\n", SL_E_FORMAT, "short-name-mode");
    expect_refused("unqualified-search-registries = 'a'\n", SL_E_FORMAT, "must be an array");
    expect_refused("unqualified-search-registries = [1]\n", SL_E_FORMAT, "must hold names only");
    expect_refused("[[registry]]\nlocation = 'a'\n[[registry]]\nlocation = 'a'\nblocked = true\n",
                   SL_E_FORMAT, "defined twice");
}

static void conf_with_names_that_are_no_names_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "https://a.io", "a.io/..",   "a.io/../b",   "a.io//b",    "/a", "a.io/b?x", "a io",
        "a.io/%2e",     "a.*.io",    "*.io/a",      "*.io:5000",  "*.", "*",        "*..io",
        "a.io/#",       "a.io\\n/b", "user@a.io/b", "a.io/\u00e9"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        SL_AUTO_FREE char *prefix = sl_strf("[[registry]]\nprefix = \"%s\"\n", bad[i]);
        expect_refused(prefix, SL_E_FORMAT, "[[registry]] 1: prefix");
        SL_AUTO_FREE char *location =
            sl_strf("[[registry]]\nprefix = \"a\"\nlocation = \"%s\"\n", bad[i]);
        expect_refused(location, SL_E_FORMAT, "[[registry]] 1: location");
    }
    expect_refused("[[registry]]\nprefix = 'a'\nlocation = '*.io'\n", SL_E_FORMAT, "location");
    expect_refused("[aliases]\n'q.io/a' = 'q.io/b'\n", SL_E_FORMAT, "is not a short name");
    expect_refused("[aliases]\n'a:1' = 'q.io/b'\n", SL_E_FORMAT, "is not a short name");
    expect_refused("[aliases]\na = 'b'\n", SL_E_FORMAT, "must stand for host/name");
    expect_refused("[aliases]\na = 'q.io/b:1'\n", SL_E_FORMAT, "must stand for host/name");
    expect_refused("[aliases]\na = 'q.io/b c'\n", SL_E_FORMAT, "must stand for host/name");
    expect_refused("[aliases]\na = 'u@q.io/b'\n", SL_E_FORMAT, "must stand for host/name");
    expect_refused("[aliases]\na = 'q.io/../b'\n", SL_E_FORMAT, "must stand for host/name");
    expect_refused("unqualified-search-registries = ['q.io/b:1']\n", SL_E_FORMAT, "has a tag");
    expect_refused("unqualified-search-registries = ['u@q.io']\n", SL_E_FORMAT, "host[:port]");
    expect_refused("[aliases]\na = 1\n", SL_E_FORMAT, "must stand for host/name");
}

static void conf_of_version_1_is_refused_with_a_hint(void **state)
{
    (void)state;
    expect_refused("[registries.search]\nregistries = ['registry1.com', 'registry2.com']\n",
                   SL_E_UNSUPPORTED, "version 1");
}

static void conf_over_the_limits_is_refused(void **state)
{
    (void)state;
    char name[600];
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = 0;
    SL_AUTO_FREE char *text = sl_strf("[[registry]]\nlocation = '%s'\n", name);
    expect_refused(text, SL_E_LIMIT, "longer than 512 bytes");
    SL_AUTO_FREE char *many = strdup("unqualified-search-registries = ['a'");
    for (int i = 0; i < 64; i++) {
        char *more = sl_strf("%s,'a'", many);
        free(many);
        many = more;
    }
    SL_AUTO_FREE char *closed = sl_strf("%s]\n", many);
    expect_refused(closed, SL_E_LIMIT, "more than 64 entries");
}

static void conf_drop_ins_win_in_the_order_of_their_names(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    scratch_write(&d, "main.conf",
                  "unqualified-search-registries = ['a.io']\nshort-name-mode = 'disabled'\n"
                  "[[registry]]\nlocation = 'q.io'\n[[registry]]\nlocation = 'r.io'\n"
                  "[aliases]\nx = 'q.io/x'\ny = 'q.io/y'\n",
                  0644);
    scratch_write(&d, "one.d/02.conf", "[[registry]]\nlocation = 'q.io'\nblocked = true\n", 0644);
    scratch_write(&d, "one.d/01.conf",
                  "unqualified-search-registries = ['b.io']\n"
                  "[[registry]]\nlocation = 'q.io'\ninsecure = true\n[[registry]]\n"
                  "location = 'n.io'\n[aliases]\nx = ''\ny = 'n.io/y'\n",
                  0644);
    scratch_write(&d, "one.d/03.conf.orig", "not toml at all", 0644);
    scratch_write(&d, "one.d/04.conf/inner.conf", "not toml at all", 0644);
    scratch_write(&d, "two.d/00.conf", "credential-helpers = ['pass']\n", 0644);
    SL_AUTO_FREE char *file = scratch_path(&d, "main.conf");
    SL_AUTO_FREE char *one = scratch_path(&d, "one.d");
    SL_AUTO_FREE char *two = scratch_path(&d, "two.d");
    SL_AUTO_FREE char *none = scratch_path(&d, "none.d");
    const char *folders[] = {one, none, two, NULL};
    SL_AUTO(sl_registry_rules) rules = NULL;
    struct sl_error err = {0};
    if (sl_registry_rules_load_chain(file, folders, &rules, &err) < 0)
        fail_msg("%s", err.msg);
    assert_string_equal(rules->search[0], "b.io");
    assert_null(rules->search[1]);
    assert_int_equal(rules->short_name_mode, SL_SHORT_NAMES_DISABLED);
    assert_string_equal(rules->helpers[0], "pass");
    assert_int_equal(rules->n_rules, 3);
    assert_true(rules->rules[0].blocked && !rules->rules[0].insecure);
    assert_string_equal(rules->rules[2].prefix, "n.io");
    assert_int_equal(rules->n_aliases, 2);
    assert_string_equal(rules->aliases[0].value, "");
    assert_string_equal(rules->aliases[1].value, "n.io/y");
}

static void conf_error_in_a_drop_in_names_its_path(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    scratch_write(&d, "x.d/bad.conf", "\n\nx x\n", 0644);
    SL_AUTO_FREE char *folder = scratch_path(&d, "x.d");
    SL_AUTO_FREE char *file = scratch_path(&d, "none.conf");
    SL_AUTO_FREE char *expected = sl_strf("%s/bad.conf: line 3: ", folder);
    const char *folders[] = {folder, NULL};
    struct sl_registry_rules *rules = NULL;
    struct sl_error err = {0};
    assert_int_equal(sl_registry_rules_load_chain(file, folders, &rules, &err), -EINVAL);
    assert_null(rules);
    assert_int_equal(strncmp(err.msg, expected, strlen(expected)), 0);
}

static void conf_named_explicitly_must_exist_and_stands_alone(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    SL_AUTO_FREE char *file = scratch_path(&d, "r.conf");
    struct sl_error err = {0};
    SL_AUTO(sl_registry_rules) rules = NULL;
    assert_int_equal(sl_registry_rules_load(file, &rules, &err), -ENOENT);
    assert_non_null(strstr(err.msg, file));
    scratch_write(&d, "r.conf", "[[registry]]\nlocation = 'only.io'\n", 0644);
    scratch_write(&d, "r.conf.d/a.conf", "[[registry]]\nlocation = 'other.io'\n", 0644);
    assert_int_equal(sl_registry_rules_load(file, &rules, &err), 0);
    assert_int_equal(rules->n_rules, 1);
    rules = sl_registry_rules_free(rules);
    assert_int_equal(setenv("CONTAINERS_REGISTRIES_CONF", file, 1), 0);
    assert_int_equal(sl_registry_rules_load(NULL, &rules, &err), 0);
    assert_string_equal(rules->rules[0].prefix, "only.io");
    assert_int_equal(unsetenv("CONTAINERS_REGISTRIES_CONF"), 0);
}

static void conf_of_the_user_comes_before_that_of_the_system(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    scratch_write(&d, ".config/containers/registries.conf", "[[registry]]\nlocation = 'u.io'\n",
                  0644);
    scratch_write(&d, ".config/containers/registries.conf.d/a.conf",
                  "[[registry]]\nlocation = 'v.io'\n", 0644);
    assert_int_equal(unsetenv("CONTAINERS_REGISTRIES_CONF"), 0);
    assert_int_equal(setenv("HOME", d.path, 1), 0);
    SL_AUTO(sl_registry_rules) rules = NULL;
    assert_int_equal(sl_registry_rules_load(NULL, &rules, NULL), 0);
    assert_int_equal(rules->n_rules, 2);
    assert_string_equal(rules->rules[0].prefix, "u.io");
    assert_string_equal(rules->rules[1].prefix, "v.io");
    assert_int_equal(rules->n_aliases, 0); /* shortnames.conf of the system was not read */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conf_with_every_key_is_read),
        cmocka_unit_test(conf_with_unknown_keys_is_read),
        cmocka_unit_test(conf_with_broken_values_names_the_place),
        cmocka_unit_test(conf_with_names_that_are_no_names_is_refused),
        cmocka_unit_test(conf_of_version_1_is_refused_with_a_hint),
        cmocka_unit_test(conf_over_the_limits_is_refused),
        cmocka_unit_test(conf_drop_ins_win_in_the_order_of_their_names),
        cmocka_unit_test(conf_error_in_a_drop_in_names_its_path),
        cmocka_unit_test(conf_named_explicitly_must_exist_and_stands_alone),
        cmocka_unit_test(conf_of_the_user_comes_before_that_of_the_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
