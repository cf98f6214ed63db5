/* SPDX-License-Identifier: Apache-2.0 */
/* The orders are those containers-policy.json(5) tells, with the names its implementation tests. */
#include "image_scope.h"

#include "assert_result.h"

#define DIGEST "sha256:dff90087e2a95f1c093cf40e7be6ef4e998e21b4ea38d0b494ea2fdb2576fcfe"

/* scopes: separated by blanks. */
static void assert_scopes(const char *name, const char *transport, const char *scopes)
{
    char **list = NULL;
    struct sl_error err = {0};
    struct sl_bytes joined = {0};
    assert_done(sl_image_scopes(name, &list, &err));
    for (size_t i = 0; list[i]; i++) {
        SL_AUTO_FREE char *one = sl_strf("%s%s", i ? " " : "", list[i]);
        assert_done(sl_bytes_append(&joined, sl_span_of(one), 1 << 16, &err));
    }
    const char *got = joined.data ? (const char *)joined.data : "";
    if (strcmp(got, scopes) != 0 || strcmp(sl_image_transport(name), transport) != 0)
        fail_msg("%s: %s: %s", name, sl_image_transport(name), got);
    sl_bytes_done(&joined);
    sl_image_scopes_free(list);
}

static void scopes_of_a_docker_name_go_from_identity_to_domain(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"example.com/ns/repo:tag",
         "example.com/ns/repo:tag example.com/ns/repo example.com/ns example.com *.com"},
        {"example.com/repo@" DIGEST,
         "example.com/repo@" DIGEST " example.com/repo example.com *.com"},
        {"example.com/repo:tag@" DIGEST,
         "example.com/repo@" DIGEST " example.com/repo example.com *.com"},
        {"localhost/repo:tag", "localhost/repo:tag localhost/repo localhost"},
        {"docker.io/notlocalhost/repo:tag",
         "docker.io/notlocalhost/repo:tag docker.io/notlocalhost/repo docker.io/notlocalhost "
         "docker.io *.io"},
        {"docker.io/library/repo:tag", "docker.io/library/repo:tag docker.io/library/repo "
                                       "docker.io/library docker.io *.io"},
        {"yet.another.example.com:8443/ns/repo:tag",
         "yet.another.example.com:8443/ns/repo:tag yet.another.example.com:8443/ns/repo "
         "yet.another.example.com:8443/ns yet.another.example.com:8443 *.another.example.com "
         "*.example.com *.com"},
        {"test:5000/library/busybox:latest",
         "test:5000/library/busybox:latest test:5000/library/busybox test:5000/library test:5000"},
        {"example.com/repo", "example.com/repo example.com *.com"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_scopes(cases[i][0], "docker", cases[i][1]);
}

static void scopes_of_a_layout_are_its_directories(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"oci:/srv/images/app:1", "/srv/images/app /srv/images /srv"},
        {"oci:/srv/images/app", "/srv/images/app /srv/images /srv"},
        {"oci:/srv/app@" DIGEST, "/srv/app /srv"},
        {"oci:/srv/a@b/c:1", "/srv/a@b/c /srv/a@b /srv"},
        {"oci:/srv.d/x:a.b/c", "/srv.d/x /srv.d"},
        {"oci:/:1", ""},
        {"oci:/", ""},
        {"oci:", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_scopes(cases[i][0], "oci", cases[i][1]);
}

static void clean_path_is_absolute_and_written_in_one_way(void **state)
{
    (void)state;
    static const char *const clean[] = {"/a", "/a/b", "/a.b/..c/.d", "/a b", "/..."};
    static const char *const unclean[] = {"",      "/",     "a",      "a/b",   "//",   "/a/",
                                          "/a//b", "//a",   "/a/./b", "/./a",  "/a/.", "/..",
                                          "/a/..", "/../a", ".",      "./a/b", "a/"};
    for (size_t i = 0; i < sizeof(clean) / sizeof(clean[0]); i++)
        if (!sl_scope_is_clean_path(sl_span_of(clean[i])))
            fail_msg("%s", clean[i]);
    for (size_t i = 0; i < sizeof(unclean) / sizeof(unclean[0]); i++)
        if (sl_scope_is_clean_path(sl_span_of(unclean[i])))
            fail_msg("%s", unclean[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scopes_of_a_docker_name_go_from_identity_to_domain),
        cmocka_unit_test(scopes_of_a_layout_are_its_directories),
        cmocka_unit_test(clean_path_is_absolute_and_written_in_one_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
