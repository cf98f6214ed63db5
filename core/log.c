/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/log.h"

#include "sluice/core/error.h"

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

/* Escapes for a JSON string; control bytes become '?', as in error messages. */
static void escape(const char *in, char *out, size_t size)
{
    size_t n = 0;
    for (; *in && n + 3 < size; in++) {
        unsigned char c = (unsigned char)*in;
        if (c == '"' || c == '\\')
            out[n++] = '\\';
        out[n++] = (char)(c < 0x20 || c == 0x7f ? '?' : c);
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
    char safe[sizeof(text) * 2];
    escape(text, safe, sizeof(safe));
    /* One call a line: lines of several threads do not mix. */
    if (json) {
        fprintf(stderr, "{\"time\":%lld,\"level\":\"%s\",\"msg\":\"%s\"}\n", (long long)time(NULL),
                level_names[level], safe);
        return;
    }
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    fprintf(stderr, "sluice: %s: %s\n", level_names[level], text);
}
