/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requirements as containers-policy.json(5) has them. Members of our own begin with "x-", so that
 * strict readers elsewhere refuse them instead of verifying less than is written.
 */
#include "policy_parse.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { POLICY_REQUIREMENTS_MAX = 8192 }; /* in a whole policy */

#define FIELD(name) offsetof(struct sl_requirement, name)

/* ---- members ---- */

static int parse_key_type(struct sl_policy_parser *p, const struct sl_json *node, void *field)
{
    /* The others were planned once; policies may name them, and reject what they are asked about.
     */
    static const char *const names[] = {"GPGKeys", "signedByGPGKeys", "X509Certificates",
                                        "signedByX509CAs"};
    const char *text = sl_json_string(node);
    for (size_t i = 0; text && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            *(enum sl_pgp_key_type *)field = i == 0 ? SL_GPG_KEYS : SL_PGP_KEY_TYPE_UNSUPPORTED;
            return 0;
        }
    }
    return sl_policy_fail(p, node,
                          "must be GPGKeys, signedByGPGKeys, X509Certificates or signedByX509CAs");
}

static int parse_bool(struct sl_policy_parser *p, const struct sl_json *node, void *field)
{
    return sl_json_bool(node, field) ? 0 : sl_policy_fail(p, node, "must be true or false");
}

static int parse_bundles(struct sl_policy_parser *p, const struct sl_json *node, void *field)
{
    const char *text = sl_json_string(node);
    if (!text || strcmp(text, "digest-only") != 0)
        return sl_policy_fail(p, node, "must be \"digest-only\": bundles name no image");
    *(bool *)field = true;
    return 0;
}

static int parse_sct(struct sl_policy_parser *p, const struct sl_json *node, void *field)
{
    const char *text = sl_json_string(node);
    bool ignores = text && strcmp(text, "ignore") == 0;
    if (!ignores && (!text || strcmp(text, "required") != 0))
        return sl_policy_fail(p, node, "must be \"ignore\" or \"required\"");
    *(bool *)field = ignores;
    return 0;
}

/* ---- fulcio and pki: objects whose members are the requirement's ---- */

static int parse_fulcio(struct sl_policy_parser *p, const struct sl_json *node, void *field)
{
    static const struct sl_policy_member members[] = {
        {"caPath", sl_policy_key_path, FIELD(fulcio_ca), false},
        {"caData", sl_policy_key_data, FIELD(fulcio_ca), false},
        {"oidcIssuer", sl_policy_text, FIELD(oidc_issuer), true},
        {"subjectEmail", sl_policy_text, FIELD(subject_email), false},
        {"x-subjectURI", sl_policy_text, FIELD(subject_uri), false},
        {0},
    };
    struct sl_requirement *req = field;
    req->has_fulcio = true;
    int r = sl_policy_parse_object(p, node, members, req);
    if (r == 0 && !req->subject_email == !req->subject_uri)
        return sl_policy_fail(p, node, "exactly one of \"subjectEmail\" and \"x-subjectURI\"");
    return r;
}

static int parse_pki(struct sl_policy_parser *p, const struct sl_json *node, void *field)
{
    static const struct sl_policy_member members[] = {
        {"caRootsPath", sl_policy_key_path, FIELD(pki_roots), false},
        {"caRootsData", sl_policy_key_data, FIELD(pki_roots), false},
        {"caIntermediatesPath", sl_policy_demanded_path, FIELD(pki_intermediates), false},
        {"caIntermediatesData", sl_policy_key_data, FIELD(pki_intermediates), false},
        {"subjectEmail", sl_policy_text, FIELD(pki_email), false},
        {"subjectHostname", sl_policy_text, FIELD(pki_hostname), false},
        {0},
    };
    struct sl_requirement *req = field;
    req->has_pki = true;
    int r = sl_policy_parse_object(p, node, members, req);
    if (r < 0)
        return r;
    if (!req->pki_roots.n)
        return sl_policy_fail(p, node, "one of \"caRootsPath\" and \"caRootsData\" is missing");
    if (!req->pki_email && !req->pki_hostname)
        return sl_policy_fail(p, node,
                              "one of \"subjectEmail\" and \"subjectHostname\" is missing");
    return 0;
}

/* ---- types ---- */

static const struct sl_policy_member plain_members[] = {{.name = "type"}, {0}};

