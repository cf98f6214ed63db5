/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold for every document that was rewritten: readers take it, and find as much in it. */
#pragma once

#include "conversion_stub.h"
#include "image_document.h"

#include <stdlib.h>

static inline size_t count_of(const struct convert_document *doc)
{
    size_t n = 0;
    if (!doc->from.is_index)
        return doc->manifest->n_layers;
    for (size_t i = 0; i < doc->n_members; i++)
        n += doc->members[i] != NULL;
    return n;
}

static inline void check_rewritten(const struct convert_document *doc)
{
    SL_AUTO(sl_document) is = NULL;
    SL_AUTO(sl_manifest) manifest = NULL;
    struct sl_error err;
    struct sl_span text = sl_bytes_span(&doc->bytes);
    if (sl_document_open(text, doc->media_type, &is, &err) < 0 ||
        (is->kind == SL_DOCUMENT_INDEX) != doc->from.is_index)
        abort();
    const char *list = doc->from.is_index ? "manifests" : "layers";
    if (sl_json_count(sl_json_get(sl_json_root(is->json), list)) != count_of(doc))
        abort();
    /* An encrypted layer may have one annotation more than readers take. */
    if (!doc->from.is_index && sl_manifest_parse(text, doc->media_type, &manifest, &err) < 0 &&
        err.code != SL_E_LIMIT)
        abort();
}

static inline void convert_and_check(struct sl_image_source *src, bool encrypts)
{
    struct stub_conversion s = {0};
    struct sl_error err = {0};
    src->n_fetched = 0;
    if (stub_conversion_run(&s, src, encrypts, &err) >= 0) {
        for (size_t i = 0; i < s.c.n_documents; i++)
            check_rewritten(s.c.documents[i]);
        if (stub_conversion_check(&s, &err) < 0 && err.code != SL_E_LIMIT)
            abort();
    } else if (!err.msg[0]) {
        abort();
    }
    stub_conversion_done(&s);
}
