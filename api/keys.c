/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include "sluice/key_access.h"
#include "sluice/key_wrap.h"

#include <stdlib.h>

struct sluice_keys {
    struct sl_key_access access;
    bool allow_sample, allow_a256ctr;
};

static int open_keys(const struct sluice_key_options *options, struct sluice_keys *keys,
                     struct sl_error *err)
{
    struct sluice_key_options given = {0};
    struct sl_key_options o = {0};
    int r = options ? SL_API_TAKE(&given, options, err) : 0;
    if (r == 0)
        r = sl_api_key_options(options, &o, err);
    if (r == 0)
        r = sl_key_access_open(&o, given.cancel_fd > 0 ? given.cancel_fd : -1, &keys->access, err);
    keys->allow_sample = o.unsafe_sample_key;
    keys->allow_a256ctr = o.allow_a256ctr;
    return r;
}

int sluice_keys_open(const struct sluice_key_options *options, struct sluice_keys **ret,
                     struct sluice_error *err)
{
    struct sl_error why = {0};
    struct sluice_keys *keys = calloc(1, sizeof(*keys));
    if (!keys)
        return sl_api_result(sl_error_oom(&why), &why, err);
    int r = open_keys(options, keys, &why);
    if (r < 0)
        free(keys);
    else
        *ret = keys;
    return sl_api_result(r, &why, err);
}

struct sluice_keys *sluice_keys_close(struct sluice_keys *keys)
{
    if (keys)
        sl_key_access_done(&keys->access);
    free(keys);
    return NULL;
}

const char *sluice_keys_broker(const struct sluice_keys *keys)
{
    return keys->access.kbc ? sl_kbc_name(keys->access.kbc) : NULL;
}

static int no_broker(struct sl_error *err)
{
    return sl_error_set(err, SL_E_AUTH, ENOENT,
                        "there is no key broker to ask: name one as NAME::URI");
}

/* Passes the bytes on, or wipes them. */
static int give(int r, struct sl_bytes *from, void **ret, size_t *ret_size)
{
    if (r < 0) {
        sl_bytes_wipe(from);
        return r;
    }
    /* The caller wipes what he sees. */
    if (from->data)
        sl_wipe(from->data + from->len, from->cap - from->len);
    *ret_size = from->len;
    *ret = from->data;
    return 0;
}

int sluice_keys_get_resource(struct sluice_keys *keys, const char *uri, void **ret,
                             size_t *ret_size, struct sluice_error *err)
{
    SL_API_QUIET();
    struct sl_error why = {0};
    struct sl_bytes resource = {0};
    int r = sl_api_need_text(uri, "resource", &why);
    if (r == 0)
        r = keys->access.kbc ? sl_kbc_get_resource(keys->access.kbc, uri, &resource, &why)
                             : no_broker(&why);
    return sl_api_result(give(r, &resource, ret, ret_size), &why, err);
}

int sluice_keys_unwrap(struct sluice_keys *keys, const void *packet, size_t packet_size, void **ret,
                       size_t *ret_size, struct sluice_error *err)
{
    SL_API_QUIET();
    struct sl_error why = {0};
    struct sl_bytes document = {0};
    const struct sl_span span = {packet, packet_size};
    int r = keys->access.kbc ? sl_packet_unwrap(keys->access.ring, span, &document, &why)
                             : no_broker(&why);
    return sl_api_result(give(r, &document, ret, ret_size), &why, err);
}

static int wrap(struct sluice_keys *keys, const char *params, struct sl_span document,
                struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_packet_params) p = {0};
    int r = sl_api_need_text(params, "parameters", err);
    if (r == 0)
        r = sl_packet_params_parse(params, &p, err);
    if (r < 0)
        return r;
    /* A key in a file needs no broker. */
    sl_kek_lookup_fn *lookup = keys->access.kbc ? sl_kbc_lookup_kek : NULL;
    return sl_packet_wrap_with_params(&p, keys->allow_sample, keys->allow_a256ctr, lookup,
                                      keys->access.kbc, document, ret, err);
}

int sluice_keys_wrap(struct sluice_keys *keys, const char *params, const void *document,
                     size_t document_size, void **ret, size_t *ret_size, struct sluice_error *err)
{
    SL_API_QUIET();
    struct sl_error why = {0};
    struct sl_bytes packet = {0};
    int r = wrap(keys, params, (struct sl_span){document, document_size}, &packet, &why);
    return sl_api_result(give(r, &packet, ret, ret_size), &why, err);
}

void *sluice_secret_free(void *secret, size_t size)
{
    if (secret)
        sl_wipe(secret, size);
    free(secret);
    return NULL;
}
