/* SPDX-License-Identifier: Apache-2.0 */
/* The signed name is whoever's who made the signature; the rest is the operator's and the user's.
 * Lines: image name, signed name, prefix, signed prefix; the rest is ignored. */
#include "signed_identity.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINES = 4 };

static void check(char *lines[LINES])
{
    struct sl_identity_rule rule = {.prefix = lines[2], .signed_prefix = lines[3]};
    bool has_prefixes =
        sl_identity_prefix_is_valid(lines[2]) && sl_identity_prefix_is_valid(lines[3]);
    bool accepted[SL_REMAP_IDENTITY + 1] = {false};
    for (int type = 0; type <= SL_REMAP_IDENTITY; type++) {
        if (type == SL_EXACT_REFERENCE || type == SL_EXACT_REPOSITORY ||
            (type == SL_REMAP_IDENTITY && !has_prefixes))
            continue;
        rule.type = (enum sl_identity_type)type;
        accepted[type] = sl_identity_accepts(&rule, lines[0], lines[1]);
    }
    /* Each is narrower than the next. */
    if ((accepted[SL_MATCH_EXACT] && !accepted[SL_MATCH_REPO_DIGEST_OR_EXACT]) ||
        (accepted[SL_MATCH_REPO_DIGEST_OR_EXACT] && !accepted[SL_MATCH_REPOSITORY]))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *lines[LINES] = {NULL};
    struct sl_span text = {data, size};
    size_t n = 0;
    for (; n < LINES; n++) {
        const uint8_t *eol = text.len ? memchr(text.data, '\n', text.len) : NULL;
        if (!eol)
            break;
        size_t len = (size_t)(eol - text.data);
        lines[n] = strndup((const char *)text.data, len);
        text = (struct sl_span){eol + 1, text.len - len - 1};
    }
    if (n == LINES)
        check(lines);
    for (size_t i = 0; i < n; i++)
        free(lines[i]);
    return 0;
}
