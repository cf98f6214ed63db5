/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of signing know of one run. */
#pragma once

#include "engine.h"
#include "sluice/attachment_push.h"
#include "sluice/core/json_writer.h"
#include "sluice/core/reference.h"
#include "sluice/sign.h"
#include "sluice/signature_write.h"

/* A manifest or index to be signed: what others call its descriptor. */
struct signing_target {
    char *media_type;
    struct sl_digest digest;
    uint64_t size; /* bytes */
};

/* A signature that nobody has got yet. */
struct signing_work {
    enum sl_sign_form form;
    const struct signing_target *target;
    struct sl_bytes payload; /* of cosign's form */
    struct sl_bytes made;    /* the OpenPGP message, the signature over the payload, the bundle */
};

struct signing {
    struct sl_engine *engine;
    struct sl_visit visit;
    const struct sl_sign_options *options;
    unsigned forms;
    char *passphrase; /* sl_secret_alloc(); or NULL */
    struct sl_signing_key *key;
    struct sl_image_source *source;
    struct sl_image_sink *sink; /* of cosign's forms */
    struct sl_reference *name;  /* NULL: the image is in a layout */
    char *identity;             /* docker-reference of the payloads; NULL: none is needed */
    struct signing_target *targets;
    size_t n_targets;
    struct signing_work *works;
    size_t n_works;
    struct sl_sign_report *report;
};

/* sign_keys.c: everything that is secret, before anybody is asked for anything. */
SL_MUST_CHECK int sl_sign_open_keys(struct signing *s, struct sl_error *err);
/* sign_targets.c: fetches the image's documents, and chooses. */
SL_MUST_CHECK int sl_sign_find_targets(struct signing *s, struct sl_error *err);
/* sign_tag.c, sign_bundle.c, sign_simple.c: put one signature in place. *ret_where is to be freed.
 */
SL_MUST_CHECK int sl_sign_put_tag(struct signing *s, const struct signing_work *work,
                                  char **ret_where, struct sl_error *err);
SL_MUST_CHECK int sl_sign_put_bundle(struct signing *s, const struct signing_work *work,
                                     char **ret_where, struct sl_error *err);
SL_MUST_CHECK int sl_sign_put_simple(struct signing *s, const struct signing_work *work,
                                     char **ret_where, struct sl_error *err);
/* Whether the lookaside can be written; before anything is signed. *ret_url is to be freed. */
SL_MUST_CHECK int sl_sign_find_lookaside(const struct signing *s, char **ret_url,
                                         struct sl_error *err);
/* sign_blob.c: a small blob on its way into the image's place, and the descriptor that names it. */
struct signing_blob {
    struct sl_digest digest;
    size_t size;
};
SL_MUST_CHECK int sl_sign_describe(struct sl_span bytes, struct signing_blob *ret,
                                   struct sl_error *err);
SL_MUST_CHECK int sl_sign_put_blob(struct signing *s, struct sl_span bytes,
                                   struct signing_blob *ret, struct sl_error *err);
/* Opens an object of this name (NULL: an element) and writes its first three members. */
void sl_sign_open_descriptor(struct sl_json_writer *w, const char *name, const char *media_type,
                             const struct signing_blob *blob);
