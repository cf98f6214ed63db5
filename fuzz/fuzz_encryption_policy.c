/* SPDX-License-Identifier: Apache-2.0 */
/* The operator writes the policy; the image's name and the kid of a wrapped key come from outside.
 * The first line is the name, the second the kid, the rest the policy. */
#include "sluice/encryption_policy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A line as a string, to be freed; *text is what follows. */
static char *take_line(struct sl_span *text)
{
    const uint8_t *eol = text->len ? memchr(text->data, '\n', text->len) : NULL;
    if (!eol)
        return NULL;
    size_t len = (size_t)(eol - text->data);
    char *line = strndup((const char *)text->data, len);
    *text = (struct sl_span){eol + 1, text->len - len - 1};
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_span text = {data, size};
    SL_AUTO_FREE char *name = take_line(&text);
    SL_AUTO_FREE char *kid = take_line(&text);
    SL_AUTO(sl_encryption_policy) policy = NULL;
    struct sl_error err;
    if (!name || !kid || sl_encryption_policy_parse(text, &policy, &err) < 0)
        return 0;
    const struct sl_encryption_rule *rule = sl_encryption_policy_find(policy, name);
    const struct sl_wrapped_key_facts facts = {"provider", "attestation-agent", kid, "A256GCM"};
    int r = sl_encryption_rule_check_layer(rule, /* is_encrypted= */ true, &err);
    if (r == 0)
        r = sl_encryption_rule_check_key(rule, &facts, &err);
    /* Verification has no third answer. */
    if (r > 0)
        abort();
    return 0;
}
