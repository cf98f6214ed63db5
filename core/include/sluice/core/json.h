/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one JSON reader. Strict RFC 8259: no comments, no trailing bytes, valid UTF-8, no duplicate
 * members, no NUL in strings, limits on size and depth. Numbers are 64-bit integers or refused
 * when asked for as such.
 */
#pragma once

#include "sluice/core/bytes.h"

struct sl_json_doc;
struct sl_json;

enum sl_json_type {
    SL_JSON_NULL,
    SL_JSON_BOOL,
    SL_JSON_NUMBER,
    SL_JSON_STRING,
    SL_JSON_ARRAY,
    SL_JSON_OBJECT,
};

struct sl_json_limits {
    size_t size;  /* bytes of text; 0: 4 MiB */
    size_t depth; /* nested containers; 0: 32 */
};

/* Both from 1, the column in characters. 0: not known. */
struct sl_json_place {
    uint32_t line, column;
};

/* what names the document in errors: "manifest". They say line and column. limits may be NULL. */
SL_MUST_CHECK int sl_json_parse(struct sl_span text, const char *what,
                                const struct sl_json_limits *limits, struct sl_json_doc **ret,
                                struct sl_error *err);
/* Wipes all strings: documents may hold keys. */
struct sl_json_doc *sl_json_free(struct sl_json_doc *doc);
SL_DEFINE_AUTO(sl_json_doc, sl_json_free)

/* Nodes are borrowed from the document. Every accessor accepts NULL and answers as for a missing
 * member, so that paths can be chained. */
const struct sl_json *sl_json_root(const struct sl_json_doc *doc);
enum sl_json_type sl_json_type(const struct sl_json *node); /* NULL: SL_JSON_NULL */
/* Where it stands in the text; a member of an object: where its name does. */
struct sl_json_place sl_json_place_of(const struct sl_json *node);
/* Puts "line N, column N: " before the message, when the place is known, and returns r. */
int sl_json_wrap(const struct sl_json *node, struct sl_error *err, int r);
/* Member of an object by exact name, or NULL. */
const struct sl_json *sl_json_get(const struct sl_json *object, const char *name);
/* Elements of an array, members of an object (0 for others). */
size_t sl_json_count(const struct sl_json *node);
const struct sl_json *sl_json_at(const struct sl_json *node, size_t i);
/* Name of member i of an object, or NULL. */
const char *sl_json_name_at(const struct sl_json *object, size_t i);
/* NULL unless it is a string. */
const char *sl_json_string(const struct sl_json *node);
/* A number as it was written, or NULL. */
const char *sl_json_number(const struct sl_json *node);
/* False unless it is an integer that fits. */
bool sl_json_int64(const struct sl_json *node, int64_t *ret);
/* False unless it is a boolean. */
bool sl_json_bool(const struct sl_json *node, bool *ret);

/* Checked members: an error names the member and what was expected. The string is borrowed. */
SL_MUST_CHECK int sl_json_need_string(const struct sl_json *object, const char *name,
                                      const char **ret, struct sl_error *err);
/* A string of sl_base64_decode()'s; *ret is the caller's, and may be secret. */
SL_MUST_CHECK int sl_json_need_base64(const struct sl_json *object, const char *name,
                                      struct sl_bytes *ret, struct sl_error *err);