static const struct sl_policy_member signed_by_members[] = {
    {.name = "type"},
    {"keyType", parse_key_type, FIELD(key_type), true},
    {"keyPath", sl_policy_key_path, FIELD(keys), false},
    {"keyPaths", sl_policy_key_paths, FIELD(keys), false},
    {"keyData", sl_policy_key_data, FIELD(keys), false},
    {"signedIdentity", sl_policy_identity, FIELD(identity), false},
    {"x-allowExpiredKey", parse_bool, FIELD(allow_expired_key), false},
    {0},
};

static const struct sl_policy_member base_layer_members[] = {
    {.name = "type"},
    {"baseLayerIdentity", sl_policy_identity, FIELD(identity), true},
    {0},
};

static const struct sl_policy_member sigstore_members[] = {
    {.name = "type"},
    {"keyPath", sl_policy_key_path, FIELD(keys), false},
    {"keyPaths", sl_policy_key_paths, FIELD(keys), false},
    {"keyData", sl_policy_key_data_or_pem, FIELD(keys), false},
    {"keyDatas", sl_policy_key_datas, FIELD(keys), false},
    {"fulcio", parse_fulcio, 0, false},
    {"pki", parse_pki, 0, false},
    {"rekorPublicKeyPath", sl_policy_demanded_path, FIELD(rekor_keys), false},
    {"rekorPublicKeyPaths", sl_policy_key_paths, FIELD(rekor_keys), false},
    {"rekorPublicKeyData", sl_policy_key_data, FIELD(rekor_keys), false},
    {"rekorPublicKeyDatas", sl_policy_key_datas, FIELD(rekor_keys), false},
    {"signedIdentity", sl_policy_identity, FIELD(identity), false},
    {"x-bundles", parse_bundles, FIELD(accepts_bundles), false},
    {"x-trustedRootPath", sl_policy_demanded_path, FIELD(trusted_root), false},
    {"x-trustedRootData", sl_policy_key_data, FIELD(trusted_root), false},
    {"x-ctKeyPath", sl_policy_demanded_path, FIELD(ct_keys), false},
    {"x-ctKeyPaths", sl_policy_key_paths, FIELD(ct_keys), false},
    {"x-ctKeyData", sl_policy_key_data, FIELD(ct_keys), false},
    {"x-ctKeyDatas", sl_policy_key_datas, FIELD(ct_keys), false},
    {"x-sct", parse_sct, FIELD(ignores_sct), false},
    {0},
};

/* image-rs once wrote its two kinds of signatures as schemes of signedBy. */
static const struct sl_policy_member simple_scheme_members[] = {
    {.name = "type"},
    {.name = "scheme"},
    {"keyType", parse_key_type, FIELD(key_type), true},
    {"keyPath", sl_policy_key_path, FIELD(keys), false},
    {"keyPaths", sl_policy_key_paths, FIELD(keys), false},
    {"keyData", sl_policy_key_data, FIELD(keys), false},
    {"signedIdentity", sl_policy_identity, FIELD(identity), false},
    {"x-allowExpiredKey", parse_bool, FIELD(allow_expired_key), false},
    {0},
};
static const struct sl_policy_member cosign_scheme_members[] = {
    {.name = "type"},
    {.name = "scheme"},
    {"keyPath", sl_policy_key_path, FIELD(keys), false},
    {"keyData", sl_policy_key_data_or_pem, FIELD(keys), false},
    {"signedIdentity", sl_policy_identity, FIELD(identity), false},
    {0},
};

struct requirement_form {
    enum sl_requirement_type type;
    const struct sl_policy_member *members;
};

static int find_scheme(struct sl_policy_parser *p, const struct sl_json *scheme,
                       struct requirement_form *ret)
{
    const char *text = sl_json_string(scheme);
    if (text && strcmp(text, "simple") == 0)
        *ret = (struct requirement_form){SL_REQUIRE_SIGNED_BY, simple_scheme_members};
    else if (text && strcmp(text, "cosign") == 0)
        *ret = (struct requirement_form){SL_REQUIRE_SIGSTORE_SIGNED, cosign_scheme_members};
    else
        return sl_policy_fail(p, scheme, "\"scheme\": must be simple or cosign");
    return 0;
}

