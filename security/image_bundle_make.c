/* SPDX-License-Identifier: Apache-2.0 */
#include "dsse.h"
#include "sluice/core/json_writer.h"
#include "sluice/signature_write.h"

/* in-toto/attestation spec/v1/statement.md. As cosign's, the subject has no name; its annotations
 * are for "cosign sign -a". */
static int write_statement(const struct sl_digest *manifest, struct sl_bytes *ret,
                           struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    char hex[2 * SL_DIGEST_MAX + 1];
    sl_digest_hex(manifest, hex);
    sl_json_put_string(w, "_type", SL_STATEMENT_TYPE);
    sl_json_open_array(w, "subject");
    sl_json_open_object(w, NULL);
    sl_json_open_object(w, "digest");
    sl_json_put_string(w, sl_digest_alg_name(manifest->alg), hex);
    sl_json_close_object(w);
    sl_json_open_object(w, "annotations");
    sl_json_close_object(w);
    sl_json_close_object(w);
    sl_json_close_array(w);
    sl_json_put_string(w, "predicateType", SL_PREDICATE_COSIGN_SIGN);
    sl_json_open_object(w, "predicate");
    sl_json_close_object(w);
    return sl_json_end(w, ret, err);
}

static int sign_statement(const struct sl_signing_key *key, struct sl_span statement,
                          struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) pae = {0};
    int r = sl_dsse_pae(SL_DSSE_PAYLOAD_TYPE, statement, &pae, err);
    return r < 0 ? r : sl_signing_key_sign(key, sl_bytes_span(&pae), ret, err);
}

static int write_bundle(const struct sl_signing_key *key, struct sl_span statement,
                        struct sl_span signature, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    uint8_t id[32];
    sl_signing_key_id(key, id);
    sl_json_put_string(w, "mediaType", SL_BUNDLE_MEDIA_TYPE);
    sl_json_open_object(w, "verificationMaterial");
    sl_json_open_object(w, "publicKey");
    sl_json_put_base64(w, "hint", (struct sl_span){id, sizeof(id)});
    sl_json_close_object(w);
    sl_json_close_object(w);
    sl_json_open_object(w, "dsseEnvelope");
    sl_json_put_base64(w, "payload", statement);
    sl_json_put_string(w, "payloadType", SL_DSSE_PAYLOAD_TYPE);
    sl_json_open_array(w, "signatures");
    sl_json_open_object(w, NULL);
    sl_json_put_base64(w, "sig", signature);
    sl_json_close_object(w);
    sl_json_close_array(w);
    sl_json_close_object(w);
    return sl_json_end(w, ret, err);
}

int sl_image_bundle_make(const struct sl_signing_key *key, const struct sl_digest *manifest,
                         struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) statement = {0};
    SL_AUTO_DONE(sl_bytes) signature = {0};
    int r = write_statement(manifest, &statement, err);
    if (r == 0)
        r = sign_statement(key, sl_bytes_span(&statement), &signature, err);
    if (r == 0)
        r = write_bundle(key, sl_bytes_span(&statement), sl_bytes_span(&signature), ret, err);
    return r < 0 ? sl_error_wrap(err, r, "bundle") : 0;
}
