/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables are those of policy_reference_match_test.go of containers/image. One thing is ours: an
 * image that was asked for by tag and digest counts as asked for by digest, but for matchExact.
 */
#include "signed_identity.h"

#include "assert_result.h"

#define D "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define E "@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define BUSYBOX "docker.io/library/busybox"
#define RHEL "registry.access.redhat.com/rhel7/rhel"

static struct sl_reference *parse(const char *text)
{
    struct sl_reference *ref = NULL;
    struct sl_error err = {0};
    assert_done(sl_reference_parse_as_written(text, &ref, &err));
    return ref;
}

static bool accepts(enum sl_identity_type type, const char *image, const char *is)
{
    const struct sl_identity_rule rule = {.type = type};
    return sl_identity_accepts(&rule, image, is);
}

/* With wanted in the place of the image's name. */
static bool accepts_configured(enum sl_identity_type type, const char *wanted, const char *is)
{
    SL_AUTO(sl_reference) ref = parse(wanted);
    const struct sl_identity_rule rule = {.type = type, .reference = ref};
    return sl_identity_accepts(&rule, "oci:/srv/image:1", is);
}

static void expect(bool got, bool wanted, const char *what, const char *image, const char *is)
{
    if (got != wanted)
        fail_msg("%s: image %s, signed %s: %d", what, image, is, got);
}

struct row {
    const char *image, *is;
    bool exact, repo_digest_or_exact, repository;
};

static const struct row rows[] = {
    {BUSYBOX ":latest", "busybox:latest", true, true, true},
    {BUSYBOX ":latest", BUSYBOX ":latest", true, true, true},
    {BUSYBOX ":latest", "library/busybox:latest", true, true, true},
    {BUSYBOX ":latest", "index.docker.io/busybox:latest", true, true, true},
    {RHEL ":7.2.3", RHEL ":7.2.3", true, true, true},
    {BUSYBOX D, "busybox" D, true, true, true},
    {BUSYBOX ":latest", "busybox:notlatest", false, false, true},
    {RHEL ":7.2.3tagsuffix", RHEL ":7.2.3", false, false, true},
    {BUSYBOX ":latest", "notbusybox:latest", false, false, false},
    {"hostname.org/library/busybox:latest", "busybox:notlatest", false, false, false},
    {"hostname.org/library/busybox:latest", "busybox:latest", false, false, false},
    {BUSYBOX ":latest", RHEL ":7.2.3", false, false, false},
    {BUSYBOX D, "notbusybox" D, false, false, false},
    {BUSYBOX ":latest", "busybox" D, false, false, true},
    {BUSYBOX D, "busybox:latest", false, true, true},
    {BUSYBOX D, "busybox" E, false, true, true},
    {BUSYBOX D, "busybox:latest" D, false, true, true},
    {BUSYBOX ":latest", "busybox", false, false, true},
    {BUSYBOX D, "busybox", false, false, true},
    {BUSYBOX, "busybox:latest", false, false, true},
    {BUSYBOX, "busybox" D, false, false, true},
    {BUSYBOX, "busybox", false, false, true},
    {BUSYBOX ":latest", "busybox:latest" D, false, false, true},
    {BUSYBOX ":latest", "busybox:Latest", false, false, true},
    {BUSYBOX ":latest", "UPPERCASE_IS_INVALID_IN_DOCKER_REFERENCES", false, false, false},
    {BUSYBOX ":latest", "", false, false, false},
    {BUSYBOX ":latest", "busybox:latest ", false, false, false},
    {BUSYBOX ":latest", "docker://busybox:latest", false, false, false},
    {BUSYBOX D, "UPPERCASE_IS_INVALID_IN_DOCKER_REFERENCES", false, false, false},
    {BUSYBOX D, "", false, false, false},
};

/* By tag and digest: matchExact wants both, the others what a digest wants. */
static const struct row both_rows[] = {
    {BUSYBOX ":latest" D, "busybox:latest" D, true, true, true},
    {BUSYBOX ":latest" D, "busybox:latest" E, false, true, true},
    {BUSYBOX ":latest" D, "busybox:notlatest" D, false, true, true},
    {BUSYBOX ":latest" D, "busybox:latest", false, true, true},
    {BUSYBOX ":latest" D, "busybox" D, false, true, true},
    {BUSYBOX ":latest" D, "busybox", false, false, true},
    {BUSYBOX ":latest" D, "notbusybox:latest" D, false, false, false},
    {BUSYBOX ":latest" D, "", false, false, false},
};

