/* SPDX-License-Identifier: Apache-2.0 */
#include "pgp_signed_message.h"

#include "sluice/core/pgp_packet.h"
#include "sluice/signature.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    PLAIN_MAX = 64 * 1024, /* bytes of the packets, unpacked */
    ONE_PASS_LEN = 13,     /* RFC 4880 section 5.4 */
    ONE_PASS_VERSION = 3,
    V3_HASHED_LEN = 5, /* section 5.2.2 */
    V3_MIN = 19,       /* bytes in front of the numbers of a signature */
    V4_MIN = 10,       /* the same, without subpackets */
    LITERAL_MIN = 6,   /* section 5.9: mode, length of the name, date */
};

enum compression { UNCOMPRESSED, ZIP, ZLIB, BZIP2 }; /* section 9.3 */

void sl_pgp_signed_message_done(struct sl_pgp_signed_message *message)
{
    sl_bytes_done(&message->packets);
    *message = (struct sl_pgp_signed_message){0};
}

/* ---- compression ---- */

static int too_large(struct sl_error *err)
{
    return sl_error_set(err, SL_E_LIMIT, E2BIG, "PGP message: unpacks to more than %d bytes",
                        PLAIN_MAX);
}

/* The stream must end where its packet ends. */
static int inflate_all(struct sl_span packed, int window_bits, struct sl_bytes *ret,
                       struct sl_error *err)
{
    z_stream z = {.next_in = (Bytef *)packed.data, .avail_in = (uInt)packed.len};
    SL_AUTO_DONE(sl_bytes) plain = {.data = malloc(PLAIN_MAX + 2), .cap = PLAIN_MAX + 2};
    if (!plain.data || inflateInit2(&z, window_bits) != Z_OK)
        return sl_error_oom(err);
    z.next_out = plain.data;
    z.avail_out = PLAIN_MAX + 1; /* one more than allowed tells that it is too much */
    int z_result = inflate(&z, Z_FINISH);
    plain.len = z.total_out;
    uInt behind = z.avail_in;
    (void)inflateEnd(&z);
    if (plain.len > PLAIN_MAX)
        return too_large(err);
    if (z_result == Z_MEM_ERROR)
        return sl_error_oom(err);
    if (z_result != Z_STREAM_END)
        return sl_pgp_malformed(err, "its compressed data is damaged or cut short");
    if (behind)
        return sl_pgp_malformed(err, "bytes behind its compressed data");
    plain.data[plain.len] = 0;
    *ret = plain;
    plain = (struct sl_bytes){0};
    return 0;
}

/* body: of a compressed packet (section 5.6). */
static int unpack(struct sl_span body, struct sl_bytes *ret, struct sl_error *err)
{
    struct sl_span packed = {body.data + 1, body.len - 1};
    switch ((enum compression)body.data[0]) {
    case UNCOMPRESSED:
        return packed.len > PLAIN_MAX ? too_large(err)
                                      : sl_bytes_append(ret, packed, PLAIN_MAX, err);
    case ZIP:
        return inflate_all(packed, -MAX_WBITS, ret, err);
    case ZLIB:
        return inflate_all(packed, MAX_WBITS, ret, err);
    case BZIP2:
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "PGP message: compressed with BZip2, which is not read; sign with ZIP "
                            "(gpg --compress-algo zip)");
    }
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "PGP message: compression %u is not known",
                        body.data[0]);
}

/* ---- the three packets ---- */

static unsigned number16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static int read_v3(struct sl_span body, struct sl_pgp_signed_message *ret, struct sl_error *err)
{
    const uint8_t *p = body.data;
    if (body.len < V3_MIN || p[1] != V3_HASHED_LEN)
        return sl_pgp_malformed(err, "its signature of version 3 is malformed");
    ret->type = p[2];
    ret->key_algorithm = p[15];
    ret->hash_algorithm = p[16];
    return 0;
}

