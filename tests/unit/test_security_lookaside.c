/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/lookaside.h"

#include "assert_result.h"
#include "scratch_dir.h"

#include <dirent.h>
#include <unistd.h>

#define HEX "20bf21ed457b390829cdbeec8795a7bea1626991fda603e0d01b4e7f60427e55"
#define FOLDER "ns/app@sha256=" HEX

static struct sl_digest manifest(void)
{
    struct sl_digest d;
    struct sl_error err = {0};
    assert_done(sl_digest_parse("sha256:" HEX, &d, &err));
    return d;
}

static char *base_of(const struct scratch_dir *dir)
{
    return sl_strf("file://%s/root/", dir->path);
}

/* ---- names ---- */

/* signature-protocols.md of containers/image. */
static void url_names_repository_digest_and_number(void **state)
{
    (void)state;
    const struct sl_digest d = manifest();
    static const char *const bases[] = {"https://sig.example.com/root",
                                        "https://sig.example.com/root/"};
    for (size_t i = 0; i < 2; i++) {
        SL_AUTO_FREE char *url = sl_lookaside_url(bases[i], "ns/app", &d, 1);
        assert_string_equal(url, "https://sig.example.com/root/" FOLDER "/signature-1");
    }
}

/* ---- reading ---- */

static int read_number(const char *base, unsigned number, struct sl_bytes *ret,
                       struct sl_error *err)
{
    const struct sl_digest d = manifest();
    SL_AUTO_FREE char *url = sl_lookaside_url(base, "ns/app", &d, number);
    return sl_lookaside_read_file(base, url, ret, err);
}

static void file_is_read_or_missing(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    struct sl_error err = {0};
    SL_AUTO_DONE(sl_bytes) got = {0};
    SL_AUTO_FREE char *base = base_of(&dir);
    assert_int_equal(read_number(base, 1, &got, &err), 0); /* no base */
    scratch_write(&dir, "root/" FOLDER "/signature-1", "one", 0600);
    assert_int_equal(read_number(base, 2, &got, &err), 0);
    assert_null(got.data);
    assert_int_equal(read_number(base, 1, &got, &err), 1);
    assert_string_equal((const char *)got.data, "one");
}

static void link_in_the_tree_is_not_followed_and_not_missing(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    struct sl_error err = {0};
    struct sl_bytes got = {0};
    SL_AUTO_FREE char *base = base_of(&dir);
    scratch_write(&dir, "secret", "secret", 0600);
    scratch_write(&dir, "root/" FOLDER "/signature-9", "", 0600);
    SL_AUTO_FREE char *one = scratch_path(&dir, "root/" FOLDER "/signature-1");
    SL_AUTO_FREE char *loop = scratch_path(&dir, "root/" FOLDER "/signature-2");
    SL_AUTO_FREE char *secret = scratch_path(&dir, "secret");
    assert_int_equal(symlink(secret, one), 0);
    assert_int_equal(symlink("signature-2", loop), 0);
    assert_error(read_number(base, 1, &got, &err), ELOOP, SL_E_SYSTEM, "signature-1");
    assert_error(read_number(base, 2, &got, &err), ELOOP, SL_E_SYSTEM, "signature-2");
    assert_null(got.data);
}

static void linked_folder_is_not_followed(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    struct sl_error err = {0};
    struct sl_bytes got = {0};
    SL_AUTO_FREE char *base = base_of(&dir);
    scratch_write(&dir, "elsewhere/app@sha256=" HEX "/signature-1", "x", 0600);
    scratch_write(&dir, "root/other", "", 0600);
    SL_AUTO_FREE char *elsewhere = scratch_path(&dir, "elsewhere");
    SL_AUTO_FREE char *ns = scratch_path(&dir, "root/ns");
    assert_int_equal(symlink(elsewhere, ns), 0);
    assert_error(read_number(base, 1, &got, &err), ENOTDIR, SL_E_SYSTEM, "signature-1");
    assert_null(got.data);
}

static void what_is_no_file_of_allowed_size_is_refused(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    struct sl_error err = {0};
    struct sl_bytes got = {0};
    SL_AUTO_FREE char *base = base_of(&dir);
    scratch_write(&dir, "root/" FOLDER "/signature-1/file", "x", 0600);
    scratch_write(&dir, "root/" FOLDER "/signature-3", "x", 0600);
    SL_AUTO_FREE char *fifo = scratch_path(&dir, "root/" FOLDER "/signature-2");
    SL_AUTO_FREE char *big = scratch_path(&dir, "root/" FOLDER "/signature-3");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(truncate(big, SL_SIMPLE_SIGNATURE_MAX + 1), 0);
    assert_error(read_number(base, 1, &got, &err), EINVAL, SL_E_FORMAT, "not a regular file");
    assert_error(read_number(base, 2, &got, &err), EINVAL, SL_E_FORMAT, "not a regular file");
    assert_error(read_number(base, 3, &got, &err), E2BIG, SL_E_LIMIT, "signature-3");
    assert_int_equal(truncate(big, SL_SIMPLE_SIGNATURE_MAX), 0);
    assert_int_equal(read_number(base, 3, &got, &err), 1);
    sl_bytes_done(&got);
}

