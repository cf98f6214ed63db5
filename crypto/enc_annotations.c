/* SPDX-License-Identifier: Apache-2.0 */
/*
 * org.opencontainers.image.enc.*: what ocicrypt hangs on the descriptor of an encrypted layer.
 * Annotations are outside every MAC, so whatever is ambiguous here is refused.
 */
#include "enc_annotations.h"

#include "sluice/core/json.h"

#include <stdlib.h>
#include <string.h>

enum {
    VALUE_MAX = 256 * 1024,  /* bytes of one annotation */
    ELEMENT_MAX = 64 * 1024, /* bytes of one wrapped key, in base64 */
    ELEMENTS_MAX = 64,       /* wrapped keys of a layer, all protocols together */
    PUBOPTS_DEPTH = 16,
};

static const struct {
    const char *name;
    enum sl_wrap_protocol protocol;
    bool is_prefix; /* a name of the image's choice follows */
} protocols[] = {
    {SL_PROVIDER_PREFIX, SL_WRAP_PROVIDER, .is_prefix = true},
    {"jwe", SL_WRAP_JWE, false},
    {"pkcs7", SL_WRAP_PKCS7, false},
    {"pgp", SL_WRAP_PGP, false},
    {"pkcs11", SL_WRAP_PKCS11, false},
};
enum { N_PROTOCOLS = sizeof(protocols) / sizeof(protocols[0]) };

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct sl_span trim(struct sl_span text)
{
    while (text.len && is_blank(text.data[0])) {
        text.data++;
        text.len--;
    }
    while (text.len && is_blank(text.data[text.len - 1]))
        text.len--;
    return text;
}

/* False for annotations of protocols nobody has defined. */
static bool find_protocol(const char *name, enum sl_wrap_protocol *ret)
{
    for (size_t i = 0; i < N_PROTOCOLS; i++) {
        const char *known = protocols[i].name;
        bool fits = protocols[i].is_prefix ? has_prefix(name, known) && name[strlen(known)]
                                           : strcmp(name, known) == 0;
        if (fits) {
            *ret = protocols[i].protocol;
            return true;
        }
    }
    return false;
}

static int check_cipher(const struct sl_json *pubopts, struct sl_error *err)
{
    const char *cipher = sl_json_string(sl_json_get(pubopts, "cipher"));
    if (!cipher || !*cipher)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "no cipher type provided");
    if (strcmp(cipher, SL_LAYER_CIPHER) != 0)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "unsupported cipher type: %s; the only one is %s", cipher,
                            SL_LAYER_CIPHER);
    return 0;
}

/* Other implementations let a public nonce override the secret one, although no MAC covers it:
 * whoever sets it turns the layer into noise. */
static int check_cipher_options(const struct sl_json *options, struct sl_error *err)
{
    if (sl_json_type(options) == SL_JSON_NULL)
        return 0;
    if (sl_json_type(options) != SL_JSON_OBJECT)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "cipheroptions is not an object");
    if (sl_json_get(options, "nonce"))
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "a nonce in the public options is refused: nothing protects it");
    return 0;
}

static int read_hmac(const struct sl_json *pubopts, uint8_t ret[SL_HMAC_SIZE], struct sl_error *err)
{
    const char *text = sl_json_string(sl_json_get(pubopts, "hmac"));
    if (!text || !*text)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "HMAC is not provided");
    SL_AUTO_DONE(sl_bytes) hmac = {0};
    int r = sl_base64_decode(sl_span_of(text), &hmac, err);
    if (r < 0)
        return sl_error_wrap(err, r, "hmac");
    if (hmac.len != SL_HMAC_SIZE)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "hmac has %zu bytes instead of %d", hmac.len,
                            SL_HMAC_SIZE);
    memcpy(ret, hmac.data, SL_HMAC_SIZE);
    return 0;
}

static int read_pubopts(const char *value, uint8_t ret_hmac[SL_HMAC_SIZE], struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    int r = sl_base64_decode(trim(sl_span_of(value)), &text, err);
    if (r < 0)
        return r;
    SL_AUTO(sl_json_doc) doc = NULL;
    const struct sl_json_limits limits = {.size = VALUE_MAX, .depth = PUBOPTS_DEPTH};
    r = sl_json_parse(sl_bytes_span(&text), "public options", &limits, &doc, err);
    if (r < 0)
        return r;
    const struct sl_json *pubopts = sl_json_root(doc);
    r = check_cipher(pubopts, err);
    if (r < 0)
        return r;
    r = check_cipher_options(sl_json_get(pubopts, "cipheroptions"), err);
    if (r < 0)
        return r;
    return read_hmac(pubopts, ret_hmac, err);
}

