/* SPDX-License-Identifier: Apache-2.0 */
#include "key_provider_answers.h"

#include "sluice/api_error.h"
#include "sluice/key_provider.h"

#include <string.h>

enum { RESOURCE_URI_MAX = 1024 };

/* The name under which the field knows the provider of CoCo packets, whoever it is. */
static const char coco_name[] = "attestation-agent";

static int invalid(enum sl_rpc_status *ret_status, int r)
{
    *ret_status = SL_RPC_INVALID_ARGUMENT;
    return r;
}

/* What a client may know of why an operation failed. */
static int failed(enum sl_rpc_status *ret_status, int r, const struct sl_error *err)
{
    switch (err->code) {
    case SL_E_FORMAT:
    case SL_E_LIMIT:
        *ret_status = SL_RPC_INVALID_ARGUMENT;
        break;
    case SL_E_POLICY:
        *ret_status = SL_RPC_PERMISSION_DENIED;
        break;
    case SL_E_UNSUPPORTED:
        *ret_status = SL_RPC_UNIMPLEMENTED;
        break;
    case SL_E_AUTH:
        *ret_status =
            err->errnum == ENOKEY || err->errnum == ENOENT ? SL_RPC_NOT_FOUND : SL_RPC_INTERNAL;
        break;
    default:
        *ret_status = SL_RPC_INTERNAL;
    }
    return r;
}

/* Bytes of the face, which are wiped with its own function. */
struct answer {
    void *data;
    size_t size;
};

static void answer_done(struct answer *a)
{
    a->data = sluice_secret_free(a->data, a->size);
}
SL_DEFINE_AUTO_DONE(answer, answer_done)

static struct sl_span span_of(const struct answer *a)
{
    return (struct sl_span){a->data, a->size};
}

static int open_request(struct sl_span message, enum sl_provider_op op,
                        struct sl_provider_request *ret, struct sl_error *err)
{
    struct sl_bytes json = {0};
    int r = sl_rpc_bytes_message_unpack(message, &json, err);
    if (r == 0)
        r = sl_provider_request_parse(sl_bytes_span(&json), op, ret, err);
    sl_bytes_wipe(&json);
    return r;
}

static int close_answer(enum sl_provider_op op, const struct answer *payload, struct sl_bytes *ret,
                        struct sl_error *err)
{
    struct sl_bytes json = {0};
    int r = sl_provider_answer_write(op, span_of(payload), &json, err);
    if (r == 0)
        r = sl_rpc_bytes_message_pack(sl_bytes_span(&json), ret, err);
    sl_bytes_wipe(&json);
    return r;
}

/* The client's configuration decides what it calls us: parameters under the field's name are ours,
 * and so are the only ones there are. */
static const char *own_params(const struct sl_provider_request *request)
{
    const char *params = sl_provider_request_param(request, coco_name);
    if (!params && request->n_params == 1)
        params = request->params[0].value;
    return params;
}

/* ---- WrapKey ---- */

static int wrap(struct sluice_keys *keys, const struct sl_provider_request *request,
                struct answer *ret, struct sl_error *err)
{
    const char *text = own_params(request);
    if (!text)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "the request has no parameters for %s, such as "
                            "keypath=FILE::keyid=kbs:///REPO/TYPE/TAG",
                            coco_name);
    struct sluice_error why = {0};
    int r = sluice_keys_wrap(keys, text, request->payload.data, request->payload.len, &ret->data,
                             &ret->size, &why);
    return sl_error_from_api(r, &why, err);
}