/* ---- writing ---- */

/* Also hidden ones: nothing is left lying about. */
static int count_files(const struct scratch_dir *dir)
{
    SL_AUTO_FREE char *path = scratch_path(dir, "root/" FOLDER);
    DIR *folder = opendir(path);
    int n = 0;
    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder));)
        n += entry->d_type == DT_REG;
    closedir(folder);
    return n;
}

static void written_signature_takes_the_next_number(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    struct sl_error err = {0};
    const struct sl_digest d = manifest();
    SL_AUTO_FREE char *base = base_of(&dir);
    for (unsigned n = 1; n <= 3; n++) {
        SL_AUTO_FREE char *text = sl_strf("message %u", n);
        SL_AUTO_FREE char *want = sl_lookaside_url(base, "ns/app", &d, n);
        SL_AUTO_FREE char *url = NULL;
        SL_AUTO_DONE(sl_bytes) got = {0};
        assert_done(sl_lookaside_write_file(base, "ns/app", &d, sl_span_of(text), &url, &err));
        assert_string_equal(url, want);
        assert_int_equal(read_number(base, n, &got, &err), 1);
        assert_string_equal((const char *)got.data, text);
    }
}

/* Writers in containers that share a lookaside have the same numbers. */
static void file_that_another_is_writing_stays(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    struct sl_error err = {0};
    const struct sl_digest d = manifest();
    SL_AUTO_FREE char *base = base_of(&dir);
    SL_AUTO_FREE char *theirs = sl_strf("root/" FOLDER "/.signature-new-%d", (int)gettid());
    SL_AUTO_FREE char *path = scratch_path(&dir, theirs);
    SL_AUTO_FREE char *url = NULL;
    SL_AUTO_DONE(sl_bytes) got = {0};
    scratch_write(&dir, theirs, "half", 0600);
    assert_done(sl_lookaside_write_file(base, "ns/app", &d, sl_span_of("mine"), &url, &err));
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(read_number(base, 1, &got, &err), 1);
    assert_string_equal((const char *)got.data, "mine");
    assert_int_equal(count_files(&dir), 2);
}

static void lookaside_on_the_web_cannot_be_written(void **state)
{
    (void)state;
    struct sl_error err = {0};
    const struct sl_digest d = manifest();
    char *url = NULL;
    assert_error(
        sl_lookaside_write_file("https://example.com", "ns/app", &d, sl_span_of("x"), &url, &err),
        EINVAL, SL_E_FORMAT, "not a file:/// URL");
}

/* ---- what blobs are ---- */

static void blob_is_known_by_its_first_byte(void **state)
{
    (void)state;
    struct sl_error err = {0};
    for (unsigned byte = 0; byte < 256; byte++) {
        bool is_openpgp = (byte >= 0xa0 && byte <= 0xa3) || byte == 0xc8 ||
                          (byte >= 0x90 && byte <= 0x93) || byte == 0xc4 ||
                          (byte >= 0x88 && byte <= 0x8b) || byte == 0xc2;
        const uint8_t blob[] = {(uint8_t)byte, 'x'};
        struct sl_signature got = {0};
        int r = sl_signature_from_blob((struct sl_span){blob, sizeof(blob)}, &got, &err);
        assert_int_equal(r, is_openpgp ? 0 : -EBADMSG);
        if (r == 0)
            assert_int_equal(got.kind, SL_SIGNATURE_SIMPLE);
        sl_signature_done(&got);
    }
}

static int from_text(const char *text, size_t len, struct sl_signature *ret, struct sl_error *err)
{
    return sl_signature_from_blob((struct sl_span){(const uint8_t *)text, len}, ret, err);
}
#define FROM(literal) from_text(literal, sizeof(literal) - 1, &got, &err)

