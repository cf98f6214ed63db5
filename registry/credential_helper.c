/* SPDX-License-Identifier: Apache-2.0 */
#include "credential_helper.h"

#include "sluice/core/json.h"
#include "sluice/core/subprocess.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum {
    HELPER_DEADLINE_MS = 60 * 1000,
    HELPER_OUTPUT_MAX = 64 * 1024,
    HELPER_NAME_MAX = 64,
    SERVER_MAX = 1024,
};

/* The name becomes part of a program's name. */
static bool is_name_ok(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= HELPER_NAME_MAX && name[0] != '-' && name[0] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

static int read_failure(int status, const struct sl_bytes *answer, struct sl_error *err)
{
    const char *text = answer->data ? (const char *)answer->data : "";
    if (WIFSIGNALED(status))
        return sl_error_set(err, SL_E_AUTH, EACCES, "was killed by signal %d", WTERMSIG(status));
    if (strstr(text, "credentials not found"))
        return 0;
    /* An explanation is plain text; JSON may hold a secret. */
    return sl_error_set(err, SL_E_AUTH, EACCES, "failed with status %d: %.100s",
                        WEXITSTATUS(status), strchr(text, '{') ? "" : text);
}

static int read_answer(const struct sl_bytes *answer, struct sl_credentials *ret,
                       struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = sl_json_parse(sl_bytes_span(answer), "answer", NULL, &doc, err);
    if (r < 0)
        return r;
    const char *user = NULL, *secret = NULL;
    r = sl_json_need_string(sl_json_root(doc), "Username", &user, err);
    if (r >= 0)
        r = sl_json_need_string(sl_json_root(doc), "Secret", &secret, err);
    if (r < 0)
        return r;
    SL_AUTO_DONE(sl_credentials) found = {0};
    if (strcmp(user, "<token>") == 0) {
        found.identity_token = strdup(secret);
    } else {
        found.username = strdup(user);
        found.password = strdup(secret);
    }
    if (!found.identity_token && (!found.username || !found.password))
        return sl_error_oom(err);
    *ret = found;
    found = (struct sl_credentials){0};
    return 0;
}

/* The words of whoever ran it, in the code of credentials: a limit stays one. */
static int run_failure(const char *program, int r, const struct sl_error *why, struct sl_error *err)
{
    if (r == -ENOENT)
        return sl_error_set(err, SL_E_AUTH, ENOENT,
                            "credential helper %s is not in PATH: install it, or remove it from "
                            "the auth file",
                            program);
    bool is_ours = r == -ENOMEM || why->code == SL_E_LIMIT || why->code == SL_E_CANCELLED;
    enum sl_errc code = is_ours ? why->code : SL_E_AUTH;
    return sl_error_set(err, code, -r, "credential helper %s", why->msg);
}

static int ask(const char *program, const char *server, int deadline_ms, int cancel_fd,
               struct sl_credentials *ret, struct sl_error *err)
{
    const char *const argv[] = {program, "get", NULL};
    const struct sl_subprocess process = {.argv = argv,
                                          .input = sl_span_of(server),
                                          .deadline_ms = deadline_ms,
                                          .cancel_fd = cancel_fd,
                                          .output_max = HELPER_OUTPUT_MAX};
    SL_AUTO_DONE(sl_subprocess_result) result = {0};
    struct sl_error why = {0};
    int r = sl_subprocess_run(&process, &result, &why);
    if (r < 0)
        return run_failure(program, r, &why, err);
    r = result.status == 0 ? read_answer(&result.output, ret, err)
                           : read_failure(result.status, &result.output, err);
    return r < 0 ? sl_error_wrap(err, r, "credential helper %s", program) : 0;
}

int sl_credential_helper_get_within(const char *name, const char *server, int deadline_ms,
                                    int cancel_fd, struct sl_credentials *ret, struct sl_error *err)
{
    if (!is_name_ok(name))
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "\"%.64s\" is not the name of a credential helper: letters, digits "
                            "and ._- only",
                            name);
    if (strlen(server) > SERVER_MAX || strpbrk(server, "\r\n"))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "\"%.64s\" is not a registry", server);
    SL_AUTO_FREE char *program = sl_strf("docker-credential-%s", name);
    return program ? ask(program, server, deadline_ms, cancel_fd, ret, err) : sl_error_oom(err);
}

int sl_credential_helper_get(const char *name, const char *server, int cancel_fd,
                             struct sl_credentials *ret, struct sl_error *err)
{
    return sl_credential_helper_get_within(name, server, HELPER_DEADLINE_MS, cancel_fd, ret, err);
}