static int read_v4(struct sl_span body, struct sl_pgp_signed_message *ret, struct sl_error *err)
{
    const uint8_t *p = body.data;
    size_t hashed = body.len < V4_MIN ? body.len : number16(p + 4);
    if (body.len < V4_MIN + hashed || body.len < V4_MIN + hashed + number16(p + 6 + hashed))
        return sl_pgp_malformed(err, "its signature of version 4 is malformed");
    ret->type = p[1];
    ret->key_algorithm = p[2];
    ret->hash_algorithm = p[3];
    return 0;
}

static int read_signature(struct sl_span body, struct sl_pgp_signed_message *ret,
                          struct sl_error *err)
{
    ret->version = body.data[0];
    if (ret->version != 3 && ret->version != 4)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "PGP message: a signature of version %u is not read", ret->version);
    int r = ret->version == 3 ? read_v3(body, ret, err) : read_v4(body, ret, err);
    if (r < 0)
        return r;
    if (ret->type != SL_PGP_TYPE_BINARY && ret->type != SL_PGP_TYPE_TEXT)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "PGP message: a signature of type 0x%02x is not one of a document",
                            ret->type);
    return 0;
}

/* It announces the signature that follows, and only that one. */
static int check_one_pass(struct sl_span body, const struct sl_pgp_signed_message *message,
                          struct sl_error *err)
{
    const uint8_t *p = body.data;
    if (body.len != ONE_PASS_LEN || p[0] != ONE_PASS_VERSION)
        return sl_pgp_malformed(err, "its one-pass signature is malformed");
    if (p[1] != message->type || p[2] != message->hash_algorithm ||
        p[3] != message->key_algorithm || p[12] == 0)
        return sl_pgp_malformed(err, "its one-pass signature announces another signature");
    return 0;
}

/* Of what is not binary gpg gives other bytes than were signed: line ends are converted. */
static int check_literal(struct sl_span body, const struct sl_pgp_signed_message *message,
                         struct sl_error *err)
{
    if (body.len < LITERAL_MIN || body.len < LITERAL_MIN + (size_t)body.data[1])
        return sl_pgp_malformed(err, "its literal data is malformed");
    uint8_t mode = body.data[0];
    if (mode == 'b' || (message->type == SL_PGP_TYPE_TEXT && (mode == 't' || mode == 'u')))
        return 0;
    return sl_pgp_malformed(err, "its literal data is not binary");
}

/* ---- their order ---- */

static int misplaced(const struct sl_pgp_packet *packet, struct sl_error *err)
{
    switch (packet->tag) {
    case SL_PGP_LITERAL:
        return sl_pgp_malformed(err, "it is not signed");
    case SL_PGP_SESSION_KEY:
    case SL_PGP_PASSWORD_KEY:
    case SL_PGP_UNPROTECTED:
    case SL_PGP_PROTECTED:
    case SL_PGP_AEAD:
        return sl_pgp_malformed(err, "it is encrypted, not signed");
    case SL_PGP_COMPRESSED:
        return sl_pgp_malformed(err, "it is compressed twice");
    case SL_PGP_ONE_PASS:
    case SL_PGP_SIGNATURE:
        return sl_pgp_malformed(err, "more than one signature");
    default:
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "PGP message: packet %u does not belong there", packet->tag);
    }
}

/* Only data may come in pieces (section 4.2.2.4). */
static int take(struct sl_span *rest, unsigned tag, struct sl_bytes *ret_body, struct sl_error *err)
{
    struct sl_pgp_packet packet = {0};
    if (rest->len == 0)
        return sl_pgp_malformed(err, tag == SL_PGP_LITERAL ? "a signature without what it signs"
                                                           : "its signature is missing");
    int r = sl_pgp_packet_take(rest, &packet, err);
    if (r < 0)
        return r;
    if (packet.tag != tag)
        return misplaced(&packet, err);
    if (tag != SL_PGP_LITERAL && !packet.has_length)
        return sl_pgp_malformed(err, "a signature in pieces");
    return sl_pgp_packet_body(&packet, PLAIN_MAX, ret_body, err);
}

