/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle is the behaviour of docker and containers/image, as published in their own tests. */
#include "sluice/core/reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEX32 "ffffffffffffffffffffffffffffffff"
#define HEX64 HEX32 HEX32
#define HEX128 HEX64 HEX64
#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

static void assert_formats_as(const char *text, const char *expected)
{
    SL_AUTO(sl_reference) ref = NULL;
    struct sl_error err = {0};
    if (sl_reference_parse(text, &ref, &err) != 0)
        fail_msg("%s: %s", text, err.msg);
    SL_AUTO_FREE char *formatted = sl_reference_format(ref);
    assert_string_equal(formatted, expected);
}

static void assert_refused(const char *text, enum sl_errc code)
{
    struct sl_reference *ref = NULL;
    struct sl_error err = {0};
    int r = sl_reference_parse(text, &ref, &err);
    if (r >= 0)
        fail_msg("%s was accepted", text);
    if (err.code != code || -r != err.errnum)
        fail_msg("%s: code %s, not %s: %s", text, sl_errc_name(err.code), sl_errc_name(code),
                 err.msg);
    assert_null(ref);
}

static void reference_familiar_names_are_normalised(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"busybox", "docker.io/library/busybox:latest"},
        {"library/busybox", "docker.io/library/busybox:latest"},
        {"docker.io/busybox", "docker.io/library/busybox:latest"},
        {"docker.io/library/busybox", "docker.io/library/busybox:latest"},
        {"index.docker.io/busybox", "docker.io/library/busybox:latest"},
        {"fooo/bar", "docker.io/fooo/bar:latest"},
        {"index.docker.io/fooo/bar", "docker.io/fooo/bar:latest"},
        {"library/foo/bar", "docker.io/library/foo/bar:latest"},
        {"127.0.0.1:8000/privatebase", "127.0.0.1:8000/privatebase:latest"},
        {"localhost/x", "localhost/x:latest"},
        {"notlocalhost/x", "docker.io/notlocalhost/x:latest"},
        {"test.com:5000", "docker.io/library/test.com:5000"},
        {"test:5000/repo:tag@sha256:" HEX64, "test:5000/repo:tag@sha256:" HEX64},
        {"foo_bar.com:8080", "docker.io/library/foo_bar.com:8080"},
        {"xn--7o8h.com/myimage:xn--7o8h.com@sha512:" HEX128,
         "xn--7o8h.com/myimage:xn--7o8h.com@sha512:" HEX128},
        {"lowercase:Uppercase", "docker.io/library/lowercase:Uppercase"},
        {"docker---rules/docker", "docker.io/docker---rules/docker:latest"},
        {"dock__er/docker", "docker.io/dock__er/docker:latest"},
        {"d/docker", "docker.io/d/docker:latest"},
        {"docker.io/" HEX64, "docker.io/library/" HEX64 ":latest"},
        {"busybox:latest@sha256:" HEX64, "docker.io/library/busybox:latest@sha256:" HEX64},
        {"busybox@sha256:" HEX64, "docker.io/library/busybox@sha256:" HEX64},
        {"Registry.Example.COM/a/b:1", "Registry.Example.COM/a/b:1"},
        {"[::1]:5000/x:tag", "[::1]:5000/x:tag"},
        {"[::1]/x", "[::1]/x:latest"},
        {"[2001:DB8::1]:5000/a/b@sha256:" HEX64, "[2001:DB8::1]:5000/a/b@sha256:" HEX64},
        {"[fd00:1:2::3]:75050/foo:tag@sha256:" HEX64, "[fd00:1:2::3]:75050/foo:tag@sha256:" HEX64},
        {"[2001:db8::1", NULL},
        {"[2001:db8::1/x", NULL},
        {"2001:db8::1]:5000/x", NULL},
        {"[fd00:1:2::3]:/foo", NULL},
        {"[fd00:1:2::3]5000/foo", NULL},
        {"[fe80::1%eth0]:5000/x", NULL},
        {"[fe80::1%@invalidzone]:5000/x", NULL},
        {"[::ffff:1.2.3.4]/x", NULL},
        {"[[::1]]/x", NULL},
        {"[::1].x/x", NULL},
        {"[]:5000/x", NULL},
        {"[abc]/x", NULL},
        {"foo.com:/bar", NULL},
        {"a.b:c/d", NULL},
    };
    for (size_t i = 0; i < N_OF(cases); i++)
        if (cases[i][1])
            assert_formats_as(cases[i][0], cases[i][1]);
        else
            assert_refused(cases[i][0], SL_E_FORMAT);
}

