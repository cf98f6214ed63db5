/* SPDX-License-Identifier: Apache-2.0 */
/* Which entry wins is what containerd's platform matcher chooses, unless a case says otherwise. */
#include "index.h"
#include "platform_match.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define EMPTY_DIGEST "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
/* Entries are told apart by their size. */
#define ENTRY_OF(type, size, rest)                                                                 \
    "{\"mediaType\":\"" type "\",\"digest\":\"" EMPTY_DIGEST "\",\"size\":" #size rest "}"
#define PLATFORM(os, arch) ",\"platform\":{\"os\":\"" os "\",\"architecture\":\"" arch "\"}"
#define VARIANT(arch, variant)                                                                     \
    ",\"platform\":{\"os\":\"linux\",\"architecture\":\"" arch "\",\"variant\":\"" variant "\"}"
#define ENTRY(size, rest) ENTRY_OF(OCI_MANIFEST, size, rest)
#define INDEX(entries) "{\"schemaVersion\":2,\"manifests\":[" entries "]}"

static struct sl_index *parse_ok(const char *json)
{
    struct sl_index *index = NULL;
    struct sl_error err = {0};
    if (sl_index_parse(sl_span_of(json), NULL, &index, &err) != 0)
        fail_msg("%s: %s", json, err.msg);
    return index;
}

static void assert_refused(const char *json, enum sl_errc code, const char *part)
{
    struct sl_index *index = NULL;
    struct sl_error err = {0};
    int r = sl_index_parse(sl_span_of(json), NULL, &index, &err);
    if (r >= 0)
        fail_msg("accepted: %.300s", json);
    assert_null(index);
    if (err.code != code || err.errnum != -r || !strstr(err.msg, part))
        fail_msg("%.200s: %s: %s", json, sl_errc_name(err.code), err.msg);
}

/* "arm/v7" for linux. size 0: none matches. */
static void assert_selects(const char *json, const char *platform, uint64_t size)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "%s", platform);
    char *slash = strchr(text, '/');
    if (slash)
        *slash = '\0';
    char linux_name[] = "linux";
    const struct sl_platform want = {
        .os = linux_name, .architecture = text, .variant = slash ? slash + 1 : NULL};
    SL_AUTO(sl_index) index = parse_ok(json);
    const struct sl_index_entry *entry = NULL;
    struct sl_error err = {0};
    int r = sl_index_select(index, &want, &entry, &err);
    if (size == 0) {
        if (r != -ENOENT || err.code != SL_E_UNSUPPORTED)
            fail_msg("%s: %d %s", platform, r, entry ? "chosen" : err.msg);
        return;
    }
    if (r != 0 || entry->descriptor.size != size)
        fail_msg("%s: wanted entry %u, got %u: %s", platform, (unsigned)size,
                 entry ? (unsigned)entry->descriptor.size : 0, err.msg);
}

static void index_first_match_wins(void **state)
{
    (void)state;
    assert_selects(INDEX(ENTRY(1, PLATFORM("linux", "arm64")) "," ENTRY(
                       2, PLATFORM("linux", "amd64")) "," ENTRY(3, PLATFORM("linux", "amd64"))),
                   "amd64", 2);
}

static void index_other_systems_are_passed_over(void **state)
{
    (void)state;
    assert_selects(
        INDEX(ENTRY(1, PLATFORM("windows", "amd64")) "," ENTRY(2, PLATFORM("linux", "amd64"))),
        "amd64", 2);
    assert_selects(INDEX(ENTRY(1, PLATFORM("windows", "amd64"))), "amd64", 0);
}

static void index_arm_falls_back_to_lower_variants(void **state)
{
    (void)state;
    static const char all[] =
        INDEX(ENTRY(5, VARIANT("arm", "v5")) "," ENTRY(6, VARIANT("arm", "v6")) "," ENTRY(
            7, VARIANT("arm", "v7")) "," ENTRY(8, VARIANT("arm", "v8")));
    assert_selects(all, "arm/v7", 7);
    assert_selects(all, "arm", 7);
    assert_selects(all, "arm/v6", 6);
    assert_selects(all, "arm/v5", 5);
    assert_selects(all, "arm/v8", 8);
    assert_selects(INDEX(ENTRY(5, VARIANT("arm", "v5")) "," ENTRY(6, VARIANT("arm", "v6"))),
                   "arm/v7", 6);
    assert_selects(INDEX(ENTRY(5, VARIANT("arm", "v5"))), "arm/v7", 5);
    assert_selects(INDEX(ENTRY(7, VARIANT("arm", "v7"))), "arm/v6", 0);
    assert_selects(INDEX(ENTRY(7, PLATFORM("linux", "arm"))), "arm/v6", 0);
    assert_selects(INDEX(ENTRY(6, VARIANT("arm", "6"))), "arm/v7", 6);
}

