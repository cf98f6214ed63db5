/* SPDX-License-Identifier: Apache-2.0 */
/* Oracles: the worked lookups of image-rs, containers-auth.json(5), and skopeo's own files. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "auth_file.h"
#include "scratch_dir.h"

/* "u:p" */
#define AUTH_UP "dTpw"

static int lookup(const char *json, const char *host, const char *repository,
                  struct sl_credentials *ret, struct sl_error *err)
{
    struct sl_auth_options o = {.auth_json = sl_span_of(json)};
    return sl_auth_lookup(&o, host, repository, ret, err);
}

static void expect_basic(const char *json, const char *host, const char *repository,
                         const char *user, const char *password)
{
    SL_AUTO_DONE(sl_credentials) c = {0};
    struct sl_error err = {0};
    if (lookup(json, host, repository, &c, &err) < 0)
        fail_msg("%s", err.msg);
    assert_non_null(c.username);
    assert_string_equal(c.username, user);
    assert_string_equal(c.password, password);
}

static void expect_anonymous(const char *json, const char *host, const char *repository)
{
    SL_AUTO_DONE(sl_credentials) c = {0};
    assert_int_equal(lookup(json, host, repository, &c, NULL), 0);
    assert_true(sl_credentials_is_anonymous(&c));
}

static void expect_refused(const char *json, const char *host, const char *repository,
                           const char *in_msg)
{
    SL_AUTO_DONE(sl_credentials) c = {0};
    struct sl_error err = {0};
    assert_true(lookup(json, host, repository, &c, &err) < 0);
    assert_true(sl_credentials_is_anonymous(&c));
    assert_int_equal(err.code, SL_E_FORMAT);
    if (!strstr(err.msg, in_msg))
        fail_msg("%s", err.msg);
}

/* Each key alone must answer, and of several the first, which is the longest. */
static void check_candidates(const char *const *keys)
{
    SL_AUTO_FREE char *members = strdup("");
    char repository[64];
    (void)snprintf(repository, sizeof(repository), "%s", strchr(keys[0], '/') + 1);
    for (size_t n = 0; keys[n]; n++) {
        SL_AUTO_FREE char *plain = sl_strf("user%zu:p", n);
        SL_AUTO_FREE char *auth = sl_base64_encode(sl_span_of(plain));
        char *one = sl_strf("\"%s\": {\"auth\": \"%s\"}", keys[n], auth);
        SL_AUTO_FREE char *alone = sl_strf("{\"auths\": {%s}}", one);
        SL_AUTO_FREE char *user = sl_strf("user%zu", n);
        expect_basic(alone, "quay.io", repository, user, "p");
        char *all = sl_strf("%s%s%s", members, *members ? "," : "", one);
        free(members);
        members = all;
        free(one);
        SL_AUTO_FREE char *together = sl_strf("{\"auths\": {%s}}", members);
        expect_basic(together, "quay.io", repository, "user0", "p");
    }
    SL_AUTO_FREE char *file = sl_strf("{\"auths\": {%s}}", members);
    expect_anonymous(file, "quay.org", repository);
}

static void auth_candidates_go_from_specific_to_registry(void **state)
{
    (void)state;
    check_candidates((const char *const[]){"quay.io/a/b/c/d/image", "quay.io/a/b/c/d",
                                           "quay.io/a/b/c", "quay.io/a/b", "quay.io/a", "quay.io",
                                           NULL});
    check_candidates((const char *const[]){"quay.io/a/image", "quay.io/a", "quay.io", NULL});
    check_candidates((const char *const[]){"quay.io/image", "quay.io", NULL});
}