static void reference_parts_are_told_apart(void **state)
{
    (void)state;
    SL_AUTO(sl_reference) ref = NULL;
    assert_int_equal(sl_reference_parse("test:5000/a/b:tag@sha256:" HEX64, &ref, NULL), 0);
    assert_string_equal(ref->host, "test:5000");
    assert_string_equal(ref->repository, "a/b");
    assert_string_equal(ref->tag, "tag");
    assert_true(ref->has_digest);
    assert_int_equal(ref->digest.alg, SL_SHA256);
    assert_int_equal(ref->digest.bytes[31], 0xff);
    ref = sl_reference_free(ref);
    assert_int_equal(sl_reference_parse("[::1]:5000/a:tag", &ref, NULL), 0);
    assert_string_equal(ref->host, "[::1]:5000");
    assert_string_equal(ref->repository, "a");
}

static void reference_with_only_a_digest_has_no_tag(void **state)
{
    (void)state;
    SL_AUTO(sl_reference) ref = NULL;
    assert_int_equal(sl_reference_parse("busybox@sha256:" HEX64, &ref, NULL), 0);
    assert_null(ref->tag);
    assert_true(ref->has_digest);
}

static void reference_malformed_are_refused(void **state)
{
    (void)state;
    char long_name[301];
    memset(long_name, 'a', 300);
    long_name[300] = '\0';
    assert_refused("", SL_E_FORMAT);
    assert_refused(":justtag", SL_E_FORMAT);
    assert_refused("docker.io//library///repo:tag", SL_E_FORMAT);
    assert_refused("docker.io/library/repo::tag", SL_E_FORMAT);
    assert_refused("docker.io/library/", SL_E_FORMAT);
    assert_refused("repo@@@sha256:" HEX64, SL_E_FORMAT);
    assert_refused("*:tag", SL_E_FORMAT);
    assert_refused("***/&/repo:tag", SL_E_FORMAT);
    assert_refused("@sha256:" HEX64, SL_E_FORMAT);
    assert_refused("repo@sha256:" HEX32 "ff", SL_E_FORMAT);
    assert_refused("validname@invaliddigest:" HEX64, SL_E_UNSUPPORTED);
    assert_refused("Uppercase:tag", SL_E_FORMAT);
    assert_refused("test:5000/Uppercase/lowercase:tag", SL_E_FORMAT);
    assert_refused(long_name, SL_E_FORMAT);
    assert_refused("aa/asdf$$^/aa", SL_E_FORMAT);
}

static void reference_bad_digests_are_refused(void **state)
{
    (void)state;
    assert_refused("a@", SL_E_FORMAT);
    assert_refused("a@sha256" HEX64, SL_E_FORMAT);
    assert_refused("a@sha256:", SL_E_FORMAT);
    assert_refused("a@:" HEX64, SL_E_FORMAT);
    assert_refused("a@s#a256:" HEX64, SL_E_FORMAT);
    assert_refused("a@sha123:" HEX64, SL_E_UNSUPPORTED);
    assert_refused("a@sha256:" HEX32, SL_E_FORMAT);
    assert_refused("a@sha384:" HEX64, SL_E_UNSUPPORTED);
    assert_refused("a@sha512:" HEX64, SL_E_FORMAT);
    assert_refused("a@sha256:g" HEX32 HEX32, SL_E_FORMAT);
    assert_refused("a@sha256:FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF" HEX32, SL_E_FORMAT);
    assert_refused("a@sha256:" HEX64 ":tag", SL_E_FORMAT);
    assert_formats_as("a@sha256:" HEX64, "docker.io/library/a@sha256:" HEX64);
}