static int read_one_pass(struct sl_span rest, struct sl_pgp_signed_message *ret,
                         struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) one_pass = {0};
    SL_AUTO_DONE(sl_bytes) literal = {0};
    SL_AUTO_DONE(sl_bytes) signature = {0};
    int r = take(&rest, SL_PGP_ONE_PASS, &one_pass, err);
    if (r == 0)
        r = take(&rest, SL_PGP_LITERAL, &literal, err);
    if (r == 0)
        r = take(&rest, SL_PGP_SIGNATURE, &signature, err);
    if (r == 0 && rest.len)
        r = sl_pgp_malformed(err, "bytes behind its signature");
    if (r == 0)
        r = read_signature(sl_bytes_span(&signature), ret, err);
    if (r == 0)
        r = check_one_pass(sl_bytes_span(&one_pass), ret, err);
    return r < 0 ? r : check_literal(sl_bytes_span(&literal), ret, err);
}

static int read_prefixed(struct sl_span rest, struct sl_pgp_signed_message *ret,
                         struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) literal = {0};
    SL_AUTO_DONE(sl_bytes) signature = {0};
    int r = take(&rest, SL_PGP_SIGNATURE, &signature, err);
    if (r == 0)
        r = take(&rest, SL_PGP_LITERAL, &literal, err);
    if (r == 0 && rest.len)
        r = sl_pgp_malformed(err, "bytes behind its literal data");
    if (r == 0)
        r = read_signature(sl_bytes_span(&signature), ret, err);
    return r < 0 ? r : check_literal(sl_bytes_span(&literal), ret, err);
}

static int read_packets(struct sl_span packets, struct sl_pgp_signed_message *ret,
                        struct sl_error *err)
{
    struct sl_span rest = packets;
    struct sl_pgp_packet first = {0};
    int r = sl_pgp_packet_take(&rest, &first, err);
    if (r < 0)
        return r;
    switch (first.tag) {
    case SL_PGP_ONE_PASS:
        return read_one_pass(packets, ret, err);
    case SL_PGP_SIGNATURE:
        return read_prefixed(packets, ret, err);
    default:
        return misplaced(&first, err);
    }
}

/* What lies in the compression, or the message itself. */
static int open_message(struct sl_span message, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) body = {0};
    struct sl_span rest = message;
    struct sl_pgp_packet packet = {0};
    int r = sl_pgp_packet_take(&rest, &packet, err);
    if (r < 0)
        return r;
    if (packet.tag != SL_PGP_COMPRESSED)
        return sl_bytes_append(ret, message, SL_SIMPLE_SIGNATURE_MAX, err);
    if (rest.len)
        return sl_pgp_malformed(err, "bytes behind its compressed packet");
    r = sl_pgp_packet_body(&packet, SL_SIMPLE_SIGNATURE_MAX, &body, err);
    return r < 0 ? r : unpack(sl_bytes_span(&body), ret, err);
}

int sl_pgp_signed_message_parse(struct sl_span message, struct sl_pgp_signed_message *ret,
                                struct sl_error *err)
{
    SL_AUTO_DONE(sl_pgp_signed_message) found = {0};
    if (message.len > SL_SIMPLE_SIGNATURE_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "PGP message: larger than %d bytes",
                            SL_SIMPLE_SIGNATURE_MAX);
    if (message.len && message.data[0] == '-')
        return sl_pgp_malformed(err, "armoured or clear-signed; only the binary form of gpg --sign "
                                     "is read");
    int r = open_message(message, &found.packets, err);
    if (r == 0)
        r = read_packets(sl_bytes_span(&found.packets), &found, err);
    if (r < 0)
        return r;
    *ret = found;
    found = (struct sl_pgp_signed_message){0};
    return 0;
}