int sl_answer_wrap_key(struct sluice_keys *keys, struct sl_span message, struct sl_bytes *ret,
                       enum sl_rpc_status *ret_status, struct sl_error *err)
{
    SL_AUTO_DONE(sl_provider_request) request = {0};
    SL_AUTO_DONE(answer) packet = {0};
    int r = open_request(message, SL_PROVIDER_WRAP, &request, err);
    if (r < 0)
        return invalid(ret_status, r);
    r = wrap(keys, &request, &packet, err);
    if (r < 0)
        return failed(ret_status, sl_error_wrap(err, r, "encrypt failed"), err);
    r = close_answer(SL_PROVIDER_WRAP, &packet, ret, err);
    return r < 0 ? failed(ret_status, r, err) : 0;
}

/* ---- UnWrapKey ---- */

/* "offline_fs_kbc::null": a client that wants another broker than ours is told so, rather than
 * given keys of a place it did not ask for. Many name none. */
static int check_broker(struct sluice_keys *keys, const struct sl_provider_request *request,
                        struct sl_error *err)
{
    const char *params = own_params(request);
    const char *end = params ? strstr(params, "::") : NULL;
    const char *name = sluice_keys_broker(keys);
    if (!end ||
        (strlen(name) == (size_t)(end - params) && strncmp(name, params, strlen(name)) == 0))
        return 0;
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "this provider asks %s, not '%.100s'", name,
                        params);
}

static int unwrap(struct sluice_keys *keys, const struct sl_provider_request *request,
                  struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO_DONE(answer) document = {0};
    struct sluice_error why = {0};
    int r = sluice_keys_unwrap(keys, request->payload.data, request->payload.len, &document.data,
                               &document.size, &why);
    r = sl_error_from_api(r, &why, err);
    return r < 0 ? r : close_answer(SL_PROVIDER_UNWRAP, &document, ret, err);
}

int sl_answer_unwrap_key(struct sluice_keys *keys, struct sl_span message, struct sl_bytes *ret,
                         enum sl_rpc_status *ret_status, struct sl_error *err)
{
    SL_AUTO_DONE(sl_provider_request) request = {0};
    int r = open_request(message, SL_PROVIDER_UNWRAP, &request, err);
    if (r == 0)
        r = check_broker(keys, &request, err);
    if (r < 0)
        return invalid(ret_status, r);
    r = unwrap(keys, &request, ret, err);
    return r < 0 ? failed(ret_status, r, err) : 0;
}

int sl_answer_unwrap_key_for_any(struct sluice_keys *keys, struct sl_span message,
                                 struct sl_bytes *ret, enum sl_rpc_status *ret_status,
                                 struct sl_error *err)
{
    SL_AUTO_DONE(sl_provider_request) request = {0};
    int r = open_request(message, SL_PROVIDER_UNWRAP, &request, err);
    if (r < 0)
        return invalid(ret_status, r);
    r = unwrap(keys, &request, ret, err);
    return r < 0 ? failed(ret_status, r, err) : 0;
}

/* ---- GetResource ---- */

int sl_answer_get_resource(struct sluice_keys *keys, struct sl_span message, struct sl_bytes *ret,
                           enum sl_rpc_status *ret_status, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    int r = sl_rpc_bytes_message_unpack(message, &text, err);
    if (r < 0)
        return invalid(ret_status, r);
    if (text.len > RESOURCE_URI_MAX || memchr(text.data ? text.data : (uint8_t *)"", 0, text.len))
        return invalid(ret_status, sl_error_set(err, SL_E_FORMAT, EINVAL,
                                                "the resource path is no text of at most %d bytes",
                                                RESOURCE_URI_MAX));
    SL_AUTO_FREE char *uri = strndup(text.data ? (const char *)text.data : "", text.len);
    if (!uri)
        return failed(ret_status, sl_error_oom(err), err);
    SL_AUTO_DONE(answer) resource = {0};
    struct sluice_error why = {0};
    r = sluice_keys_get_resource(keys, uri, &resource.data, &resource.size, &why);
    r = sl_error_from_api(r, &why, err);
    if (r == 0)
        r = sl_rpc_bytes_message_pack(span_of(&resource), ret, err);
    return r < 0 ? failed(ret_status, r, err) : 0;
}
