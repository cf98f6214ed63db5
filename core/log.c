/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/log.h"

#include "sluice/core/error.h"
#include "terminal_text.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

static atomic_int max_level = SL_LOG_WARN;
static atomic_int json;

static const char *const level_names[] = {"error", "warning", "info", "debug"};

void sl_log_setup(enum sl_log_level max, int as_json)
{
    max_level = (int)max;
    json = as_json;
}

int sl_log_is_enabled(enum sl_log_level level)
{
    return (int)level <= max_level;
}

/* Escapes for a JSON string. */
static void escape(const char *in, char *out, size_t size)
{
    size_t n = 0;
    for (; *in && n + 3 < size; in++) {
        if (*in == '"' || *in == '\\')
            out[n++] = '\\';
        out[n++] = *in;
    }
    out[n] = 0;
}

void sl_log(enum sl_log_level level, const char *fmt, ...)
{
    if (!sl_log_is_enabled(level))
        return;
    char text[SL_ERROR_MSG_MAX * 2];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    sl_terminal_text_clean(text);
    char safe[sizeof(text) * 2];
    escape(text, safe, sizeof(safe));
    /* One call a line: lines of several threads do not mix. */
    if (json) {
        fprintf(stderr, "{\"time\":%lld,\"level\":\"%s\",\"msg\":\"%s\"}\n", (long long)time(NULL),
                level_names[level], safe);
        return;
    }
    fprintf(stderr, "sluice: %s: %s\n", level_names[level], text);
}
