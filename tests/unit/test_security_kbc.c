/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/kbc.h"

#include "assert_result.h"
#include "scratch_dir.h"

#include "sluice/core/json.h"

#define KEYS_FILE SL_TEST_DATA "/vectors/coco_offline_fs_kbc_keys.json"
#define EXTRA "OFFLINE_FS_KBC_EXTRA_FILE_PATH"
/* base64 of 32 bytes 'a', 'b', 'c' */
#define KEK_A "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
#define KEK_B "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI="

/* Its path, to be freed. */
static char *file(const struct scratch_dir *dir, const char *name, const char *text)
{
    scratch_write(dir, name, text, 0600);
    return scratch_path(dir, name);
}

static struct sl_kbc *open_files(const char *keys, const char *resources)
{
    const struct sl_kbc_options options = {
        .selection = "offline_fs_kbc::null", .offline_keys = keys, .offline_resources = resources};
    struct sl_kbc *kbc = NULL;
    struct sl_error err = {0};
    assert_done(sl_kbc_open(&options, &kbc, &err));
    return kbc;
}

static void assert_kek(struct sl_kbc *kbc, const char *kid, const char *base64)
{
    struct sl_error err = {0};
    uint8_t kek[32] = {0};
    SL_AUTO_DONE(sl_bytes) want = {0};
    assert_done(sl_base64_decode(sl_span_of(base64), &want, &err));
    assert_done(sl_kbc_lookup_kek(kbc, kid, kek, &err));
    assert_int_equal(want.len, 32);
    assert_memory_equal(kek, want.data, 32);
}

static void assert_resource(struct sl_kbc *kbc, const char *uri, const char *text)
{
    struct sl_error err = {0};
    SL_AUTO_DONE(sl_bytes) got = {0};
    assert_done(sl_kbc_get_resource(kbc, uri, &got, &err));
    assert_string_equal((const char *)got.data, text);
}

static void assert_no_resource(struct sl_kbc *kbc, const char *uri, const char *message)
{
    struct sl_error err = {0};
    struct sl_bytes got = {0};
    assert_error(sl_kbc_get_resource(kbc, uri, &got, &err), ENOENT, SL_E_AUTH, message);
    assert_null(got.data);
}

/* ---- selection ---- */

static void open_selection_is_split_at_the_first_colons(void **state)
{
    (void)state;
    static const char *const good[] = {"offline_fs_kbc::null",
                                       "offline_fs_kbc::", "offline_fs_kbc::http://[::1]:8080"};
    static const char *const bad[] = {"",
                                      "offline_fs_kbc",
                                      "offline_fs_kbc:null",
                                      "::",
                                      "offline_fs_kbcs::null",
                                      "offline_fs::null",
                                      "cc_kbcs::http://127.0.0.1:8080",
                                      "cc_kbc"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        const struct sl_kbc_options options = {.selection = good[i], .offline_keys = KEYS_FILE};
        SL_AUTO(sl_kbc) kbc = NULL;
        struct sl_error err = {0};
        assert_done(sl_kbc_open(&options, &kbc, &err));
        assert_string_equal(sl_kbc_name(kbc), "offline_fs_kbc");
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct sl_kbc_options options = {.selection = bad[i], .offline_keys = KEYS_FILE};
        SL_AUTO(sl_kbc) kbc = NULL;
        struct sl_error err = {0};
        assert_error(sl_kbc_open(&options, &kbc, &err), EOPNOTSUPP, SL_E_UNSUPPORTED,
                     "only offline_fs_kbc::null");
        assert_null(kbc);
    }
}

static const char cc_kbc[] = "cc_kbc::http://[::1]:8080";

/* Guests are configured with a broker, and pull plain images too. */
static void broker_of_others_is_refused_when_it_is_needed(void **state)
{
    (void)state;
    const struct sl_kbc_options options = {.selection = cc_kbc};
    uint8_t kek[32];
    SL_AUTO(sl_kbc) kbc = NULL;
    struct sl_error err = {0};
    assert_done(sl_kbc_open(&options, &kbc, &err));
    assert_error(sl_kbc_lookup_kek(kbc, "kbs:///a/b/c", kek, &err), EOPNOTSUPP, SL_E_UNSUPPORTED,
                 "configure an upstream");
}

struct hub {
    size_t size; /* of its answers */
    char asked[64];
    unsigned n_asked, n_closed;
};

