/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests and answers of ocicrypt's key provider protocol. Texts that hold a key are composed by
 * hand, in memory that is wiped: the JSON writer leaves copies behind.
 */
#include "provider_messages.h"

#include "sluice/core/json_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PLBCO_MAX = 4 * 1024,   /* bytes of a layer's private options */
    PACKET_MAX = 64 * 1024, /* bytes of a wrapped key */
    PARAMS_MAX = 64,        /* names in a request */
    PARAM_MAX = 4 * 1024,   /* bytes of a value */
    MESSAGE_DEPTH = 16,
};

static const struct sl_json_limits message_limits = {.size = SL_PROVIDER_MESSAGE_MAX,
                                                     .depth = MESSAGE_DEPTH};

#define UNWRAP_HEAD                                                                                \
    "{\"op\":\"keyunwrap\",\"keywrapparams\":{\"ec\":null,\"optsdata\":null},"                     \
    "\"keyunwrapparams\":{\"dc\":"

static const struct operation {
    const char *name;
    /* Where a request holds what it is about. */
    const char *params, *config, *payload;
    size_t payload_max;
    /* Where an answer holds what came of it. */
    const char *results, *result;
    size_t result_max;
    /* Of our own requests: what stands before the config and behind the payload. */
    const char *head, *tail;
} operations[] = {
    [SL_PROVIDER_WRAP] =
        {
            .name = "keywrap",
            .params = "keywrapparams",
            .config = "ec",
            .payload = "optsdata",
            .payload_max = PLBCO_MAX,
            .results = "keywrapresults",
            .result = "annotation",
            .result_max = PACKET_MAX,
            .head = "{\"op\":\"keywrap\",\"keywrapparams\":{\"ec\":",
            .tail = "\"},\"keyunwrapparams\":{\"dc\":null,\"annotation\":null}}",
        },
    [SL_PROVIDER_UNWRAP] =
        {
            .name = "keyunwrap",
            .params = "keyunwrapparams",
            .config = "dc",
            .payload = "annotation",
            .payload_max = PACKET_MAX,
            .results = "keyunwrapresults",
            .result = "optsdata",
            .result_max = PLBCO_MAX,
            .head = UNWRAP_HEAD,
            .tail = "\"}}",
        },
};

/* The reader's own message is not asked for: it may quote, and these texts hold keys. */
static int parse_secret(struct sl_span json, const char *what, struct sl_json_doc **ret,
                        struct sl_error *err)
{
    int r = sl_json_parse(json, what, &message_limits, ret, /* err= */ NULL);
    if (r == -ENOMEM)
        return sl_error_oom(err);
    if (r == -E2BIG)
        return sl_error_set(err, SL_E_LIMIT, E2BIG,
                            "%s: larger than %d bytes, or nested too deeply", what,
                            SL_PROVIDER_MESSAGE_MAX);
    return r < 0 ? sl_error_set(err, SL_E_FORMAT, EBADMSG, "%s: not valid JSON", what) : 0;
}

/* ---- BYTES: base64, or an array of numbers ---- */

static int malformed(const char *member, struct sl_error *err)
{
    return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                        "'%s' is neither base64 nor a list of bytes, or is empty", member);
}

static int bytes_of_numbers(const struct sl_json *array, const char *member, struct sl_bytes *ret,
                            struct sl_error *err)
{
    size_t n = sl_json_count(array);
    struct sl_bytes b = {.data = malloc(n + 1), .cap = n + 1};
    if (!b.data)
        return sl_error_oom(err);
    for (; b.len < n; b.len++) {
        int64_t value;
        if (!sl_json_int64(sl_json_at(array, b.len), &value) || value < 0 || value > UINT8_MAX) {
            sl_bytes_wipe(&b);
            return malformed(member, err);
        }
        b.data[b.len] = (uint8_t)value;
    }
    b.data[b.len] = 0;
    *ret = b;
    return 0;
}

