/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small formats of gRPC over HTTP/2 that both of its ends need: messages in a body, status
 * texts, timeouts, names of methods. Source: gRPC's PROTOCOL-HTTP2.md.
 */
#pragma once

#include "sluice/rpc.h"

enum { SL_GRPC_PREFIX_SIZE = 5 }; /* compressed flag, 32 bits of length, big-endian */

/* Takes a body in pieces of any size; it must hold one message, as those of unary calls do. */
struct sl_grpc_reader {
    uint8_t prefix[SL_GRPC_PREFIX_SIZE];
    size_t n_prefix;
    struct sl_bytes message;
};

/* What a body can be refused for. Its text is in sl_grpc_body_fault_text(). */
enum sl_grpc_body_fault {
    SL_GRPC_BODY_GOOD,
    SL_GRPC_BODY_COMPRESSED,
    SL_GRPC_BODY_BAD_FLAG,
    SL_GRPC_BODY_TOO_LARGE, /* more than SL_RPC_MESSAGE_MAX */
    SL_GRPC_BODY_TOO_LONG,  /* bytes behind the message */
    SL_GRPC_BODY_TOO_SHORT, /* ends before the message does */
    SL_GRPC_BODY_NO_MEMORY,
};

/* The announced length costs no memory: it grows with the bytes that have come. */
enum sl_grpc_body_fault sl_grpc_reader_feed(struct sl_grpc_reader *reader, struct sl_span bytes);
/* At the end of the body: is the message whole? */
enum sl_grpc_body_fault sl_grpc_reader_end(const struct sl_grpc_reader *reader);
/* Wipes and frees. The reader can be used again. */
void sl_grpc_reader_wipe(struct sl_grpc_reader *reader);
const char *sl_grpc_body_fault_text(enum sl_grpc_body_fault fault);

/* Appends prefix and message to *body. At most SL_RPC_MESSAGE_MAX bytes, else SL_E_LIMIT. */
SL_MUST_CHECK int sl_grpc_body_append(struct sl_bytes *body, struct sl_span message,
                                      struct sl_error *err);

/* grpc-message: percent-encoded, at most SL_RPC_STATUS_TEXT_MAX bytes, cut between characters when
 * the text is longer. NUL-terminated, to be freed; NULL when out of memory. */
char *sl_grpc_text_encode(struct sl_span text);
/* The reverse, lenient: what is no escape stays. Controls and what is not UTF-8 become '?'. */
char *sl_grpc_text_decode(struct sl_span text);

/* grpc-status: a decimal number. Statuses we have no name for are SL_RPC_UNKNOWN. -EBADMSG (err not
 * set) when it is no number. */
SL_MUST_CHECK int sl_grpc_status_parse(struct sl_span text, enum sl_rpc_status *ret);

/* grpc-timeout: up to 8 digits and a unit. At least 1 ns, as 0 would mean none; -EBADMSG (err not
 * set) for anything else. */
SL_MUST_CHECK int sl_grpc_timeout_parse(struct sl_span text, int64_t *ret_ns);
enum { SL_GRPC_TIMEOUT_SIZE = 16 };
void sl_grpc_timeout_format(int ms, char out[SL_GRPC_TIMEOUT_SIZE]);

/* "/package.Service/Method" in its two parts, lent; false if it is not of that form. */
bool sl_grpc_path_split(struct sl_span path, struct sl_span *ret_service,
                        struct sl_span *ret_method);
/* application/grpc, with any suffix or parameter. */
bool sl_grpc_is_content_type(struct sl_span value);