static void reference_outside_the_grammar_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "docker/Docker",
        "https://github.com/docker/docker",
        "-docker",
        "docker-/docker",
        "____/____",
        "_docker/_docker",
        "dock..er/x",
        "dock_.er/x",
        "dock-.er/x",
        "dock___er/x",
        "docker///docker",
        "docker/",
        "/docker",
        " busybox",
        "busybox ",
        "busy\nbox",
        "busyb\xc3\xb6x",
        "busybox:",
        "busybox:.a",
        "busybox:-a",
        "busybox:a/b",
        "-x.com/a",
        "x-.com/a",
        "x..com/a",
        ".x.com/a",
        "x.com./a",
        "x.com:80:80/a",
        "x.com:8o/a",
        HEX64,
        NULL,
    };
    for (size_t i = 0; cases[i]; i++)
        assert_refused(cases[i], SL_E_FORMAT);
    assert_refused(NULL, SL_E_FORMAT);
}

static void reference_name_of_255_is_the_longest(void **state)
{
    (void)state;
    char text[300];
    /* "docker.io/library/" takes 18. */
    memset(text, 'a', sizeof(text));
    text[255 - 18] = '\0';
    SL_AUTO(sl_reference) ref = NULL;
    assert_int_equal(sl_reference_parse(text, &ref, NULL), 0);
    text[255 - 18] = 'a';
    text[256 - 18] = '\0';
    assert_refused(text, SL_E_FORMAT);
}

static void reference_tag_of_128_is_the_longest(void **state)
{
    (void)state;
    char text[300] = "a:";
    memset(text + 2, 'T', 129);
    text[2 + 128] = '\0';
    SL_AUTO(sl_reference) ref = NULL;
    assert_int_equal(sl_reference_parse(text, &ref, NULL), 0);
    assert_int_equal(strlen(ref->tag), 128);
    text[2 + 128] = 'T';
    assert_refused(text, SL_E_FORMAT);
}

static void reference_image_id_is_refused_but_63_digits_are_a_name(void **state)
{
    (void)state;
    assert_refused(HEX64, SL_E_FORMAT);
    assert_formats_as(HEX64 "f", "docker.io/library/" HEX64 "f:latest");
    assert_formats_as(HEX32 "fffffffffffffffffffffffffffffff",
                      "docker.io/library/" HEX32 "fffffffffffffffffffffffffffffff:latest");
}

static void reference_errors_name_the_reference_and_the_reason(void **state)
{
    (void)state;
    struct sl_reference *ref = NULL;
    struct sl_error err = {0};
    assert_int_equal(sl_reference_parse("docker/Docker", &ref, &err), -EINVAL);
    assert_string_equal(
        err.msg, "image reference \"docker/Docker\": the repository name must be lower case");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_familiar_names_are_normalised),
        cmocka_unit_test(reference_parts_are_told_apart),
        cmocka_unit_test(reference_with_only_a_digest_has_no_tag),
        cmocka_unit_test(reference_malformed_are_refused),
        cmocka_unit_test(reference_bad_digests_are_refused),
        cmocka_unit_test(reference_outside_the_grammar_is_refused),
        cmocka_unit_test(reference_name_of_255_is_the_longest),
        cmocka_unit_test(reference_tag_of_128_is_the_longest),
        cmocka_unit_test(reference_image_id_is_refused_but_63_digits_are_a_name),
        cmocka_unit_test(reference_errors_name_the_reference_and_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