static void match_types_follow_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) + sizeof(both_rows) / sizeof(rows[0]);
         i++) {
        size_t n = sizeof(rows) / sizeof(rows[0]);
        const struct row *row = i < n ? &rows[i] : &both_rows[i - n];
        expect(accepts(SL_MATCH_EXACT, row->image, row->is), row->exact, "exact", row->image,
               row->is);
        expect(accepts(SL_MATCH_REPO_DIGEST_OR_EXACT, row->image, row->is),
               row->repo_digest_or_exact, "repo, digest or exact", row->image, row->is);
        expect(accepts(SL_MATCH_REPOSITORY, row->image, row->is), row->repository, "repository",
               row->image, row->is);
    }
}

static void exact_types_compare_with_what_the_policy_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        expect(accepts_configured(SL_EXACT_REFERENCE, row->image, row->is), row->exact,
               "exactReference", row->image, row->is);
        expect(accepts_configured(SL_EXACT_REPOSITORY, row->image, row->is), row->repository,
               "exactRepository", row->image, row->is);
    }
    for (size_t i = 0; i < sizeof(both_rows) / sizeof(both_rows[0]); i++)
        expect(accepts_configured(SL_EXACT_REFERENCE, both_rows[i].image, both_rows[i].is),
               both_rows[i].exact, "exactReference", both_rows[i].image, both_rows[i].is);
}

static void layouts_have_no_name_that_can_match(void **state)
{
    (void)state;
    static const char *const names[] = {"busybox:latest", "busybox" D, "oci:/srv/busybox", ""};
    static const enum sl_identity_type types[] = {SL_MATCH_EXACT, SL_MATCH_REPO_DIGEST_OR_EXACT,
                                                  SL_MATCH_REPOSITORY, SL_REMAP_IDENTITY};
    for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++)
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            char prefix[] = "oci", with[] = "oci";
            const struct sl_identity_rule rule = {types[t], NULL, prefix, with};
            expect(sl_identity_accepts(&rule, "oci:/srv/busybox", names[i]), false, "layout",
                   "oci:/srv/busybox", names[i]);
            expect(sl_identity_accepts(&rule, "", names[i]), false, "no name", "", names[i]);
        }
}

/* ---- remapIdentity ---- */

struct remap {
    const char *prefix, *with, *image, *is;
    bool matches;
};

static void assert_remaps(const struct remap *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        SL_AUTO_FREE char *prefix = strdup(cases[i].prefix);
        SL_AUTO_FREE char *with = strdup(cases[i].with);
        const struct sl_identity_rule rule = {SL_REMAP_IDENTITY, NULL, prefix, with};
        SL_AUTO_FREE char *what = sl_strf("%s to %s", prefix, with);
        expect(sl_identity_accepts(&rule, cases[i].image, cases[i].is), cases[i].matches, what,
               cases[i].image, cases[i].is);
    }
}

static void remap_prefix_ends_at_a_boundary(void **state)
{
    (void)state;
    static const struct remap cases[] = {
        {"docker.io", "new.org", "docker.io/library/image:1", "new.org/library/image:1", true},
        {"example.com:5000", "new.org", "example.com:5000/image:1", "new.org/image:1", true},
        {"example.com:5000", "new.org", "example.com:50000/image:1", "new.org0/image:1", false},
        {"example.com:5000", "new.org", "example.com:50000/image:1", "example.com:50000/image:1",
         true},
        {"example.com", "new.org", "example.com:5000/image:1", "new.org:5000/image:1", false},
        {"example.com", "new.org", "example.com/foo/bar:baz", "new.org/foo/bar:baz", true},
        {"example.com", "new.org", "example.com/foo/bar" D, "new.org/foo/bar" D, true},
        {"docker.io/library", "new.org", "docker.io/libraryy/image:1", "new.org/y/image:1", false},
        {"example.com/ns", "new.org/ns", "example.com/ns2/image:1", "new.org/ns2/image:1", false},
        {"example.com/ns/image", "new.org/x", "example.com/ns/image:tag" D, "new.org/x:tag" D,
         true},
        {"example.com/ns/image", "new.org/x", "example.com/ns/imagee:1", "new.org/xe:1", false},
    };
    assert_remaps(cases, sizeof(cases) / sizeof(cases[0]));
}

