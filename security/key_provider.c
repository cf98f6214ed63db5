/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of key providers. Its writer is the operator; other programs read the same file
 * and ignore what they do not know, and so does this one. */
#include "providers.h"

#include "sluice/core/environment.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONFIG_MAX = 1024 * 1024, /* bytes */
    CONFIG_DEPTH = 8,
    PROVIDERS_MAX = 64,
    ARGS_MAX = 64,
    NAME_MAX_LEN = 255, /* bytes; the name is part of an annotation's */
};

static void provider_done(struct sl_provider *p)
{
    free(p->name);
    for (char **arg = p->argv; arg && *arg; arg++)
        free(*arg);
    free(p->argv);
    free(p->target);
    free(p->tls.root_ca_file);
    free(p->tls.cert_file);
    free(p->tls.key_file);
    free(p->tls.server_name);
    *p = (struct sl_provider){0};
}

struct sl_providers *sl_providers_close(struct sl_providers *providers)
{
    if (!providers)
        return NULL;
    for (size_t i = 0; i < providers->n; i++)
        provider_done(&providers->list[i]);
    free(providers->list);
    free(providers->silent_until);
    (void)sl_answer_cache_free(providers->unwrapped);
    free(providers);
    return NULL;
}

/* ---- one provider ---- */

static int wrong(struct sl_error *err, const char *what)
{
    return sl_error_set(err, SL_E_FORMAT, EBADMSG, "%s", what);
}

/* Go writes absent members as null, too. */
static const struct sl_json *member(const struct sl_json *object, const char *name)
{
    const struct sl_json *node = sl_json_get(object, name);
    return sl_json_type(node) == SL_JSON_NULL ? NULL : node;
}

/* *ret stays NULL when it is absent or empty. */
static int copy_string(const struct sl_json *object, const char *name, char **ret,
                       struct sl_error *err)
{
    const struct sl_json *node = member(object, name);
    const char *text = sl_json_string(node);
    if (node && !text)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "'%s' must be a string", name);
    if (!text || !text[0])
        return 0;
    *ret = strdup(text);
    return *ret ? 0 : sl_error_oom(err);
}

static int parse_cmd(const struct sl_json *cmd, struct sl_provider *p, struct sl_error *err)
{
    const struct sl_json *args = member(cmd, "args");
    size_t n = sl_json_count(args);
    if (sl_json_type(cmd) != SL_JSON_OBJECT)
        return wrong(err, "'cmd' must be an object with 'path' and 'args'");
    if (args && sl_json_type(args) != SL_JSON_ARRAY)
        return wrong(err, "'args' must be a list");
    if (n > ARGS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d arguments", ARGS_MAX);
    p->argv = calloc(n + 2, sizeof(*p->argv));
    if (!p->argv)
        return sl_error_oom(err);
    int r = copy_string(cmd, "path", &p->argv[0], err);
    if (r < 0)
        return r;
    if (!p->argv[0])
        return wrong(err, "'cmd' has no 'path'");
    for (size_t i = 0; i < n; i++) {
        const char *arg = sl_json_string(sl_json_at(args, i));
        if (!arg)
            return wrong(err, "'args' must be a list of strings");
        p->argv[i + 1] = strdup(arg);
        if (!p->argv[i + 1])
            return sl_error_oom(err);
    }
    return 0;
}

/* Present, even empty, it turns TLS on. */
static int parse_tls(const struct sl_json *tls, struct sl_provider *p, struct sl_error *err)
{
    if (!tls)
        return 0;
    if (sl_json_type(tls) != SL_JSON_OBJECT)
        return wrong(err, "'grpc-tls' must be an object");
    p->tls.enabled = true;
    int r = copy_string(tls, "root-ca-file", &p->tls.root_ca_file, err);
    if (r == 0)
        r = copy_string(tls, "cert-file", &p->tls.cert_file, err);
    if (r == 0)
        r = copy_string(tls, "key-file", &p->tls.key_file, err);
    if (r == 0)
        r = copy_string(tls, "server-name", &p->tls.server_name, err);
    if (r < 0)
        return r;
    if (!p->tls.cert_file != !p->tls.key_file)
        return wrong(err, "'cert-file' and 'key-file' need one another");
    const struct sl_json *insecure = member(tls, "insecure-skip-verify");
    if (insecure && !sl_json_bool(insecure, &p->tls.insecure_skip_verify))
        return wrong(err, "'insecure-skip-verify' must be true or false");
    return 0;
}

/* 1: it is one of ours; 0: packets for it are opened in this process. */
static int parse_provider(const struct sl_json *entry, struct sl_provider *p, struct sl_error *err)
{
    if (sl_json_type(entry) != SL_JSON_OBJECT)
        return wrong(err, "must be an object");
    if (member(entry, "cmd")) {
        p->transport = SL_PROVIDER_CMD;
        int r = parse_cmd(member(entry, "cmd"), p, err);
        return r < 0 ? r : 1;
    }
    p->transport = SL_PROVIDER_GRPC;
    int r = copy_string(entry, "grpc", &p->target, err);
    if (r == 0 && p->target)
        r = parse_tls(member(entry, "grpc-tls"), p, err);
    if (r == 0 && !p->target) {
        p->transport = SL_PROVIDER_TTRPC;
        r = copy_string(entry, "ttrpc", &p->target, err);
    }
    if (r < 0 || p->target)
        return r < 0 ? r : 1;
    if (sl_json_string(member(entry, "native")))
        return 0;
    return wrong(err, "names none of 'cmd', 'grpc', 'ttrpc' and 'native'");
}

/* ---- the file ---- */

static int add_provider(struct sl_providers *providers, const char *name,
                        const struct sl_json *entry, struct sl_error *err)
{
    struct sl_provider p = {0};
    if (!name[0] || strlen(name) > NAME_MAX_LEN)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "a name has 1 to %d bytes", NAME_MAX_LEN);
    int r = parse_provider(entry, &p, err);
    if (r > 0) {
        p.name = strdup(name);
        r = p.name ? 1 : sl_error_oom(err);
    }
    if (r <= 0) {
        provider_done(&p);
        return r;
    }
    providers->list[providers->n++] = p;
    return 0;
}

