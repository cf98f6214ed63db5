/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's command line, as the hub reads it (guest-components: image-rs/src/config.rs,
 * confidential-data-hub/hub/src/config): tokens between ASCII blanks, split at their first '='; of
 * several the last counts. Nothing is quoted. The host writes it, so a file's [image] keeps it out.
 */
#include "sources.h"

#include <stdlib.h>
#include <string.h>

/* Whether an [image] section in the file makes it mute. The policy has its own way. */
static const struct {
    const char *name;
    enum sl_config_id id;
} image_parameters[] = {
    {"agent.https_proxy", CONFIG_HTTPS_PROXY},
    {"agent.http_proxy", CONFIG_HTTP_PROXY},
    {"agent.no_proxy", CONFIG_NO_PROXY},
    {"agent.image_registry_auth", CONFIG_AUTH_URI},
};
static const char policy_file[] = "agent.image_policy_file";
static const char verification[] = "agent.enable_signature_verification";

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/* Takes the next token off the text; false when there is none. */
static bool next_token(struct sl_span *text, struct sl_span *ret)
{
    size_t start = 0;
    while (start < text->len && is_blank(text->data[start]))
        start++;
    size_t end = start;
    while (end < text->len && !is_blank(text->data[end]))
        end++;
    if (start == end)
        return false;
    *ret = (struct sl_span){text->data + start, end - start};
    *text = (struct sl_span){text->data + end, text->len - end};
    return true;
}

/* The value that counts: *ret, to be freed, stays NULL when there is none. A NUL cannot come from
 * a kernel, and would hide what is behind it. */
static int find(struct sl_span cmdline, const char *name, char **ret, struct sl_error *err)
{
    size_t len = strlen(name);
    struct sl_span token;
    struct sl_span value = {0};
    while (next_token(&cmdline, &token))
        if (token.len > len && token.data[len] == '=' && memcmp(token.data, name, len) == 0)
            value = (struct sl_span){token.data + len + 1, token.len - len - 1};
    if (!value.data)
        return 0;
    if (memchr(value.data, 0, value.len))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "kernel: %s: holds a NUL character", name);
    char *copy = strndup((const char *)value.data, value.len);
    if (!copy)
        return sl_error_oom(err);
    *ret = copy;
    return 0;
}

static int set(struct sl_config_draft *draft, enum sl_config_id id, const char *name,
               const char *value, struct sl_error *err)
{
    SL_AUTO_FREE char *where = sl_strf("kernel: %s", name);
    const struct sl_config_source source = {SL_CONFIG_KERNEL, where};
    return where ? sl_config_set_foreign(draft, id, value, &source, err) : sl_error_oom(err);
}

/* ---- [image] ---- */

static int warn_mute(struct sl_config_draft *draft, const char *name, struct sl_error *err)
{
    return sl_config_warn(draft, err,
                          "kernel: %s: not used, since the configuration file has a section "
                          "[image]",
                          name);
}

static int read_image_parameter(struct sl_config_draft *draft, struct sl_span cmdline, size_t i,
                                bool counts, struct sl_error *err)
{
    SL_AUTO_FREE char *value = NULL;
    const char *name = image_parameters[i].name;
    int r = find(cmdline, name, &value, err);
    if (r < 0 || !value)
        return r;
    return counts ? set(draft, image_parameters[i].id, name, value, err)
                  : warn_mute(draft, name, err);
}

static int read_policy(struct sl_config_draft *draft, struct sl_span cmdline, bool counts,
                       struct sl_error *err)
{
    SL_AUTO_FREE char *value = NULL;
    SL_AUTO_FREE char *is_enabled = NULL;
    int r = find(cmdline, policy_file, &value, err);
    if (r == 0)
        r = find(cmdline, verification, &is_enabled, err);
    if (r < 0)
        return r;
    bool is_on = is_enabled && strcmp(is_enabled, "true") == 0;
    if (!counts)
        return value ? warn_mute(draft, policy_file, err) : 0;
    if (value && is_on)
        return set(draft, CONFIG_POLICY_URI, policy_file, value, err);
    if (value)
        return sl_config_warn(draft, err, "kernel: %s: not used, since %s is not true", policy_file,
                              verification);
    if (is_on)
        return sl_config_warn(draft, err, "kernel: %s: without effect, since there is no %s",
                              verification, policy_file);
    return 0;
}

/* ---- cdh.kbs_resources=URI::PATH,URI::PATH ---- */

static const char resources[] = "cdh.kbs_resources";

static int read_resource(struct sl_config_draft *draft, char *entry, struct sl_error *err)
{
    static const struct sl_config_source source = {SL_CONFIG_KERNEL, "kernel: cdh.kbs_resources"};
    char *colons = strstr(entry, "::");
    if (!colons)
        return sl_config_warn(draft, err, "%s: '%.100s' is not URI::PATH, ignored", source.where,
                              entry);
    *colons = 0;
    return sl_config_add_credential(draft, colons + 2, entry, &source, err);
}

static int read_resources(struct sl_config_draft *draft, struct sl_span cmdline,
                          struct sl_error *err)
{
    SL_AUTO_FREE char *value = NULL;
    char *rest = NULL;
    int r = find(cmdline, resources, &value, err);
    if (r < 0 || !value)
        return r;
    for (char *entry = strtok_r(value, ",", &rest); r == 0 && entry;
         entry = strtok_r(NULL, ",", &rest))
        r = read_resource(draft, entry, err);
    return r;
}

static int read_kbc(struct sl_config_draft *draft, struct sl_span cmdline, struct sl_error *err)
{
    static const char name[] = "agent.aa_kbc_params";
    static const struct sl_config_source source = {SL_CONFIG_KERNEL, "kernel: agent.aa_kbc_params"};
    SL_AUTO_FREE char *value = NULL;
    int r = find(cmdline, name, &value, err);
    return r < 0 || !value ? r : sl_config_set_kbc_params(draft, value, &source, err);
}

int sl_config_read_kernel(struct sl_config_draft *draft, struct sl_span cmdline,
                          const struct sl_config_kernel_use *use, struct sl_error *err)
{
    if (cmdline.len > SL_CONFIG_CMDLINE_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "kernel: the command line has over %d bytes",
                            (int)SL_CONFIG_CMDLINE_MAX);
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(image_parameters) / sizeof(image_parameters[0]); i++)
        r = read_image_parameter(draft, cmdline, i, use->image, err);
    if (r == 0)
        r = read_policy(draft, cmdline, use->image, err);
    if (r == 0)
        r = read_resources(draft, cmdline, err);
    if (r == 0 && use->kbc)
        r = read_kbc(draft, cmdline, err);
    return r;
}
