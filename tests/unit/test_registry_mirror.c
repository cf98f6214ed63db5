/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle is spec text: containers-registries.conf(5) for its own examples, the unit tests of
 * image-rs for the rows d6 to d10. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "mirror.h"

#include <stdlib.h>
#include <string.h>

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DIGEST_A "sha256:" HEX_A

static struct sl_registry_rules *rules_of(const char *text)
{
    struct sl_registry_rules *rules = NULL;
    struct sl_error err = {0};
    if (sl_registry_rules_parse(sl_span_of(text), "test.conf", &rules, &err) < 0)
        fail_msg("%s", err.msg);
    return rules;
}

/* A reference put together by hand: the parser is not what is tested here. */
struct name {
    const char *host, *repository, *tag, *digest;
    bool is_short;
};

static struct name tagged(const char *host, const char *repository, const char *tag)
{
    return (struct name){host, repository, tag, NULL, false};
}

static struct name digested(const char *host, const char *repository, const char *tag)
{
    return (struct name){host, repository, tag, DIGEST_A, false};
}

/* As the reference parser gives it for a name without a host. */
static struct name hostless(const char *repository, const char *tag)
{
    return (struct name){"docker.io", repository, tag, NULL, true};
}

static int plan(const struct sl_registry_rules *rules, struct name n, struct sl_mirror_plan **ret,
                struct sl_error *err)
{
    struct sl_reference ref = {(char *)n.host, (char *)n.repository, (char *)n.tag, false, {0}};
    if (n.digest) {
        ref.has_digest = true;
        assert_int_equal(sl_digest_parse(n.digest, &ref.digest, NULL), 0);
    }
    return sl_mirror_plan(rules, &ref, !n.is_short, ret, err);
}

/* One line for each endpoint: "host/repository", '~' for insecure, '*' for a mirror. */
static char *format(const struct sl_mirror_plan *p)
{
    char *all = strdup("");
    for (size_t i = 0; i < p->n_endpoints; i++) {
        const struct sl_endpoint *e = &p->endpoints[i];
        char *next = sl_strf("%s%s%s/%s%s%s", all, i ? "\n" : "", e->host, e->repository,
                             e->insecure ? " ~" : "", e->is_mirror ? " *" : "");
        free(all);
        all = next;
        assert_non_null(all);
    }
    return all;
}

static void expect_plan(const struct sl_registry_rules *rules, struct name n, const char *expected)
{
    SL_AUTO(sl_mirror_plan) p = NULL;
    struct sl_error err = {0};
    if (plan(rules, n, &p, &err) < 0)
        fail_msg("%s", err.msg);
    SL_AUTO_FREE char *got = format(p);
    assert_string_equal(got, expected);
}

static void expect_refused(const struct sl_registry_rules *rules, struct name n, enum sl_errc code,
                           const char *in_msg)
{
    struct sl_mirror_plan *p = NULL;
    struct sl_error err = {0};
    assert_true(plan(rules, n, &p, &err) < 0);
    assert_null(p);
    assert_string_equal(sl_errc_name(err.code), sl_errc_name(code));
    if (!strstr(err.msg, in_msg))
        fail_msg("%s", err.msg);
}

#define WORKED_EXAMPLE                                                                             \
    "unqualified-search-registries = [\"docker.io\", \"example1.com\"]\n"                          \
    "[[registry]]\nprefix = \"example.com/foo\"\n"                                                 \
    "location = \"internal-registry-for-example.com/bar\"\n"                                       \
    "[[registry.mirror]]\nlocation = \"example-mirror-0.local/mirror-for-foo\"\n"                  \
    "[[registry.mirror]]\nlocation = \"example-mirror-1.local/mirrors/foo\"\ninsecure = true\n"    \
    "[[registry]]\nprefix = \"example.com/banned\"\nblocked = true\n"                              \
    "[[registry]]\nlocation = \"docker.io\"\n"                                                     \
    "[[registry.mirror]]\nlocation = \"123456.mirror.aliyuncs.com\"\n"

