/* SPDX-License-Identifier: Apache-2.0 */
/* Looks credentials up in auth files. An entry that is broken fails the lookup that hits it and
 * no other; no message quotes a value. */
#include "auth_file.h"

#include "credential_helper.h"

#include "sluice/core/environment.h"
#include "sluice/core/json.h"
#include "sluice/core/log.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    AUTH_FILE_MAX = 1024 * 1024, /* bytes of a file */
    AUTH_VALUE_MAX = 64 * 1024,  /* bytes of a decoded "auth" */
    AUTH_FILES = 4,              /* places where files may lie */
};

/* What of docker.io is called what: in references, on the network, and in docker's own files. */
#define DOCKER_HOST "docker.io"
#define DOCKER_INDEX "index.docker.io"
#define DOCKER_REGISTRY "registry-1.docker.io"
#define DOCKER_SERVER "https://index.docker.io/v1/"

struct target {
    const char *host;
    const char *repository;
    int cancel_fd;
};

/* One auth file, parsed. */
struct document {
    const char *name;
    const struct sl_json *root;
    bool is_dockercfg; /* the old format: entries at top level, by host only */
};

/* ---- keys ---- */

/* A piece of a key, compared as a registry: docker.io has three names. */
static bool is_same_registry(const char *key, size_t len, const char *host)
{
    static const char *const docker[] = {DOCKER_HOST, DOCKER_INDEX, DOCKER_REGISTRY};
    bool key_is_docker = false, host_is_docker = false;
    for (size_t i = 0; i < sizeof(docker) / sizeof(docker[0]); i++) {
        key_is_docker |= strlen(docker[i]) == len && strncmp(key, docker[i], len) == 0;
        host_is_docker |= strcmp(host, docker[i]) == 0;
    }
    return (key_is_docker && host_is_docker) || (strlen(host) == len && !strncmp(key, host, len));
}

/* "https://HOST/v1/" means HOST; without a scheme a path is a namespace. */
static bool is_key_for_host(const char *key, const char *host, bool is_dockercfg)
{
    const char *rest = key;
    if (strncmp(rest, "http://", 7) == 0)
        rest += 7;
    if (strncmp(rest, "https://", 8) == 0)
        rest += 8;
    bool is_url = rest != key || is_dockercfg;
    return is_same_registry(rest, is_url ? strcspn(rest, "/") : strlen(rest), host);
}

/* Position of the member for the host as a whole: its exact name before other spellings. */
static bool find_host(const struct sl_json *object, const char *host, bool is_dockercfg,
                      size_t *ret)
{
    size_t n = sl_json_count(object), other = n;
    for (size_t i = 0; i < n; i++) {
        const char *key = sl_json_name_at(object, i);
        if (strcmp(key, host) == 0) {
            *ret = i;
            return true;
        }
        if (other == n && is_key_for_host(key, host, is_dockercfg))
            other = i;
    }
    *ret = other;
    return other < n;
}

/* Looks for "host/a/b", "host/a", then the host. *ret is NULL if there is none. */
static int find_entry(const struct document *doc, const struct target *t,
                      const struct sl_json **ret, struct sl_error *err)
{
    const struct sl_json *auths = doc->is_dockercfg ? doc->root : sl_json_get(doc->root, "auths");
    SL_AUTO_FREE char *key = sl_strf("%s/%s", t->host, t->repository);
    if (!key)
        return sl_error_oom(err);
    *ret = NULL;
    for (char *cut; !doc->is_dockercfg && !*ret && (cut = strrchr(key, '/')); *cut = 0)
        *ret = sl_json_get(auths, key);
    size_t i = 0;
    if (!*ret && sl_json_type(auths) == SL_JSON_OBJECT &&
        find_host(auths, t->host, doc->is_dockercfg, &i))
        *ret = sl_json_at(auths, i);
    return 0;
}

/* ---- entries ---- */

/* People make "auth" with echo and base64, which add line ends inside and outside. */
static int decode_auth(const char *text, struct sl_bytes *ret, struct sl_error *err)
{
    struct sl_bytes packed = {0};
    int r = 0;
    while (r == 0 && *text) {
        size_t len = strcspn(text, "\r\n");
        r = sl_bytes_append(&packed, (struct sl_span){(const uint8_t *)text, len}, AUTH_VALUE_MAX,
                            err);
        text += len + strspn(text + len, "\r\n");
    }
    if (r == 0)
        r = sl_base64_decode(sl_bytes_span(&packed), ret, err);
    sl_bytes_wipe(&packed);
    return r;
}

static bool is_padding(uint8_t c)
{
    return c == 0 || c == '\n' || c == '\r';
}

