/* SPDX-License-Identifier: Apache-2.0 */
/* Packets as CoCo's key provider makes them, version 1. */
#include "wrap_packet.h"

#include "aes_seal.h"
#include "sluice/core/json_writer.h"

#include <fcntl.h>
#include <string.h>

enum { KEK_FILE_MAX = 4096 };

#define SAMPLE_KID "kbs:///default/test-key/1"

const uint8_t sl_sample_kek[SL_KEK_SIZE] = {
    0xd9, 0x9b, 0x77, 0x05, 0xb0, 0xba, 0x7a, 0x16, 0x82, 0x95, 0xb3, 0xa3, 0x36, 0x72, 0x70, 0xb0,
    0xdd, 0x9b, 0x37, 0x1b, 0xf5, 0x14, 0xca, 0x8b, 0x9b, 0xa7, 0xf0, 0xa3, 0x37, 0x11, 0xda, 0xea,
};

/* In this order, without white space: byte for byte what other writers give. */
static int write_packet(const char *kid, struct sl_span wrapped, struct sl_span iv,
                        const char *wrap_type, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    sl_json_put_string(w, "kid", kid);
    sl_json_put_base64(w, "wrapped_data", wrapped);
    sl_json_put_base64(w, "iv", iv);
    sl_json_put_string(w, "wrap_type", wrap_type);
    int r = sl_json_end(w, ret, err);
    if (r == 0)
        ret->data[--ret->len] = 0; /* the line end */
    return r;
}

int sl_packet_wrap_with_iv(const uint8_t kek[SL_KEK_SIZE], const char *kid, bool is_ctr,
                           struct sl_span iv, struct sl_span plbco, struct sl_bytes *ret,
                           struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) wrapped = {0};
    const struct sl_span key = {kek, SL_KEK_SIZE};
    int r = is_ctr ? sl_aes_ctr_seal(key, iv, plbco, &wrapped, err)
                   : sl_aes_gcm_seal(key, iv, /* aad= */ (struct sl_span){0}, plbco, &wrapped, err);
    return r < 0 ? r
                 : write_packet(kid, sl_bytes_span(&wrapped), iv, is_ctr ? "A256CTR" : "A256GCM",
                                ret, err);
}

int sl_packet_wrap(const uint8_t kek[SL_KEK_SIZE], const char *kid, bool is_ctr,
                   struct sl_span plbco, struct sl_bytes *ret, struct sl_error *err)
{
    uint8_t iv[SL_CTR_IV_SIZE];
    size_t size = is_ctr ? SL_CTR_IV_SIZE : SL_GCM_IV_SIZE;
    int r = sl_random_iv(iv, size, err);
    return r < 0 ? r
                 : sl_packet_wrap_with_iv(kek, kid, is_ctr, (struct sl_span){iv, size}, plbco, ret,
                                          err);
}

int sl_packet_params_check(const struct sl_packet_params *params, bool allow_sample, bool allow_ctr,
                           struct sl_error *err)
{
    if (params->is_sample && !allow_sample)
        return sl_error_set(err, SL_E_POLICY, EPERM,
                            "sample=true is not allowed: everybody knows this key, and it is used "
                            "with the same IV each time");
    if (params->is_ctr && !allow_ctr)
        return sl_error_set(err, SL_E_POLICY, EPERM,
                            "algorithm A256CTR is not allowed, since it protects nothing from "
                            "change");
    return 0;
}

static int read_kek_file(const char *path, uint8_t ret[SL_KEK_SIZE], struct sl_error *err)
{
    struct sl_bytes bytes = {0};
    int r = sl_read_file(AT_FDCWD, path, KEK_FILE_MAX, &bytes, err);
    if (r == 0 && bytes.len != SL_KEK_SIZE)
        r = sl_error_set(err, SL_E_FORMAT, EBADMSG,
                         "%s has %zu bytes; a KEK is %d raw bytes, not base64", path, bytes.len,
                         SL_KEK_SIZE);
    else if (r == 0)
        memcpy(ret, bytes.data, SL_KEK_SIZE);
    sl_bytes_wipe(&bytes);
    return r < 0 ? sl_error_wrap(err, r, "keypath") : 0;
}

int sl_packet_params_kek(const struct sl_packet_params *params, sl_kek_lookup_fn *lookup,
                         void *lookup_arg, uint8_t ret[SL_KEK_SIZE], struct sl_error *err)
{
    if (params->is_sample) {
        memcpy(ret, sl_sample_kek, SL_KEK_SIZE);
        return 0;
    }
    if (params->keypath)
        return read_kek_file(params->keypath, ret, err);
    if (!lookup)
        return sl_error_set(err, SL_E_AUTH, ENOKEY,
                            "kid %.100s: no KEK: neither keypath=FILE nor a key broker (--kbc) is "
                            "given",
                            params->kid);
    int r = lookup(lookup_arg, params->kid, ret, err);
    return r < 0 ? sl_error_wrap(err, r, "kid %.100s", params->kid) : 0;
}

int sl_packet_params_wrap(const struct sl_packet_params *params, const uint8_t kek[SL_KEK_SIZE],
                          struct sl_span plbco, struct sl_bytes *ret, struct sl_error *err)
{
    static const uint8_t zero_iv[SL_GCM_IV_SIZE];
    if (params->is_sample)
        return sl_packet_wrap_with_iv(kek, SAMPLE_KID, /* is_ctr= */ false,
                                      (struct sl_span){zero_iv, sizeof(zero_iv)}, plbco, ret, err);
    return sl_packet_wrap(kek, params->kid, params->is_ctr, plbco, ret, err);
}

int sl_packet_wrap_with_params(const struct sl_packet_params *params, bool allow_sample,
                               bool allow_ctr, sl_kek_lookup_fn *lookup, void *lookup_arg,
                               struct sl_span plbco, struct sl_bytes *ret, struct sl_error *err)
{
    uint8_t kek[SL_KEK_SIZE];
    int r = sl_packet_params_check(params, allow_sample, allow_ctr, err);
    if (r == 0)
        r = sl_packet_params_kek(params, lookup, lookup_arg, kek, err);
    if (r == 0)
        r = sl_packet_params_wrap(params, kek, plbco, ret, err);
    sl_wipe(kek, sizeof(kek));
    return r;
}
