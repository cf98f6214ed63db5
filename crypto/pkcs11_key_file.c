/* SPDX-License-Identifier: Apache-2.0 */
#include "pkcs11_key_file.h"

#include "sluice/core/yaml.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_FILE_MAX = 64 * 1024, KEY_FILE_DEPTH = 8 };

void sl_pkcs11_key_file_done(struct sl_pkcs11_key_file *file)
{
    sl_secret_free(file->uri);
    for (size_t i = 0; i < file->n_env; i++) {
        free(file->env[i].name);
        sl_secret_free(file->env[i].value);
    }
    file->uri = NULL;
    file->n_env = 0;
}

bool sl_pkcs11_key_file_looks_like(struct sl_span text)
{
    return memmem(text.data, text.len, "pkcs11:", 7) && !memmem(text.data, text.len, "-----", 5);
}

/* An environment variable's name can be anything but empty or with '='. */
static int read_variable(const char *name, const struct sl_json *node, struct sl_pair *ret,
                         struct sl_error *err)
{
    const char *value = sl_json_string(node);
    if (!value)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "PKCS11 key file: module.env.%.60s must be a string: quote it", name);
    if (!*name || strchr(name, '='))
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "PKCS11 key file: a name in module.env is empty or has a '='");
    *ret = (struct sl_pair){strdup(name), strdup(value)};
    if (ret->name && ret->value)
        return 0;
    free(ret->name);
    sl_secret_free(ret->value);
    return sl_error_oom(err);
}

static int read_env(const struct sl_json *env, struct sl_pkcs11_key_file *file,
                    struct sl_error *err)
{
    size_t n = sl_json_count(env);
    if (sl_json_type(env) != SL_JSON_NULL && sl_json_type(env) != SL_JSON_OBJECT)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "PKCS11 key file: module.env must map names to values");
    if (n > SL_PKCS11_ENV_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG,
                            "PKCS11 key file: more than %d variables in module.env",
                            SL_PKCS11_ENV_MAX);
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = read_variable(sl_json_name_at(env, i), sl_json_at(env, i), &file->env[i], err);
        file->n_env += r == 0;
    }
    return r;
}

/* ---- the PIN ---- */

/* libyaml leaves copies of what it reads in memory that it gave back. It is therefore given the
 * text with another PIN of the same length, and the real one is put where that has come out. */
struct pin {
    const uint8_t *text; /* the characters that neither YAML nor its escapes change; lent */
    size_t at, len;
};

static const char pin_begin[] = "pin-value=";
static const char hidden_as[] = "x";

/* A second one, as in a comment, would leave open which the URI has: then nothing is hidden. */
static struct pin find_pin(struct sl_span text)
{
    const size_t n = strlen(pin_begin);
    const uint8_t *begin = memmem(text.data, text.len, pin_begin, n);
    if (!begin)
        return (struct pin){0};
    struct pin pin = {.text = begin + n, .at = (size_t)(begin - text.data) + n};
    struct sl_span rest = {pin.text, text.len - pin.at};
    if (memmem(rest.data, rest.len, pin_begin, n))
        return (struct pin){0};
    while (pin.len < rest.len &&
           (isalnum(rest.data[pin.len]) || rest.data[pin.len] == '%' || rest.data[pin.len] == '.'))
        pin.len++;
    return pin;
}

static void put_pin(const struct pin *pin, char *value)
{
    for (char *p = value; pin->len && (p = strstr(p, pin_begin));) {
        p += strlen(pin_begin);
        if (strspn(p, hidden_as) >= pin->len)
            memcpy(p, pin->text, pin->len);
    }
}

static int parse_yaml(struct sl_span text, const struct pin *pin, struct sl_json_doc **ret)
{
    const struct sl_json_limits limits = {.size = KEY_FILE_MAX, .depth = KEY_FILE_DEPTH};
    struct sl_bytes hidden = {0};
    int r = sl_bytes_append(&hidden, text, KEY_FILE_MAX, NULL);
    if (r == 0 && pin->len)
        memset(hidden.data + pin->at, hidden_as[0], pin->len);
    /* Without err: the reader's message may quote what it reads. */
    if (r == 0)
        r = sl_yaml_parse(sl_bytes_span(&hidden), "PKCS11 key file", &limits, ret, NULL);
    sl_bytes_wipe(&hidden);
    return r;
}

/* ---- the file ---- */

int sl_pkcs11_key_file_parse(struct sl_span text, struct sl_pkcs11_key_file *ret,
                             struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    SL_AUTO_DONE(sl_pkcs11_key_file) file = {0};
    const struct pin pin = find_pin(text);
    int r = parse_yaml(text, &pin, &doc);
    if (r < 0)
        return r == -ENOMEM
                   ? sl_error_oom(err)
                   : sl_error_set(err, SL_E_FORMAT, EBADMSG, "PKCS11 key file: not valid YAML");
    const struct sl_json *root = sl_json_root(doc);
    const char *uri = sl_json_string(sl_json_get(sl_json_get(root, "pkcs11"), "uri"));
    if (!uri)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "PKCS11 key file: no pkcs11.uri");
    file.uri = strdup(uri);
    if (!file.uri)
        return sl_error_oom(err);
    put_pin(&pin, file.uri);
    r = read_env(sl_json_get(sl_json_get(root, "module"), "env"), &file, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < file.n_env; i++)
        put_pin(&pin, file.env[i].value);
    *ret = file;
    file = (struct sl_pkcs11_key_file){0};
    return 0;
}