/* As it stands in a JSON configuration, and as TOML there becomes. */
#define WORKED_EXAMPLE_JSON                                                                        \
    " \n{\"unqualified-search-registries\": [\"docker.io\", \"example1.com\"],"                    \
    " \"registry\": ["                                                                             \
    "{\"prefix\": \"example.com/foo\", \"insecure\": false, \"blocked\": false,"                   \
    " \"location\": \"internal-registry-for-example.com/bar\", \"mirror\": ["                      \
    "{\"location\": \"example-mirror-0.local/mirror-for-foo\"},"                                   \
    "{\"location\": \"example-mirror-1.local/mirrors/foo\", \"insecure\": true}]},"                \
    "{\"location\": \"docker.io\", \"mirror\": [{\"location\": \"123456.mirror.aliyuncs.com\"}]}," \
    "{\"location\": \"example.com/banned\", \"blocked\": true}]}"

static void mirror_blocked_image_is_refused(void **state)
{
    SL_AUTO(sl_registry_rules) rules = rules_of(*state);
    expect_refused(rules, tagged("example.com", "banned/image", "tag"), SL_E_POLICY,
                   "is blocked by registry rule");
    expect_refused(rules, tagged("example.com", "banned", "tag"), SL_E_POLICY,
                   "is blocked by registry rule");
    expect_refused(rules, digested("EXAMPLE.com", "banned", NULL), SL_E_POLICY,
                   "is blocked by registry rule");
}

static void mirror_names_that_only_resemble_a_blocked_one_are_allowed(void **state)
{
    SL_AUTO(sl_registry_rules) rules = rules_of(*state);
    expect_plan(rules, tagged("example.com", "no-banned/image", "tag"),
                "example.com/no-banned/image");
    expect_plan(rules, tagged("example.com", "banned-suffix/image", "tag"),
                "example.com/banned-suffix/image");
}

static void mirror_unqualified_name_goes_to_mirror_then_all_search_registries(void **state)
{
    SL_AUTO(sl_registry_rules) rules = rules_of(*state);
    expect_plan(rules, hostless("library/bar", "tag"),
                "123456.mirror.aliyuncs.com/library/bar *\n"
                "docker.io/library/bar\n"
                "example1.com/bar");
}

static void mirror_unqualified_name_with_namespace_keeps_it(void **state)
{
    SL_AUTO(sl_registry_rules) rules = rules_of(*state);
    expect_plan(rules, hostless("foo/bar", "tag"),
                "123456.mirror.aliyuncs.com/foo/bar *\n"
                "docker.io/foo/bar\n"
                "example1.com/foo/bar");
}

static void mirrors_come_before_the_remapped_location(void **state)
{
    SL_AUTO(sl_registry_rules) rules = rules_of(*state);
    expect_plan(rules, tagged("example.com", "foo/image", "tag"),
                "example-mirror-0.local/mirror-for-foo/image *\n"
                "example-mirror-1.local/mirrors/foo/image ~ *\n"
                "internal-registry-for-example.com/bar/image");
}

static void mirror_explicit_docker_io_is_not_searched_elsewhere(void **state)
{
    (void)state;
    SL_AUTO(sl_registry_rules) rules = rules_of(WORKED_EXAMPLE);
    expect_plan(rules, tagged("docker.io", "library/bar", "tag"),
                "123456.mirror.aliyuncs.com/library/bar *\n"
                "docker.io/library/bar");
}

static void mirror_rule_matches_from_the_start_only(void **state)
{
    (void)state;
    SL_AUTO(sl_registry_rules)
    rules = rules_of("[[registry]]\nprefix = \"example.com\"\nlocation = \"int.local\"\n");
    expect_plan(rules, tagged("mirror.org", "example.com/x", "1"), "mirror.org/example.com/x");
    expect_plan(rules, tagged("example.com.evil.org", "x", "1"), "example.com.evil.org/x");
    expect_plan(rules, tagged("example.com", "x", "1"), "int.local/x");
    expect_plan(rules, tagged("example.com:5000", "x", "1"), "int.local:5000/x");
}

