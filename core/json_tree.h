/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of a document, as readers of any syntax build it: value by value, in their order. */
#pragma once

#include "sluice/core/json.h"

/* Freeing recurses. */
enum { SL_JSON_DEPTH_CEILING = 128 };

struct sl_json_builder {
    struct sl_json_doc *doc;                     /* steal it when it is complete */
    struct sl_json *open[SL_JSON_DEPTH_CEILING]; /* containers around the current place */
    size_t depth, depth_max;
    size_t n_nodes, nodes_max; /* 0 nodes: nothing was read yet */
    char *pending_name;
    struct sl_json_place place; /* of what is built next, set by the reader; else not known */
    struct sl_json_place pending_place;
};
/* depth_max 0: the default of sl_json_limits. */
SL_MUST_CHECK int sl_json_builder_init(struct sl_json_builder *b, size_t depth_max,
                                       size_t nodes_max, struct sl_error *err);
void sl_json_builder_done(struct sl_json_builder *b);
SL_DEFINE_AUTO_DONE(sl_json_builder, sl_json_builder_done)

/* The text of numbers is that of JSON. After a failure there is nothing but done(). */
SL_MUST_CHECK int sl_json_build_null(struct sl_json_builder *b, struct sl_error *err);
SL_MUST_CHECK int sl_json_build_bool(struct sl_json_builder *b, bool value, struct sl_error *err);
SL_MUST_CHECK int sl_json_build_text(struct sl_json_builder *b, enum sl_json_type type,
                                     struct sl_span text, struct sl_error *err);
/* In an object, before each value. */
SL_MUST_CHECK int sl_json_build_name(struct sl_json_builder *b, struct sl_span name,
                                     struct sl_error *err);
SL_MUST_CHECK int sl_json_build_open(struct sl_json_builder *b, enum sl_json_type type,
                                     struct sl_error *err);
void sl_json_build_close(struct sl_json_builder *b);
