/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures of images as they were found beside an image: bytes nobody has verified. Whoever
 * gathers them knows registries; whoever judges them knows keys; this is what passes between.
 */
#pragma once

#include "sluice/core/bytes.h"

enum {
    SL_SIGNATURES_MAX = 128,                   /* for each digest and place */
    SL_SIMPLE_SIGNATURE_MAX = 64 * 1024,       /* bytes of an OpenPGP message */
    SL_SIGNATURE_PAYLOAD_MAX = 64 * 1024,      /* bytes of a signed payload */
    SL_SIGNATURE_ANNOTATIONS_MAX = 256 * 1024, /* bytes of one signature's annotations, in sum */
    SL_SIGNATURE_BUNDLE_MAX = 4 * 1024 * 1024, /* bytes of a sigstore bundle */
    SL_SIGNATURE_EXTENSION_MAX = 1024 * 1024,  /* bytes of a registry's list of signatures */
};

enum sl_signature_kind {
    SL_SIGNATURE_SIMPLE, /* an OpenPGP message with its payload inside: simple signing */
    SL_SIGNATURE_COSIGN, /* a payload; its signature stands in annotations: the tag sha256-….sig */
    SL_SIGNATURE_BUNDLE, /* a sigstore bundle: a referrer of the image */
};

struct sl_signature {
    enum sl_signature_kind kind;
    char *where;           /* for people: "https://…/signature-1", "sha256-….sig, layer 2" */
    struct sl_bytes bytes; /* the message, the payload, or the bundle's JSON */
    /* Annotations of a cosign layer (see sl_signature_annotation); NULL when absent. */
    char *signature;   /* dev.cosignproject.cosign/signature */
    char *certificate; /* dev.sigstore.cosign/certificate */
    char *chain;       /* dev.sigstore.cosign/chain */
    char *rekor;       /* dev.sigstore.cosign/bundle */
    char *timestamp;   /* dev.sigstore.cosign/rfc3161timestamp */
};

/* Everything that was found, for each kind in the order it is to be tried. */
struct sl_signatures {
    struct sl_signature *items;
    size_t n;
    size_t n_others; /* attachments of other kinds: only counted */
    /* A place that may hold signatures of this kind could not be read: then "there is none" is not
     * known, and a requirement nothing else satisfies fails for that reason. code SL_OK: none. */
    struct sl_error simple_failure, sigstore_failure;
    /* Why there may be none of this kind that should be there, for people. code SL_OK: not known.
     */
    struct sl_error simple_hint, sigstore_hint;
};
void sl_signature_done(struct sl_signature *signature);
/* The annotations by number, from 0: the name, and where the signature keeps the value. NULL behind
 * the last. */
const char *sl_signature_annotation(struct sl_signature *signature, size_t i, char ***ret_value);
void sl_signatures_done(struct sl_signatures *signatures);
SL_DEFINE_AUTO_DONE(sl_signatures, sl_signatures_done)
/* Moves *signature into the list, also on failure. */
SL_MUST_CHECK int sl_signatures_add(struct sl_signatures *signatures,
                                    struct sl_signature *signature, struct sl_error *err);
