/* SPDX-License-Identifier: Apache-2.0 */
#include "policy_parse.h"

#include "signed_identity.h"

#include <stddef.h>
#include <string.h>

#define FIELD(name) offsetof(struct sl_identity_rule, name)

static int parse_reference(struct sl_policy_parser *p, const struct sl_json *node, void *field)
{
    const char *text = sl_json_string(node);
    if (!text)
        return sl_policy_fail(p, node, "must be a string");
    struct sl_reference **ref = field;
    p->at = node;
    return sl_reference_parse_as_written(text, ref, p->err);
}

static int parse_full_reference(struct sl_policy_parser *p, const struct sl_json *node, void *field)
{
    int r = parse_reference(p, node, field);
    const struct sl_reference *const *ref = field;
    if (r == 0 && !(*ref)->tag && !(*ref)->has_digest)
        return sl_policy_fail(p, node, "must have a tag or a digest");
    return r;
}

static int parse_prefix(struct sl_policy_parser *p, const struct sl_json *node, void *field)
{
    const char *text = sl_json_string(node);
    if (!text || !sl_identity_prefix_is_valid(text))
        return sl_policy_fail(p, node, "must be HOST[:PORT][/PATH], without tag and digest");
    return sl_policy_text(p, node, field);
}

static const struct sl_policy_member plain_members[] = {{.name = "type"}, {0}};
static const struct sl_policy_member reference_members[] = {
    {.name = "type"},
    {"dockerReference", parse_full_reference, FIELD(reference), true},
    {0},
};
static const struct sl_policy_member repository_members[] = {
    {.name = "type"},
    {"dockerRepository", parse_reference, FIELD(reference), true},
    {0},
};
static const struct sl_policy_member remap_members[] = {
    {.name = "type"},
    {"prefix", parse_prefix, FIELD(prefix), true},
    {"signedPrefix", parse_prefix, FIELD(signed_prefix), true},
    {0},
};

int sl_policy_identity(struct sl_policy_parser *p, const struct sl_json *node, void *field)
{
    static const struct {
        const char *name;
        const struct sl_policy_member *members;
    } types[] = {
        [SL_MATCH_REPO_DIGEST_OR_EXACT] = {"matchRepoDigestOrExact", plain_members},
        [SL_MATCH_EXACT] = {"matchExact", plain_members},
        [SL_MATCH_REPOSITORY] = {"matchRepository", plain_members},
        [SL_EXACT_REFERENCE] = {"exactReference", reference_members},
        [SL_EXACT_REPOSITORY] = {"exactRepository", repository_members},
        [SL_REMAP_IDENTITY] = {"remapIdentity", remap_members},
    };
    struct sl_identity_rule *rule = field;
    const char *type;
    int r = sl_policy_object_type(p, node, &type);
    if (r < 0)
        return r;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i].name, type) == 0) {
            rule->type = (enum sl_identity_type)i;
            return sl_policy_parse_object(p, node, types[i].members, rule);
        }
    }
    return sl_policy_fail(p, sl_json_get(node, "type"), "unknown type \"%.100s\"", type);
}
