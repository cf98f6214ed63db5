/* SPDX-License-Identifier: Apache-2.0 */
#include "policy_parse.h"

#include <stdio.h>
#include <string.h>

int sl_policy_fail(struct sl_policy_parser *p, const struct sl_json *node, const char *fmt, ...)
{
    char text[SL_ERROR_MSG_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    p->at = node;
    return sl_error_set(p->err, SL_E_FORMAT, EBADMSG, "%s", text);
}

static const struct sl_policy_member *find(const struct sl_policy_member *members, const char *name)
{
    for (; members->name; members++)
        if (strcmp(members->name, name) == 0)
            return members;
    return NULL;
}

int sl_policy_parse_object(struct sl_policy_parser *p, const struct sl_json *node,
                           const struct sl_policy_member *members, void *into)
{
    if (sl_json_type(node) != SL_JSON_OBJECT)
        return sl_policy_fail(p, node, "must be an object");
    for (const struct sl_policy_member *m = members; m->name; m++)
        if (m->is_needed && !sl_json_get(node, m->name))
            return sl_policy_fail(p, node, "member \"%s\" is missing", m->name);
    for (size_t i = 0; i < sl_json_count(node); i++) {
        const char *name = sl_json_name_at(node, i);
        const struct sl_json *value = sl_json_at(node, i);
        const struct sl_policy_member *m = find(members, name);
        if (!m)
            return sl_policy_fail(p, value, "unknown member \"%.100s\"", name);
        int r = m->parse ? m->parse(p, value, (char *)into + m->offset) : 0;
        if (r < 0)
            return sl_error_wrap(p->err, r, "\"%s\"", name);
    }
    return 0;
}

int sl_policy_object_type(struct sl_policy_parser *p, const struct sl_json *node, const char **ret)
{
    if (sl_json_type(node) != SL_JSON_OBJECT)
        return sl_policy_fail(p, node, "must be an object");
    const struct sl_json *type = sl_json_get(node, "type");
    if (!type)
        return sl_policy_fail(p, node, "member \"type\" is missing");
    if (!sl_json_string(type))
        return sl_policy_fail(p, type, "\"type\": must be a string");
    *ret = sl_json_string(type);
    return 0;
}

int sl_policy_text(struct sl_policy_parser *p, const struct sl_json *node, void *field)
{
    const char *text = sl_json_string(node);
    if (!text || !*text)
        return sl_policy_fail(p, node, "must be a string with something in it");
    char *copy = strdup(text);
    *(char **)field = copy;
    return copy ? 0 : sl_error_oom(p->err);
}
