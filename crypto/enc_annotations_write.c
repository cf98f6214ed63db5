/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The annotations of an encrypted layer, written. What was written is read again before it is
 * given out: the limits of the reader are those of the writer.
 */
#include "enc_annotations.h"
#include "recipients.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { ANNOTATIONS_MAX = 4096 }; /* of one layer */

/* One annotation for each protocol in use. Those of providers come one for each name. */
static const struct {
    const char *name;
    sl_wrap_fn *wrap;
    size_t n_offset; /* of the number of its recipients */
} protocols[] = {
    {"jwe", sl_wrap_jwe, offsetof(struct sl_recipients, n_jwe)},
    {"pgp", sl_wrap_pgp, offsetof(struct sl_recipients, n_pgp)},
    {"pkcs11", sl_wrap_pkcs11, offsetof(struct sl_recipients, n_pkcs11)},
    {"pkcs7", sl_wrap_pkcs7, offsetof(struct sl_recipients, n_pkcs7)},
};

void sl_annotations_done(struct sl_annotations *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->pairs[i].name);
        free(list->pairs[i].value);
    }
    free(list->pairs);
    *list = (struct sl_annotations){0};
}

/* Takes both texts, NULL when memory ran out making them. */
static int add_pair(struct sl_annotations *list, char *name, char *value, struct sl_error *err)
{
    SL_AUTO_FREE char *own_name = name;
    SL_AUTO_FREE char *own_value = value;
    if (list->n == ANNOTATIONS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d annotations", ANNOTATIONS_MAX);
    struct sl_pair *bigger =
        name && value ? reallocarray(list->pairs, list->n + 1, sizeof(*bigger)) : NULL;
    if (!bigger)
        return sl_error_oom(err);
    list->pairs = bigger;
    list->pairs[list->n++] = (struct sl_pair){sl_steal(&own_name), sl_steal(&own_value)};
    return 0;
}

static int copy_pairs(struct sl_annotations *list, const struct sl_pair *pairs, size_t n,
                      bool with_encryption, struct sl_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++)
        if (with_encryption || !sl_enc_annotations_present(&pairs[i], 1))
            r = add_pair(list, strdup(pairs[i].name), strdup(pairs[i].value), err);
    return r;
}

static struct sl_pair *find(const struct sl_annotations *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->pairs[i].name, name) == 0)
            return &list->pairs[i];
    return NULL;
}

/* Behind the elements that the annotation has already. provider is "" or the name behind protocol.
 */
static int add_element(struct sl_annotations *list, const char *protocol, const char *provider,
                       struct sl_span element, struct sl_error *err)
{
    SL_AUTO_FREE char *name = sl_strf("%s%s%s", SL_ENC_KEYS_PREFIX, protocol, provider);
    SL_AUTO_FREE char *text = sl_base64_encode(element);
    if (!name || !text)
        return sl_error_oom(err);
    struct sl_pair *there = find(list, name);
    if (!there)
        return add_pair(list, sl_steal(&name), sl_steal(&text), err);
    char *both = *there->value ? sl_strf("%s,%s", there->value, text) : sl_steal(&text);
    if (!both)
        return sl_error_oom(err);
    free(there->value);
    there->value = both;
    return 0;
}

static int add_protocol(struct sl_annotations *list, const struct sl_recipients *recipients,
                        size_t i, struct sl_span plbco, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) element = {0};
    int r = protocols[i].wrap(recipients, plbco, &element, err);
    if (r < 0)
        return sl_error_wrap(err, r, "%s", protocols[i].name);
    return add_element(list, protocols[i].name, /* provider= */ "", sl_bytes_span(&element), err);
}

static int add_provider(struct sl_annotations *list, const struct sl_recipients *recipients,
                        const struct sl_provider_recipient *to, struct sl_span plbco,
                        struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) element = {0};
    int r = sl_wrap_provider(recipients, to, plbco, &element, err);
    return r < 0 ? r
                 : add_element(list, SL_PROVIDER_PREFIX, to->name, sl_bytes_span(&element), err);
}

static int add_keys(struct sl_annotations *list, const struct sl_recipients *recipients,
                    struct sl_span plbco, struct sl_error *err)
{
    if (sl_recipients_count(recipients) == 0)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "nobody could decrypt the layer: no encryption key is given");
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(protocols) / sizeof(protocols[0]); i++) {
        const void *n = (const char *)recipients + protocols[i].n_offset;
        if (*(const size_t *)n > 0)
            r = add_protocol(list, recipients, i, plbco, err);
    }
    for (size_t i = 0; r == 0 && i < recipients->n_providers; i++)
        r = add_provider(list, recipients, &recipients->providers[i], plbco, err);
    return r;
}

/* ocicrypt's order of members. */
static int add_pubopts(struct sl_annotations *list, const uint8_t hmac[SL_HMAC_SIZE],
                       struct sl_error *err)
{
    SL_AUTO_FREE char *mac = sl_base64_encode((struct sl_span){hmac, SL_HMAC_SIZE});
    SL_AUTO_FREE char *json =
        mac ? sl_strf("{\"cipher\":\"" SL_LAYER_CIPHER "\",\"hmac\":\"%s\",\"cipheroptions\":{}}",
                      mac)
            : NULL;
    char *value = json ? sl_base64_encode(sl_span_of(json)) : NULL;
    return add_pair(list, strdup(SL_ENC_PUBOPTS), value, err);
}

/* Hands the list over once the reader takes it. */
static int give(struct sl_annotations *list, struct sl_annotations *ret, struct sl_error *err)
{
    SL_AUTO(sl_enc_annotations) parsed = NULL;
    int r = sl_enc_annotations_parse(list->pairs, list->n, &parsed, err);
    if (r < 0)
        return r;
    *ret = *list;
    *list = (struct sl_annotations){0};
    return 0;
}

int sl_recipients_annotate(const struct sl_recipients *recipients, struct sl_span plbco,
                           const uint8_t hmac[SL_HMAC_SIZE], const struct sl_pair *others,
                           size_t n_others, struct sl_annotations *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_annotations) list = {0};
    if (sl_enc_annotations_present(others, n_others))
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "the layer has annotations of an encryption already");
    int r = copy_pairs(&list, others, n_others, /* with_encryption= */ true, err);
    if (r == 0)
        r = add_keys(&list, recipients, plbco, err);
    if (r == 0)
        r = add_pubopts(&list, hmac, err);
    return r < 0 ? r : give(&list, ret, err);
}

int sl_recipients_append(const struct sl_recipients *recipients, struct sl_span plbco,
                         const struct sl_pair *existing, size_t n_existing,
                         struct sl_annotations *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_annotations) list = {0};
    int r = copy_pairs(&list, existing, n_existing, /* with_encryption= */ true, err);
    if (r == 0)
        r = add_keys(&list, recipients, plbco, err);
    return r < 0 ? r : give(&list, ret, err);
}

int sl_annotations_without_encryption(const struct sl_pair *existing, size_t n_existing,
                                      struct sl_annotations *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_annotations) list = {0};
    int r = copy_pairs(&list, existing, n_existing, /* with_encryption= */ false, err);
    if (r < 0)
        return r;
    *ret = list;
    list = (struct sl_annotations){0};
    return 0;
}
