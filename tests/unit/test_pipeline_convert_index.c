/* SPDX-License-Identifier: Apache-2.0 */
/* An index as it is read and rewritten: which members are fetched, dropped and kept as they were.
 */
#include "conversion_stub.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DIGEST(first)                                                                              \
    "sha256:" first "00000000000000000000000000000000000000000000000000000000000000"
#define OCI "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."
#define ENTRY_OF(type, first, rest)                                                                \
    "{\"mediaType\":\"" type "\",\"digest\":\"" DIGEST(first) "\",\"size\":1" rest "}"
#define ENTRY(first, rest) ENTRY_OF(OCI "manifest.v1+json", first, rest)
#define NESTED(first) ENTRY_OF(OCI "index.v1+json", first, "")
#define PLATFORM(os, arch) ",\"platform\":{\"os\":\"" os "\",\"architecture\":\"" arch "\"}"
#define INDEX_WITH(rest, entries) "{\"schemaVersion\":2" rest ",\"manifests\":[" entries "]}"
#define INDEX(entries) INDEX_WITH("", entries)
#define IMAGE(layer)                                                                               \
    "{\"schemaVersion\":2,\"config\":" ENTRY_OF(OCI "config.v1+json", "0f",                        \
                                                "") ",\"layers\":[" ENTRY_OF(OCI "layer.v1.tar",   \
                                                                             layer, "") "]}"

struct converted {
    struct sl_image_source src;
    struct stub_conversion s;
    struct sl_error err;
    int result;
    char text[4096]; /* of the outermost document, when it succeeded */
};

/* texts ends with NULL; the first is the image. */
static void convert(struct converted *ret, const char *const *texts, bool encrypts)
{
    *ret = (struct converted){0};
    for (; *texts; texts++)
        ret->src.texts[ret->src.n_texts++] = sl_span_of(*texts);
    ret->result = stub_conversion_run(&ret->s, &ret->src, encrypts, &ret->err);
    if (ret->result < 0)
        return;
    struct sl_span text = sl_bytes_span(&ret->s.c.documents[ret->s.c.n_documents - 1]->bytes);
    (void)snprintf(ret->text, sizeof(ret->text), "%.*s", (int)text.len, (const char *)text.data);
}

static void done(struct converted *c)
{
    stub_conversion_done(&c->s);
    stub_source_done(&c->src);
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is not in %s", part, text);
}

static void assert_refused(const char *const *texts, enum sl_errc code, const char *part)
{
    struct converted c;
    convert(&c, texts, /* encrypts= */ true);
    assert_true(c.result < 0);
    assert_int_equal(c.err.code, code);
    assert_has(c.err.msg, part);
    done(&c);
}

static void members_keep_what_nobody_knows(void **state)
{
    (void)state;
    static const char *const texts[] = {
        INDEX_WITH(
            ",\"annotations\":null,\"n\":123456789012345678901234567890.0",
            ENTRY("01", PLATFORM("linux", "amd64") ",\"x\":[1.50,null],\"annotations\":null")),
        IMAGE("20"), NULL};
    struct converted c;
    convert(&c, texts, /* encrypts= */ true);
    assert_int_equal(c.result, 0);
    assert_has(c.text, "\"annotations\":null,\"n\":123456789012345678901234567890.0,");
    assert_has(c.text, PLATFORM("linux", "amd64") ",\"x\":[1.50,null],\"annotations\":null}");
    done(&c);
}

static void members_get_the_digest_and_size_of_the_new_image(void **state)
{
    (void)state;
    static const char *const texts[] = {INDEX(ENTRY("01", ",\"data\":\"e30=\"")), IMAGE("20"),
                                        NULL};
    struct converted c;
    convert(&c, texts, /* encrypts= */ true);
    assert_int_equal(c.result, 0);
    assert_int_equal(c.s.c.n_documents, 2);
    const struct convert_document *image = c.s.c.documents[0];
    char digest[SL_DIGEST_TEXT_MAX], part[SL_DIGEST_TEXT_MAX + 64];
    sl_digest_format(&image->digest, digest);
    (void)snprintf(part, sizeof(part), "\"digest\":\"%s\",\"size\":%zu}", digest, image->bytes.len);
    assert_has(c.text, part); /* and no data, which were the old bytes */
    done(&c);
}

static void docker_list_becomes_an_oci_index_when_encrypted(void **state)
{
    (void)state;
    static const char *const texts[] = {
        INDEX_WITH(",\"mediaType\":\"" DOCKER "distribution.manifest.list.v2+json\"",
                   ENTRY_OF(DOCKER "distribution.manifest.v2+json", "01", "")),
        "{\"schemaVersion\":2,\"mediaType\":\"" DOCKER "distribution.manifest.v2+json\","
        "\"config\":" ENTRY_OF(DOCKER "container.image.v1+json", "0f", "") ",\"layers\":[]}",
        NULL};
    struct converted c;
    convert(&c, texts, /* encrypts= */ true);
    assert_int_equal(c.result, 0);
    assert_has(c.text, "\"mediaType\":\"" OCI "index.v1+json\"");
    assert_has(c.text, "{\"mediaType\":\"" OCI "manifest.v1+json\"");
    assert_null(strstr(c.text, "docker"));
    done(&c);
    convert(&c, texts, /* encrypts= */ false);
    assert_int_equal(c.result, 0);
    assert_null(strstr(c.text, "oci"));
    done(&c);
}

