/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "sluice/control.h"
#include "status_display.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { DEADLINE_MS = 10000, WATCH_S = 1 };

static int ask(const struct cli_options *o, struct sl_bytes *ret, struct sl_error *err)
{
    const char *socket = o->socket ? o->socket : SL_CONTROL_ADDRESS;
    return sl_control_call(socket, "Status", sl_span_of("{}"), DEADLINE_MS, ret, err);
}

/* From the writer and not as it came: what a terminal obeys is escaped there. */
static int print_json(const struct sl_json *status, bool pretty, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(pretty);
    for (size_t i = 0; i < sl_json_count(status); i++)
        sl_json_put_node(w, sl_json_name_at(status, i), sl_json_at(status, i));
    return cli_print_json(w, err);
}

static int show(const struct cli_options *o, bool is_live, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) answer = {0};
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = ask(o, &answer, err);
    if (r == 0)
        r = sl_json_parse(sl_bytes_span(&answer), "answer", /* limits= */ NULL, &doc, err);
    if (r < 0)
        return r;
    if (o->json)
        return print_json(sl_json_root(doc), /* pretty= */ !o->watch, err);
    if (is_live)
        printf("\033[H\033[J");
    status_print(sl_json_root(doc));
    if (fflush(stdout) != 0)
        return sl_error_system(err, errno, "standard output");
    return 0;
}

/* On a terminal the screen is drawn again; else, and as JSON, one answer follows the other. */
int verb_status(const struct cli_options *o, struct sl_error *err)
{
    const struct timespec pause = {.tv_sec = WATCH_S};
    bool is_live = o->watch && !o->json && isatty(STDOUT_FILENO) == 1;
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    if (o->watch)
        (void)pthread_sigmask(SIG_BLOCK, &ends, NULL);
    int r = show(o, is_live, err);
    while (r == 0 && o->watch && sigtimedwait(&ends, NULL, &pause) < 0)
        r = show(o, is_live, err);
    return r;
}
