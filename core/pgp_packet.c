/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/pgp_packet.h"

int sl_pgp_malformed(struct sl_error *err, const char *what)
{
    return sl_error_set(err, SL_E_FORMAT, EBADMSG, "PGP message: %s", what);
}

/* Takes n bytes, big-endian, off the front. */
static bool take_number(struct sl_span *rest, size_t n, size_t *ret)
{
    if (rest->len < n)
        return false;
    size_t number = 0;
    for (size_t i = 0; i < n; i++)
        number = number << 8 | rest->data[i];
    *rest = (struct sl_span){rest->data + n, rest->len - n};
    *ret = number;
    return true;
}

/* A length of the new format. A partial one is followed by another piece of the same body. */
static bool take_new_length(struct sl_span *rest, size_t *ret, bool *ret_partial)
{
    size_t first = 0;
    size_t more = 0;
    *ret_partial = false;
    if (!take_number(rest, 1, &first))
        return false;
    if (first < 192) {
        *ret = first;
        return true;
    }
    if (first < 224 && take_number(rest, 1, &more)) {
        *ret = ((first - 192) << 8) + more + 192;
        return true;
    }
    *ret_partial = first >= 224 && first < 255;
    *ret = (size_t)1 << (first & 31);
    return *ret_partial || (first == 255 && take_number(rest, 4, ret));
}

/* Of the old format; kind 3 reaches up to the end. */
static bool take_old_length(struct sl_span *rest, unsigned kind, size_t *ret)
{
    *ret = rest->len;
    return kind == 3 || take_number(rest, (size_t)1 << kind, ret);
}

static bool take_piece(struct sl_span *rest, size_t len, struct sl_span *ret)
{
    if (len > rest->len)
        return false;
    *ret = (struct sl_span){rest->data, len};
    *rest = (struct sl_span){rest->data + len, rest->len - len};
    return true;
}

static bool take_next_piece(struct sl_span *rest, struct sl_span *ret, bool *ret_partial)
{
    size_t len = 0;
    return take_new_length(rest, &len, ret_partial) && take_piece(rest, len, ret);
}

int sl_pgp_packet_take(struct sl_span *rest, struct sl_pgp_packet *ret, struct sl_error *err)
{
    size_t head = 0;
    size_t len = 0;
    bool partial = false;
    if (!take_number(rest, 1, &head) || !(head & 0x80))
        return sl_pgp_malformed(err, "not an OpenPGP packet");
    bool is_new = head & 0x40;
    bool ok =
        is_new ? take_new_length(rest, &len, &partial) : take_old_length(rest, head & 3, &len);
    if (!ok || len == 0 || rest->len == 0)
        return sl_pgp_malformed(err, "a packet without a length or a body");
    struct sl_pgp_packet packet = {.tag = is_new ? head & 0x3f : head >> 2 & 0xf,
                                   .has_length = is_new ? !partial : (head & 3) != 3};
    ok = take_piece(rest, len, &packet.first);
    const uint8_t *start = rest->data;
    struct sl_span piece;
    while (ok && partial)
        ok = take_next_piece(rest, &piece, &partial);
    if (!ok)
        return sl_pgp_malformed(err, "a packet is cut short");
    packet.pieces = (struct sl_span){start, (size_t)(rest->data - start)};
    *ret = packet;
    return 0;
}

int sl_pgp_packet_body(const struct sl_pgp_packet *packet, size_t limit, struct sl_bytes *ret,
                       struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) body = {0};
    struct sl_span rest = packet->pieces;
    struct sl_span piece = packet->first;
    bool partial = rest.len > 0;
    int r = sl_bytes_append(&body, piece, limit, err);
    while (r == 0 && partial && take_next_piece(&rest, &piece, &partial))
        r = sl_bytes_append(&body, piece, limit, err);
    if (r < 0)
        return sl_error_wrap(err, r, "PGP message");
    *ret = body;
    body = (struct sl_bytes){0};
    return 0;
}
