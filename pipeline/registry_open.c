/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials and rules of registries may come from a key broker, as policies and keys do: they are
 * read here, since the registry knows no brokers. */
#include "sluice/kbc.h"
#include "sluice/key_access.h"
#include "sluice/resource.h"

#include <string.h>

struct texts {
    struct sl_bytes auth, rules; /* the first is secret */
};

static void texts_done(struct texts *t)
{
    sl_bytes_wipe(&t->auth);
    sl_bytes_done(&t->rules);
}

SL_DEFINE_AUTO_DONE(texts, texts_done)

/* Paths stay paths: what looks for files knows more about them, such as where they may be missing.
 */
static bool is_resource(const char *name)
{
    return name && (strncmp(name, "kbs:", 4) == 0 || strncmp(name, "kbs+", 4) == 0 ||
                    strncmp(name, "file://", 7) == 0);
}

static int read_texts(const struct sl_registry_options *o, const struct sl_key_options *broker,
                      struct texts *ret, struct sl_error *err)
{
    SL_AUTO(sl_kbc) kbc = NULL;
    int r = broker ? sl_key_access_open_broker(broker, &kbc, err) : 0;
    const struct sl_resources resources = {.kbc = kbc};
    if (r == 0 && is_resource(o->authfile))
        r = sl_resource_get(&resources, o->authfile, SL_RESOURCE_MAX, &ret->auth, err);
    if (r == 0 && is_resource(o->registries_conf))
        r = sl_resource_get(&resources, o->registries_conf, SL_RESOURCE_MAX, &ret->rules, err);
    return r;
}

/* Texts end at their first NUL, and a file's would end before it does. */
static int take_text(const struct sl_bytes *text, const char **name, const char **ret,
                     struct sl_error *err)
{
    if (!text->data)
        return 0;
    if (memchr(text->data, 0, text->len))
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "%.200s: there is a NUL in it", *name);
    *ret = (const char *)text->data;
    *name = NULL;
    return 0;
}

int sl_registry_open(const struct sl_registry_options *options, const struct sl_key_options *broker,
                     struct sl_registry **ret, struct sl_error *err)
{
    if (!is_resource(options->authfile) && !is_resource(options->registries_conf))
        return sl_registry_new(options, ret, err);
    SL_AUTO_DONE(texts) texts = {0};
    struct sl_registry_options o = *options;
    int r = read_texts(options, broker, &texts, err);
    if (r == 0)
        r = take_text(&texts.auth, &o.authfile, &o.auth_json, err);
    if (r == 0)
        r = take_text(&texts.rules, &o.registries_conf, &o.registries_conf_text, err);
    return r < 0 ? r : sl_registry_new(&o, ret, err);
}