static void remap_replaces_the_prefix_and_then_matches(void **state)
{
    (void)state;
    static const struct remap cases[] = {
        {"mirror.example", "vendor.example", "mirror.example/ns/image:tag",
         "vendor.example/ns/image:tag", true},
        {"mirror.example", "vendor.example", "mirror.example/ns/image:tag",
         "mirror.example/ns/image:tag", false},
        {"mirror.example", "vendor.example", "mirror.example/ns/image:tag",
         "vendor.example/ns/image:other", false},
        {"mirror.example", "vendor.example", "mirror.example/ns/image:tag",
         "vendor.example/ns/image", false},
        {"mirror.example", "vendor.example", "prefixmirror.example/ns/image:tag",
         "prefixmirror.example/ns/image:tag", true},
        {"mirror.example", "vendor.example", "prefixmirror.example/ns/image:tag",
         "vendor.example/ns/image:tag", false},
        {"mirror.example", "vendor.example", "mirror.example/image:tag" D,
         "vendor.example/image:tag" D, true},
        {"mirror.example", "vendor.example", "mirror.example/image" D, "vendor.example/image:any",
         true},
        {"mirror.example", "vendor.example", "mirror.example/image" D, "vendor.example/image",
         false},
        {"docker.io", "not-docker-signed.example/ns", BUSYBOX ":1",
         "not-docker-signed.example/ns/library/busybox:1", true},
        {"docker.io/library", "not-docker-signed.example/ns", BUSYBOX ":1",
         "not-docker-signed.example/ns/busybox:1", true},
        {"mirror.example", "docker.io/library", "mirror.example/busybox:latest", BUSYBOX ":latest",
         true},
        {"mirror.example", "docker.io", "mirror.example/busybox:latest", BUSYBOX ":latest", false},
        {"mirror.example/ns/image", "vendor.example:5000", "mirror.example/ns/image:tag",
         "vendor.example:5000", false},
        {"mirror.example/ns/image", "vendor.example", "mirror.example/ns/image:tag",
         "vendor.example:tag", false},
        {"mirror.example/ns/image", "vendor.example:5000", "mirror.example/ns/image" D,
         "vendor.example:5000" D, false},
        {"mirror.example/ns/image", "notlocalhost", "mirror.example/ns/image:tag",
         "notlocalhost:tag", false},
        {"mirror.example/ns", "notlocalhost", "mirror.example/ns/image:tag",
         "notlocalhost/image:tag", false},
        {"mirror.example/ns", "localhost", "mirror.example/ns/image:tag", "localhost/image:tag",
         true},
        {"shortname", "new.org", "docker.io/library/shortname:1", "new.org:1", false},
    };
    assert_remaps(cases, sizeof(cases) / sizeof(cases[0]));
}

static void prefix_syntax_is_a_host_and_a_path(void **state)
{
    (void)state;
    static const char *const valid[] = {
        "localhost",
        "example.com",
        "example.com:80",
        "example.com/repo",
        "example.com/ns1/ns2/ns3/repo.with.dots-dashes_underscores",
        "example.com:80/ns1/ns2/ns3/repo.with.dots-dashes_underscores",
        "EXAMPLE.com/x",
        "shortname",
        "ns/shortname",
    };
    static const char *const invalid[] = {
        "",
        "repo_with_underscores",
        "example.com/",
        "example.com:",
        "example.com:x",
        "example.com/UPPERCASEISINVALID",
        "example.com/repo/",
        "example.com//repo",
        "/repo",
        "example.com/repo:tag",
        "example.com/repo" D,
        "example.com/repo:tag" D,
        "example.com" D,
        "*.example.com",
        "example.com /x",
    };
    for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++)
        if (!sl_identity_prefix_is_valid(valid[i]))
            fail_msg("%s", valid[i]);
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++)
        if (sl_identity_prefix_is_valid(invalid[i]))
            fail_msg("%s", invalid[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(match_types_follow_the_table),
        cmocka_unit_test(exact_types_compare_with_what_the_policy_says),
        cmocka_unit_test(layouts_have_no_name_that_can_match),
        cmocka_unit_test(remap_prefix_ends_at_a_boundary),
        cmocka_unit_test(remap_replaces_the_prefix_and_then_matches),
        cmocka_unit_test(prefix_syntax_is_a_host_and_a_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