static int add_key(struct sl_enc_annotations *a, struct sl_wrapped_key key, struct sl_error *err)
{
    if (key.text.len > ELEMENT_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "wrapped key %zu exceeds %d bytes", key.index,
                            ELEMENT_MAX);
    if (a->n_keys == ELEMENTS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d wrapped keys", ELEMENTS_MAX);
    a->keys[a->n_keys++] = key;
    return 0;
}

/* Splits before decoding: the comma is not in the base64 alphabet. */
static int add_list(struct sl_enc_annotations *a, struct sl_wrapped_key key, const char *list,
                    struct sl_error *err)
{
    while (list) {
        const char *comma = strchr(list, ',');
        size_t len = comma ? (size_t)(comma - list) : strlen(list);
        key.text = trim((struct sl_span){(const uint8_t *)list, len});
        if (key.text.len) {
            int r = add_key(a, key, err);
            if (r < 0)
                return r;
            key.index++;
        }
        list = comma ? comma + 1 : NULL;
    }
    return 0;
}

static int own_pair(struct sl_enc_annotations *a, const struct sl_pair *pair, struct sl_pair **ret,
                    struct sl_error *err)
{
    struct sl_pair *copy = &a->owned[a->n_owned++];
    copy->name = strdup(pair->name + strlen(SL_ENC_KEYS_PREFIX));
    copy->value = strdup(pair->value);
    if (!copy->name || !copy->value)
        return sl_error_oom(err);
    *ret = copy;
    return 0;
}

static int add_keys_annotation(struct sl_enc_annotations *a, const struct sl_pair *pair,
                               struct sl_error *err)
{
    struct sl_wrapped_key key = {0};
    if (!find_protocol(pair->name + strlen(SL_ENC_KEYS_PREFIX), &key.protocol))
        return 0;
    struct sl_pair *copy = NULL;
    int r = own_pair(a, pair, &copy, err);
    if (r < 0)
        return r;
    key.name = copy->name;
    return add_list(a, key, copy->value, err);
}

static int by_protocol_name_index(const void *pa, const void *pb)
{
    const struct sl_wrapped_key *a = pa;
    const struct sl_wrapped_key *b = pb;
    if (a->protocol != b->protocol)
        return a->protocol < b->protocol ? -1 : 1;
    int order = strcmp(a->name, b->name);
    if (order)
        return order;
    return (a->index > b->index) - (a->index < b->index);
}

static int read_annotations(struct sl_enc_annotations *a, const struct sl_pair *pairs, size_t n,
                            struct sl_error *err)
{
    bool seen_pubopts = false;
    for (size_t i = 0; i < n; i++) {
        int r = 0;
        bool is_pubopts = strcmp(pairs[i].name, SL_ENC_PUBOPTS) == 0;
        if (!is_pubopts && !has_prefix(pairs[i].name, SL_ENC_KEYS_PREFIX))
            continue;
        if (strlen(pairs[i].value) > VALUE_MAX)
            r = sl_error_set(err, SL_E_LIMIT, E2BIG, "exceeds %d bytes", VALUE_MAX);
        else if (is_pubopts && seen_pubopts)
            r = sl_error_set(err, SL_E_FORMAT, EBADMSG, "given twice");
        else if (is_pubopts)
            r = read_pubopts(pairs[i].value, a->hmac, err);
        else
            r = add_keys_annotation(a, &pairs[i], err);
        if (r < 0)
            return sl_error_wrap(err, r, "annotation %.80s", pairs[i].name);
        seen_pubopts |= is_pubopts;
    }
    if (a->n_keys == 0)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "missing private key needed for decryption: the layer is encrypted and "
                            "has no annotation " SL_ENC_KEYS_PREFIX "*");
    if (!seen_pubopts)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "no cipher type provided: annotation " SL_ENC_PUBOPTS " is missing");
    return 0;
}

static struct sl_enc_annotations *annotations_alloc(size_t n)
{
    struct sl_enc_annotations *a = calloc(1, sizeof(*a));
    if (!a)
        return NULL;
    a->keys = calloc(ELEMENTS_MAX, sizeof(*a->keys));
    a->owned = calloc(n ? n : 1, sizeof(*a->owned));
    return a->keys && a->owned ? a : sl_enc_annotations_free(a);
}

int sl_enc_annotations_parse(const struct sl_pair *annotations, size_t n,
                             struct sl_enc_annotations **ret, struct sl_error *err)
{
    SL_AUTO(sl_enc_annotations) a = annotations_alloc(n);
    if (!a)
        return sl_error_oom(err);
    int r = read_annotations(a, annotations, n, err);
    if (r < 0)
        return r;
    qsort(a->keys, a->n_keys, sizeof(*a->keys), by_protocol_name_index);
    *ret = sl_steal(&a);
    return 0;
}

struct sl_enc_annotations *sl_enc_annotations_free(struct sl_enc_annotations *a)
{
    if (!a)
        return NULL;
    for (size_t i = 0; i < a->n_owned; i++) {
        free(a->owned[i].name);
        free(a->owned[i].value);
    }
    free(a->owned);
    free(a->keys);
    free(a);
    return NULL;
}

bool sl_enc_annotations_present(const struct sl_pair *annotations, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (has_prefix(annotations[i].name, SL_ENC_PREFIX))
            return true;
    return false;
}

const char *sl_enc_annotations_cipher(const struct sl_enc_annotations *a)
{
    (void)a; /* parsing has refused every other */
    return SL_LAYER_CIPHER;
}

const uint8_t *sl_enc_annotations_hmac(const struct sl_enc_annotations *a)
{
    return a->hmac;
}