static void framed_blob_is_what_the_frame_says(void **state)
{
    (void)state;
    struct sl_error err = {0};
    struct sl_signature got = {0};
    assert_done(FROM("\0simple-signing\nmessage"));
    assert_int_equal(got.kind, SL_SIGNATURE_SIMPLE);
    assert_string_equal((const char *)got.bytes.data, "message");
    sl_signature_done(&got);
    assert_done(FROM(
        "\0sigstore-json\n{\"mimeType\":\"application/vnd.dev.cosign.simplesigning.v1+json\","
        "\"payload\":\"e30=\",\"annotations\":{\"dev.cosignproject.cosign/signature\":\"c2ln\","
        "\"other\":\"x\"}}"));
    assert_int_equal(got.kind, SL_SIGNATURE_COSIGN);
    assert_string_equal((const char *)got.bytes.data, "{}");
    assert_string_equal(got.signature, "c2ln");
    assert_null(got.chain);
    sl_signature_done(&got);
    assert_done(
        FROM("\0sigstore-json\n{\"mimeType\":\"application/vnd.dev.cosign.simplesigning.v1+json\","
             "\"payload\":\"e30=\",\"annotations\":{\"dev.sigstore.cosign/certificate\":\"1\","
             "\"dev.sigstore.cosign/chain\":\"2\",\"dev.sigstore.cosign/bundle\":\"3\","
             "\"dev.sigstore.cosign/rfc3161timestamp\":\"4\"}}"));
    assert_null(got.signature);
    assert_string_equal(got.certificate, "1");
    assert_string_equal(got.chain, "2");
    assert_string_equal(got.rekor, "3");
    assert_string_equal(got.timestamp, "4");
    sl_signature_done(&got);
}

static void malformed_blob_is_refused(void **state)
{
    (void)state;
    struct sl_error err = {0};
    struct sl_signature got = {0};
    assert_error(FROM(""), EBADMSG, SL_E_FORMAT, "it is empty");
    assert_error(FROM("-----BEGIN PGP SIGNED MESSAGE-----"), EBADMSG, SL_E_FORMAT, "armour");
    assert_error(FROM("\0"), EBADMSG, SL_E_FORMAT, "neither");
    assert_error(FROM("\0simple-signing\n"), EBADMSG, SL_E_FORMAT, "it is empty");
    assert_error(FROM("\0other\nx"), EBADMSG, SL_E_FORMAT, "neither");
    assert_error(FROM("\0sigstore-json\n{}"), EBADMSG, SL_E_FORMAT, "are missing");
    assert_error(FROM("\0sigstore-json\n{\"mimeType\":\"text/plain\",\"payload\":\"e30=\","
                      "\"annotations\":{}}"),
                 EOPNOTSUPP, SL_E_UNSUPPORTED, "text/plain");
    assert_null(got.bytes.data);
}

/* ---- the registry's list ---- */

static int list(const char *json, struct sl_signatures *ret, struct sl_error *err)
{
    return sl_signatures_from_extension(sl_span_of(json), "registry", ret, err);
}

static void list_gives_entries_of_its_version_and_type(void **state)
{
    (void)state;
    struct sl_error err = {0};
    SL_AUTO_DONE(sl_signatures) got = {0};
    assert_done(
        list("{\"x\":1,\"signatures\":["
             "{\"schemaVersion\":2,\"name\":\"n1\",\"type\":\"atomic\",\"content\":\"YQ==\"},"
             "{\"schemaVersion\":1,\"name\":\"n2\",\"type\":\"atomic\",\"content\":\"Yg==\"},"
             "{\"schemaVersion\":2,\"name\":\"n3\",\"type\":\"other\",\"content\":\"Yw==\"}]}",
             &got, &err));
    assert_int_equal(got.n, 1);
    assert_int_equal(got.n_others, 2);
    assert_string_equal((const char *)got.items[0].bytes.data, "a");
    assert_string_equal(got.items[0].where, "registry n1");
}

static void malformed_list_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "{\"signatures\":{}}",
        "{\"signatures\":[{\"schemaVersion\":2,\"type\":\"atomic\"}]}",
        "{\"signatures\":[{\"schemaVersion\":2,\"type\":\"atomic\",\"content\":\"!\"}]}",
        "{\"signatures\":[{\"schemaVersion\":2,\"type\":\"atomic\",\"content\":\"\"}]}"};
    struct sl_error err = {0};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        SL_AUTO_DONE(sl_signatures) got = {0};
        assert_true(list(texts[i], &got, &err) < 0);
        assert_int_equal(err.code, SL_E_FORMAT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(url_names_repository_digest_and_number),
        cmocka_unit_test(file_is_read_or_missing),
        cmocka_unit_test(link_in_the_tree_is_not_followed_and_not_missing),
        cmocka_unit_test(linked_folder_is_not_followed),
        cmocka_unit_test(what_is_no_file_of_allowed_size_is_refused),
        cmocka_unit_test(written_signature_takes_the_next_number),
        cmocka_unit_test(file_that_another_is_writing_stays),
        cmocka_unit_test(lookaside_on_the_web_cannot_be_written),
        cmocka_unit_test(blob_is_known_by_its_first_byte),
        cmocka_unit_test(framed_blob_is_what_the_frame_says),
        cmocka_unit_test(malformed_blob_is_refused),
        cmocka_unit_test(list_gives_entries_of_its_version_and_type),
        cmocka_unit_test(malformed_list_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
