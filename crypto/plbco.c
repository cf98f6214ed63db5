/* SPDX-License-Identifier: Apache-2.0 */
#include "plbco.h"

#include "sluice/core/json.h"
#include "sluice/key_wrap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLBCO_MAX = 4096, PLBCO_DEPTH = 16 };

/* Errors name the member and never quote it. */
static int read_secret(const struct sl_json *object, const char *name, size_t size, uint8_t *ret,
                       struct sl_error *err)
{
    const char *text = sl_json_string(sl_json_get(object, name));
    if (!text)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "private options have no %s", name);
    struct sl_bytes bytes = {0};
    int r = sl_base64_decode(sl_span_of(text), &bytes, NULL);
    if (r < 0 && r != -ENOMEM)
        r = sl_error_set(err, SL_E_FORMAT, EBADMSG, "private options: %s is not base64", name);
    else if (r < 0)
        r = sl_error_oom(err);
    else if (bytes.len != size)
        r = sl_error_set(err, SL_E_FORMAT, EBADMSG,
                         "private options: %s has %zu bytes instead of %zu", name, bytes.len, size);
    else
        memcpy(ret, bytes.data, size);
    sl_bytes_wipe(&bytes);
    return r < 0 ? r : 0;
}

int sl_plbco_parse(struct sl_span text, struct sl_layer_key *ret, struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    const struct sl_json_limits limits = {.size = PLBCO_MAX, .depth = PLBCO_DEPTH};
    /* Without err: the reader's message may quote what it reads. */
    int r = sl_json_parse(text, "private options", &limits, &doc, NULL);
    if (r == -ENOMEM)
        return sl_error_oom(err);
    if (r < 0)
        return sl_error_set(err, SL_E_FORMAT, -r, "private options are not valid JSON");
    const struct sl_json *root = sl_json_root(doc);
    struct sl_layer_key key = {.protocol = ret->protocol};
    r = read_secret(root, "symkey", sizeof(key.lek), key.lek, err);
    if (r == 0)
        r = read_secret(sl_json_get(root, "cipheroptions"), "nonce", sizeof(key.nonce), key.nonce,
                        err);
    if (r == 0)
        *ret = key;
    sl_wipe(&key, sizeof(key));
    return r;
}

int sl_plbco_check(struct sl_span text)
{
    struct sl_layer_key key = {0};
    int r = sl_plbco_parse(text, &key, NULL);
    sl_layer_key_done(&key);
    return r;
}

/* Not through the JSON writer or vasprintf(), which leave unwiped copies behind as they grow. */
int sl_plbco_write(const struct sl_layer_key *key, const struct sl_digest *plain,
                   struct sl_bytes *ret, struct sl_error *err)
{
#define PLBCO_FORMAT "{\"symkey\":\"%s\",\"digest\":\"%s\",\"cipheroptions\":{\"nonce\":\"%s\"}}"
    char digest[SL_DIGEST_TEXT_MAX];
    sl_digest_format(plain, digest);
    SL_AUTO_SECRET symkey = sl_base64_encode((struct sl_span){key->lek, sizeof(key->lek)});
    SL_AUTO_SECRET nonce = sl_base64_encode((struct sl_span){key->nonce, sizeof(key->nonce)});
    if (!symkey || !nonce)
        return sl_error_oom(err);
    size_t room = sizeof(PLBCO_FORMAT) + strlen(symkey) + strlen(digest) + strlen(nonce);
    char *text = malloc(room);
    if (!text)
        return sl_error_oom(err);
    int len = snprintf(text, room, PLBCO_FORMAT, symkey, digest, nonce);
    *ret = (struct sl_bytes){.data = (uint8_t *)text, .len = (size_t)len, .cap = room};
    return 0;
}
