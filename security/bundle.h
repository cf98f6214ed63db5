/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sigstore bundle (sigstore/protobuf-specs, sigstore_bundle.proto): one signature and what proves
 * when and by whom it was made. This reads its form alone; nothing here is verified. Inside
 * security/ only.
 */
#pragma once

#include "dsse.h"
#include "sluice/signature.h"

enum {
    SL_BUNDLE_ENTRIES_MAX = 32,
    SL_BUNDLE_TIMESTAMPS_MAX = 32,
    SL_BUNDLE_PROOF_HASHES_MAX = 64, /* a tree of 2^63 leaves is 63 high */
};

/* What the version of a bundle demands of each log entry, and of certificates:
 *                            0.1        0.2        0.3
 *   signed entry timestamp   required   optional   optional
 *   inclusion proof          optional   required   required
 *   signer's certificate     a chain    a chain    one alone */
enum sl_bundle_version { SL_BUNDLE_0_1, SL_BUNDLE_0_2, SL_BUNDLE_0_3 };

struct sl_bundle_entry {
    int64_t log_index, integrated_time; /* 0 when absent */
    uint8_t log_id[32];
    char *kind, *version;
    struct sl_bytes set; /* signed entry timestamp; empty: none */
    struct sl_bytes body;
    bool has_proof;
    int64_t proof_index, proof_size;
    uint8_t proof_root[32];
    struct sl_bytes *proof_hashes; /* 32 bytes each */
    size_t n_proof_hashes;
    char *checkpoint;
};
struct sl_bundle {
    enum sl_bundle_version version;
    struct sl_bytes *certificates; /* DER, the signer's first; none: signed with a key */
    size_t n_certificates;
    struct sl_bundle_entry *entries;
    size_t n_entries;
    struct sl_bytes *timestamps; /* RFC 3161 responses */
    size_t n_timestamps;
    bool is_dsse;
    struct sl_dsse_envelope envelope; /* when is_dsse; else: */
    struct sl_bytes signature;
    bool has_message_digest;
    struct sl_digest message_digest; /* a hint: not signed */
};
void sl_bundle_done(struct sl_bundle *bundle);
SL_DEFINE_AUTO_DONE(sl_bundle, sl_bundle_done)
/* SL_E_UNSUPPORTED for another version, SL_E_LIMIT, or SL_E_FORMAT. */
SL_MUST_CHECK int sl_bundle_parse(struct sl_span json, struct sl_bundle *ret, struct sl_error *err);
/* The bytes of the signature, whichever kind. */
struct sl_span sl_bundle_signature(const struct sl_bundle *bundle);