static int add_providers(struct sl_providers *providers, const struct sl_json *root,
                         struct sl_error *err)
{
    const struct sl_json *entries = member(root, "key-providers");
    size_t n = sl_json_count(entries);
    if (sl_json_type(root) != SL_JSON_OBJECT)
        return wrong(err, "must be an object");
    if (entries && sl_json_type(entries) != SL_JSON_OBJECT)
        return wrong(err, "'key-providers' must be an object");
    if (n > PROVIDERS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d providers", PROVIDERS_MAX);
    providers->list = calloc(n ? n : 1, sizeof(*providers->list));
    providers->silent_until = calloc(n ? n : 1, sizeof(*providers->silent_until));
    if (!providers->list || !providers->silent_until)
        return sl_error_oom(err);
    for (size_t i = 0; i < n; i++) {
        const char *name = sl_json_name_at(entries, i);
        int r = add_provider(providers, name, sl_json_at(entries, i), err);
        if (r < 0)
            return sl_error_wrap(err, r, "'%.100s'", name);
    }
    return 0;
}

int sl_providers_parse(struct sl_span json, struct sl_providers **ret, struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    const struct sl_json_limits limits = {.size = CONFIG_MAX, .depth = CONFIG_DEPTH};
    int r = sl_json_parse(json, "key provider configuration", &limits, &doc, err);
    if (r < 0)
        return r;
    SL_AUTO(sl_providers) providers = calloc(1, sizeof(*providers));
    if (!providers)
        return sl_error_oom(err);
    providers->deadline_ms = SL_PROVIDER_DEADLINE_MS;
    r = sl_answer_cache_new(/* keeps_refusals= */ false, &providers->unwrapped, err);
    if (r < 0)
        return r;
    r = add_providers(providers, sl_json_root(doc), err);
    if (r < 0)
        return sl_error_wrap(err, r, "key provider configuration");
    *ret = sl_steal(&providers);
    return 0;
}

int sl_providers_open(const char *path, struct sl_providers **ret, struct sl_error *err)
{
    if (!path)
        path = sl_environment_get("OCICRYPT_KEYPROVIDER_CONFIG");
    if (!path || !path[0])
        return sl_providers_parse(sl_span_of("{}"), ret, err);
    SL_AUTO_DONE(sl_bytes) text = {0};
    int r = sl_read_file(AT_FDCWD, path, CONFIG_MAX, &text, err);
    if (r < 0)
        return sl_error_wrap(err, r, "key provider configuration");
    r = sl_providers_parse(sl_bytes_span(&text), ret, err);
    return r < 0 ? sl_error_wrap(err, r, "%.200s", path) : 0;
}

/* ---- looking up ---- */

const struct sl_provider *sl_providers_find(const struct sl_providers *providers, const char *name)
{
    for (size_t i = 0; i < providers->n; i++)
        if (strcmp(providers->list[i].name, name) == 0)
            return &providers->list[i];
    return NULL;
}

const struct sl_provider *sl_providers_at(const struct sl_providers *providers, size_t i)
{
    return i < providers->n ? &providers->list[i] : NULL;
}

bool sl_providers_has(void *providers, const char *name)
{
    return sl_providers_find(providers, name) != NULL;
}