static int ask_hub(void *arg, const char *uri, struct sl_bytes *ret, struct sl_error *err)
{
    static const uint8_t answer[64] = {1, 2, 3};
    struct hub *hub = arg;
    hub->n_asked++;
    (void)snprintf(hub->asked, sizeof(hub->asked), "%s", uri);
    return sl_bytes_append(ret, (struct sl_span){answer, hub->size}, sizeof(answer), err);
}

static void close_hub(void *arg)
{
    ((struct hub *)arg)->n_closed++;
}

static void other_brokers_are_asked_for_upstream(void **state)
{
    (void)state;
    static const uint8_t want[32] = {1, 2, 3};
    struct hub hub = {.size = 32};
    struct sl_kbc_forward forward = {ask_hub, close_hub, &hub};
    const struct sl_kbc_options options = {.selection = cc_kbc, .forward = &forward};
    uint8_t kek[32];
    SL_AUTO(sl_kbc) kbc = NULL;
    SL_AUTO_DONE(sl_bytes) resource = {0};
    struct sl_error err = {0};
    assert_done(sl_kbc_open(&options, &kbc, &err));
    assert_null(forward.close); /* it was taken */
    for (int i = 0; i < 2; i++)
        assert_done(sl_kbc_lookup_kek(kbc, "kbs:///a/b/c", kek, &err));
    assert_memory_equal(kek, want, 32);
    assert_int_equal(hub.n_asked, 1);
    assert_string_equal(hub.asked, "kbs:///a/b/c");
    hub.size = 31;
    assert_error(sl_kbc_lookup_kek(kbc, "kbs:///a/b/d", kek, &err), EBADMSG, SL_E_FORMAT,
                 "31 bytes instead of 32");
    hub.size = 64;
    assert_done(sl_kbc_get_resource(kbc, "kbs:///a/b/e", &resource, &err));
    assert_int_equal(resource.len, 64);
    kbc = sl_kbc_close(kbc);
    assert_int_equal(hub.n_closed, 1);
}

static void sample_is_refused_unless_its_key_is_handed_in(void **state)
{
    (void)state;
    uint8_t public_key[32];
    uint8_t kek[32] = {0};
    memset(public_key, 7, sizeof(public_key));
    struct sl_kbc_options options = {.selection = "sample_kbc::null"};
    SL_AUTO(sl_kbc) kbc = NULL;
    struct sl_error err = {0};
    assert_error(sl_kbc_open(&options, &kbc, &err), EACCES, SL_E_POLICY, "its key is public");
    options.sample_kek = public_key;
    assert_done(sl_kbc_open(&options, &kbc, &err));
    assert_string_equal(sl_kbc_name(kbc), "sample_kbc");
    assert_done(sl_kbc_lookup_kek(kbc, "kbs:///any/thing/1", kek, &err));
    assert_memory_equal(kek, public_key, 32);
    assert_no_resource(kbc, "kbs:///any/thing/1", "unknown resource name: any/thing/1");
}

/* ---- keys ---- */

static void lookup_published_key_in_every_kid_form_yields_it(void **state)
{
    (void)state;
    static const char *const kids[] = {"kbs:///default/key/key_id10",
                                       "kbs://ignored:8080/default/key/key_id10",
                                       "kbs+resource:///default/key/key_id10",
                                       "kbs:///default/key/key_id10?a=b",
                                       "/default/key/key_id10",
                                       "addr/default/key/key_id10"};
    SL_AUTO(sl_kbc) kbc = open_files(KEYS_FILE, NULL);
    for (size_t i = 0; i < sizeof(kids) / sizeof(kids[0]); i++)
        assert_kek(kbc, kids[i], "1g3KtvGfyIjq+HZmsKYJ1tMzuB8f1RjS6H0ieNBHLV0=");
}

static void lookup_unknown_key_fails_and_names_it(void **state)
{
    (void)state;
    static const char *const kids[] = {"kbs:///default/key/key_id", "kbs:///default/key/key_id100",
                                       "/default/key/key_id"};
    SL_AUTO(sl_kbc) kbc = open_files(KEYS_FILE, NULL);
    for (size_t i = 0; i < 2 * sizeof(kids) / sizeof(kids[0]); i++) {
        const char *kid = kids[i / 2];
        uint8_t kek[32] = {7};
        struct sl_error err = {0};
        assert_error(sl_kbc_lookup_kek(kbc, kid, kek, &err), ENOKEY, SL_E_AUTH,
                     "offline-fs-kbc: Received unknown key ID: default/key/key_id");
        assert_int_equal(kek[0], 7);
    }
}