static void mirror_without_rules_gives_the_reference(void **state)
{
    (void)state;
    expect_plan(NULL, tagged("quay.io", "a/b", "1"), "quay.io/a/b");
    expect_plan(NULL, hostless("library/a", "1"), "docker.io/library/a");
    SL_AUTO(sl_registry_rules) rules = rules_of("");
    expect_plan(rules, hostless("library/a", "1"), "docker.io/library/a");
}

static void mirror_longest_prefix_wins(void **state)
{
    (void)state;
    SL_AUTO(sl_registry_rules)
    rules = rules_of("[[registry]]\nlocation = \"q.io\"\nblocked = true\n"
                     "[[registry]]\nprefix = \"q.io/a/b\"\nlocation = \"two/b\"\n"
                     "[[registry]]\nprefix = \"q.io/a\"\nlocation = \"one:80/a\"\ninsecure = true\n"
                     "[[registry]]\nprefix = \"q.io/a/b/c:v1\"\nblocked = true\n");
    expect_plan(rules, tagged("q.io", "a/b/c", "v2"), "two/b/c");
    expect_plan(rules, tagged("q.io", "a/bb", "v2"), "one:80/a/bb ~");
    expect_refused(rules, tagged("q.io", "a/b/c", "v1"), SL_E_POLICY, "q.io/a/b/c:v1");
    expect_refused(rules, tagged("q.io", "b", "v1"), SL_E_POLICY, "\"q.io\"");
    /* A tag longer than the prefix is another tag. */
    expect_plan(rules, tagged("q.io", "a/b/c", "v11"), "two/b/c");
}

static void mirror_wildcard_matches_subdomains_of_any_depth_only(void **state)
{
    (void)state;
    SL_AUTO(sl_registry_rules)
    rules = rules_of("[[registry]]\nprefix = \"*.example.com\"\ninsecure = true\n"
                     "[[registry.mirror]]\nlocation = \"m.local/all\"\n"
                     "[[registry]]\nprefix = \"*.deep.example.com\"\nlocation = \"d.local/x\"\n");
    expect_plan(rules, tagged("a.example.com", "r", "1"), "m.local/all/r *\na.example.com/r ~");
    expect_plan(rules, tagged("a.b.example.com", "r", "1"), "m.local/all/r *\na.b.example.com/r ~");
    expect_plan(rules, tagged("a.deep.example.com", "r", "1"), "d.local/x/r");
    expect_plan(rules, tagged("example.com", "r", "1"), "example.com/r");
    expect_plan(rules, tagged("badexample.com", "r", "1"), "badexample.com/r");
    expect_plan(rules, tagged("q.io", "a.example.com/r", "1"), "q.io/a.example.com/r");
    expect_plan(rules, tagged("a.example.com.evil.org", "r", "1"), "a.example.com.evil.org/r");
}

static void mirror_pull_from_mirror_tells_tags_from_digests(void **state)
{
    (void)state;
    SL_AUTO(sl_registry_rules)
    rules = rules_of("[[registry]]\nlocation = \"q.io\"\n"
                     "[[registry.mirror]]\nlocation = \"all\"\npull-from-mirror = \"all\"\n"
                     "[[registry.mirror]]\nlocation = \"d\"\npull-from-mirror = \"digest-only\"\n"
                     "[[registry.mirror]]\nlocation = \"t\"\npull-from-mirror = \"tag-only\"\n"
                     "[[registry]]\nlocation = \"p.io\"\nmirror-by-digest-only = true\n"
                     "[[registry.mirror]]\nlocation = \"m\"\n");
    expect_plan(rules, tagged("q.io", "r", "1"), "all/r *\nt/r *\nq.io/r");
    expect_plan(rules, digested("q.io", "r", NULL), "all/r *\nd/r *\nq.io/r");
    expect_plan(rules, digested("q.io", "r", "1"), "all/r *\nd/r *\nq.io/r");
    expect_plan(rules, tagged("p.io", "r", "1"), "p.io/r");
    expect_plan(rules, digested("p.io", "r", NULL), "m/r *\np.io/r");
}

