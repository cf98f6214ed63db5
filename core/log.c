/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/log.h"

#include "sluice/core/environment.h"
#include "sluice/core/error.h"
#include "terminal_text.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    TEXT_MAX = SL_ERROR_MSG_MAX * 2,
    VALUE_MAX = 256, /* bytes of a member; names of images may have thousands */
    LINE_MAX_BYTES = 8 * 1024,
};

static atomic_int max_level = SL_LOG_WARN;
static atomic_int json;
static atomic_int has_priority; /* stderr is the journal's */

/* priority: of syslog(3), as sd-daemon(3) writes it in front of a line. */
static const struct {
    const char *name;
    int priority;
} levels[] = {
    [SL_LOG_ERROR] = {"error", 3},
    [SL_LOG_WARN] = {"warning", 4},
    [SL_LOG_INFO] = {"info", 6},
    [SL_LOG_DEBUG] = {"debug", 7},
};

/* systemd.exec(5): JOURNAL_STREAM is "DEVICE:INODE" of the stream the service was given, which
 * somebody may have turned elsewhere since. */
static bool is_journal(int fd)
{
    const char *text = sl_environment_get("JOURNAL_STREAM");
    unsigned long long dev, ino;
    struct stat st;
    int end = 0;
    return text && sscanf(text, "%llu:%llu%n", &dev, &ino, &end) == 2 && !text[end] &&
           fstat(fd, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void sl_log_setup(enum sl_log_level max, int as_json)
{
    max_level = (int)max;
    json = as_json;
    has_priority = is_journal(STDERR_FILENO);
}

int sl_log_is_enabled(enum sl_log_level level)
{
    return (int)level <= max_level;
}

/* A line on its way: what does not fit is left out, which the sizes above do not let happen. */
struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
};

static void put(struct line *l, const char *text)
{
    size_t n = strlen(text);
    if (n >= sizeof(l->text) - l->len)
        return;
    memcpy(l->text + l->len, text, n + 1);
    l->len += n;
}

/* In quotes, which JSON and the text form write the same way. Clean text has no control characters
 * and is UTF-8: nothing else needs an escape. */
static void put_quoted(struct line *l, const char *text)
{
    put(l, "\"");
    for (; *text; text++) {
        const char one[] = {*text, 0};
        if (*text == '"' || *text == '\\')
            put(l, "\\");
        put(l, one);
    }
    put(l, "\"");
}

static void put_value(struct line *l, const char *name, const char *value)
{
    char clean[VALUE_MAX + sizeof("...")];
    bool is_cut = strlen(value) > VALUE_MAX;
    (void)snprintf(clean, sizeof(clean), "%.*s%s", VALUE_MAX, value, is_cut ? "..." : "");
    sl_terminal_text_clean(clean);
    if (json) {
        put(l, ",\"");
        put(l, name);
        put(l, "\":");
        put_quoted(l, clean);
        return;
    }
    put(l, " ");
    put(l, name);
    put(l, "=");
    /* A value that could be mistaken for the end of itself is quoted. */
    if (!*clean || strpbrk(clean, " =\"\\"))
        put_quoted(l, clean);
    else
        put(l, clean);
}

static void put_about(struct line *l, const struct sl_log_about *about)
{
    char number[24];
    const struct {
        const char *name, *value;
    } members[] = {
        {"image", about->image},
        {"layer", about->layer},
        {"stage", about->stage},
        {"code", about->code},
    };
    if (about->job) {
        (void)snprintf(number, sizeof(number), "%llu", about->job);
        put(l, json ? ",\"job\":" : " job=");
        put(l, number);
    }
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        if (members[i].value)
            put_value(l, members[i].name, members[i].value);
}

static void put_head(struct line *l, enum sl_log_level level)
{
    char head[80];
    if (has_priority) {
        (void)snprintf(head, sizeof(head), "<%d>", levels[level].priority);
        put(l, head);
    }
    if (json)
        (void)snprintf(head, sizeof(head), "{\"time\":%lld,\"level\":\"%s\"", (long long)time(NULL),
                       levels[level].name);
    else
        (void)snprintf(head, sizeof(head), "sluice: %s:", levels[level].name);
    put(l, head);
}

static void log_line(enum sl_log_level level, const struct sl_log_about *about, const char *fmt,
                     va_list ap)
{
    char text[TEXT_MAX];
    struct line l = {.len = 0};
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    sl_terminal_text_clean(text);
    put_head(&l, level);
    size_t head = l.len;
    if (about)
        put_about(&l, about);
    if (json) {
        put(&l, ",\"msg\":");
        put_quoted(&l, text);
        put(&l, "}\n");
    } else {
        put(&l, l.len > head ? ": " : " ");
        put(&l, text);
        put(&l, "\n");
    }
    /* One call a line: lines of several threads do not mix. */
    (void)fwrite(l.text, 1, l.len, stderr);
}

void sl_log(enum sl_log_level level, const char *fmt, ...)
{
    va_list ap;
    if (!sl_log_is_enabled(level))
        return;
    va_start(ap, fmt);
    log_line(level, /* about= */ NULL, fmt, ap);
    va_end(ap);
}

void sl_log_of(enum sl_log_level level, const struct sl_log_about *about, const char *fmt, ...)
{
    va_list ap;
    if (!sl_log_is_enabled(level))
        return;
    va_start(ap, fmt);
    log_line(level, about, fmt, ap);
    va_end(ap);
}