static void auth_worked_lookups_of_the_file(void **state)
{
    (void)state;
    static const char file[] = "{\"auths\": {\"https://index.docker.io/v1/\": {\"auth\": "
                               "\"bGl1ZGFsaWJqOlBhc3N3MHJkIXFhego=\"}, \"quay.io\": {\"auth\": "
                               "\"bGl1ZGFsaWJqOlBhc3N3MHJkIXFhego=\"}}}";
    expect_basic(file, "docker.io", "library/mysql", "liudalibj", "Passw0rd!qaz");
    expect_basic(file, "quay.io", "confidential-containers/image", "liudalibj", "Passw0rd!qaz");
    expect_anonymous(file, "gcr.io", "google-containers/busybox");
}

static void auth_keys_of_docker_io_are_normalised(void **state)
{
    (void)state;
    static const char *const spellings[] = {"https://index.docker.io/v1/", "https://docker.io/v1/",
                                            "http://registry-1.docker.io", "index.docker.io",
                                            "docker.io"};
    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
        SL_AUTO_FREE char *file =
            sl_strf("{\"auths\": {\"%s\": {\"auth\": \"" AUTH_UP "\"}}}", spellings[i]);
        expect_basic(file, "docker.io", "library/mysql", "u", "p");
        expect_basic(file, "registry-1.docker.io", "library/mysql", "u", "p");
        expect_anonymous(file, "quay.io", "library/mysql");
    }
    static const char quay[] =
        "{\"auths\": {\"https://quay.io/v2/x\": {\"auth\": \"" AUTH_UP "\"}}}";
    expect_basic(quay, "quay.io", "a", "u", "p");
    /* Without a scheme the rest is a namespace. */
    static const char name[] = "{\"auths\": {\"quay.io/v2\": {\"auth\": \"" AUTH_UP "\"}}}";
    expect_anonymous(name, "quay.io", "a");
    expect_basic(name, "quay.io", "v2/a", "u", "p");
}

static void auth_exact_host_beats_other_spellings(void **state)
{
    (void)state;
    expect_basic("{\"auths\": {\"https://quay.io\": {\"auth\": \"eDp5\"},"
                 "\"quay.io\": {\"auth\": \"" AUTH_UP "\"}}}",
                 "quay.io", "a", "u", "p");
}

static void auth_key_of_another_host_does_not_match(void **state)
{
    (void)state;
    static const char file[] = "{\"auths\": {\"quay.io\": {\"auth\": \"" AUTH_UP "\"}}}";
    expect_anonymous(file, "quay.io:5000", "a");
    expect_anonymous(file, "evilquay.io", "a");
    expect_anonymous(file, "quay.io.evil.org", "a");
    expect_anonymous(file, "quay", "io/a");
}

static void auth_password_is_split_at_the_first_colon_and_trimmed(void **state)
{
    (void)state;
    static const struct {
        const char *plain;
        size_t len;
        const char *password;
    } cases[] = {{"u:p:q", 5, "p:q"}, {"u:p\n", 4, "p"}, {"u:p\r\n", 5, "p"}, {"u:p\0\0", 5, "p"},
                 {"u:\np", 4, "p"},   {"u:", 2, ""},     {"u: p ", 5, " p "}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_span plain = {(const uint8_t *)cases[i].plain, cases[i].len};
        SL_AUTO_FREE char *auth = sl_base64_encode(plain);
        SL_AUTO_FREE char *file = sl_strf("{\"auths\": {\"q\": {\"auth\": \"%s\"}}}", auth);
        expect_basic(file, "q", "a", "u", cases[i].password);
        /* base64(1) ends, and folds, its lines */
        SL_AUTO_FREE char *folded =
            sl_strf("{\"auths\": {\"q\": {\"auth\": \"%.3s\\n%s\\n\"}}}", auth, auth + 3);
        expect_basic(folded, "q", "a", "u", cases[i].password);
    }
}

