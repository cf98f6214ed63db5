/* SPDX-License-Identifier: Apache-2.0 */
#include "coco_packet.h"

#include <string.h>

enum { PACKET_MAX = 64 * 1024, PACKET_DEPTH = 16 };

#define PACKET_VERSION "0.1.0"

/* Absent is NULL; present and not a string is an error. */
static int optional_string(const struct sl_json *object, const char *name, const char **ret,
                           struct sl_error *err)
{
    const struct sl_json *member = sl_json_get(object, name);
    if (sl_json_type(member) != SL_JSON_NULL && !sl_json_string(member))
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "packet: %s is not a string", name);
    *ret = sl_json_string(member);
    return 0;
}

/* Version 1 has neither member; they say what version 1 means. */
static int check_provider(const struct sl_json *packet, struct sl_error *err)
{
    const char *provider = NULL;
    const char *version = NULL;
    int r = optional_string(packet, "provider", &provider, err);
    if (r == 0)
        r = optional_string(packet, "version", &version, err);
    if (r < 0)
        return r;
    if (provider && strcmp(provider, "kbs") != 0)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "packet: provider %.40s is not supported, only kbs is", provider);
    if (version && strcmp(version, PACKET_VERSION) != 0)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "packet: version %.40s is not supported, only " PACKET_VERSION " is",
                            version);
    return 0;
}

static int read_wrap_type(const struct sl_json *packet, enum sl_wrap_type *ret,
                          struct sl_error *err)
{
    const char *name = NULL;
    int r = sl_json_need_string(packet, "wrap_type", &name, err);
    if (r < 0)
        return r;
    if (strcmp(name, "A256GCM") == 0)
        *ret = SL_WRAP_A256GCM;
    else if (strcmp(name, "A256CTR") == 0)
        *ret = SL_WRAP_A256CTR;
    else
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "Unknown WrapType: %.40s", name);
    return 0;
}

static int read_base64(const struct sl_json *packet, const char *name, struct sl_bytes *ret,
                       struct sl_error *err)
{
    int r = sl_json_need_base64(packet, name, ret, err);
    return r < 0 ? sl_error_wrap(err, r, "packet: %s", name) : 0;
}

static int read_members(struct sl_coco_packet *packet, struct sl_error *err)
{
    const struct sl_json *root = sl_json_root(packet->doc);
    int r = check_provider(root, err);
    if (r == 0)
        r = sl_json_need_string(root, "kid", &packet->kid, err);
    if (r == 0)
        r = read_wrap_type(root, &packet->wrap_type, err);
    if (r == 0)
        r = read_base64(root, "wrapped_data", &packet->wrapped, err);
    if (r == 0)
        r = read_base64(root, "iv", &packet->iv, err);
    return r;
}

int sl_coco_packet_parse(struct sl_span text, struct sl_coco_packet *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_coco_packet) packet = {0};
    const struct sl_json_limits limits = {.size = PACKET_MAX, .depth = PACKET_DEPTH};
    int r = sl_json_parse(text, "packet", &limits, &packet.doc, err);
    if (r == 0)
        r = read_members(&packet, err);
    if (r < 0)
        return r;
    *ret = packet;
    packet = (struct sl_coco_packet){0};
    return 0;
}

void sl_coco_packet_done(struct sl_coco_packet *packet)
{
    packet->doc = sl_json_free(packet->doc);
    packet->kid = NULL;
    sl_bytes_done(&packet->wrapped);
    sl_bytes_done(&packet->iv);
}
