/* SPDX-License-Identifier: Apache-2.0 */
#include "pgp_message.h"

#include "sluice/core/pgp_packet.h"

enum {
    MESSAGE_MAX = 1024 * 1024, /* bytes */
    RECIPIENTS_MAX = 64,
    SESSION_KEY_VERSION = 3,
    PROTECTED_VERSION = 1,
};

/* What one packet means here; 1: it was the data, and the last. */
static int judge(const struct sl_pgp_packet *packet, struct sl_pgp_message *message,
                 struct sl_error *err)
{
    const uint8_t version = packet->first.data[0];
    switch (packet->tag) {
    case SL_PGP_SESSION_KEY:
        if (version != SESSION_KEY_VERSION)
            break;
        if (message->n_recipients++ == RECIPIENTS_MAX)
            return sl_error_set(err, SL_E_LIMIT, E2BIG, "PGP message: more than %d recipients",
                                RECIPIENTS_MAX);
        return 0;
    case SL_PGP_PASSWORD_KEY:
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "PGP message: encrypted with a password instead of a key");
    case SL_PGP_UNPROTECTED:
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                            "PGP message: no modification detection code");
    case SL_PGP_PROTECTED:
        if (version != PROTECTED_VERSION)
            break;
        return 1;
    case SL_PGP_AEAD:
        message->is_aead = true;
        return 1;
    default:
        return sl_pgp_malformed(err, "a packet that does not belong there");
    }
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "PGP message: packet %u of version %u",
                        packet->tag, version);
}

int sl_pgp_message_parse(struct sl_span message, struct sl_pgp_message *ret, struct sl_error *err)
{
    struct sl_pgp_message found = {0};
    if (message.len > MESSAGE_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "PGP message: larger than %d bytes",
                            MESSAGE_MAX);
    int r = 0;
    while (r == 0) {
        struct sl_pgp_packet packet = {0};
        r = sl_pgp_packet_take(&message, &packet, err);
        if (r == 0)
            r = judge(&packet, &found, err);
    }
    if (r < 0)
        return r;
    if (message.len)
        return sl_pgp_malformed(err, "bytes behind the data");
    if (found.n_recipients == 0)
        return sl_pgp_malformed(err, "no recipients");
    *ret = found;
    return 0;
}
