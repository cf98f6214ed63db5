/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unwrap_driver ANNOTATIONS.json [--keks FILE] [DECRYPTION-KEY…]
 *
 * Unwraps one layer's key. Prints "PROTOCOL LEK NONCE HMAC" in hex, or "error CODE: MESSAGE" with
 * status 1.
 */
#include "sluice/core/json.h"
#include "sluice/kbc.h"
#include "sluice/key_unwrap.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { PAIRS_MAX = 32 };

static int parse_annotations(const char *path, struct sl_enc_annotations **ret,
                             struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    SL_AUTO(sl_json_doc) doc = NULL;
    struct sl_pair pairs[PAIRS_MAX];
    int r = sl_read_file(AT_FDCWD, path, 4 << 20, &text, err);
    if (r == 0)
        r = sl_json_parse(sl_bytes_span(&text), path, NULL, &doc, err);
    if (r < 0)
        return r;
    const struct sl_json *root = sl_json_root(doc);
    size_t n = 0;
    for (; n < sl_json_count(root) && n < PAIRS_MAX; n++)
        pairs[n] = (struct sl_pair){(char *)sl_json_name_at(root, n),
                                    (char *)sl_json_string(sl_json_at(root, n))};
    return sl_enc_annotations_parse(pairs, n, ret, err);
}

static int run(int argc, char **argv, struct sl_error *err)
{
    SL_AUTO(sl_key_ring) ring = NULL;
    SL_AUTO(sl_kbc) kbc = NULL;
    SL_AUTO(sl_enc_annotations) annotations = NULL;
    struct sl_layer_key key;
    int r = sl_key_ring_new(&ring, err);
    for (int i = 2; r == 0 && i < argc; i++) {
        if (strcmp(argv[i], "--keks") == 0 && i + 1 < argc)
            r = sl_kbc_open(&(struct sl_kbc_options){.selection = "offline_fs_kbc::null",
                                                     .offline_keys = argv[++i]},
                            &kbc, err);
        else
            r = sl_key_ring_add_spec(ring, argv[i], err);
    }
    if (kbc)
        sl_key_ring_set_kek_lookup(ring, sl_kbc_lookup_kek, kbc);
    if (r == 0)
        r = parse_annotations(argv[1], &annotations, err);
    if (r == 0)
        r = sl_key_ring_unwrap(ring, annotations, &key, NULL, err);
    if (r < 0)
        return r;
    char lek[2 * SL_LEK_SIZE + 1];
    char nonce[2 * SL_NONCE_SIZE + 1];
    char hmac[2 * SL_HMAC_SIZE + 1];
    sl_hex_format((struct sl_span){key.lek, SL_LEK_SIZE}, lek);
    sl_hex_format((struct sl_span){key.nonce, SL_NONCE_SIZE}, nonce);
    sl_hex_format((struct sl_span){sl_enc_annotations_hmac(annotations), SL_HMAC_SIZE}, hmac);
    printf("%s %s %s %s\n", key.protocol, lek, nonce, hmac);
    return 0;
}

int main(int argc, char **argv)
{
    struct sl_error err = {0};
    if (argc < 2)
        return 2;
    if (run(argc, argv, &err) == 0)
        return 0;
    printf("error %s: %s\n", sl_errc_name(err.code), err.msg);
    return 1;
}
