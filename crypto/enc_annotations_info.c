/* SPDX-License-Identifier: Apache-2.0 */
/* What anybody can see of a wrapped key. A malformed one is told, never an error: it may stand
 * beside others that open the layer. */
#include "coco_packet.h"
#include "enc_annotations.h"
#include "jwe_message.h"
#include "pkcs7_message.h"

#include <stdio.h>
#include <string.h>

enum { ELEMENT_MAX = 64 * 1024, ELEMENT_DEPTH = 16 };

/* 0, or -ENOMEM. */
typedef int look_fn(struct sl_span element, struct sl_wrapped_key_info *info);

/* r is how reading failed. */
static int malformed(struct sl_wrapped_key_info *info, int r, const char *why)
{
    if (r != -ENOMEM)
        info->malformed = why;
    return r == -ENOMEM ? r : 0;
}

/* All of text or nothing: half a name is another name. */
static void copy_text(const struct sl_json *text, char *out, size_t size,
                      struct sl_wrapped_key_info *info)
{
    const char *value = sl_json_string(text);
    if (!value)
        return;
    if (strlen(value) >= size)
        info->malformed = "a name in it is too long";
    else
        (void)snprintf(out, size, "%s", value);
}

static int read_json(struct sl_span element, struct sl_json_doc **ret)
{
    const struct sl_json_limits limits = {.size = ELEMENT_MAX, .depth = ELEMENT_DEPTH};
    return sl_json_parse(element, "wrapped key", &limits, ret, NULL);
}

/* Providers may write whatever they like; what looks like a packet is shown as one. */
static int look_at_provider(struct sl_span element, struct sl_wrapped_key_info *info)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = read_json(element, &doc);
    if (r == -ENOMEM)
        return r;
    const struct sl_json *root = sl_json_root(doc);
    copy_text(sl_json_get(root, "kid"), info->kid, sizeof(info->kid), info);
    copy_text(sl_json_get(root, "wrap_type"), info->wrap_type, sizeof(info->wrap_type), info);
    if (strcmp(info->provider, SL_NATIVE_PROVIDER) != 0)
        return 0;
    SL_AUTO_DONE(sl_coco_packet) packet = {0};
    struct sl_error why = {0};
    r = sl_coco_packet_parse(element, &packet, &why);
    return r == 0 ? 0
                  : malformed(info, r,
                              why.code == SL_E_UNSUPPORTED ? "a packet of an unsupported kind"
                                                           : "not a CoCo packet");
}

static int look_at_jwe(struct sl_span element, struct sl_wrapped_key_info *info)
{
    SL_AUTO_DONE(sl_jwe) jwe;
    int r = sl_jwe_parse(element, &jwe, NULL);
    if (r < 0)
        return malformed(info, r, "not a JWE");
    const struct sl_jwe_recipient *first = &jwe.recipients[0];
    info->n_recipients = jwe.n_recipients;
    copy_text(sl_jwe_param(&jwe, first, "kid"), info->kid, sizeof(info->kid), info);
    copy_text(sl_jwe_param(&jwe, first, "alg"), info->wrap_type, sizeof(info->wrap_type), info);
    return 0;
}

static int look_at_pkcs7(struct sl_span element, struct sl_wrapped_key_info *info)
{
    SL_AUTO_DONE(sl_pkcs7) message;
    int r = sl_pkcs7_parse(element, &message, NULL);
    if (r < 0)
        return malformed(info, r, "not a PKCS7 message of a supported kind");
    info->n_recipients = message.n_recipients;
    return 0;
}

static int look_at_pkcs11(struct sl_span element, struct sl_wrapped_key_info *info)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = read_json(element, &doc);
    const struct sl_json *recipients = sl_json_get(sl_json_root(doc), "recipients");
    info->n_recipients = sl_json_type(recipients) == SL_JSON_ARRAY ? sl_json_count(recipients) : 0;
    return info->n_recipients ? 0 : malformed(info, r, "not a PKCS11 blob");
}

/* OpenPGP messages are not opened without a key. */
static const struct {
    const char *name;
    look_fn *look;
} protocols[] = {
    [SL_WRAP_PROVIDER] = {"provider", look_at_provider}, [SL_WRAP_JWE] = {"jwe", look_at_jwe},
    [SL_WRAP_PKCS7] = {"pkcs7", look_at_pkcs7},          [SL_WRAP_PGP] = {"pgp", NULL},
    [SL_WRAP_PKCS11] = {"pkcs11", look_at_pkcs11},
};

int sl_enc_annotations_info(const struct sl_enc_annotations *a, size_t i,
                            struct sl_wrapped_key_info *ret, struct sl_error *err)
{
    if (i >= a->n_keys)
        return 0;
    const struct sl_wrapped_key *key = &a->keys[i];
    struct sl_wrapped_key_info info = {.protocol = protocols[key->protocol].name,
                                       .index = key->index};
    if (key->protocol == SL_WRAP_PROVIDER)
        info.provider = key->name + strlen(SL_PROVIDER_PREFIX);
    SL_AUTO_DONE(sl_bytes) element = {0};
    look_fn *look = protocols[key->protocol].look;
    int r = sl_base64_decode(key->text, &element, NULL);
    if (r < 0)
        r = malformed(&info, r, "not base64");
    else if (look)
        r = look(sl_bytes_span(&element), &info);
    if (r < 0)
        return sl_error_oom(err);
    *ret = info;
    return 1;
}