static void auth_other_members_of_an_entry_are_read(void **state)
{
    (void)state;
    expect_basic("{\"auths\": {\"q\": {\"username\": \"n\", \"password\": \"w\"}}}", "q", "a", "n",
                 "w");
    expect_basic("{\"auths\": {\"q\": {\"auth\": \"" AUTH_UP "\", \"username\": \"n\","
                 "\"email\": \"x\"}}}",
                 "q", "a", "u", "p");
    SL_AUTO_DONE(sl_credentials) c = {0};
    assert_int_equal(lookup("{\"auths\": {\"q\": {\"identitytoken\": \"idt\","
                            "\"registrytoken\": \"rt\"}}}",
                            "q", "a", &c, NULL),
                     0);
    assert_string_equal(c.identity_token, "idt");
    assert_string_equal(c.registry_token, "rt");
    assert_null(c.username);
    assert_false(sl_credentials_is_anonymous(&c));
}

static void auth_entry_that_is_broken_spoils_only_itself(void **state)
{
    (void)state;
    static const char file[] =
        "{\"auths\": {\"empty\": {}, \"number\": 7, \"null\": null, \"bad64\": {\"auth\": "
        "\"!SECRET!\"}, \"nul\": {\"auth\": \"dTphAGI=\"}, \"nocolon\": {\"auth\": \"dXA=\"},"
        "\"types\": {\"auth\": 7, \"username\": []},"
        "\"quay.io\": {\"auth\": \"" AUTH_UP "\"}}, \"credHelpers\": {\"h\": 3}}";
    expect_basic(file, "quay.io", "a", "u", "p");
    expect_anonymous(file, "empty", "a");
    expect_anonymous(file, "nocolon", "a");
    expect_anonymous(file, "types", "a");
    expect_refused(file, "number", "a", "number: the entry is not an object");
    expect_refused(file, "null", "a", "the entry is not an object");
    expect_refused(file, "bad64", "a", "\"auth\" is not base64");
    expect_refused(file, "nul", "a", "NUL");
    expect_refused(file, "h", "a", "credHelpers");
    struct sl_error err = {0};
    SL_AUTO_DONE(sl_credentials) c = {0};
    assert_int_equal(lookup(file, "bad64", "a", &c, &err), -EINVAL);
    assert_null(strstr(err.msg, "SECRET"));
}

static void auth_file_that_is_no_json_object_is_refused(void **state)
{
    (void)state;
    expect_refused("", "q", "a", "auth file");
    expect_refused("[]", "q", "a", "must be a JSON object");
    expect_refused("{\"auths\": ", "q", "a", "not valid JSON");
    expect_anonymous("{}", "q", "a");
    expect_anonymous("{\"auths\": []}", "q", "a");
}

static void auth_creds_beat_everything(void **state)
{
    (void)state;
    struct sl_auth_options o = {
        .creds = "me:a:b", .auth_json = sl_span_of("broken"), .authfile = "/nonexistent"};
    SL_AUTO_DONE(sl_credentials) c = {0};
    struct sl_error err = {0};
    assert_int_equal(sl_auth_lookup(&o, "q", "a", &c, &err), 0);
    assert_string_equal(c.username, "me");
    assert_string_equal(c.password, "a:b");
    o.creds = "SECRET";
    assert_int_equal(sl_auth_lookup(&o, "q", "a", &c, &err), -EINVAL);
    assert_string_equal(err.msg, "credentials must be USER:PASSWORD");
    o.creds = ":p";
    assert_int_equal(sl_auth_lookup(&o, "q", "a", &c, &err), -EINVAL);
}

/* ---- files ---- */