static void mirror_that_would_change_tag_or_digest_is_refused(void **state)
{
    (void)state;
    SL_AUTO(sl_registry_rules)
    rules = rules_of("[[registry]]\nprefix = \"q.io/r:1\"\nlocation = \"x.io/r:2\"\n"
                     "[[registry]]\nprefix = \"q.io/same:1\"\nlocation = \"x.io/other:1\"\n"
                     "[[registry]]\nprefix = \"q.io/top\"\nlocation = \"x.io\"\n"
                     "[[registry]]\nprefix = \"port.io\"\nlocation = \"x.io/path\"\n");
    expect_refused(rules, tagged("q.io", "r", "1"), SL_E_UNSUPPORTED, "same tag and digest");
    expect_refused(rules, digested("q.io", "r", "1"), SL_E_UNSUPPORTED, DIGEST_A);
    expect_plan(rules, tagged("q.io", "same", "1"), "x.io/other");
    expect_plan(rules, digested("q.io", "same", "1"), "x.io/other");
    expect_refused(rules, tagged("q.io", "top", "1"), SL_E_UNSUPPORTED, "q.io/top:1");
    expect_refused(rules, tagged("port.io:5000", "r", "1"), SL_E_UNSUPPORTED, "port.io");
}

static void mirror_remapped_to_docker_io_gets_its_namespace(void **state)
{
    (void)state;
    SL_AUTO(sl_registry_rules)
    rules = rules_of("[[registry]]\nprefix = \"q.io\"\nlocation = \"docker.io\"\n");
    expect_plan(rules, tagged("q.io", "busybox", "1"), "docker.io/library/busybox");
    expect_plan(rules, tagged("q.io", "a/busybox", "1"), "docker.io/a/busybox");
}

static void mirror_alias_replaces_a_short_name_and_names_what_policy_is_about(void **state)
{
    (void)state;
    SL_AUTO(sl_registry_rules)
    rules = rules_of("unqualified-search-registries = [\"docker.io\", \"b.io\"]\n"
                     "[aliases]\nfedora = \"registry.fedoraproject.org/fedora\"\n"
                     "\"team/tool\" = \"docker.io/tool\"\n"
                     "[[registry]]\nlocation = \"registry.fedoraproject.org\"\n"
                     "[[registry.mirror]]\nlocation = \"m.local/f\"\n");
    struct name fedora = hostless("library/fedora", "39");
    expect_plan(rules, fedora, "m.local/f/fedora *\nregistry.fedoraproject.org/fedora");
    SL_AUTO(sl_mirror_plan) p = NULL;
    assert_int_equal(plan(rules, fedora, &p, NULL), 0);
    for (size_t i = 0; i < p->n_endpoints; i++) {
        assert_string_equal(p->endpoints[i].name_host, "registry.fedoraproject.org");
        assert_string_equal(p->endpoints[i].name_repository, "fedora");
    }
    expect_plan(rules, hostless("team/tool", "1"), "docker.io/library/tool");
    /* Written with its host it is no short name. */
    expect_plan(rules, tagged("docker.io", "library/fedora", "39"), "docker.io/library/fedora");
}

static void mirror_keeps_the_logical_name_behind_a_mirror(void **state)
{
    (void)state;
    SL_AUTO(sl_registry_rules) rules = rules_of(WORKED_EXAMPLE);
    SL_AUTO(sl_mirror_plan) p = NULL;
    assert_int_equal(plan(rules, tagged("example.com", "foo/image", "t"), &p, NULL), 0);
    assert_int_equal(p->n_endpoints, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(p->endpoints[i].name_host, "example.com");
        assert_string_equal(p->endpoints[i].name_repository, "foo/image");
    }
}

static void mirror_blocked_candidate_leaves_the_others(void **state)
{
    (void)state;
    SL_AUTO(sl_registry_rules)
    rules = rules_of("unqualified-search-registries = [\"a.io\", \"b.io/team\"]\n"
                     "[[registry]]\nlocation = \"a.io\"\nblocked = true\n");
    expect_plan(rules, hostless("library/x", "1"), "b.io/team/x");
}