static void lookup_malformed_kid_is_a_format_error(void **state)
{
    (void)state;
    static const char *const kids[] = {"key_id1",
                                       "",
                                       "kbs://",
                                       "default/key/key_id1",
                                       "kbs:///kbs:///default/key/key_id1",
                                       "kbs:///default/key/../key/key_id1",
                                       "kbs:///default/key",
                                       "kbs:///default/key/key_id1/more",
                                       "kbs+pkcs11:///default/key/key_id1"};
    SL_AUTO(sl_kbc) kbc = open_files(KEYS_FILE, NULL);
    for (size_t i = 0; i < sizeof(kids) / sizeof(kids[0]); i++) {
        uint8_t kek[32];
        struct sl_error err = {0};
        assert_error(sl_kbc_lookup_kek(kbc, kids[i], kek, &err), EBADMSG, SL_E_FORMAT,
                     "offline-fs-kbc: ");
    }
}

static void lookup_key_of_wrong_size_is_refused(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    SL_AUTO_FREE char *keys = file(&dir, "keys", "{\"a/b/c\":\"AAAA\",\"a/b/d\":\"\"}");
    SL_AUTO(sl_kbc) kbc = open_files(keys, NULL);
    struct sl_error err = {0};
    uint8_t kek[32];
    assert_error(sl_kbc_lookup_kek(kbc, "kbs:///a/b/c", kek, &err), EBADMSG, SL_E_FORMAT,
                 "offline-fs-kbc: key a/b/c has 3 bytes instead of 32");
    assert_error(sl_kbc_lookup_kek(kbc, "kbs:///a/b/d", kek, &err), EBADMSG, SL_E_FORMAT,
                 "has 0 bytes instead of 32");
}

static void open_malformed_files_are_refused_without_quoting_them(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "Failed to parse %ss JSON file"},
        {"[]", "Failed to parse %ss JSON file"},
        {"{\"a/b/c\":secret}", "Failed to parse %ss JSON file"},
        {"{\"a/b/c\":\"AAAA\",\"a/b/c\":\"AAAA\"}", "Failed to parse %ss JSON file"},
        {"{\"a/b/c\":\"*secret*\"}", "Failed to decode %s a/b/c"},
        {"{\"a/b/c\":\"AA AA\"}", "Failed to decode %s a/b/c"},
        {"{\"a/b/c\":[\"secret\"]}", "Failed to decode %s a/b/c"},
        {"{\"a/b/c\":1}", "Failed to decode %s a/b/c"},
    };
    SCRATCH_DIR dir = scratch_make();
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        bool is_keys = i % 2;
        SL_AUTO_FREE char *bad = file(&dir, "bad.json", cases[i / 2].text);
        const struct sl_kbc_options options = {.selection = "offline_fs_kbc::null",
                                               .offline_keys = is_keys ? bad : KEYS_FILE,
                                               .offline_resources = is_keys ? NULL : bad};
        char message[64];
        const char *format = cases[i / 2].message;
        const char *noun = strchr(format, '%');
        (void)snprintf(message, sizeof(message), "%.*s%s%s", (int)(noun - format), format,
                       is_keys ? "key" : "resource", noun + 2);
        SL_AUTO(sl_kbc) kbc = NULL;
        struct sl_error err = {0};
        assert_error(sl_kbc_open(&options, &kbc, &err), EBADMSG, SL_E_FORMAT, message);
        assert_non_null(strstr(err.msg, "offline-fs-kbc: /"));
        assert_non_null(strstr(err.msg, "/bad.json: "));
        assert_null(strstr(err.msg, "secret"));
    }
}

static void open_missing_file_that_was_named_is_an_error(void **state)
{
    (void)state;
    struct sl_kbc_options options = {.selection = "offline_fs_kbc::null",
                                     .offline_keys = "/nonexistent/keys.json"};
    SL_AUTO(sl_kbc) kbc = NULL;
    struct sl_error err = {0};
    assert_error(sl_kbc_open(&options, &kbc, &err), ENOENT, SL_E_SYSTEM, "/nonexistent/keys.json");
    options.offline_keys = KEYS_FILE;
    options.offline_resources = "/nonexistent/resources.json";
    assert_error(sl_kbc_open(&options, &kbc, &err), ENOENT, SL_E_SYSTEM,
                 "/nonexistent/resources.json");
}

