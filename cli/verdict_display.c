/* SPDX-License-Identifier: Apache-2.0 */
#include "verdict_display.h"

#include <stdio.h>
#include <time.h>

static const char *const kind_names[] = {
    [SL_SIGNATURE_SIMPLE] = "simple",
    [SL_SIGNATURE_COSIGN] = "cosign",
    [SL_SIGNATURE_BUNDLE] = "bundle",
};

static const char *binding_of(const struct sl_signature_finding *f)
{
    return f->names_index ? "index" : "manifest";
}

/* ---- for people ---- */

static void print_digest(const char *what, const struct sl_digest *digest)
{
    char text[SL_DIGEST_TEXT_MAX];
    sl_digest_format(digest, text);
    printf("%-9s %s\n", what, text);
}

static void print_signed_at(int64_t signed_at)
{
    char text[32];
    struct tm tm;
    time_t t = (time_t)signed_at;
    if (signed_at && gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%SZ", &tm))
        printf(", at %s", text);
}

static void print_finding(const struct sl_signature_finding *f)
{
    if (f->code != SL_SIG_OK) {
        printf("  rejected  %s (%s): %s: %s\n", f->where, kind_names[f->kind],
               sl_signature_code_name(f->code), f->reason);
        return;
    }
    printf("  accepted  %s (%s): signs the %s", f->where, kind_names[f->kind], binding_of(f));
    if (*f->signed_name)
        printf(" as %s", f->signed_name);
    if (*f->key)
        printf(", by %s", f->key);
    print_signed_at(f->signed_at);
    putchar('\n');
}

static void print_requirement(const struct sl_requirement_verdict *r, size_t number, size_t n)
{
    printf("requirement %zu/%zu %s: ", number, n, r->type);
    if (r->is_satisfied)
        puts("satisfied");
    else
        printf("%s: %s\n", sl_signature_code_name(r->code), r->reason);
    for (size_t i = 0; i < r->n_findings; i++)
        print_finding(&r->findings[i]);
}

void verdict_display_text(const struct sl_policy_verdict *v)
{
    printf("%s: %s\n", v->name, v->is_allowed ? "allowed" : "denied");
    print_digest("manifest", &v->manifest);
    if (v->has_index)
        print_digest("index", &v->index);
    print_digest("policy", &v->policy);
    if (!v->scope)
        puts("scope     the policy's default");
    else
        printf("scope     %s \"%s\"\n", v->transport, v->scope);
    for (size_t i = 0; i < v->n_requirements; i++)
        print_requirement(&v->requirements[i], i + 1, v->n_demanded);
}

/* ---- for programs ---- */

static void put_finding(struct sl_json_writer *w, const struct sl_signature_finding *f)
{
    sl_json_open_object(w, NULL);
    sl_json_put_string(w, "where", f->where);
    sl_json_put_string(w, "kind", kind_names[f->kind]);
    sl_json_put_bool(w, "accepted", f->code == SL_SIG_OK);
    sl_json_put_string(w, "code", sl_signature_code_name(f->code));
    sl_json_put_string(w, "reason", f->reason);
    sl_json_put_string(w, "key", f->key);
    sl_json_put_string(w, "signedName", f->signed_name);
    sl_json_put_string(w, "binding", binding_of(f));
    if (f->signed_at)
        sl_json_put_int(w, "signedAt", f->signed_at);
    sl_json_close_object(w);
}

static void put_requirement(struct sl_json_writer *w, const struct sl_requirement_verdict *r,
                            size_t number)
{
    sl_json_open_object(w, NULL);
    sl_json_put_int(w, "number", (int64_t)number);
    sl_json_put_string(w, "type", r->type);
    sl_json_put_bool(w, "satisfied", r->is_satisfied);
    sl_json_put_string(w, "code", sl_signature_code_name(r->code));
    sl_json_put_string(w, "reason", r->reason);
    sl_json_open_array(w, "signatures");
    for (size_t i = 0; i < r->n_findings; i++)
        put_finding(w, &r->findings[i]);
    sl_json_close_array(w);
    sl_json_close_object(w);
}

int verdict_display_json(const struct sl_policy_verdict *v, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ true);
    sl_json_put_string(w, "name", v->name);
    sl_json_put_string(w, "transport", v->transport);
    if (v->scope)
        sl_json_put_string(w, "scope", v->scope);
    else
        sl_json_put_node(w, "scope", NULL);
    sl_json_put_bool(w, "allowed", v->is_allowed);
    sl_json_put_digest(w, "policy", &v->policy);
    sl_json_put_string(w, "compat", v->compat_image_rs ? "image-rs" : "none");
    sl_json_put_digest(w, "manifest", &v->manifest);
    if (v->has_index)
        sl_json_put_digest(w, "index", &v->index);
    sl_json_open_array(w, "requirements");
    for (size_t i = 0; i < v->n_requirements; i++)
        put_requirement(w, &v->requirements[i], i + 1);
    sl_json_close_array(w);
    sl_json_put_int(w, "demanded", (int64_t)v->n_demanded);
    return cli_print_json(w, err);
}
