/* SPDX-License-Identifier: Apache-2.0 */
#include "pgp_message.h"

enum {
    MESSAGE_MAX = 1024 * 1024, /* bytes */
    RECIPIENTS_MAX = 64,
    SESSION_KEY_VERSION = 3,
    PROTECTED_VERSION = 1,
};

enum packet_tag {
    TAG_SESSION_KEY = 1,
    TAG_PASSWORD_KEY = 3,
    TAG_UNPROTECTED = 9,
    TAG_PROTECTED = 18,
    TAG_AEAD = 20,
};

struct packet {
    unsigned tag;
    uint8_t version; /* the first byte of the body */
};

static int malformed(struct sl_error *err, const char *what)
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

static bool skip_body(struct sl_span *rest, size_t len)
{
    if (len > rest->len)
        return false;
    *rest = (struct sl_span){rest->data + len, rest->len - len};
    return true;
}

static bool skip_pieces(struct sl_span *rest, size_t len, bool partial)
{
    while (skip_body(rest, len)) {
        if (!partial)
            return true;
        if (!take_new_length(rest, &len, &partial))
            return false;
    }
    return false;
}

/* Takes one packet off the front. */
static int take_packet(struct sl_span *rest, struct packet *ret, struct sl_error *err)
{
    size_t head = 0;
    size_t len = 0;
    bool partial = false;
    if (!take_number(rest, 1, &head) || !(head & 0x80))
        return malformed(err, "not an OpenPGP packet");
    bool is_new = head & 0x40;
    bool ok =
        is_new ? take_new_length(rest, &len, &partial) : take_old_length(rest, head & 3, &len);
    if (!ok || len == 0 || rest->len == 0)
        return malformed(err, "a packet without a length or a body");
    ret->tag = is_new ? head & 0x3f : head >> 2 & 0xf;
    ret->version = rest->data[0];
    return skip_pieces(rest, len, partial) ? 0 : malformed(err, "a packet is cut short");
}

/* What one packet means here; 1: it was the data, and the last. */
static int judge(const struct packet *packet, struct sl_pgp_message *message, struct sl_error *err)
{
    switch (packet->tag) {
    case TAG_SESSION_KEY:
        if (packet->version != SESSION_KEY_VERSION)
            break;
        if (message->n_recipients++ == RECIPIENTS_MAX)
            return sl_error_set(err, SL_E_LIMIT, E2BIG, "PGP message: more than %d recipients",
                                RECIPIENTS_MAX);
        return 0;
    case TAG_PASSWORD_KEY:
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "PGP message: encrypted with a password instead of a key");
    case TAG_UNPROTECTED:
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                            "PGP message: no modification detection code");
    case TAG_PROTECTED:
        if (packet->version != PROTECTED_VERSION)
            break;
        return 1;
    case TAG_AEAD:
        message->is_aead = true;
        return 1;
    default:
        return malformed(err, "a packet that does not belong there");
    }
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "PGP message: packet %u of version %u",
                        packet->tag, packet->version);
}

int sl_pgp_message_parse(struct sl_span message, struct sl_pgp_message *ret, struct sl_error *err)
{
    struct sl_pgp_message found = {0};
    if (message.len > MESSAGE_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "PGP message: larger than %d bytes",
                            MESSAGE_MAX);
    int r = 0;
    while (r == 0) {
        struct packet packet = {0};
        r = take_packet(&message, &packet, err);
        if (r == 0)
            r = judge(&packet, &found, err);
    }
    if (r < 0)
        return r;
    if (message.len)
        return malformed(err, "bytes behind the data");
    if (found.n_recipients == 0)
        return malformed(err, "no recipients");
    *ret = found;
    return 0;
}
