/* SPDX-License-Identifier: Apache-2.0 */
#include "verdict_display.h"

#include <stdio.h>
#include <time.h>

/* Members are those of sluice_verify(); what is missing is empty. */
static const char *text_of(const struct sl_json *node, const char *name)
{
    const char *text = sl_json_string(sl_json_get(node, name));
    return text ? text : "";
}

static bool is_true(const struct sl_json *node, const char *name)
{
    bool value = false;
    return sl_json_bool(sl_json_get(node, name), &value) && value;
}

static void print_signed_at(const struct sl_json *finding)
{
    char text[32];
    struct tm tm;
    int64_t seconds = 0;
    if (!sl_json_int64(sl_json_get(finding, "signedAt"), &seconds))
        return;
    time_t t = (time_t)seconds;
    if (gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%SZ", &tm))
        printf(", at %s", text);
}

static void print_finding(const struct sl_json *f)
{
    if (!is_true(f, "accepted")) {
        printf("  rejected  %s (%s): %s: %s\n", text_of(f, "where"), text_of(f, "kind"),
               text_of(f, "code"), text_of(f, "reason"));
        return;
    }
    printf("  accepted  %s (%s): signs the %s", text_of(f, "where"), text_of(f, "kind"),
           text_of(f, "binding"));
    if (*text_of(f, "signedName"))
        printf(" as %s", text_of(f, "signedName"));
    if (*text_of(f, "key"))
        printf(", by %s", text_of(f, "key"));
    print_signed_at(f);
    putchar('\n');
}

static void print_requirement(const struct sl_json *r, size_t number, int64_t n)
{
    printf("requirement %zu/%lld %s: ", number, (long long)n, text_of(r, "type"));
    if (is_true(r, "satisfied"))
        puts("satisfied");
    else
        printf("%s: %s\n", text_of(r, "code"), text_of(r, "reason"));
    const struct sl_json *findings = sl_json_get(r, "signatures");
    for (size_t i = 0; i < sl_json_count(findings); i++)
        print_finding(sl_json_at(findings, i));
}

static void print_verdict(const struct sl_json *v)
{
    static const char *const digests[] = {"manifest", "index", "policy"};
    const char *scope = sl_json_string(sl_json_get(v, "scope"));
    const struct sl_json *requirements = sl_json_get(v, "requirements");
    int64_t demanded = 0;
    printf("%s: %s\n", text_of(v, "name"), is_true(v, "allowed") ? "allowed" : "denied");
    for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++)
        if (*text_of(v, digests[i]))
            printf("%-9s %s\n", digests[i], text_of(v, digests[i]));
    if (!scope)
        puts("scope     the policy's default");
    else
        printf("scope     %s \"%s\"\n", text_of(v, "transport"), scope);
    (void)sl_json_int64(sl_json_get(v, "demanded"), &demanded);
    for (size_t i = 0; i < sl_json_count(requirements); i++)
        print_requirement(sl_json_at(requirements, i), i + 1, demanded);
}

int verdict_display_text(struct sl_span json, struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = sl_json_parse(json, "verdict", /* limits= */ NULL, &doc, err);
    if (r == 0)
        print_verdict(sl_json_root(doc));
    return r;
}