static int find_form(struct sl_policy_parser *p, const struct sl_json *node,
                     struct requirement_form *ret)
{
    static const struct requirement_form forms[] = {
        {SL_REQUIRE_NOTHING, plain_members},
        {SL_REQUIRE_REJECT, plain_members},
        {SL_REQUIRE_SIGNED_BY, signed_by_members},
        {SL_REQUIRE_SIGNED_BASE_LAYER, base_layer_members},
        {SL_REQUIRE_SIGSTORE_SIGNED, sigstore_members},
    };
    const char *type;
    int r = sl_policy_object_type(p, node, &type);
    if (r < 0)
        return r;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (strcmp(type, sl_requirement_type_name(forms[i].type)) != 0)
            continue;
        const struct sl_json *scheme = sl_json_get(node, "scheme");
        if (p->is_compat && scheme && forms[i].type == SL_REQUIRE_SIGNED_BY)
            return find_scheme(p, scheme, ret);
        *ret = forms[i];
        return 0;
    }
    return sl_policy_fail(p, sl_json_get(node, "type"), "unknown type \"%.100s\"", type);
}

/* ---- what members mean together ---- */

static int check_sigstore(struct sl_policy_parser *p, const struct sl_json *node,
                          const struct sl_requirement *req)
{
    bool has_root = req->trusted_root.n > 0, has_rekor = req->rekor_keys.n > 0;
    if ((req->keys.n > 0) + req->has_fulcio + req->has_pki != 1)
        return sl_policy_fail(p, node,
                              "exactly one of \"keyPath\", \"keyPaths\", \"keyData\", "
                              "\"keyDatas\", \"fulcio\" and \"pki\"");
    if (req->has_pki && (has_rekor || has_root))
        return sl_policy_fail(p, node,
                              "\"pki\" has no transparency log: neither Rekor keys nor a "
                              "trusted root may stand beside it");
    if (req->keys.n && has_rekor && has_root)
        return sl_policy_fail(p, node, "a trusted root has Rekor keys: only one of them may stand");
    if (req->has_fulcio && !has_rekor && !has_root)
        return sl_policy_fail(p, node, "\"fulcio\" needs a Rekor key or a trusted root");
    if (req->has_fulcio && !req->fulcio_ca.n && !has_root)
        return sl_policy_fail(p, sl_json_get(node, "fulcio"),
                              "one of \"caPath\" and \"caData\" is missing");
    if (!req->has_fulcio && (req->ct_keys.n || sl_json_get(node, "x-sct")))
        return sl_policy_fail(
            p, node, "\"x-ctKeyPath\" (and the like) and \"x-sct\" stand beside \"fulcio\" only");
    return 0;
}

static int parse_requirement(struct sl_policy_parser *p, const struct sl_json *node,
                             struct sl_requirement *req)
{
    struct requirement_form form = {SL_REQUIRE_REJECT, NULL};
    int r = find_form(p, node, &form);
    if (r < 0)
        return r;
    req->type = form.type;
    req->is_compat = p->is_compat;
    if (p->is_compat && form.type == SL_REQUIRE_SIGSTORE_SIGNED)
        req->identity.type = SL_MATCH_REPOSITORY; /* unless the policy says another */
    r = sl_policy_parse_object(p, node, form.members, req);
    if (r == 0 && form.type == SL_REQUIRE_SIGSTORE_SIGNED)
        r = check_sigstore(p, node, req);
    if (r == 0 && form.type == SL_REQUIRE_SIGNED_BY && !req->keys.n)
        r = sl_policy_fail(p, node, "exactly one of \"keyPath\", \"keyPaths\" and \"keyData\"");
    return r < 0 ? sl_error_wrap(p->err, r, "%s", sl_requirement_type_name(form.type)) : 0;
}

int sl_policy_requirements(struct sl_policy_parser *p, const struct sl_json *node, void *field)
{
    struct sl_requirements *list = field;
    size_t n = sl_json_count(node);
    if (sl_json_type(node) != SL_JSON_ARRAY || n == 0)
        return sl_policy_fail(p, node, "must be a list with at least one requirement");
    if (n > POLICY_REQUIREMENTS_MAX - p->n_requirements) {
        p->at = node;
        return sl_error_set(p->err, SL_E_LIMIT, E2BIG, "more than %d requirements",
                            POLICY_REQUIREMENTS_MAX);
    }
    p->n_requirements += n;
    list->items = calloc(n, sizeof(*list->items));
    if (!list->items)
        return sl_error_oom(p->err);
    list->n = n;
    for (size_t i = 0; i < n; i++) {
        int r = parse_requirement(p, sl_json_at(node, i), &list->items[i]);
        if (r < 0)
            return sl_error_wrap(p->err, r, "requirement %zu", i + 1);
    }
    return 0;
}
