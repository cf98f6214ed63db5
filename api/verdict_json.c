/* SPDX-License-Identifier: Apache-2.0 */
#include "verdict_json.h"

#include "sluice/core/json_writer.h"

static const char *const kind_names[] = {
    [SL_SIGNATURE_SIMPLE] = "simple",
    [SL_SIGNATURE_COSIGN] = "cosign",
    [SL_SIGNATURE_BUNDLE] = "bundle",
};

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
    sl_json_put_string(w, "binding", f->names_index ? "index" : "manifest");
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

int sl_api_verdict_json(const struct sl_policy_verdict *v, struct sl_bytes *ret,
                        struct sl_error *err)
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
    return sl_json_end(w, ret, err);
}
