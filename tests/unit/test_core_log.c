/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/json.h"
#include "sluice/core/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int sink, old_stderr;

static int turn_stderr(void **state)
{
    (void)state;
    old_stderr = dup(STDERR_FILENO);
    sink = memfd_create("log", MFD_CLOEXEC);
    return dup2(sink, STDERR_FILENO) < 0;
}

static int give_stderr_back(void **state)
{
    (void)state;
    unsetenv("JOURNAL_STREAM");
    dup2(old_stderr, STDERR_FILENO);
    close(old_stderr);
    close(sink);
    return 0;
}

/* What has been logged since the last time. */
static const char *logged(void)
{
    static char text[64 * 1024];
    ssize_t n = pread(sink, text, sizeof(text) - 1, 0);
    assert_true(n >= 0);
    text[n] = 0;
    assert_int_equal(ftruncate(sink, 0), 0);
    assert_int_equal(lseek(sink, 0, SEEK_SET), 0);
    return text;
}

static void text_line_names_what_it_is_about(void **state)
{
    (void)state;
    const struct sl_log_about about = {
        .job = 7, .image = "alpine", .layer = "0123456789ab", .stage = "fetch", .code = "network"};
    sl_log_setup(SL_LOG_INFO, /* as_json= */ 0);
    sl_log_of(SL_LOG_INFO, &about, "%d tries", 3);
    assert_string_equal(logged(), "sluice: info: job=7 image=alpine layer=0123456789ab stage=fetch "
                                  "code=network: 3 tries\n");
    sl_log_of(SL_LOG_WARN, &(struct sl_log_about){.code = "limit"}, "x");
    assert_string_equal(logged(), "sluice: warning: code=limit: x\n");
    sl_log_of(SL_LOG_ERROR, &(struct sl_log_about){0}, "x");
    assert_string_equal(logged(), "sluice: error: x\n");
    sl_log(SL_LOG_INFO, "plain");
    assert_string_equal(logged(), "sluice: info: plain\n");
    sl_log_of(SL_LOG_DEBUG, &about, "not asked for");
    assert_string_equal(logged(), "");
}

static void value_with_blanks_is_quoted(void **state)
{
    (void)state;
    sl_log_setup(SL_LOG_INFO, /* as_json= */ 0);
    sl_log_of(SL_LOG_INFO, &(struct sl_log_about){.image = "a code=ok: \"b\\\n"}, "x");
    assert_string_equal(logged(), "sluice: info: image=\"a code=ok: \\\"b\\\\?\": x\n");
    sl_log_of(SL_LOG_INFO, &(struct sl_log_about){.image = ""}, "x");
    assert_string_equal(logged(), "sluice: info: image=\"\": x\n");
}

static void long_value_is_cut(void **state)
{
    (void)state;
    char name[5000];
    memset(name, 'a', sizeof(name));
    name[sizeof(name) - 1] = 0;
    sl_log_setup(SL_LOG_INFO, /* as_json= */ 0);
    sl_log_of(SL_LOG_INFO, &(struct sl_log_about){.image = name}, "end");
    const char *line = logged();
    assert_true(strlen(line) < 400);
    assert_non_null(strstr(line, "aaa...: end\n"));
}

static struct sl_json_doc *parse(const char *line)
{
    struct sl_json_doc *doc = NULL;
    struct sl_error err = {0};
    const char *end = strchr(line, '\n');
    assert_non_null(end);
    assert_int_equal(end[1], 0); /* one line */
    if (sl_json_parse(sl_span_of(line), "line", /* limits= */ NULL, &doc, &err) < 0)
        fail_msg("%s: %s", err.msg, line);
    return doc;
}

static const char *member(const struct sl_json_doc *doc, const char *name)
{
    return sl_json_string(sl_json_get(sl_json_root(doc), name));
}