/* A copy without the line ends and NULs around it; NULL in *ret for a NUL inside. */
static int copy_trimmed(const uint8_t *p, size_t len, char **ret, struct sl_error *err)
{
    while (len > 0 && is_padding(p[len - 1]))
        len--;
    while (len > 0 && is_padding(*p))
        p++, len--;
    if (len > 0 && memchr(p, 0, len))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "\"auth\" holds a NUL");
    *ret = len > 0 ? strndup((const char *)p, len) : strdup("");
    return *ret ? 0 : sl_error_oom(err);
}

/* "USER:PASSWORD"; anything without a colon is ignored, as docker does. */
static int split_auth(const struct sl_bytes *plain, struct sl_credentials *c, struct sl_error *err)
{
    const uint8_t *colon = plain->len > 0 ? memchr(plain->data, ':', plain->len) : NULL;
    if (!colon)
        return 0;
    size_t user_len = (size_t)(colon - plain->data);
    int r = copy_trimmed(plain->data, user_len, &c->username, err);
    if (r == 0)
        r = copy_trimmed(colon + 1, plain->len - user_len - 1, &c->password, err);
    return r;
}

static int read_auth(const struct sl_json *entry, struct sl_credentials *c, struct sl_error *err)
{
    const char *auth = sl_json_string(sl_json_get(entry, "auth"));
    if (!auth)
        return 0;
    struct sl_bytes plain = {0};
    int r = decode_auth(auth, &plain, err);
    if (r == 0)
        r = split_auth(&plain, c, err);
    else
        r = sl_error_set(err, SL_E_FORMAT, EINVAL, "\"auth\" is not base64");
    sl_bytes_wipe(&plain);
    return r;
}

/* Absent and "" are NULL. */
static int copy_member(const struct sl_json *entry, const char *name, char **ret,
                       struct sl_error *err)
{
    const char *text = sl_json_string(sl_json_get(entry, name));
    if (!text || !*text)
        return 0;
    sl_secret_free(*ret);
    *ret = strdup(text);
    return *ret ? 0 : sl_error_oom(err);
}

static int read_entry(const struct sl_json *entry, struct sl_credentials *ret, struct sl_error *err)
{
    if (sl_json_type(entry) != SL_JSON_OBJECT)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "the entry is not an object");
    SL_AUTO_DONE(sl_credentials) c = {0};
    int r = read_auth(entry, &c, err);
    bool has_auth = c.username != NULL;
    if (r == 0 && !has_auth)
        r = copy_member(entry, "username", &c.username, err);
    if (r == 0 && !has_auth)
        r = copy_member(entry, "password", &c.password, err);
    if (r == 0)
        r = copy_member(entry, "identitytoken", &c.identity_token, err);
    if (r == 0)
        r = copy_member(entry, "registrytoken", &c.registry_token, err);
    if (r < 0)
        return r;
    *ret = c;
    c = (struct sl_credentials){0};
    return 0;
}

/* ---- files ---- */

/* "credHelpers": a helper for this registry, which then is the only one to ask. */
static int ask_own_helper(const struct document *doc, const struct target *t, bool *ret_has,
                          struct sl_credentials *ret, struct sl_error *err)
{
    const struct sl_json *helpers = sl_json_get(doc->root, "credHelpers");
    size_t i = 0;
    if (doc->is_dockercfg || sl_json_type(helpers) != SL_JSON_OBJECT ||
        !find_host(helpers, t->host, false, &i))
        return 0;
    const char *name = sl_json_string(sl_json_at(helpers, i));
    if (!name)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "credHelpers must hold names");
    *ret_has = true;
    return sl_credential_helper_get(name, sl_json_name_at(helpers, i), t->cancel_fd, ret, err);
}

/* "credsStore": docker's helper for everything. Its configuration is often copied to machines
 * without the program; that matters only when the file says there was a login. */
static int ask_store(const struct document *doc, const struct target *t, bool has_entry,
                     struct sl_credentials *ret, struct sl_error *err)
{
    const char *name = sl_json_string(sl_json_get(doc->root, "credsStore"));
    if (doc->is_dockercfg || !name || !*name)
        return 0;
    bool is_docker = is_same_registry(t->host, strlen(t->host), DOCKER_HOST);
    struct sl_error why;
    const char *server = is_docker ? DOCKER_SERVER : t->host;
    int r = sl_credential_helper_get(name, server, t->cancel_fd, ret, &why);
    if (r == -ENOENT && !has_entry) {
        sl_log(SL_LOG_DEBUG, "%s: credsStore is ignored: %s", doc->name, why.msg);
        return 0;
    }
    if (r < 0 && err)
        *err = why;
    return r;
}

static int find_in_document(const struct document *doc, const struct target *t,
                            struct sl_credentials *ret, struct sl_error *err)
{
    if (sl_json_type(doc->root) != SL_JSON_OBJECT)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "must be a JSON object");
    bool has_helper = false;
    int r = ask_own_helper(doc, t, &has_helper, ret, err);
    if (r < 0 || has_helper)
        return r;
    const struct sl_json *entry = NULL;
    r = find_entry(doc, t, &entry, err);
    if (r == 0 && entry)
        r = read_entry(entry, ret, err);
    if (r == 0 && sl_credentials_is_anonymous(ret))
        r = ask_store(doc, t, entry != NULL, ret, err);
    return r;
}

