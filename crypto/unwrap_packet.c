/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of CoCo's key provider: each names its KEK, the caller's lookup fetches it. */
#include "aes_open.h"
#include "coco_packet.h"
#include "enc_annotations.h"
#include "key_ring.h"
#include "plbco.h"
#include "sluice/core/resource_uri.h"
#include "sluice/key_wrap.h"

enum { CTR_IV_SIZE = 16 };

static int check_wrap_type(const struct sl_key_ring *ring, const struct sl_coco_packet *packet,
                           struct sl_error *err)
{
    if (packet->wrap_type != SL_WRAP_A256CTR)
        return 0;
    if (!ring->allow_a256ctr)
        return sl_error_set(err, SL_E_POLICY, EPERM,
                            "kid %.100s: wrap type A256CTR is not allowed, since it protects "
                            "nothing from change",
                            packet->kid);
    if (packet->iv.len != CTR_IV_SIZE)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "packet: iv has %zu bytes instead of %d",
                            packet->iv.len, CTR_IV_SIZE);
    return 0;
}

static int fetch_kek(const struct sl_key_ring *ring, const char *kid, uint8_t ret[SL_KEK_SIZE],
                     struct sl_error *err)
{
    if (!ring->kek_lookup)
        return sl_error_set(err, SL_E_AUTH, ENOKEY,
                            "kid %.100s: no key broker is configured (--kbc), nor a key provider "
                            "(OCICRYPT_KEYPROVIDER_CONFIG)",
                            kid);
    int r = ring->kek_lookup(ring->kek_arg, kid, ret, err);
    return r < 0 ? sl_error_wrap(err, r, "kid %.100s", kid) : 0;
}

static int open_packet(const struct sl_coco_packet *packet, const uint8_t kek[SL_KEK_SIZE],
                       struct sl_bytes *ret, struct sl_error *err)
{
    struct sl_span key = {kek, SL_KEK_SIZE};
    struct sl_span iv = sl_bytes_span(&packet->iv);
    struct sl_span wrapped = sl_bytes_span(&packet->wrapped);
    struct sl_bytes plbco = {0};
    int r = packet->wrap_type == SL_WRAP_A256GCM
                ? sl_aes_gcm_open_appended(key, iv, wrapped, &plbco, err)
                : sl_aes_ctr_open(key, iv, wrapped, &plbco, err);
    /* Without a tag, a wrong KEK shows only here, and says no more than a wrong tag would. */
    if (r == 0 && packet->wrap_type == SL_WRAP_A256CTR) {
        r = sl_plbco_check(sl_bytes_span(&plbco));
        if (r < 0)
            r = r == -ENOMEM ? sl_error_oom(err) : sl_open_failed(err);
    }
    if (r < 0) {
        sl_bytes_wipe(&plbco);
        return sl_error_wrap(err, r, "kid %.100s", packet->kid);
    }
    *ret = plbco;
    return 0;
}

static int check_kid(const char *kid, struct sl_error *err)
{
    SL_AUTO_DONE(sl_resource_uri) uri = {0};
    int r = sl_resource_uri_parse_kid(kid, &uri, err);
    return r < 0 ? sl_error_wrap(err, r, "kid") : 0;
}

static int ask_hub(const struct sl_key_ring *ring, struct sl_span element,
                   struct sl_bytes *ret_plbco, struct sl_error *err)
{
    int r =
        ring->hub(ring->hub_arg, SL_NATIVE_PROVIDER, /* params= */ NULL, element, ret_plbco, err);
    return r < 0 ? sl_error_wrap(err, r, "upstream") : 0;
}

static int unwrap_here(const struct sl_key_ring *ring, const struct sl_coco_packet *packet,
                       struct sl_bytes *ret_plbco, struct sl_error *err)
{
    uint8_t kek[SL_KEK_SIZE] = {0};
    int r = fetch_kek(ring, packet->kid, kek, err);
    if (r == 0)
        r = open_packet(packet, kek, ret_plbco, err);
    sl_wipe(kek, sizeof(kek));
    return r;
}

int sl_packet_unwrap(const struct sl_key_ring *ring, struct sl_span element,
                     struct sl_bytes *ret_plbco, struct sl_error *err)
{
    SL_AUTO_DONE(sl_coco_packet) packet = {0};
    int r = sl_coco_packet_parse(element, &packet, err);
    if (r == -ENOTSUP && ring->hub)
        return ask_hub(ring, element, ret_plbco, err);
    if (r == 0)
        r = check_kid(packet.kid, err);
    if (r == 0)
        r = check_wrap_type(ring, &packet, err);
    if (r < 0)
        return r;
    return ring->hub && ring->hub_unwraps_all ? ask_hub(ring, element, ret_plbco, err)
                                              : unwrap_here(ring, &packet, ret_plbco, err);
}
