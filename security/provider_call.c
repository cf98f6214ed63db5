/* SPDX-License-Identifier: Apache-2.0 */
/* Asking a key provider: over whichever way, once for each element, and never without an end. */
#include "provider_messages.h"
#include "providers.h"

#include "sluice/core/digest.h"
#include "sluice/core/subprocess.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum {
    ERRORS_MAX = 4096, /* bytes of a command's stderr to look at */
    COMPLAINT_MAX = 160,
    WORD_MAX = 24,
};

#define BLANKS " \t\r\n"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

void sl_providers_set_call(struct sl_providers *providers, sl_provider_call_fn *fn, void *arg,
                           int deadline_ms)
{
    providers->call = fn;
    providers->call_arg = arg;
    providers->deadline_ms = deadline_ms > 0 ? deadline_ms : SL_PROVIDER_DEADLINE_MS;
}

void sl_providers_set_cancel_fd(struct sl_providers *providers, int cancel_fd)
{
    providers->cancel_fd = cancel_fd;
}

/* ---- what a provider complains of ---- */

/* Without what follows it. text has a byte at least. */
static char *last_line(struct sl_bytes *text)
{
    while (text->len && isspace(text->data[text->len - 1]))
        text->data[--text->len] = 0;
    uint8_t *eol = memrchr(text->data, '\n', text->len);
    return (char *)(eol ? eol + 1 : text->data);
}

/* Names of keys are longer than words, and worth telling; base64 has no place for the scheme. */
static bool is_key_id(const char *word)
{
    static const char scheme[] = "kbs:///";
    const char *path = word + strlen(scheme);
    return strncmp(word, scheme, strlen(scheme)) == 0 &&
           strspn(path, LETTERS "0123456789_-./:,;") == strlen(path);
}

/* A provider may tell what it was given or what it found: base64, or a list of numbers. */
static bool may_be_secret(const char *word)
{
    size_t len = strlen(word);
    bool is_list = strspn(word, "0123456789[],;") == len && strpbrk(word, "[],;");
    return is_list || (len > WORD_MAX && !is_key_id(word));
}

/* Without what may be a key, and short; of marks in a row there is one. is_cut: the last word may
 * be the beginning of a key. Control characters are left to sl_error_set(). */
static void redact(char *text, bool is_cut, char out[COMPLAINT_MAX])
{
    char *save = NULL;
    size_t n = 0;
    bool was_secret = false;
    out[0] = 0;
    char *word = strtok_r(text, BLANKS, &save);
    while (word) {
        char *next = strtok_r(NULL, BLANKS, &save);
        bool is_secret = may_be_secret(word) || (is_cut && !next);
        const char *shown = is_secret ? "..." : word;
        if (n + 1 + strlen(shown) >= COMPLAINT_MAX)
            return;
        if (!is_secret || !was_secret)
            n += (size_t)snprintf(out + n, COMPLAINT_MAX - n, "%s%s", n ? " " : "", shown);
        was_secret = is_secret;
        word = next;
    }
}

/* Of a command: the last line of stderr. */
static void complaint_of(struct sl_bytes *errors, char out[COMPLAINT_MAX])
{
    bool is_cut = errors->len >= ERRORS_MAX;
    out[0] = 0;
    if (errors->len)
        redact(last_line(errors), is_cut, out);
}

/* Of a service: the text of its status, which is all of the message. */
static int refused(struct sl_error *err, int r)
{
    char complaint[COMPLAINT_MAX];
    if (!err || err->code != SL_E_AUTH)
        return r;
    redact(err->msg, strlen(err->msg) + 1 >= sizeof(err->msg), complaint);
    sl_wipe(err->msg, sizeof(err->msg));
    return sl_error_set(err, SL_E_AUTH, err->errnum, "%s", complaint);
}

/* ---- one request ---- */

struct call {
    struct sl_providers *providers;
    const struct sl_provider *provider;
    enum sl_provider_op op;
    const char *params;
    struct sl_span payload;
};

/* ENOENT means that nobody was asked; what a provider itself runs into is another matter. That it
 * could not be asked is told as any other peer's failure. */
static int call_failed(const struct sl_provider *provider, int r, struct sl_error *err)
{
    struct sl_error unknown = {.errnum = -r};
    struct sl_error *e = err ? err : &unknown;
    if (r == -ENOENT) {
        r = -ENXIO;
        e->errnum = ENXIO;
    }
    if (e->code == SL_E_SYSTEM && r != -ENOMEM)
        e->code = SL_E_NETWORK;
    return sl_error_wrap(e, r, "key provider %.100s", provider->name);
}

/* An answer beyond a limit is nonsense like any other: the limits leave room for all that make
 * sense. */
static int answer_failed(int r, struct sl_error *err)
{
    if (err && err->code == SL_E_LIMIT)
        err->code = SL_E_FORMAT;
    return r;
}

static int check_status(const struct sl_provider *provider, struct sl_subprocess_result *result,
                        struct sl_error *err)
{
    if (WIFEXITED(result->status) && WEXITSTATUS(result->status) == 0)
        return 0;
    if (WIFSIGNALED(result->status))
        return sl_error_set(err, SL_E_NETWORK, ECONNRESET,
                            "key provider %.100s: %.100s died of signal %d", provider->name,
                            provider->argv[0], WTERMSIG(result->status));
    char complaint[COMPLAINT_MAX];
    complaint_of(&result->errors, complaint);
    return sl_error_set(err, SL_E_AUTH, EKEYREJECTED,
                        "key provider %.100s refused: %.100s ended with status %d%s%s",
                        provider->name, provider->argv[0], WEXITSTATUS(result->status),
                        complaint[0] ? ": " : "", complaint);
}

