/* SPDX-License-Identifier: Apache-2.0 */
#include "verdict_record.h"

#include "sluice/core/json_writer.h"

static void put_evidence(struct sl_json_writer *w, const char *type, size_t number,
                         const struct sl_signature_finding *finding)
{
    sl_json_open_object(w, NULL);
    sl_json_put_int(w, "requirement", (int64_t)number);
    sl_json_put_string(w, "type", type);
    sl_json_put_string(w, "where", finding->where);
    sl_json_put_string(w, "key", finding->key);
    sl_json_put_string(w, "signedName", finding->signed_name);
    sl_json_put_string(w, "binding", finding->names_index ? "index" : "manifest");
    if (finding->signed_at)
        sl_json_put_int(w, "signedAt", finding->signed_at);
    sl_json_close_object(w);
}

/* The signature that satisfied it: the first that was accepted. */
static void put_requirement(struct sl_json_writer *w, const struct sl_requirement_verdict *r,
                            size_t number)
{
    for (size_t i = 0; r->is_satisfied && i < r->n_findings; i++)
        if (r->findings[i].code == SL_SIG_OK) {
            put_evidence(w, r->type, number, &r->findings[i]);
            return;
        }
}

static void put_verdict(struct sl_json_writer *w, const struct sl_policy_verdict *v)
{
    sl_json_put_string(w, "name", v->name);
    sl_json_put_digest(w, "policy", &v->policy);
    sl_json_put_string(w, "transport", v->transport);
    if (v->scope)
        sl_json_put_string(w, "scope", v->scope);
    else
        sl_json_put_node(w, "scope", NULL);
    if (v->has_index)
        sl_json_put_digest(w, "index", &v->index);
    sl_json_put_string(w, "compat", v->compat_image_rs ? "image-rs" : "none");
    sl_json_open_array(w, "evidence");
    for (size_t i = 0; i < v->n_requirements; i++)
        put_requirement(w, &v->requirements[i], i + 1);
    sl_json_close_array(w);
}

int sl_verdict_record_format(const struct sl_policy_verdict *verdict, struct sl_bytes *ret,
                             struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    if (verdict)
        put_verdict(w, verdict);
    else
        sl_json_put_bool(w, "insecure", true);
    return sl_json_end(w, ret, err);
}
