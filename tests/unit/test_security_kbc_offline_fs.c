/* SPDX-License-Identifier: Apache-2.0 */
#include "offline_keys.h"

#include "key_vectors.h"

#define KEYS_FILE VECTOR("coco_offline_fs_kbc_keys.json")

static void lookup_published_key_in_every_kid_form_yields_it(void **state)
{
    (void)state;
    static const char *const kids[] = {"kbs:///default/key/key_id10",
                                       "kbs://ignored:8080/default/key/key_id10",
                                       "kbs+other:///default/key/key_id10",
                                       "kbs:///default/key/key_id10?a=b",
                                       "/default/key/key_id10",
                                       "addr/default/key/key_id10"};
    SL_AUTO(sl_kbc_offline_fs) kbc = NULL;
    struct sl_bytes want = {0};
    assert_ok(sl_kbc_offline_fs_open(KEYS_FILE, &kbc, NULL));
    assert_ok(
        sl_base64_decode(sl_span_of("1g3KtvGfyIjq+HZmsKYJ1tMzuB8f1RjS6H0ieNBHLV0="), &want, NULL));
    for (size_t i = 0; i < sizeof(kids) / sizeof(kids[0]); i++) {
        uint8_t kek[32] = {0};
        assert_ok(sl_kbc_offline_fs_lookup(kbc, kids[i], kek, NULL));
        assert_memory_equal(kek, want.data, 32);
    }
    sl_bytes_done(&want);
}

static void lookup_unknown_key_fails_and_names_it(void **state)
{
    (void)state;
    static const char *const kids[] = {"kbs:///default/key/key_id",
                                       "kbs:///default/key/key_id100",
                                       "default/key/key_id1",
                                       "key_id1",
                                       "",
                                       "kbs://"};
    SL_AUTO(sl_kbc_offline_fs) kbc = NULL;
    assert_ok(sl_kbc_offline_fs_open(KEYS_FILE, &kbc, NULL));
    for (size_t i = 0; i < sizeof(kids) / sizeof(kids[0]); i++) {
        uint8_t kek[32] = {7};
        struct sl_error err = {0};
        assert_fails(sl_kbc_offline_fs_lookup(kbc, kids[i], kek, &err), ENOKEY, err, SL_E_AUTH);
        assert_contains(err.msg, "Received unknown key ID: ");
        assert_contains(err.msg, kids[i]);
        assert_int_equal(kek[0], 7);
    }
}

static void open_missing_file_names_the_path(void **state)
{
    (void)state;
    SL_AUTO(sl_kbc_offline_fs) kbc = NULL;
    struct sl_error err = {0};
    assert_fails(sl_kbc_offline_fs_open("/nonexistent/keys.json", &kbc, &err), ENOENT, err,
                 SL_E_SYSTEM);
    assert_contains(err.msg, "/nonexistent/keys.json");
}

static void parse_malformed_file_is_refused_without_quoting_it(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "Failed to parse keys JSON file"},
        {"[]", "Failed to parse keys JSON file"},
        {"{\"a/b/c\":secret}", "Failed to parse keys JSON file"},
        {"{\"a/b/c\":\"AAAA\",\"a/b/c\":\"AAAA\"}", "Failed to parse keys JSON file"},
        {"{\"a/b/c\":\"*secret*\"}", "Failed to decode key a/b/c"},
        {"{\"a/b/c\":1}", "Failed to decode key a/b/c"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO(sl_kbc_offline_fs) kbc = NULL;
        struct sl_error err = {0};
        assert_fails(sl_offline_keys_parse(sl_span_of(cases[i].text), &kbc, &err), EBADMSG, err,
                     SL_E_FORMAT);
        assert_contains(err.msg, cases[i].message);
        assert_null(strstr(err.msg, "secret"));
    }
}

static void lookup_key_of_wrong_size_is_refused(void **state)
{
    (void)state;
    SL_AUTO(sl_kbc_offline_fs) kbc = NULL;
    struct sl_error err = {0};
    uint8_t kek[32];
    assert_ok(sl_offline_keys_parse(sl_span_of("{\"a/b/c\":\"AAAA\"}"), &kbc, NULL));
    assert_fails(sl_kbc_offline_fs_lookup(kbc, "kbs:///a/b/c", kek, &err), EBADMSG, err,
                 SL_E_FORMAT);
    assert_contains(err.msg, "3 bytes instead of 32");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lookup_published_key_in_every_kid_form_yields_it),
        cmocka_unit_test(lookup_unknown_key_fails_and_names_it),
        cmocka_unit_test(open_missing_file_names_the_path),
        cmocka_unit_test(parse_malformed_file_is_refused_without_quoting_it),
        cmocka_unit_test(lookup_key_of_wrong_size_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
