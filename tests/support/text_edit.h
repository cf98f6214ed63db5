/* SPDX-License-Identifier: Apache-2.0 */
/* A text with one part of it replaced: how tables of spoiled documents are written. */
#pragma once

#include "sluice/core/bytes.h"

#include "assert_result.h"

/* To be freed. from must occur; its first occurrence is replaced. */
static inline char *text_edit(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    if (!at)
        fail_msg("there is no %s", from);
    char *edited = at ? sl_strf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from)) : NULL;
    assert_non_null(edited);
    return edited;
}