static void files_by_default_are_missed_when_they_are_needed(void **state)
{
    (void)state;
    if (access(SL_OFFLINE_KEYS_PATH, F_OK) == 0 || access(SL_OFFLINE_RESOURCES_PATH, F_OK) == 0)
        skip(); /* this machine has some */
    SL_AUTO(sl_kbc) kbc = open_files(NULL, NULL);
    struct sl_error err = {0};
    uint8_t kek[32];
    assert_error(sl_kbc_lookup_kek(kbc, "kbs:///a/key/1", kek, &err), ENOKEY, SL_E_AUTH,
                 "offline-fs-kbc: Received unknown key ID: a/key/1; there is no "
                 "/etc/aa-offline_fs_kbc-keys.json");
    assert_no_resource(kbc, "kbs:///a/b/c",
                       "offline-fs-kbc: Received unknown resource name: a/b/c; there is no "
                       "/etc/aa-offline_fs_kbc-resources.json");
}

/* ---- resources ---- */

static void keys_and_resources_are_kept_apart(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    SL_AUTO_FREE char *keys = file(&dir, "keys", "{\"default/key/1\":\"" KEK_A "\"}");
    SL_AUTO_FREE char *resources = file(&dir, "resources",
                                        "{\"default/security-policy/test\":\"e30=\","
                                        "\"default/key/2\":\"" KEK_B "\"}");
    SL_AUTO(sl_kbc) kbc = open_files(keys, resources);
    struct sl_error err = {0};
    uint8_t kek[32];
    assert_kek(kbc, "kbs:///default/key/1", KEK_A);
    assert_resource(kbc, "kbs:///default/security-policy/test", "{}");
    assert_resource(kbc, "kbs://host:1/default/security-policy/test?a=b", "{}");
    assert_no_resource(kbc, "kbs:///default/key/1",
                       "offline-fs-kbc: Received unknown resource name: default/key/1; add it");
    assert_error(sl_kbc_lookup_kek(kbc, "kbs:///default/key/2", kek, &err), ENOKEY, SL_E_AUTH,
                 "Received unknown key ID: default/key/2");
}

static void resource_of_malformed_uri_is_a_format_error(void **state)
{
    (void)state;
    static const char *const uris[] = {"/default/credential/test", "kbs:///default/credential",
                                       "kbs+x:///default/credential/test", "file:///etc/passwd"};
    SL_AUTO(sl_kbc) kbc = open_files(KEYS_FILE, NULL);
    for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
        struct sl_error err = {0};
        struct sl_bytes got = {0};
        assert_error(sl_kbc_get_resource(kbc, uris[i], &got, &err), EBADMSG, SL_E_FORMAT,
                     "offline-fs-kbc: ");
    }
}

/* ---- extra files ---- */

static void extra_files_add_to_both_and_the_later_wins(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    SL_AUTO_FREE char *keys = file(&dir, "keys", "{\"d/key/1\":\"" KEK_A "\"}");
    SL_AUTO_FREE char *resources = file(&dir, "resources", "{\"d/r/1\":\"b25l\"}");
    SL_AUTO_FREE char *one = file(&dir, "one", "{\"d/key/2\":\"" KEK_A "\",\"d/r/2\":\"dHdv\"}");
    SL_AUTO_FREE char *two = file(&dir, "two", "{\"d/key/1\":\"" KEK_B "\",\"d/r/1\":\"bmV3\"}");
    SL_AUTO_FREE char *list = sl_strf("%s,,/nonexistent/extra.json,%s,", one, two);
    assert_int_equal(setenv(EXTRA, list, 1), 0);
    SL_AUTO(sl_kbc) kbc = open_files(keys, resources);
    assert_int_equal(unsetenv(EXTRA), 0);
    assert_kek(kbc, "kbs:///d/key/1", KEK_B);
    assert_kek(kbc, "kbs:///d/key/2", KEK_A);
    assert_resource(kbc, "kbs:///d/r/1", "new");
    assert_resource(kbc, "kbs:///d/r/2", "two");
    assert_no_resource(kbc, "kbs:///d/key/2", "Received unknown resource name");
}

static void extra_file_malformed_is_an_error(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    SL_AUTO_FREE char *bad = file(&dir, "bad", "{\"a\":\"secret!\"}");
    const struct sl_kbc_options options = {.selection = "offline_fs_kbc::null",
                                           .offline_keys = KEYS_FILE};
    SL_AUTO(sl_kbc) kbc = NULL;
    struct sl_error err = {0};
    assert_int_equal(setenv(EXTRA, bad, 1), 0);
    assert_error(sl_kbc_open(&options, &kbc, &err), EBADMSG, SL_E_FORMAT, "/bad: Failed to decode");
    assert_int_equal(unsetenv(EXTRA), 0);
    assert_null(strstr(err.msg, "secret"));
}

