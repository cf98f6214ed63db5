/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures put beside an image, for those who demand them by policy. */
#pragma once

#include "sluice/pipeline.h"

enum sl_sign_form {
    SL_SIGN_SIMPLE = 1 << 0, /* OpenPGP, in a lookaside (containers-signature(5)) */
    SL_SIGN_COSIGN = 1 << 1, /* the tag sha256-HEX.sig (cosign SIGNATURE_SPEC.md) */
    SL_SIGN_BUNDLE = 1 << 2, /* a sigstore bundle, a referrer of the image */
};

struct sl_sign_options {
    const char *image;           /* as the user wrote it; a layout only for the forms of cosign */
    bool one_platform;           /* sign only the image of this platform of an index */
    struct sl_platform platform; /* NULL members: this machine's */
    bool recursive;              /* of an index: itself and all its images */
    const char *identity;        /* the name to sign; NULL: the image's own. Bundles have none */
    const char *passphrase_file; /* of the key; NULL: $COSIGN_PASSWORD for key, none for gpg_key */
    /* Either a secret key of gpg: SL_SIGN_SIMPLE … */
    const char *gpg_key;      /* see struct sl_pgp_signer */
    const char *pgp_home;     /* gnupg home directory; NULL: the user's */
    const char *registries_d; /* folder or file; NULL: SL_REGISTRIES_D_PATH */
    /* … or a key file (see sluice/sigstore_sign.h), and which of its forms. */
    const char *key;
    unsigned forms; /* bits; 0: SL_SIGN_COSIGN and SL_SIGN_BUNDLE */
    int cancel_fd;  /* ends this signing alone (core/cancel.h; borrowed) */
};

struct sl_made_signature {
    enum sl_sign_form form;
    struct sl_digest digest; /* what it signs: a manifest or an index */
    char *where;             /* a tag, a digest or a URL of a file, for people */
};
struct sl_sign_report {
    char *name; /* canonical */
    struct sl_made_signature *signatures;
    size_t n;
};

/* Of an index cosign's forms sign the index, since cosign asks for that one, and simple signing the
 * images it lists, since everybody looks there; see recursive for both. Everything is signed before
 * the first signature is put anywhere. *ret, the caller's, is also set on failure once some
 * signature is in place: these stay. Set it to NULL before. */
SL_MUST_CHECK int sl_sign_image(struct sl_engine *engine, const struct sl_sign_options *options,
                                struct sl_sign_report **ret, struct sl_error *err);
struct sl_sign_report *sl_sign_report_free(struct sl_sign_report *report);
SL_DEFINE_AUTO(sl_sign_report, sl_sign_report_free)