static void index_arm64_without_variant_means_v8(void **state)
{
    (void)state;
    assert_selects(INDEX(ENTRY(1, PLATFORM("linux", "arm64"))), "arm64/v8", 1);
    assert_selects(INDEX(ENTRY(1, VARIANT("arm64", "v8"))), "arm64", 1);
    assert_selects(INDEX(ENTRY(1, VARIANT("arm64", "v9"))), "arm64", 0);
    assert_selects(INDEX(ENTRY(1, VARIANT("arm64", "v8")) "," ENTRY(2, VARIANT("arm64", "v9"))),
                   "arm64/v9", 2);
    assert_selects(INDEX(ENTRY(1, VARIANT("arm64", "v8.2"))), "arm64/v8.1", 0);
    assert_selects(INDEX(ENTRY(1, VARIANT("arm64", "v8.1"))), "arm64/v8.2", 1);
    assert_selects(INDEX(ENTRY(1, VARIANT("arm", "v7"))), "arm64", 0);
}

static void index_amd64_variants_are_for_those_who_ask(void **state)
{
    (void)state;
    static const char all[] = INDEX(ENTRY(3, VARIANT("amd64", "v3")) "," ENTRY(
        1, PLATFORM("linux", "amd64")) "," ENTRY(2, VARIANT("amd64", "v2")));
    assert_selects(all, "amd64", 1);
    assert_selects(all, "amd64/v2", 2);
    assert_selects(all, "amd64/v3", 3);
    assert_selects(all, "amd64/v4", 3);
    assert_selects(INDEX(ENTRY(3, VARIANT("amd64", "v3"))), "amd64", 0);
    assert_selects(INDEX(ENTRY(1, VARIANT("amd64", "v1"))), "amd64", 1);
}

static void index_unknown_variants_match_only_themselves(void **state)
{
    (void)state;
    assert_selects(INDEX(ENTRY(1, VARIANT("amd64", "odd"))), "amd64", 0);
    assert_selects(INDEX(ENTRY(1, VARIANT("amd64", "odd"))), "amd64/odd", 1);
    assert_selects(INDEX(ENTRY(1, VARIANT("amd64", "v1000"))), "amd64", 0);
    assert_selects(INDEX(ENTRY(1, VARIANT("amd64", "v"))), "amd64", 0);
    assert_selects(INDEX(ENTRY(1, VARIANT("ppc64le", "power9"))), "ppc64le", 0);
    assert_selects(INDEX(ENTRY(1, PLATFORM("linux", "ppc64le"))), "ppc64le/power9", 1);
}

static void index_aliases_of_architectures_are_known(void **state)
{
    (void)state;
    assert_selects(INDEX(ENTRY(1, PLATFORM("linux", "aarch64"))), "arm64", 1);
    assert_selects(INDEX(ENTRY(1, PLATFORM("linux", "amd64"))), "x86_64", 1);
    assert_selects(INDEX(ENTRY(1, PLATFORM("linux", "armhf"))), "arm/v7", 1);
    assert_selects(INDEX(ENTRY(1, PLATFORM("linux", "armhf"))), "arm/v6", 0);
}

static void index_attestations_are_passed_over(void **state)
{
    (void)state;
#define ATTESTATION ",\"annotations\":{\"vnd.docker.reference.type\":\"attestation-manifest\"}"
    assert_selects(INDEX(ENTRY(1, ATTESTATION PLATFORM("linux", "amd64")) "," ENTRY(
                       2, PLATFORM("linux", "amd64"))),
                   "amd64", 2);
    assert_selects(INDEX(ENTRY(1, PLATFORM("unknown", "unknown"))), "amd64", 0);
    assert_selects(INDEX(ENTRY(1, PLATFORM("unknown", "unknown"))), "unknown", 0);
}

static void index_unknown_media_types_are_passed_over(void **state)
{
    (void)state;
    assert_selects(INDEX(ENTRY_OF("application/x", 1, PLATFORM("linux", "amd64")) "," ENTRY(
                       2, PLATFORM("linux", "amd64"))),
                   "amd64", 2);
    assert_selects(INDEX(ENTRY_OF("", 1, PLATFORM("linux", "amd64"))), "amd64", 0);
}

static void index_entry_without_platform_must_be_the_only_one(void **state)
{
    (void)state;
    assert_selects(INDEX(ENTRY(1, "")), "amd64", 1);
    assert_selects(INDEX(ENTRY(1, ",\"platform\":null")), "amd64", 1);
    assert_selects(INDEX(ENTRY(1, "") "," ENTRY(2, "")), "amd64", 0);
    assert_selects(INDEX(ENTRY(1, "") "," ENTRY(2, PLATFORM("linux", "arm64"))), "amd64", 0);
    assert_selects(INDEX(ENTRY(1, "") "," ENTRY(2, PLATFORM("unknown", "unknown"))), "amd64", 1);
    assert_selects(INDEX(ENTRY_OF(OCI_INDEX, 1, "")), "amd64", 1);
}