static int find_in_text(struct sl_span text, const char *name, bool is_dockercfg,
                        const struct target *t, struct sl_credentials *ret, struct sl_error *err)
{
    const struct sl_json_limits limits = {.size = AUTH_FILE_MAX};
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = sl_json_parse(text, name, &limits, &doc, err);
    if (r < 0)
        return r;
    struct document d = {name, sl_json_root(doc), is_dockercfg};
    r = find_in_document(&d, t, ret, err);
    return r < 0 ? sl_error_wrap(err, r, "%s: %s", name, t->host) : 0;
}

static int find_in_file(const char *path, bool is_dockercfg, const struct target *t,
                        struct sl_credentials *ret, struct sl_error *err)
{
    struct sl_bytes text = {0};
    int r = sl_read_file(AT_FDCWD, path, AUTH_FILE_MAX, &text, err);
    if (r == 0)
        r = find_in_text(sl_bytes_span(&text), path, is_dockercfg, t, ret, err);
    sl_bytes_wipe(&text);
    return r;
}

static int find_in_explicit_file(const char *path, const struct target *t,
                                 struct sl_credentials *ret, struct sl_error *err)
{
    int r = find_in_file(path, false, t, ret, err);
    return r < 0 ? sl_error_wrap(err, r, "auth file") : 0;
}

/* ---- the search ---- */

/* The file in the directory that a variable names, or NULL. */
static char *path_under(const char *variable, const char *name)
{
    const char *dir = sl_environment_dir(variable);
    return dir ? sl_strf("%s/%s", dir, name) : NULL;
}

/* In the order of the search; a path that the environment does not give is NULL. */
static void list_files(char *files[AUTH_FILES])
{
    files[0] = path_under("XDG_RUNTIME_DIR", "containers/auth.json");
    if (!files[0])
        files[0] = sl_strf("/run/containers/%u/auth.json", (unsigned)getuid());
    files[1] = path_under("XDG_CONFIG_HOME", "containers/auth.json");
    if (!files[1])
        files[1] = path_under("HOME", ".config/containers/auth.json");
    files[2] = path_under("DOCKER_CONFIG", "config.json");
    if (!files[2])
        files[2] = path_under("HOME", ".docker/config.json");
    files[3] = path_under("HOME", ".dockercfg");
}

static int search_file(const char *path, bool is_dockercfg, const struct target *t,
                       struct sl_credentials *ret, struct sl_error *err)
{
    if (!path || access(path, F_OK) < 0)
        return 0;
    int r = find_in_file(path, is_dockercfg, t, ret, err);
    return r < 0 ? sl_error_wrap(err, r, "auth file") : 0;
}

static int search_files(const struct target *t, struct sl_credentials *ret, struct sl_error *err)
{
    const char *explicit = sl_environment_get("REGISTRY_AUTH_FILE");
    if (explicit)
        return find_in_explicit_file(explicit, t, ret, err);
    char *files[AUTH_FILES] = {NULL};
    list_files(files);
    int r = 0;
    for (size_t i = 0; i < AUTH_FILES; i++) {
        if (r == 0 && sl_credentials_is_anonymous(ret))
            r = search_file(files[i], i == AUTH_FILES - 1, t, ret, err);
        free(files[i]);
    }
    return r;
}

/* A helper that fails does not hide what a later one knows. */
static int search_helpers(const char *const *helpers, const struct target *t,
                          struct sl_credentials *ret, struct sl_error *err)
{
    int failure = 0;
    for (; *helpers && sl_credentials_is_anonymous(ret); helpers++) {
        struct sl_error why;
        int r = strcmp(*helpers, "containers-auth.json") == 0
                    ? search_files(t, ret, &why)
                    : sl_credential_helper_get(*helpers, t->host, t->cancel_fd, ret, &why);
        if (r < 0 && failure == 0) {
            failure = r;
            if (err)
                *err = why;
        }
    }
    return sl_credentials_is_anonymous(ret) ? failure : 0;
}

int sl_auth_lookup(const struct sl_auth_options *options, const char *host, const char *repository,
                   struct sl_credentials *ret, struct sl_error *err)
{
    struct target t = {host, repository, options->cancel_fd};
    if (options->creds)
        return sl_credentials_parse(options->creds, ret, err);
    if (options->auth_json.data)
        return find_in_text(options->auth_json, "auth file", false, &t, ret, err);
    if (options->authfile)
        return find_in_explicit_file(options->authfile, &t, ret, err);
    if (options->helpers && options->helpers[0])
        return search_helpers(options->helpers, &t, ret, err);
    return search_files(&t, ret, err);
}
