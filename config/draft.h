/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration while it is put together: values, and who has said them. One thread. */
#pragma once

#include "keys.h"
#include "sluice/core/json.h"

/* Whoever says something. where is text for people, borrowed: "cdh.toml: line 12". */
struct sl_config_source {
    enum sl_config_origin from;
    const char *where;
};

struct sl_config_said {
    enum sl_config_origin from;
    char *where; /* NULL: nobody has said anything yet */
};

struct sl_config_draft {
    struct sl_loaded_config *loaded;
    struct sl_config_said said[CONFIG_KEYS];
    struct sl_config_said *credentials; /* of each of the values' */
    size_t n_credentials;
    size_t n_warnings, n_untold; /* warnings that were one too many */
};
SL_MUST_CHECK int sl_config_draft_init(struct sl_config_draft *draft, struct sl_error *err);
void sl_config_draft_done(struct sl_config_draft *draft);
SL_DEFINE_AUTO_DONE(sl_config_draft, sl_config_draft_done)

/* Replaces what was said before. The error says where and which key. */
SL_MUST_CHECK int sl_config_set_text(struct sl_config_draft *draft, enum sl_config_id id,
                                     const char *text, const struct sl_config_source *source,
                                     struct sl_error *err);
/* null says nothing. */
SL_MUST_CHECK int sl_config_set_node(struct sl_config_draft *draft, enum sl_config_id id,
                                     const struct sl_json *node,
                                     const struct sl_config_source *source, struct sl_error *err);
/* Of kinds text and joined: as if it had never been said, except that why stays as its origin. */
SL_MUST_CHECK int sl_config_drop(struct sl_config_draft *draft, enum sl_config_id id,
                                 const char *why, struct sl_error *err);
/* What nobody has said is its default from now on. */
SL_MUST_CHECK int sl_config_set_defaults(struct sl_config_draft *draft, struct sl_error *err);
bool sl_config_is_said(const struct sl_config_draft *draft, enum sl_config_id id);
/* "cdh.toml: line 3", or "default". Borrowed. */
const char *sl_config_where(const struct sl_config_draft *draft, enum sl_config_id id);

/* One more file that is to be written. */
SL_MUST_CHECK int sl_config_add_credential(struct sl_config_draft *draft, const char *path,
                                           const char *resource_uri,
                                           const struct sl_config_source *source,
                                           struct sl_error *err);

/* One line; beyond a limit they are only counted. */
SL_MUST_CHECK int sl_config_warn(struct sl_config_draft *draft, struct sl_error *err,
                                 const char *fmt, ...) __attribute__((format(printf, 3, 4)));