static void index_without_match_lists_what_it_offers(void **state)
{
    (void)state;
    SL_AUTO(sl_index)
    index = parse_ok(INDEX(ENTRY(1, PLATFORM("linux", "arm64")) "," ENTRY(
        2, VARIANT("arm", "v7")) "," ENTRY(3, PLATFORM("unknown", "unknown"))));
    char os[] = "linux", architecture[] = "s390x";
    const struct sl_platform want = {.os = os, .architecture = architecture};
    const struct sl_index_entry *entry = NULL;
    struct sl_error err = {0};
    assert_int_equal(sl_index_select(index, &want, &entry, &err), -ENOENT);
    assert_int_equal(err.code, SL_E_UNSUPPORTED);
    assert_string_equal(err.msg, "no image for platform linux/s390x; the index offers "
                                 "linux/arm64, linux/arm/v7");
}

static void index_docker_manifest_list_is_read(void **state)
{
    (void)state;
    static const char json[] =
        "{\"schemaVersion\":2,"
        "\"mediaType\":\"application/vnd.docker.distribution.manifest.list.v2+json\","
        "\"manifests\":[" ENTRY_OF("application/vnd.docker.distribution.manifest.v2+json", 9,
                                   PLATFORM("linux", "amd64")) "]}";
    assert_selects(json, "amd64", 9);
}

static void index_malformed_is_refused(void **state)
{
    (void)state;
    assert_refused("{\"schemaVersion\":2}", SL_E_FORMAT, "an image manifest stands");
    assert_refused("{\"schemaVersion\":2,\"manifests\":{}}", SL_E_FORMAT, "'manifests'");
    assert_refused("{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]}", SL_E_FORMAT,
                   "ambiguous");
    assert_refused("{\"schemaVersion\":2,\"manifests\":[],\"config\":{}}", SL_E_FORMAT,
                   "ambiguous");
    assert_refused(INDEX("7"), SL_E_FORMAT, "entry 1/1: not an object");
    assert_refused(INDEX(ENTRY(1, ",\"platform\":7")), SL_E_FORMAT, "platform");
    assert_refused(INDEX(ENTRY(1, ",\"platform\":{\"os\":1}")), SL_E_FORMAT, "'os'");
    assert_refused(INDEX(ENTRY(-1, "")), SL_E_FORMAT, "size");
}

static void index_entries_are_limited(void **state)
{
    (void)state;
    for (size_t n = 1024; n <= 1025; n++) {
        SL_AUTO_DONE(sl_bytes) json = {0};
        const size_t max = 4 * 1024 * 1024;
        int r =
            sl_bytes_append(&json, sl_span_of("{\"schemaVersion\":2,\"manifests\":["), max, NULL);
        for (size_t i = 0; i < n; i++)
            r |= sl_bytes_append(&json, sl_span_of(i ? "," ENTRY(1, "") : ENTRY(1, "")), max, NULL);
        r |= sl_bytes_append(&json, sl_span_of("]}"), max, NULL);
        assert_int_equal(r, 0);
        if (n == 1024) {
            SL_AUTO(sl_index) index = parse_ok((const char *)json.data);
            assert_int_equal(index->n_entries, 1024);
        } else {
            assert_refused((const char *)json.data, SL_E_LIMIT, "1025 entries");
        }
    }
}

static void platform_of_machine_is_what_go_calls_it(void **state)
{
    (void)state;
    const struct sl_platform *machine = sl_platform_of_machine();
    assert_string_equal(machine->os, "linux");
#if defined(__x86_64__)
    assert_string_equal(machine->architecture, "amd64");
#elif defined(__aarch64__)
    assert_string_equal(machine->architecture, "arm64");
#endif
    assert_true(sl_platform_match(machine, machine) >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index_first_match_wins),
        cmocka_unit_test(index_other_systems_are_passed_over),
        cmocka_unit_test(index_arm_falls_back_to_lower_variants),
        cmocka_unit_test(index_arm64_without_variant_means_v8),
        cmocka_unit_test(index_amd64_variants_are_for_those_who_ask),
        cmocka_unit_test(index_unknown_variants_match_only_themselves),
        cmocka_unit_test(index_aliases_of_architectures_are_known),
        cmocka_unit_test(index_attestations_are_passed_over),
        cmocka_unit_test(index_unknown_media_types_are_passed_over),
        cmocka_unit_test(index_entry_without_platform_must_be_the_only_one),
        cmocka_unit_test(index_without_match_lists_what_it_offers),
        cmocka_unit_test(index_docker_manifest_list_is_read),
        cmocka_unit_test(index_malformed_is_refused),
        cmocka_unit_test(index_entries_are_limited),
        cmocka_unit_test(platform_of_machine_is_what_go_calls_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