static void clear_environment(const struct scratch_dir *d)
{
    static const char *const names[] = {"REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME", "DOCKER_CONFIG",
                                        NULL};
    for (const char *const *n = names; *n; n++)
        assert_int_equal(unsetenv(*n), 0);
    assert_int_equal(setenv("HOME", d->path, 1), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", d->path, 1), 0);
}

static void write_auth(const struct scratch_dir *d, const char *name, const char *host,
                       const char *user)
{
    SL_AUTO_FREE char *plain = sl_strf("%s:p", user);
    SL_AUTO_FREE char *auth = sl_base64_encode(sl_span_of(plain));
    SL_AUTO_FREE char *text = sl_strf("{\"auths\": {\"%s\": {\"auth\": \"%s\"}}}", host, auth);
    scratch_write(d, name, text, 0600);
}

static void expect_user(const struct sl_auth_options *o, const char *user)
{
    SL_AUTO_DONE(sl_credentials) c = {0};
    struct sl_error err = {0};
    if (sl_auth_lookup(o, "q", "a", &c, &err) < 0)
        fail_msg("%s", err.msg);
    if (user)
        assert_non_null(c.username);
    if (user)
        assert_string_equal(c.username, user);
    else
        assert_null(c.username);
}

static void auth_files_are_searched_in_order(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    clear_environment(&d);
    struct sl_auth_options o = {0};
    expect_user(&o, NULL);
    scratch_write(&d, ".dockercfg", "{\"https://q/v1/\": {\"auth\": \"b2xkOnA=\"}}", 0600);
    expect_user(&o, "old");
    write_auth(&d, ".docker/config.json", "q", "docker");
    expect_user(&o, "docker");
    write_auth(&d, "dc/config.json", "q", "docker-env");
    SL_AUTO_FREE char *docker_config = scratch_path(&d, "dc");
    assert_int_equal(setenv("DOCKER_CONFIG", docker_config, 1), 0);
    expect_user(&o, "docker-env");
    write_auth(&d, ".config/containers/auth.json", "q", "config");
    expect_user(&o, "config");
    write_auth(&d, "xdg/containers/auth.json", "q", "xdg");
    SL_AUTO_FREE char *xdg = scratch_path(&d, "xdg");
    assert_int_equal(setenv("XDG_CONFIG_HOME", xdg, 1), 0);
    expect_user(&o, "xdg");
    write_auth(&d, "containers/auth.json", "other", "primary");
    expect_user(&o, "xdg");
    write_auth(&d, "containers/auth.json", "q", "primary");
    expect_user(&o, "primary");
    clear_environment(&d);
}

static void auth_explicit_file_ends_the_search(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    clear_environment(&d);
    write_auth(&d, "containers/auth.json", "q", "primary");
    write_auth(&d, "mine.json", "other", "mine");
    SL_AUTO_FREE char *mine = scratch_path(&d, "mine.json");
    struct sl_auth_options o = {.authfile = mine};
    expect_user(&o, NULL);
    struct sl_auth_options system = {0};
    assert_int_equal(setenv("REGISTRY_AUTH_FILE", mine, 1), 0);
    expect_user(&system, NULL);
    assert_int_equal(unlink(mine), 0);
    SL_AUTO_DONE(sl_credentials) c = {0};
    struct sl_error err = {0};
    assert_int_equal(sl_auth_lookup(&system, "q", "a", &c, &err), -ENOENT);
    assert_non_null(strstr(err.msg, mine));
    assert_int_equal(sl_auth_lookup(&o, "q", "a", &c, &err), -ENOENT);
    assert_int_equal(err.code, SL_E_SYSTEM);
    clear_environment(&d);
}

static void auth_broken_file_in_the_search_is_an_error(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    clear_environment(&d);
    scratch_write(&d, "containers/auth.json", "{", 0600);
    struct sl_auth_options o = {0};
    SL_AUTO_DONE(sl_credentials) c = {0};
    struct sl_error err = {0};
    assert_int_equal(sl_auth_lookup(&o, "q", "a", &c, &err), -EINVAL);
    assert_int_equal(err.code, SL_E_FORMAT);
    assert_non_null(strstr(err.msg, "containers/auth.json"));
}

/* ---- helpers ---- */

static void install_helper(const struct scratch_dir *d, const char *name, const char *script)
{
    SL_AUTO_FREE char *file = sl_strf("bin/docker-credential-%s", name);
    scratch_write(d, file, script, 0755);
    SL_AUTO_FREE char *path = sl_strf("%s/bin:/usr/bin:/bin", d->path);
    assert_int_equal(setenv("PATH", path, 1), 0);
}

#define ECHO_HELPER                                                                                \
    "#!/bin/sh\nread -r server\n"                                                                  \
    "printf '{\"ServerURL\":\"%s\",\"Username\":\"helped\",\"Secret\":\"%s\"}' \"$server\" "       \
    "\"$server\"\n"

static void auth_helpers_of_the_file_are_asked(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    clear_environment(&d);
    install_helper(&d, "xyz", ECHO_HELPER);
    install_helper(&d, "none",
                   "#!/bin/sh\necho credentials not found in native keychain\nexit 1\n");
    /* credHelpers come before auths, also when they know nothing. */
    expect_basic("{\"credHelpers\": {\"q:5\": \"xyz\"}, \"auths\": {\"q:5\": {\"auth\": \"" AUTH_UP
                 "\"}}}",
                 "q:5", "a", "helped", "q:5");
    expect_anonymous("{\"credHelpers\": {\"q\": \"none\"}, \"auths\": {\"q\": {\"auth\": \"" AUTH_UP
                     "\"}}}",
                     "q", "a");
    expect_basic("{\"credHelpers\": {\"https://index.docker.io/v1/\": \"xyz\"}}", "docker.io", "a",
                 "helped", "https://index.docker.io/v1/");
    /* credsStore answers for whatever the file leaves open. */
    expect_basic("{\"credsStore\": \"xyz\", \"auths\": {\"q\": {}}}", "q", "a", "helped", "q");
    expect_basic("{\"credsStore\": \"xyz\"}", "docker.io", "a", "helped",
                 "https://index.docker.io/v1/");
    expect_basic("{\"credsStore\": \"xyz\", \"auths\": {\"q\": {\"auth\": \"" AUTH_UP "\"}}}", "q",
                 "a", "u", "p");
}

static void auth_store_that_is_not_installed_matters_only_after_a_login(void **state)
{
    (void)state;
    expect_anonymous("{\"credsStore\": \"nowhere\"}", "q", "a");
    SL_AUTO_DONE(sl_credentials) c = {0};
    struct sl_error err = {0};
    assert_int_equal(
        lookup("{\"credsStore\": \"nowhere\", \"auths\": {\"q\": {}}}", "q", "a", &c, &err),
        -ENOENT);
    assert_int_equal(err.code, SL_E_AUTH);
    assert_int_equal(lookup("{\"credHelpers\": {\"q\": \"nowhere\"}}", "q", "a", &c, &err),
                     -ENOENT);
    assert_non_null(strstr(err.msg, "docker-credential-nowhere"));
}

static void auth_helpers_of_the_configuration_are_asked_in_order(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    clear_environment(&d);
    install_helper(&d, "xyz", ECHO_HELPER);
    install_helper(&d, "bad", "#!/bin/sh\necho broken\nexit 3\n");
    struct sl_auth_options o = {
        .helpers = (const char *const[]){"bad", "containers-auth.json", "xyz", NULL}};
    expect_user(&o, "helped");
    write_auth(&d, "containers/auth.json", "q", "file");
    expect_user(&o, "file");
    o.helpers = (const char *const[]){"bad", NULL};
    SL_AUTO_DONE(sl_credentials) c = {0};
    struct sl_error err = {0};
    assert_true(sl_auth_lookup(&o, "q", "a", &c, &err) < 0);
    assert_int_equal(err.code, SL_E_AUTH);
    assert_non_null(strstr(err.msg, "status 3: broken"));
}

/* The user name skopeo finds in the file for a key; "" for none. */
static char *ask_skopeo(const char *file, const char *key)
{
    SL_AUTO_FREE char *command =
        sl_strf("exec skopeo login --get-login --authfile %s %s 2>&1", file, key);
    FILE *f = popen(command, "re");
    assert_non_null(f);
    char line[256] = "";
    if (!fgets(line, sizeof(line), f))
        line[0] = 0;
    line[strcspn(line, "\n")] = 0;
    return pclose(f) == 0 ? strdup(line) : strdup("");
}

static void auth_lookups_agree_with_skopeo(void **state)
{
    (void)state;
    assert_int_equal(setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1), 0);
    if (access("/usr/bin/skopeo", X_OK) < 0)
        skip(); /* skopeo is not installed */
    SCRATCH_DIR d = scratch_make();
    scratch_write(&d, "auth.json",
                  "{\"auths\": {\"quay.io/a\": {\"auth\": \"dTE6cA==\"}, \"quay.io\": {\"auth\": "
                  "\"dTI6cA==\"}, \"https://index.docker.io/v1/\": {\"auth\": \"dTM6cA==\"}, "
                  "\"e.io/x\": {}, \"e.io\": {\"auth\": \"dTQ6cA==\"}, "
                  "\"http://h.io:5000/v2/x\": {\"auth\": \"dTU6cA==\"}}}",
                  0600);
    SL_AUTO_FREE char *file = scratch_path(&d, "auth.json");
    static const char *const keys[] = {
        "quay.io/a", "quay.io/a/b", "quay.io/c", "quay.io/ab",   "docker.io/a/b", "docker.io/a",
        "e.io/x",    "e.io/x/y",    "e.io/z",    "h.io:5000/v2", "h.io/v2",       "gcr.io/a",
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        SL_AUTO_FREE char *expected = ask_skopeo(file, keys[i]);
        SL_AUTO_FREE char *host = strndup(keys[i], strcspn(keys[i], "/"));
        struct sl_auth_options o = {.authfile = file};
        SL_AUTO_DONE(sl_credentials) c = {0};
        assert_int_equal(sl_auth_lookup(&o, host, strchr(keys[i], '/') + 1, &c, NULL), 0);
        if (strcmp(c.username ? c.username : "", expected) != 0)
            fail_msg("%s: %s, skopeo finds %s", keys[i], c.username, expected);
    }
}