static int call_cmd(const struct call *c, struct sl_span request, struct sl_bytes *ret,
                    struct sl_error *err)
{
    SL_AUTO_DONE(sl_subprocess_result) result = {0};
    const struct sl_subprocess process = {
        .argv = (const char *const *)c->provider->argv,
        .input = request,
        .deadline_ms = c->providers->deadline_ms,
        .output_max = SL_PROVIDER_MESSAGE_MAX,
        .errors_max = ERRORS_MAX,
        .cancel_fd = c->providers->cancel_fd,
    };
    int r = sl_subprocess_run(&process, &result, err);
    if (r < 0)
        return call_failed(c->provider, answer_failed(r, err), err);
    r = check_status(c->provider, &result, err);
    if (r < 0)
        return r;
    *ret = result.output;
    result.output = (struct sl_bytes){0};
    return 0;
}

static int call_wire(const struct call *c, struct sl_span request, struct sl_bytes *ret,
                     struct sl_error *err)
{
    struct sl_providers *p = c->providers;
    if (!p->call)
        return sl_error_set(err, SL_E_UNSUPPORTED, EOPNOTSUPP,
                            "key provider %.100s: only commands can be asked here",
                            c->provider->name);
    int r = p->call(p->call_arg, c->provider, c->op == SL_PROVIDER_UNWRAP, request, p->deadline_ms,
                    ret, err);
    return r < 0 ? call_failed(c->provider, refused(err, r), err) : 0;
}

static long long now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static atomic_llong *silence_of(const struct call *c)
{
    return &c->providers->silent_until[c->provider - c->providers->list];
}

/* Images choose how many elements there are: whoever hangs would hold them all up, one deadline
 * each. So it is left alone for as long as it was waited for. */
static int check_silence(const struct call *c, struct sl_error *err)
{
    if (atomic_load(silence_of(c)) <= now_ms())
        return 0;
    return sl_error_set(err, SL_E_NETWORK, ETIMEDOUT,
                        "key provider %.100s did not answer before and is not asked again",
                        c->provider->name);
}

static int call_any(const struct call *c, struct sl_span request, struct sl_bytes *ret,
                    struct sl_error *err)
{
    bool is_cmd = c->provider->transport == SL_PROVIDER_CMD;
    int r = check_silence(c, err);
    if (r < 0)
        return r;
    r = is_cmd ? call_cmd(c, request, ret, err) : call_wire(c, request, ret, err);
    if (r == -ETIMEDOUT)
        atomic_store(silence_of(c), now_ms() + c->providers->deadline_ms);
    return r;
}

/* An sl_ask_fn. */
static int ask(void *arg, struct sl_bytes *ret, struct sl_error *err)
{
    const struct call *c = arg;
    struct sl_bytes request = {0};
    struct sl_bytes answer = {0};
    int r =
        sl_provider_request_write(c->op, c->provider->name, c->params, c->payload, &request, err);
    if (r == 0)
        r = call_any(c, sl_bytes_span(&request), &answer, err);
    if (r == 0) {
        r = sl_provider_answer_parse(c->op, sl_bytes_span(&answer), ret, err);
        if (r < 0)
            r = sl_error_wrap(err, answer_failed(r, err), "key provider %.100s", c->provider->name);
    }
    sl_bytes_wipe(&request);
    sl_bytes_wipe(&answer);
    return r;
}

/* ---- what the crypto room asks for ---- */

static int find_provider(struct sl_providers *providers, const char *name,
                         const struct sl_provider **ret, struct sl_error *err)
{
    const struct sl_provider *provider = sl_providers_find(providers, name);
    if (!provider)
        return sl_error_set(err, SL_E_AUTH, ENOENT,
                            "key provider %.100s is not configured; see "
                            "OCICRYPT_KEYPROVIDER_CONFIG",
                            name);
    *ret = provider;
    return 0;
}

/* One digest of everything the answer depends on. */
static int question_of(const struct call *c, struct sl_digest *ret, struct sl_error *err)
{
    SL_AUTO(sl_hash) hash = NULL;
    int r = sl_hash_new(SL_SHA256, &hash, err);
    if (r < 0)
        return r;
    const char *params = c->params ? c->params : "";
    const uint8_t has_params = c->params != NULL;
    /* With their NULs, so that no text runs into the next. */
    sl_hash_update(
        hash, (struct sl_span){(const uint8_t *)c->provider->name, strlen(c->provider->name) + 1});
    sl_hash_update(hash, (struct sl_span){&has_params, 1});
    sl_hash_update(hash, (struct sl_span){(const uint8_t *)params, strlen(params) + 1});
    sl_hash_update(hash, c->payload);
    sl_hash_final(hash, ret);
    return 0;
}

int sl_providers_unwrap(void *providers, const char *name, const char *params,
                        struct sl_span element, struct sl_bytes *ret, struct sl_error *err)
{
    struct call c = {providers, .op = SL_PROVIDER_UNWRAP, .params = params, .payload = element};
    struct sl_digest question;
    int r = find_provider(providers, name, &c.provider, err);
    if (r == 0)
        r = question_of(&c, &question, err);
    if (r < 0)
        return r;
    struct sl_span key = {question.bytes, sl_digest_size(SL_SHA256)};
    return sl_answer_cache_get(c.providers->unwrapped, key, ask, &c, ret, err);
}

int sl_providers_wrap(void *providers, const char *name, const char *params, struct sl_span plbco,
                      struct sl_bytes *ret, struct sl_error *err)
{
    struct call c = {providers, .op = SL_PROVIDER_WRAP, .params = params, .payload = plbco};
    int r = find_provider(providers, name, &c.provider, err);
    return r < 0 ? r : ask(&c, ret, err);
}
