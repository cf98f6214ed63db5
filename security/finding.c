/* SPDX-License-Identifier: Apache-2.0 */
#include "finding.h"

#include <stdio.h>
#include <string.h>

void sl_finding_set_text(char field[SL_FINDING_TEXT_MAX], const char *text)
{
    struct sl_error clean;
    (void)sl_error_set(&clean, SL_E_FORMAT, 0, "%.*s", SL_FINDING_TEXT_MAX - 1, text ? text : "");
    (void)snprintf(field, SL_FINDING_TEXT_MAX, "%s", clean.msg);
}

int sl_finding_reject(struct sl_signature_finding *finding, enum sl_signature_code code,
                      const char *fmt, ...)
{
    char text[SL_FINDING_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    finding->code = code;
    sl_finding_set_text(finding->reason, text);
    return -EKEYREJECTED;
}

const char *sl_signature_code_name(enum sl_signature_code code)
{
    static const char *const names[] = {
        [SL_SIG_OK] = "OK",
        [SL_SIG_FETCH] = "E_FETCH",
        [SL_SIG_KEY_FETCH] = "E_KEY_FETCH",
        [SL_SIG_KEY_PARSE] = "E_KEY_PARSE",
        [SL_SIG_NONE] = "E_NOSIG",
        [SL_SIG_FORMAT] = "E_SIG_FORMAT",
        [SL_SIG_CRYPTO] = "E_SIG_CRYPTO",
        [SL_SIG_KEY] = "E_SIG_KEY",
        [SL_SIG_PAYLOAD] = "E_SIG_PAYLOAD",
        [SL_SIG_DIGEST] = "E_SIG_DIGEST",
        [SL_SIG_IDENTITY] = "E_SIG_IDENTITY",
        [SL_SIG_TLOG] = "E_SIG_TLOG",
        [SL_SIG_TIME] = "E_SIG_TIME",
        [SL_SIG_CERT] = "E_SIG_CERT",
        [SL_SIG_REJECT] = "E_REJECT",
        [SL_SIG_UNSUPPORTED] = "E_UNSUPPORTED",
        [SL_SIG_LIMIT] = "E_LIMIT",
    };
    return names[code];
}