static void credentials_are_gone_after_done(void **state)
{
    (void)state;
    struct sl_credentials c = {0};
    assert_int_equal(sl_credentials_parse("user:password", &c, NULL), 0);
    sl_credentials_done(&c);
    assert_true(sl_credentials_is_anonymous(&c));
    sl_credentials_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auth_candidates_go_from_specific_to_registry),
        cmocka_unit_test(auth_worked_lookups_of_the_file),
        cmocka_unit_test(auth_keys_of_docker_io_are_normalised),
        cmocka_unit_test(auth_exact_host_beats_other_spellings),
        cmocka_unit_test(auth_key_of_another_host_does_not_match),
        cmocka_unit_test(auth_password_is_split_at_the_first_colon_and_trimmed),
        cmocka_unit_test(auth_other_members_of_an_entry_are_read),
        cmocka_unit_test(auth_entry_that_is_broken_spoils_only_itself),
        cmocka_unit_test(auth_file_that_is_no_json_object_is_refused),
        cmocka_unit_test(auth_creds_beat_everything),
        cmocka_unit_test(auth_files_are_searched_in_order),
        cmocka_unit_test(auth_explicit_file_ends_the_search),
        cmocka_unit_test(auth_broken_file_in_the_search_is_an_error),
        cmocka_unit_test(auth_helpers_of_the_file_are_asked),
        cmocka_unit_test(auth_store_that_is_not_installed_matters_only_after_a_login),
        cmocka_unit_test(auth_helpers_of_the_configuration_are_asked_in_order),
        cmocka_unit_test(auth_lookups_agree_with_skopeo),
        cmocka_unit_test(credentials_are_gone_after_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
