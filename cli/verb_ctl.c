/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "sluice/control.h"

#include <stdio.h>
#include <string.h>

enum { DEADLINE_MS = 120000 }; /* a reload may ask a broker */

static bool is_cancel(const struct cli_options *o)
{
    return strcmp(o->args[0], "cancel") == 0;
}

int verb_ctl_check(const struct cli_options *o, struct sl_error *err)
{
    if (is_cancel(o) ? o->n_args == 2 : strcmp(o->args[0], "reload") == 0 && o->n_args == 1)
        return 0;
    return sl_error_set(err, SL_E_FORMAT, EINVAL,
                        "usage: sluice ctl cancel ID|IMAGE, or sluice ctl reload");
}

static int write_request(const struct cli_options *o, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    if (is_cancel(o))
        sl_json_put_string(w, "job", o->args[1]);
    return sl_json_end(w, ret, err);
}

static int show(const struct cli_options *o, struct sl_span answer, struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = sl_json_parse(answer, "answer", /* limits= */ NULL, &doc, err);
    if (r < 0)
        return r;
    const char *number =
        sl_json_number(sl_json_get(sl_json_root(doc), is_cancel(o) ? "cancelled" : "generation"));
    if (o->json)
        printf("%.*s", (int)answer.len, (const char *)answer.data);
    else if (!o->quiet && is_cancel(o))
        printf("%s cancelled\n", number ? number : "?");
    else if (!o->quiet)
        printf("the configuration was read again: generation %s\n", number ? number : "?");
    return 0;
}

int verb_ctl(const struct cli_options *o, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) request = {0};
    SL_AUTO_DONE(sl_bytes) answer = {0};
    const char *socket = o->socket ? o->socket : SL_CONTROL_ADDRESS;
    int r = write_request(o, &request, err);
    if (r == 0)
        r = sl_control_call(socket, is_cancel(o) ? "Cancel" : "Reload", sl_bytes_span(&request),
                            DEADLINE_MS, &answer, err);
    return r < 0 ? r : show(o, sl_bytes_span(&answer), err);
}