static void json_line_has_the_members(void **state)
{
    (void)state;
    sl_log_setup(SL_LOG_INFO, /* as_json= */ 1);
    sl_log_of(
        SL_LOG_WARN,
        &(struct sl_log_about){.job = 7, .image = "a\"\\b", .stage = "untar", .code = "format"},
        "it \"broke\\");
    SL_AUTO(sl_json_doc) doc = parse(logged());
    assert_string_equal(member(doc, "level"), "warning");
    assert_string_equal(member(doc, "image"), "a\"\\b");
    assert_string_equal(member(doc, "stage"), "untar");
    assert_string_equal(member(doc, "code"), "format");
    assert_string_equal(member(doc, "msg"), "it \"broke\\");
    assert_null(sl_json_get(sl_json_root(doc), "layer"));
    assert_string_equal(sl_json_number(sl_json_get(sl_json_root(doc), "job")), "7");
}

/* Every byte alone, every pair of bytes, and noise, as text and as value, cut anywhere. */
static void json_is_valid_for_every_byte(void **state)
{
    (void)state;
    sl_log_setup(SL_LOG_INFO, /* as_json= */ 1);
    for (unsigned a = 1; a < 256; a++)
        for (unsigned b = 0; b < 256; b += a < 0xc0 ? 85 : 1) {
            const char text[] = {(char)a, (char)b, 'x', 0};
            sl_log_of(SL_LOG_INFO, &(struct sl_log_about){.image = text}, "%s", text);
            SL_AUTO(sl_json_doc) doc = parse(logged());
            assert_non_null(member(doc, "msg"));
        }
    char noise[3000];
    unsigned seed = 1;
    for (int round = 0; round < 300; round++) {
        size_t n = (size_t)rand_r(&seed) % (sizeof(noise) - 1);
        for (size_t i = 0; i < n; i++)
            noise[i] = (char)(1 + rand_r(&seed) % 255);
        noise[n] = 0;
        sl_log_of(SL_LOG_INFO, &(struct sl_log_about){.image = noise, .code = noise}, "%s", noise);
        SL_AUTO(sl_json_doc) doc = parse(logged());
        assert_non_null(member(doc, "image"));
    }
    memset(noise, '"', sizeof(noise) - 1);
    sl_log_of(SL_LOG_INFO,
              &(struct sl_log_about){.image = noise, .layer = noise, .stage = noise, .code = noise},
              "%s", noise);
    SL_AUTO(sl_json_doc) doc = parse(logged());
    assert_int_equal(strlen(member(doc, "msg")), 1023);
}

static void journal_gets_priorities(void **state)
{
    (void)state;
    char text[64];
    struct stat st;
    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    (void)snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev,
                   (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", text, 1);
    sl_log_setup(SL_LOG_DEBUG, /* as_json= */ 0);
    sl_log(SL_LOG_ERROR, "x");
    assert_string_equal(logged(), "<3>sluice: error: x\n");
    sl_log(SL_LOG_WARN, "x");
    assert_string_equal(logged(), "<4>sluice: warning: x\n");
    sl_log(SL_LOG_INFO, "x");
    assert_string_equal(logged(), "<6>sluice: info: x\n");
    sl_log(SL_LOG_DEBUG, "x");
    assert_string_equal(logged(), "<7>sluice: debug: x\n");
    setenv("JOURNAL_STREAM", "1:2", 1); /* stderr leads elsewhere */
    sl_log_setup(SL_LOG_DEBUG, /* as_json= */ 0);
    sl_log(SL_LOG_ERROR, "x");
    assert_string_equal(logged(), "sluice: error: x\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(text_line_names_what_it_is_about, turn_stderr,
                                        give_stderr_back),
        cmocka_unit_test_setup_teardown(value_with_blanks_is_quoted, turn_stderr, give_stderr_back),
        cmocka_unit_test_setup_teardown(long_value_is_cut, turn_stderr, give_stderr_back),
        cmocka_unit_test_setup_teardown(json_line_has_the_members, turn_stderr, give_stderr_back),
        cmocka_unit_test_setup_teardown(json_is_valid_for_every_byte, turn_stderr,
                                        give_stderr_back),
        cmocka_unit_test_setup_teardown(journal_gets_priorities, turn_stderr, give_stderr_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
