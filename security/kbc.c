/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/kbc.h"

#include "answer_cache.h"
#include "kbc_broker.h"

#include <stdlib.h>
#include <string.h>

static const struct sl_kbc_broker *const brokers[] = {&sl_kbc_offline_fs, &sl_kbc_sample};

struct sl_kbc {
    const struct sl_kbc_broker *broker;
    void *data;
    struct sl_answer_cache *keks;
};

static int find_broker(const struct sl_kbc_options *options, const struct sl_kbc_broker **ret,
                       const char **ret_uri, struct sl_error *err)
{
    const char *selection = options->selection;
    const char *sep = strstr(selection, "::");
    size_t len = sep ? (size_t)(sep - selection) : 0;
    for (size_t i = 0; i < sizeof(brokers) / sizeof(brokers[0]); i++) {
        const char *name = brokers[i]->name;
        if (strlen(name) == len && memcmp(name, selection, len) == 0) {
            *ret = brokers[i];
            *ret_uri = sep + 2;
            return 0;
        }
    }
    if (!options->forward && !sl_kbc_is_spoken_elsewhere(selection))
        return sl_kbc_unknown(selection, err);
    *ret = &sl_kbc_forwarded;
    *ret_uri = sep ? sep + 2 : "";
    return 0;
}

int sl_kbc_open(const struct sl_kbc_options *options, struct sl_kbc **ret, struct sl_error *err)
{
    SL_AUTO(sl_kbc) kbc = calloc(1, sizeof(*kbc));
    if (!kbc)
        return sl_error_oom(err);
    const char *uri = NULL;
    int r = find_broker(options, &kbc->broker, &uri, err);
    if (r == 0)
        r = sl_answer_cache_new(/* keeps_refusals= */ true, &kbc->keks, err);
    if (r == 0)
        r = kbc->broker->open(options, uri, &kbc->data, err);
    if (r < 0)
        return kbc->broker ? sl_error_wrap(err, r, "%s", kbc->broker->label) : r;
    *ret = sl_steal(&kbc);
    return 0;
}

struct sl_kbc *sl_kbc_close(struct sl_kbc *kbc)
{
    if (!kbc)
        return NULL;
    if (kbc->broker)
        kbc->broker->close(kbc->data);
    (void)sl_answer_cache_free(kbc->keks);
    free(kbc);
    return NULL;
}

const char *sl_kbc_name(const struct sl_kbc *kbc)
{
    return kbc->broker->name;
}

bool sl_kbc_is_forwarded(const struct sl_kbc *kbc)
{
    return kbc && kbc->broker == &sl_kbc_forwarded;
}

/* ---- keys ---- */

struct question {
    const struct sl_kbc *kbc;
    const struct sl_resource_uri *uri;
};

/* An sl_ask_fn. */
static int ask_kek(void *arg, struct sl_bytes *ret, struct sl_error *err)
{
    const struct question *q = arg;
    struct sl_bytes kek = {0};
    int r = q->kbc->broker->get_kek(q->kbc->data, q->uri, &kek, err);
    if (r == 0 && kek.len != SL_KBC_KEK_SIZE)
        r = sl_error_set(err, SL_E_FORMAT, EBADMSG, "key %.100s has %zu bytes instead of %d",
                         q->uri->path, kek.len, SL_KBC_KEK_SIZE);
    if (r < 0) {
        sl_bytes_wipe(&kek);
        return sl_error_wrap(err, r, "%s", q->kbc->broker->label);
    }
    *ret = kek;
    return 0;
}

int sl_kbc_lookup_kek(void *kbc, const char *kid, uint8_t ret[32], struct sl_error *err)
{
    struct question q = {.kbc = kbc};
    SL_AUTO_DONE(sl_resource_uri) uri = {0};
    int r = sl_resource_uri_parse_kid(kid, &uri, err);
    if (r == 0)
        r = sl_resource_uri_need_resource(&uri, err);
    if (r < 0)
        return sl_error_wrap(err, r, "%s", q.kbc->broker->label);
    /* The same key has many names; the canonical one is asked for, so that it is asked once. */
    SL_AUTO_FREE char *canonical = sl_resource_uri_format(&uri);
    if (!canonical)
        return sl_error_oom(err);
    q.uri = &uri;
    struct sl_bytes kek = {0};
    r = sl_answer_cache_get(q.kbc->keks, sl_span_of(canonical), ask_kek, &q, &kek, err);
    if (r == 0)
        memcpy(ret, kek.data, SL_KBC_KEK_SIZE);
    sl_bytes_wipe(&kek);
    return r;
}

int sl_kbc_get_resource(struct sl_kbc *kbc, const char *uri_text, struct sl_bytes *ret,
                        struct sl_error *err)
{
    SL_AUTO_DONE(sl_resource_uri) uri = {0};
    int r = sl_resource_uri_parse(uri_text, &uri, err);
    if (r == 0)
        r = sl_resource_uri_need_resource(&uri, err);
    if (r == 0)
        r = kbc->broker->get_resource(kbc->data, &uri, ret, err);
    return r < 0 ? sl_error_wrap(err, r, "%s", kbc->broker->label) : 0;
}
