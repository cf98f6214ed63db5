/* SPDX-License-Identifier: Apache-2.0 */
/* YAML configuration, read into the same nodes as JSON (libyaml). One document, or
 * none, which is null; scalars that are
 * not quoted become null, booleans and integers as YAML 1.2's core schema has them, else strings.
 * Anchors, aliases, tags, merge keys, duplicate keys and keys that are not scalars are refused. */
#pragma once

#include "sluice/core/json.h"

/* what names the document in errors, which give line and column. limits may be NULL. */
SL_MUST_CHECK int sl_yaml_parse(struct sl_span text, const char *what,
                                const struct sl_json_limits *limits, struct sl_json_doc **ret,
                                struct sl_error *err);
