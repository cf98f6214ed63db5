/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DSSE: how bytes and their type are signed together (secure-systems-lab/dsse, envelope.md and
 * protocol.md), and the in-toto Statement v1 inside (in-toto/attestation, spec/v1/statement.md).
 * Inside security/ only.
 */
#pragma once

#include "sluice/core/digest.h"
#include "sluice/core/json.h"
#include "sluice/signature_write.h" /* predicate types */

#define SL_DSSE_PAYLOAD_TYPE "application/vnd.in-toto+json"
#define SL_STATEMENT_TYPE "https://in-toto.io/Statement/v1"

struct sl_dsse_envelope {
    char *payload_type;
    struct sl_bytes payload;
    struct sl_bytes signature; /* the only one */
};
void sl_dsse_envelope_done(struct sl_dsse_envelope *envelope);
SL_DEFINE_AUTO_DONE(sl_dsse_envelope, sl_dsse_envelope_done)
/* Of a bundle: exactly one signature. *ret is to be released also after a failure. */
SL_MUST_CHECK int sl_dsse_envelope_read(const struct sl_json *node, struct sl_dsse_envelope *ret,
                                        struct sl_error *err);
/* The pre-authentication encoding: the bytes under the signature. *ret must be empty. */
SL_MUST_CHECK int sl_dsse_pae(const char *type, struct sl_span payload, struct sl_bytes *ret,
                              struct sl_error *err);

struct sl_statement {
    char *predicate_type;
    char **subjects; /* digest.sha256 of those that have one, as written */
    size_t n_subjects;
};
void sl_statement_done(struct sl_statement *statement);
SL_DEFINE_AUTO_DONE(sl_statement, sl_statement_done)
/* Members it does not know are left alone, as the specification demands of readers. */
SL_MUST_CHECK int sl_statement_parse(struct sl_span json, struct sl_statement *ret,
                                     struct sl_error *err);
/* Whether some subject has this SHA-256, in lower-case hex; never for another algorithm. */
bool sl_statement_names(const struct sl_statement *statement, const struct sl_digest *digest);