/* ---- key files ---- */

static void generated_file_is_json_with_fresh_keys_of_these_names(void **state)
{
    (void)state;
    struct sl_error err = {0};
    SL_AUTO_DONE(sl_bytes) file_text = {0};
    SL_AUTO_DONE(sl_bytes) other = {0};
    SL_AUTO(sl_json_doc) doc = NULL;
    assert_done(sl_offline_keys_generate(NULL, 10, &file_text, &err));
    assert_done(sl_offline_keys_generate("my-repo", 1, &other, &err));
    assert_non_null(strstr((char *)other.data, "{\n  \"my-repo/key/key_id1\": \""));
    assert_done(sl_json_parse(sl_bytes_span(&file_text), "keys", NULL, &doc, &err));
    const struct sl_json *root = sl_json_root(doc);
    assert_int_equal(sl_json_count(root), 10);
    for (size_t i = 0; i < 10; i++) {
        char name[64];
        SL_AUTO_DONE(sl_bytes) key = {0};
        (void)snprintf(name, sizeof(name), "default/key/key_id%zu", i + 1);
        assert_string_equal(sl_json_name_at(root, i), name);
        assert_done(sl_base64_decode(sl_span_of(sl_json_string(sl_json_at(root, i))), &key, &err));
        assert_int_equal(key.len, 32);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(sl_json_string(sl_json_at(root, i)),
                                    sl_json_string(sl_json_at(root, j)));
    }
}

static void generated_file_is_what_the_broker_reads(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    struct sl_error err = {0};
    uint8_t kek[32];
    SL_AUTO_DONE(sl_bytes) text = {0};
    assert_done(sl_offline_keys_generate("r", 2, &text, &err));
    SL_AUTO_FREE char *keys = file(&dir, "keys", (const char *)text.data);
    SL_AUTO(sl_kbc) kbc = open_files(keys, NULL);
    assert_done(sl_kbc_lookup_kek(kbc, "kbs:///r/key/key_id2", kek, &err));
}

static void generate_wrong_arguments_are_refused(void **state)
{
    (void)state;
    static const char *const repositories[] = {"", "a/b", "..", "a b", "a?b=", "a\"", "\xc3\xa9"};
    struct sl_error err = {0};
    struct sl_bytes text = {0};
    for (size_t i = 0; i < sizeof(repositories) / sizeof(repositories[0]); i++)
        assert_error(sl_offline_keys_generate(repositories[i], 1, &text, &err), EBADMSG,
                     SL_E_FORMAT, "repository '");
    assert_error(sl_offline_keys_generate(NULL, 0, &text, &err), ERANGE, SL_E_LIMIT, "1 to 8192");
    assert_error(sl_offline_keys_generate(NULL, 8193, &text, &err), ERANGE, SL_E_LIMIT,
                 "1 to 8192");
    assert_null(text.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_selection_is_split_at_the_first_colons),
        cmocka_unit_test(broker_of_others_is_refused_when_it_is_needed),
        cmocka_unit_test(other_brokers_are_asked_for_upstream),
        cmocka_unit_test(sample_is_refused_unless_its_key_is_handed_in),
        cmocka_unit_test(lookup_published_key_in_every_kid_form_yields_it),
        cmocka_unit_test(lookup_unknown_key_fails_and_names_it),
        cmocka_unit_test(lookup_malformed_kid_is_a_format_error),
        cmocka_unit_test(lookup_key_of_wrong_size_is_refused),
        cmocka_unit_test(open_malformed_files_are_refused_without_quoting_them),
        cmocka_unit_test(open_missing_file_that_was_named_is_an_error),
        cmocka_unit_test(files_by_default_are_missed_when_they_are_needed),
        cmocka_unit_test(keys_and_resources_are_kept_apart),
        cmocka_unit_test(resource_of_malformed_uri_is_a_format_error),
        cmocka_unit_test(extra_files_add_to_both_and_the_later_wins),
        cmocka_unit_test(extra_file_malformed_is_an_error),
        cmocka_unit_test(generated_file_is_json_with_fresh_keys_of_these_names),
        cmocka_unit_test(generated_file_is_what_the_broker_reads),
        cmocka_unit_test(generate_wrong_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