#define ATTESTS ",\"annotations\":{\"vnd.docker.reference.type\":\"attestation-manifest\"}"

static void attestations_are_dropped_and_counted(void **state)
{
    (void)state;
    static const char by_platform[] = ENTRY("0a", PLATFORM("unknown", "unknown"));
    static const char by_annotation[] = ENTRY("0b", ATTESTS);
    static const char image[] = ENTRY("01", PLATFORM("unknown", "amd64"));
    char index[1024];
    (void)snprintf(index, sizeof(index), INDEX("%s,%s,%s"), by_platform, image, by_annotation);
    const char *const texts[] = {index, IMAGE("20"), NULL};
    struct converted c;
    convert(&c, texts, /* encrypts= */ true);
    assert_int_equal(c.result, 0);
    assert_int_equal(c.s.c.n_dropped, 2);
    assert_null(strstr(c.text, DIGEST("0a")));
    assert_null(strstr(c.text, "attestation"));
    assert_has(c.text, PLATFORM("unknown", "amd64"));
    done(&c);
}

static void nested_image_listed_twice_is_converted_once(void **state)
{
    (void)state;
    static const char *const texts[] = {INDEX(NESTED("01") "," ENTRY("02", "")),
                                        INDEX(ENTRY("02", "")), IMAGE("20"), NULL};
    struct converted c;
    convert(&c, texts, /* encrypts= */ true);
    assert_int_equal(c.result, 0);
    assert_int_equal(c.s.c.n_documents, 3);
    assert_int_equal(c.s.c.n_manifests, 1);
    assert_int_equal(c.src.n_fetched, 3);
    assert_int_equal(c.s.c.n_layers, 1);
    done(&c);
}

static void indexes_in_indexes_have_a_limit(void **state)
{
    (void)state;
    static const char *const good[] = {INDEX(NESTED("01")),
                                       INDEX(NESTED("02")),
                                       INDEX(NESTED("03")),
                                       INDEX(NESTED("04")),
                                       INDEX(ENTRY("05", "")),
                                       IMAGE("20"),
                                       NULL};
    static const char *const deep[] = {
        INDEX(NESTED("01")), INDEX(NESTED("02")),    INDEX(NESTED("03")), INDEX(NESTED("04")),
        INDEX(NESTED("05")), INDEX(ENTRY("06", "")), IMAGE("20"),         NULL};
    struct converted c;
    convert(&c, good, /* encrypts= */ true);
    assert_int_equal(c.result, 0);
    done(&c);
    assert_refused(deep, SL_E_LIMIT, "an index of 1 entries at depth 5; the limits are 512 and 4");
}

static void what_cannot_be_read_is_refused(void **state)
{
    (void)state;
    static const char *const empty[] = {INDEX(""), NULL};
    assert_refused(empty, SL_E_UNSUPPORTED, "the index lists no image");
    static const char *const dropped[] = {INDEX(ENTRY("01", PLATFORM("unknown", "unknown"))), NULL};
    assert_refused(dropped, SL_E_UNSUPPORTED, "the index lists no image");
    static const char *const nameless[] = {INDEX("{\"mediaType\":\"x\"}"), NULL};
    assert_refused(nameless, SL_E_FORMAT, "digest");
    static const char *const no_list[] = {
        "{\"schemaVersion\":2,\"mediaType\":\"" OCI "index.v1+json\",\"manifests\":null}", NULL};
    assert_refused(no_list, SL_E_FORMAT, "manifests");
    static const char *const missing[] = {INDEX(ENTRY("07", "")), NULL};
    assert_refused(missing, SL_E_NETWORK, DIGEST("07") ": no text 7");
}

static void decryption_needs_a_diff_id_for_each_layer(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"schemaVersion\":2,\"config\":" ENTRY_OF(
            OCI "config.v1+json", "01", "") ",\"layers\":[" ENTRY_OF(OCI "layer.v1.tar+encrypted",
                                                                     "20", "") "]}",
        "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}", NULL};
    struct converted c;
    convert(&c, texts, /* encrypts= */ false);
    assert_true(c.result < 0);
    assert_int_equal(c.err.code, SL_E_FORMAT);
    assert_has(c.err.msg, "image config: 0 diff_ids for 1 layers of the manifest");
    done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_keep_what_nobody_knows),
        cmocka_unit_test(members_get_the_digest_and_size_of_the_new_image),
        cmocka_unit_test(docker_list_becomes_an_oci_index_when_encrypted),
        cmocka_unit_test(attestations_are_dropped_and_counted),
        cmocka_unit_test(nested_image_listed_twice_is_converted_once),
        cmocka_unit_test(indexes_in_indexes_have_a_limit),
        cmocka_unit_test(what_cannot_be_read_is_refused),
        cmocka_unit_test(decryption_needs_a_diff_id_for_each_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
