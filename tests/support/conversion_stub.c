/* SPDX-License-Identifier: Apache-2.0 */
#include "conversion_stub.h"

#include "image_document.h"

#include <stdlib.h>
#include <string.h>

/* ---- the source ---- */

static int find_text(struct sl_image_source *src, const struct sl_digest *digest,
                     struct sl_span *ret, struct sl_error *err)
{
    size_t i = digest ? digest->bytes[0] : 0;
    /* Real documents cannot list themselves; these can, and would for ever. */
    if (i >= src->n_texts || ++src->n_fetched > STUB_FETCHES_MAX)
        return sl_error_set(err, SL_E_NETWORK, ENOENT, "no text %zu", i);
    *ret = src->texts[i];
    return 0;
}

int sl_image_source_document(struct sl_image_source *src, const struct sl_digest *digest,
                             struct sl_image_document *ret, struct sl_error *err)
{
    SL_AUTO(sl_document) doc = NULL;
    SL_AUTO_DONE(sl_bytes) bytes = {0};
    struct sl_span text;
    int r = find_text(src, digest, &text, err);
    if (r >= 0)
        r = sl_document_open(text, /* media_type= */ NULL, &doc, err);
    if (r >= 0)
        r = sl_bytes_append(&bytes, text, text.len, err);
    if (r < 0)
        return r;
    *ret = (struct sl_image_document){.bytes = bytes,
                                      .media_type = sl_steal(&doc->media_type),
                                      .digest = digest ? *digest : (struct sl_digest){0},
                                      .is_index = doc->kind == SL_DOCUMENT_INDEX};
    bytes = (struct sl_bytes){0};
    return 0;
}

int sl_image_source_blob(struct sl_image_source *src, const struct sl_descriptor *blob,
                         size_t limit, struct sl_bytes *ret, struct sl_error *err)
{
    struct sl_span text = sl_bytes_span(&src->config);
    int r = src->config.len ? 0 : find_text(src, &blob->digest, &text, err);
    return r < 0 ? r : sl_bytes_append(ret, text, limit, err);
}

int sl_image_source_resolve(struct sl_image_source *src, const struct sl_platform *platform,
                            struct sl_resolved_image **ret, struct sl_error *err)
{
    (void)src;
    (void)platform;
    (void)ret;
    return sl_error_set(err, SL_E_UNSUPPORTED, EOPNOTSUPP, "a stub resolves nothing");
}

int stub_source_set_config(struct sl_image_source *src, size_t n_layers, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    struct sl_digest *ids = calloc(n_layers + 1, sizeof(*ids));
    if (!ids)
        return sl_error_oom(err);
    for (size_t i = 0; i < n_layers; i++)
        ids[i].alg = SL_SHA256;
    sl_json_open_object(w, "rootfs");
    sl_json_put_string(w, "type", "layers");
    sl_json_put_digests(w, "diff_ids", ids, n_layers);
    sl_json_close_object(w);
    free(ids);
    return sl_json_end(w, &src->config, err);
}

void stub_source_done(struct sl_image_source *src)
{
    sl_bytes_done(&src->config);
}

/* ---- the layers ---- */

static int put_pair(struct sl_pair *pair, const char *name, const char *value)
{
    pair->name = strdup(name);
    pair->value = strdup(value);
    return pair->name && pair->value ? 0 : -ENOMEM;
}

/* As if for one recipient: {"cipher":"AES_256_CTR_HMAC_SHA256","hmac":32 bytes}. */
static int annotate(struct sl_annotations *ret, struct sl_error *err)
{
    static const char pubopts[] =
        "eyJjaXBoZXIiOiJBRVNfMjU2X0NUUl9ITUFDX1NIQTI1NiIsImhtYWMiOiJBQUFBQUFBQUFBQUFBQUFBQUFB"
        "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBPSIsImNpcGhlcm9wdGlvbnMiOnt9fQ==";
    ret->pairs = calloc(2, sizeof(*ret->pairs));
    if (!ret->pairs)
        return sl_error_oom(err);
    ret->n = 2;
    int r = put_pair(&ret->pairs[0], "org.opencontainers.image.enc.keys.jwe", "e30=");
    if (r == 0)
        r = put_pair(&ret->pairs[1], "org.opencontainers.image.enc.pubopts", pubopts);
    return r < 0 ? sl_error_oom(err) : 0;
}

static int pretend(struct conversion *c, struct sl_error *err)
{
    int r = 0;
    for (size_t i = 0; i < c->n_layers && r == 0; i++) {
        struct convert_layer *l = c->layers[i];
        enum sl_convert_action action = l->report.action;
        if (action == SL_LAYER_ENCRYPTED || action == SL_LAYER_DECRYPTED)
            memset(l->report.to.bytes, 0xab, sizeof(l->report.to.bytes));
        if (action == SL_LAYER_ENCRYPTED || action == SL_LAYER_RECIPIENTS_ADDED)
            r = annotate(&l->annotations, err);
    }
    return r;
}

static int write_all(struct conversion *c, struct sl_error *err)
{
    int r = 0;
    for (size_t i = 0; i < c->n_documents && r >= 0; i++) {
        struct convert_document *doc = c->documents[i];
        doc->is_rewritten = true;
        r = doc->from.is_index ? sl_convert_write_index(doc, c->encrypts, err)
                               : sl_convert_write_manifest(doc, c->encrypts, err);
    }
    return r;
}

int stub_conversion_run(struct stub_conversion *s, struct sl_image_source *src, bool encrypts,
                        struct sl_error *err)
{
    static const char *const decryption_keys[] = {"key.pem", NULL};
    static const char *const encryption_keys[] = {"jwe:key.pub", NULL};
    s->options.keys.decryption_keys = decryption_keys;
    s->options.encryption_keys = encryption_keys;
    s->c = (struct conversion){
        .options = &s->options, .encrypts = encrypts, .source = src, .event_fd = -1};
    int r = sl_convert_fetch(&s->c, err);
    if (r >= 0)
        r = sl_convert_plan(&s->c, err);
    if (r >= 0)
        r = pretend(&s->c, err);
    return r < 0 ? r : write_all(&s->c, err);
}

int stub_conversion_check(const struct stub_conversion *s, struct sl_error *err)
{
    int r = 0;
    for (size_t i = 0; i < s->c.n_documents && r >= 0; i++)
        if (!s->c.documents[i]->from.is_index)
            r = sl_convert_check_manifest(s->c.documents[i], &s->options, s->c.encrypts, err);
    return r;
}

void stub_conversion_done(struct stub_conversion *s)
{
    for (size_t i = 0; i < s->c.n_layers; i++) {
        sl_annotations_done(&s->c.layers[i]->annotations);
        free(s->c.layers[i]);
    }
    for (size_t i = 0; i < s->c.n_documents; i++)
        (void)sl_convert_document_free(s->c.documents[i]);
    free(s->c.layers);
    free(s->c.documents);
    free(s->c.layer_reports);
}