/* At least one byte, at most max. */
static int read_bytes(const struct sl_json *node, const char *member, size_t max,
                      struct sl_bytes *ret, struct sl_error *err)
{
    const char *text = sl_json_string(node);
    size_t size = text ? strlen(text) / 4 * 3 : sl_json_count(node);
    /* Base64 may have two bytes less than its length tells; the exact check follows. */
    if (size > max + 2)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "'%s' exceeds %zu bytes", member, max);
    struct sl_bytes b = {0};
    int r = -EINVAL;
    if (text)
        r = sl_base64_decode(sl_span_of(text), &b, /* err= */ NULL);
    else if (sl_json_type(node) == SL_JSON_ARRAY)
        r = bytes_of_numbers(node, member, &b, /* err= */ NULL);
    if (r == -ENOMEM)
        return sl_error_oom(err);
    if (r < 0)
        return malformed(member, err);
    if (b.len == 0 || b.len > max) {
        r = b.len == 0
                ? malformed(member, err)
                : sl_error_set(err, SL_E_LIMIT, E2BIG, "'%s' exceeds %zu bytes", member, max);
        sl_bytes_wipe(&b);
        return r;
    }
    *ret = b;
    return 0;
}

/* ---- asking ---- */

static int append_texts(struct sl_bytes *b, const char *const *texts, struct sl_error *err)
{
    for (; *texts; texts++) {
        int r = sl_bytes_append(b, sl_span_of(*texts), SL_PROVIDER_MESSAGE_MAX, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* "Parameters": {name: [base64]} of ocicrypt's EncryptConfig and DecryptConfig. */
static void put_parameters(struct sl_json_writer *w, const char *name, const char *params)
{
    sl_json_open_object(w, "Parameters");
    if (params) {
        sl_json_open_array(w, name);
        sl_json_put_base64(w, NULL, sl_span_of(params));
        sl_json_close_array(w);
    }
    sl_json_close_object(w);
}

/* Maps are written even when empty: not every provider reads null. */
static int write_config(enum sl_provider_op op, const char *name, const char *params,
                        struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    put_parameters(w, name, params);
    if (op == SL_PROVIDER_WRAP) {
        sl_json_open_object(w, "DecryptConfig");
        put_parameters(w, NULL, NULL);
        sl_json_close_object(w);
    }
    int r = sl_json_end(w, ret, err);
    if (r == 0)
        ret->data[--ret->len] = 0; /* its line end */
    return r;
}

int sl_provider_request_write(enum sl_provider_op op, const char *name, const char *params,
                              struct sl_span payload, struct sl_bytes *ret, struct sl_error *err)
{
    const struct operation *o = &operations[op];
    SL_AUTO_DONE(sl_bytes) config = {0};
    int r = write_config(op, name, params, &config, err);
    if (r < 0)
        return r;
    SL_AUTO_SECRET base64 = sl_base64_encode(payload);
    if (!base64)
        return sl_error_oom(err);
    const char *const texts[] = {
        o->head, (const char *)config.data, ",\"", o->payload, "\":\"", base64, o->tail, NULL};
    struct sl_bytes b = {0};
    r = append_texts(&b, texts, err);
    if (r < 0)
        sl_bytes_wipe(&b);
    else
        *ret = b;
    return r;
}

int sl_provider_answer_parse(enum sl_provider_op op, struct sl_span json, struct sl_bytes *ret,
                             struct sl_error *err)
{
    const struct operation *o = &operations[op];
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = parse_secret(json, "the key provider's answer", &doc, err);
    if (r < 0)
        return r;
    const struct sl_json *results = sl_json_get(sl_json_root(doc), o->results);
    r = read_bytes(sl_json_get(results, o->result), o->result, o->result_max, ret, err);
    return r < 0 ? sl_error_wrap(err, r, "the key provider's answer, %s", o->results) : 0;
}

/* ---- answering ---- */

void sl_provider_request_done(struct sl_provider_request *request)
{
    sl_bytes_wipe(&request->payload);
    for (size_t i = 0; i < request->n_params; i++) {
        free(request->params[i].name);
        sl_secret_free(request->params[i].value);
    }
    free(request->params);
    *request = (struct sl_provider_request){0};
}

/* A value is text here: a zero byte would cut it. */
static int read_param(const char *name, const struct sl_json *node, struct sl_pair *ret,
                      struct sl_error *err)
{
    const char *base64 = sl_json_string(node);
    struct sl_bytes value = {0};
    int r = base64 ? sl_base64_decode(sl_span_of(base64), &value, /* err= */ NULL) : -EINVAL;
    if (r == -ENOMEM)
        return sl_error_oom(err);
    if (r < 0 || value.len > PARAM_MAX || memchr(value.data, 0, value.len)) {
        sl_bytes_wipe(&value);
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "parameter %.100s must be base64 of a text of at most %d bytes", name,
                            PARAM_MAX);
    }
    *ret = (struct sl_pair){strdup(name), (char *)value.data};
    return ret->name ? 0 : sl_error_oom(err);
}

/* Lists hold one value in practice; the first is taken, as other providers do. */
static int read_params(const struct sl_json *map, struct sl_provider_request *request,
                       struct sl_error *err)
{
    size_t n = sl_json_count(map);
    if (map && sl_json_type(map) != SL_JSON_OBJECT && sl_json_type(map) != SL_JSON_NULL)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "'Parameters' must be an object");
    if (n > PARAMS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d parameters", PARAMS_MAX);
    request->params = calloc(n ? n : 1, sizeof(*request->params));
    if (!request->params)
        return sl_error_oom(err);
    for (size_t i = 0; i < n; i++) {
        const struct sl_json *list = sl_json_at(map, i);
        if (sl_json_type(list) == SL_JSON_NULL ||
            (sl_json_type(list) == SL_JSON_ARRAY && sl_json_count(list) == 0))
            continue;
        int r = read_param(sl_json_name_at(map, i), sl_json_at(list, 0),
                           &request->params[request->n_params++], err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_request(const struct sl_json *root, enum sl_provider_op op,
                        struct sl_provider_request *request, struct sl_error *err)
{
    const struct operation *o = &operations[op];
    const char *name = sl_json_string(sl_json_get(root, "op"));
    if (!name || strcmp(name, o->name) != 0)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "'op' must be %s here", o->name);
    const struct sl_json *params = sl_json_get(root, o->params);
    request->op = op;
    int r = read_bytes(sl_json_get(params, o->payload), o->payload, o->payload_max,
                       &request->payload, err);
    if (r < 0)
        return r;
    const struct sl_json *config = sl_json_get(params, o->config);
    if (config && sl_json_type(config) != SL_JSON_OBJECT && sl_json_type(config) != SL_JSON_NULL)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "'%s' must be an object", o->config);
    return read_params(sl_json_get(config, "Parameters"), request, err);
}

int sl_provider_request_parse(struct sl_span json, enum sl_provider_op expected,
                              struct sl_provider_request *ret, struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = parse_secret(json, "key provider request", &doc, err);
    if (r < 0)
        return r;
    struct sl_provider_request request = {0};
    r = read_request(sl_json_root(doc), expected, &request, err);
    if (r < 0) {
        sl_provider_request_done(&request);
        return sl_error_wrap(err, r, "key provider request");
    }
    *ret = request;
    return 0;
}

const char *sl_provider_request_param(const struct sl_provider_request *request, const char *name)
{
    for (size_t i = 0; i < request->n_params; i++)
        if (strcmp(request->params[i].name, name) == 0)
            return request->params[i].value;
    return NULL;
}

static int append_numbers(struct sl_bytes *b, struct sl_span bytes, struct sl_error *err)
{
    char number[sizeof(",255")];
    int r = 0;
    for (size_t i = 0; r == 0 && i < bytes.len; i++) {
        (void)snprintf(number, sizeof(number), "%s%u", i ? "," : "", bytes.data[i]);
        r = sl_bytes_append(b, sl_span_of(number), SL_PROVIDER_MESSAGE_MAX, err);
    }
    sl_wipe(number, sizeof(number));
    return r;
}

int sl_provider_answer_write(enum sl_provider_op op, struct sl_span payload, struct sl_bytes *ret,
                             struct sl_error *err)
{
    const struct operation *o = &operations[op];
    const char *const head[] = {"{\"", o->results, "\":{\"", o->result, "\":[", NULL};
    const char *const tail[] = {"]}}", NULL};
    struct sl_bytes b = {0};
    int r = append_texts(&b, head, err);
    if (r == 0)
        r = append_numbers(&b, payload, err);
    if (r == 0)
        r = append_texts(&b, tail, err);
    if (r < 0)
        sl_bytes_wipe(&b);
    else
        *ret = b;
    return r;
}
