/* SPDX-License-Identifier: Apache-2.0 */
/* The table of keys. */
#pragma once

#include "sluice/config.h"

enum sl_config_id {
#define CONFIG_KEY(id, name, kind, member, fallback, check, min, max, flags) CONFIG_##id,
#include "keys.def"
#undef CONFIG_KEY
    CONFIG_KEYS,
};

enum sl_config_kind {
    CONFIG_KIND_TEXT,
    CONFIG_KIND_FLAG,
    CONFIG_KIND_CHOICE, /* one of some words */
    CONFIG_KIND_COUNT,
    CONFIG_KIND_SIZE,   /* bytes: a number, or a text such as "64M" */
    CONFIG_KIND_LIST,   /* array of texts */
    CONFIG_KIND_JOINED, /* the same, kept as one text */
    CONFIG_KIND_TABLE,  /* kept as JSON text */
    CONFIG_KIND_CREDENTIALS,
    CONFIG_KIND_IGNORED, /* of any type */
};

enum sl_config_flags {
    CONFIG_EMPTY_IS_NONE = 1 << 0, /* an empty text says nothing; else it is an error, or: */
    CONFIG_EMPTY_IS_KEPT = 1 << 1,
    CONFIG_NOT_EMPTY = 1 << 2,   /* of lists */
    CONFIG_SECRET = 1 << 3,      /* a URL that may hold a password */
    CONFIG_DOCUMENT = 1 << 4,    /* told by size and digest; of any length, with any character */
    CONFIG_CERTIFICATE = 1 << 5, /* told by their number; as a document */
    CONFIG_CLAMP = 1 << 6,       /* beyond max: a warning, and max */
    CONFIG_TOLD = 1 << 7,        /* that it is ignored */
};

/* What text means when that is not itself: *ret, to be freed, else untouched. The error does not
 * name the key. Any of them may be handed any text. */
typedef int sl_config_check_fn(const char *text, char **ret, struct sl_error *err);

struct sl_config_key {
    const char *name; /* with its tables: "image.work_dir" */
    enum sl_config_kind kind;
    size_t offset; /* in struct sl_config */
    const char *fallback;
    sl_config_check_fn *check;
    unsigned min, max, flags;
};
const struct sl_config_key *sl_config_key_at(enum sl_config_id id);
/* By its full name, "image.work_dir"; false when there is none. */
bool sl_config_key_find(const char *name, enum sl_config_id *ret);
/* Whether keys lie in a table of this full name. */
bool sl_config_is_table(const char *name);
/* The words of a choice, NULL-terminated; their place is the value. */
const char *const *sl_config_choices(enum sl_config_id id);
/* What somebody who wrote this full name may have meant, or NULL. To be freed. */
char *sl_config_suggest(const char *name);
