/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What follows "provider:attestation-agent:" when an image is encrypted. CoCo's key provider
 * passes over names it does not know and lets the last of two win; here a typing mistake is told.
 */
#include "aes_seal.h"
#include "wrap_packet.h"

#include "sluice/core/resource_uri.h"

#include <stdlib.h>
#include <string.h>

enum {
    PARAMS_MAX = 16 * 1024, /* bytes */
    NAME_SHOWN_MAX = 16,    /* a longer one may be a key pasted into the wrong place */
};

#define SEPARATOR "::"

void sl_packet_params_done(struct sl_packet_params *params)
{
    free(params->keypath);
    free(params->kid);
    *params = (struct sl_packet_params){0};
}

static int set_keypath(struct sl_packet_params *params, const char *value, struct sl_error *err)
{
    params->keypath = strdup(value);
    return params->keypath ? 0 : sl_error_oom(err);
}

/* Other writers put the older forms into the packet as they are, where readers refuse them. */
static int set_kid(struct sl_packet_params *params, const char *value, struct sl_error *err)
{
    SL_AUTO_DONE(sl_resource_uri) uri = {0};
    int r = sl_resource_uri_parse_kid(value, &uri, err);
    if (r == 0)
        r = sl_resource_uri_need_resource(&uri, err);
    if (r < 0)
        return r;
    if (uri.query)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "a key id has no query");
    params->kid = sl_resource_uri_format(&uri);
    return params->kid ? 0 : sl_error_oom(err);
}

static int set_algorithm(struct sl_packet_params *params, const char *value, struct sl_error *err)
{
    params->is_ctr = strcmp(value, "A256CTR") == 0;
    if (!params->is_ctr && strcmp(value, "A256GCM") != 0)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "%.40s is neither A256GCM nor A256CTR",
                            value);
    return 0;
}

static int set_sample(struct sl_packet_params *params, const char *value, struct sl_error *err)
{
    params->is_sample = strcmp(value, "true") == 0;
    if (!params->is_sample && strcmp(value, "false") != 0)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "%.40s is neither true nor false", value);
    return 0;
}

static const struct {
    const char *name;
    int (*set)(struct sl_packet_params *params, const char *value, struct sl_error *err);
} names[] = {
    {"keypath", set_keypath},
    {"keyid", set_kid},
    {"algorithm", set_algorithm},
    {"sample", set_sample},
};
enum { N_NAMES = sizeof(names) / sizeof(names[0]) };

/* NAME=VALUE; seen has a bit for each name. */
static int read_piece(struct sl_packet_params *params, char *piece, unsigned *seen,
                      struct sl_error *err)
{
    char *value = strchr(piece, '=');
    if (!value)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "a part is not NAME=VALUE: keypath=FILE::keyid=kbs:///REPO/TYPE/TAG"
                            "[::algorithm=A256GCM]");
    *value++ = 0;
    for (size_t i = 0; i < N_NAMES; i++) {
        if (strcmp(names[i].name, piece) != 0)
            continue;
        if (*seen & 1U << i)
            return sl_error_set(err, SL_E_FORMAT, EINVAL, "%s is given twice", piece);
        if (!*value)
            return sl_error_set(err, SL_E_FORMAT, EINVAL, "%s is empty", piece);
        *seen |= 1U << i;
        int r = names[i].set(params, value, err);
        return r < 0 ? sl_error_wrap(err, r, "%s", piece) : 0;
    }
    return sl_error_set(err, SL_E_FORMAT, EINVAL,
                        "unknown name %s; there are keypath, keyid, algorithm and sample",
                        strlen(piece) <= NAME_SHOWN_MAX ? piece : "(too long to show)");
}

/* A key without a name gets one, as from CoCo's provider: a random UUID (RFC 9562, version 4). */
static int make_kid(char **ret, struct sl_error *err)
{
    uint8_t id[16];
    char hex[2 * sizeof(id) + 1];
    int r = sl_random_iv(id, sizeof(id), err);
    if (r < 0)
        return r;
    id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
    id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
    sl_hex_format((struct sl_span){id, sizeof(id)}, hex);
    *ret = sl_strf("kbs:///default/image-kek/%.8s-%.4s-%.4s-%.4s-%s", hex, hex + 8, hex + 12,
                   hex + 16, hex + 20);
    return *ret ? 0 : sl_error_oom(err);
}

static int check_together(const struct sl_packet_params *params, struct sl_error *err)
{
    if (!params->is_sample && !params->kid && !params->keypath)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "keyid is missing: keyid=kbs:///REPO/TYPE/TAG");
    if (params->is_sample && (params->keypath || params->kid || params->is_ctr))
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "sample=true has a key of its own: leave out the rest, or the sample");
    return 0;
}

int sl_packet_params_parse(const char *text, struct sl_packet_params *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_packet_params) params = {0};
    unsigned seen = 0;
    if (strlen(text) > PARAMS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "key provider parameters exceed %d bytes",
                            PARAMS_MAX);
    SL_AUTO_FREE char *copy = strdup(text);
    if (!copy)
        return sl_error_oom(err);
    int r = 0;
    for (char *piece = copy; r == 0 && piece;) {
        char *end = strstr(piece, SEPARATOR);
        if (end)
            *end = 0;
        r = read_piece(&params, piece, &seen, err);
        piece = end ? end + strlen(SEPARATOR) : NULL;
    }
    if (r == 0)
        r = check_together(&params, err);
    if (r == 0 && !params.is_sample && !params.kid)
        r = make_kid(&params.kid, err);
    if (r < 0)
        return sl_error_wrap(err, r, "key provider parameters");
    *ret = params;
    params = (struct sl_packet_params){0};
    return 0;
}