static void mirror_short_name_without_a_clear_registry_is_refused(void **state)
{
    (void)state;
    struct name x = hostless("library/x", "1");
    SL_AUTO(sl_registry_rules) none = rules_of("unqualified-search-registries = []\n");
    expect_refused(none, x, SL_E_POLICY, "unqualified-search-registries is empty");
    SL_AUTO(sl_registry_rules)
    many = rules_of("unqualified-search-registries = [\"a.io\", \"b.io\"]\n"
                    "short-name-mode = \"enforcing\"\n");
    expect_refused(many, x, SL_E_POLICY, "enforcing");
    SL_AUTO(sl_registry_rules)
    one = rules_of("unqualified-search-registries = [\"a.io\"]\n"
                   "short-name-mode = \"enforcing\"\n");
    expect_plan(one, x, "a.io/x");
}

static void reference_names_its_host_by_the_rule_of_docker(void **state)
{
    (void)state;
    assert_true(sl_reference_names_host("quay.io/a"));
    assert_true(sl_reference_names_host("localhost/a"));
    assert_true(sl_reference_names_host("host:5000/a"));
    assert_true(sl_reference_names_host("HOST/a"));
    assert_false(sl_reference_names_host("busybox"));
    assert_false(sl_reference_names_host("busybox:1.36"));
    assert_false(sl_reference_names_host("team/a.b:1"));
    assert_false(sl_reference_names_host("localhosts/a"));
    assert_false(sl_reference_names_host(""));
}

#define WITH_EXAMPLE(test, form)                                                                   \
    {                                                                                              \
#test "_" #form, test, NULL, NULL, (void *)(uintptr_t)example_##form                       \
    }

int main(void)
{
    static const char example_toml[] = WORKED_EXAMPLE, example_json[] = WORKED_EXAMPLE_JSON;
    const struct CMUnitTest tests[] = {
        WITH_EXAMPLE(mirror_blocked_image_is_refused, toml),
        WITH_EXAMPLE(mirror_blocked_image_is_refused, json),
        WITH_EXAMPLE(mirror_names_that_only_resemble_a_blocked_one_are_allowed, toml),
        WITH_EXAMPLE(mirror_names_that_only_resemble_a_blocked_one_are_allowed, json),
        WITH_EXAMPLE(mirror_unqualified_name_goes_to_mirror_then_all_search_registries, toml),
        WITH_EXAMPLE(mirror_unqualified_name_goes_to_mirror_then_all_search_registries, json),
        WITH_EXAMPLE(mirror_unqualified_name_with_namespace_keeps_it, toml),
        WITH_EXAMPLE(mirror_unqualified_name_with_namespace_keeps_it, json),
        WITH_EXAMPLE(mirrors_come_before_the_remapped_location, toml),
        WITH_EXAMPLE(mirrors_come_before_the_remapped_location, json),
        cmocka_unit_test(mirror_explicit_docker_io_is_not_searched_elsewhere),
        cmocka_unit_test(mirror_rule_matches_from_the_start_only),
        cmocka_unit_test(mirror_without_rules_gives_the_reference),
        cmocka_unit_test(mirror_longest_prefix_wins),
        cmocka_unit_test(mirror_wildcard_matches_subdomains_of_any_depth_only),
        cmocka_unit_test(mirror_pull_from_mirror_tells_tags_from_digests),
        cmocka_unit_test(mirror_that_would_change_tag_or_digest_is_refused),
        cmocka_unit_test(mirror_remapped_to_docker_io_gets_its_namespace),
        cmocka_unit_test(mirror_alias_replaces_a_short_name_and_names_what_policy_is_about),
        cmocka_unit_test(mirror_keeps_the_logical_name_behind_a_mirror),
        cmocka_unit_test(mirror_blocked_candidate_leaves_the_others),
        cmocka_unit_test(mirror_short_name_without_a_clear_registry_is_refused),
        cmocka_unit_test(reference_names_its_host_by_the_rule_of_docker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
