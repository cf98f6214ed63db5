/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The asking half of gRPC: HTTP/2 by libcurl, one multi handle for each call under way, since that
 * can wait for a cancellation too. Handles rest in a list with their connections open. What libcurl
 * copies of a request is wiped when it is freed, and so is what its HTTP/2 library copies
 * (http2_memory.c).
 */
#include "client.h"
#include "grpc_answer.h"
#include "grpc_target.h"

#include "sluice/core/curl_errno.h"
#include "sluice/core/curl_load.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    IDLE_MAX = 8,   /* handles kept, each with a connection */
    WAIT_MS = 1000, /* as curl_easy_perform(): libcurl 7.88 may hold back what it has to send */
};

struct grpc_client {
    struct sl_client_wire base;
    struct sl_grpc_target target;
    bool has_tls, is_unverified;
    bool is_fresh_each_time; /* see needs_fresh_connections() */
    char *root_ca_file, *cert_file, *key_file;
    char *origin;         /* of URLs: "https://HOST:PORT" */
    char *connect_to;     /* where to, when the origin is another name; or NULL */
    pthread_mutex_t lock; /* guards what follows */
    CURLM *idle[IDLE_MAX];
    size_t n_idle;
};

/* --- one transfer --- */

struct transfer {
    CURLM *multi;
    CURL *easy;
    struct sl_grpc_answer answer;
    struct sl_bytes body; /* the request's */
    int cancel_fd;
    char *url;
    struct curl_slist *headers;
    struct sl_error error; /* of a callback that stopped the transfer */
    int error_r;
    char curl_text[CURL_ERROR_SIZE];
};

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    struct sl_span line = {(const uint8_t *)data, size * n};
    t->error_r = sl_grpc_answer_line(&t->answer, line, &t->error);
    return t->error_r < 0 ? 0 : size * n;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    struct sl_span bytes = {(const uint8_t *)data, size * n};
    t->error_r = sl_grpc_answer_body(&t->answer, bytes, &t->error);
    return t->error_r < 0 ? 0 : size * n;
}

static int add_header(struct transfer *t, const char *line, struct sl_error *err)
{
    struct curl_slist *list = curl_slist_append(t->headers, line);
    if (!list)
        return sl_error_oom(err);
    t->headers = list;
    return 0;
}

static int set_headers(struct transfer *t, int timeout_ms, struct sl_error *err)
{
    /* The empty ones keep libcurl from adding its own. */
    static const char *const fixed[] = {"content-type: application/grpc", "te: trailers",
                                        "grpc-accept-encoding: identity", "Accept:", "Expect:"};
    char timeout[SL_GRPC_TIMEOUT_SIZE];
    sl_grpc_timeout_format(timeout_ms, timeout);
    SL_AUTO_FREE char *line = sl_strf("grpc-timeout: %s", timeout);
    int r = line ? add_header(t, line, err) : sl_error_oom(err);
    for (size_t i = 0; r == 0 && i < sizeof(fixed) / sizeof(fixed[0]); i++)
        r = add_header(t, fixed[i], err);
    if (r == 0)
        (void)curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
    return r;
}

static void set_tls(const struct grpc_client *client, CURL *easy)
{
    (void)curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (client->is_unverified) {
        (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (client->root_ca_file) {
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, client->root_ca_file);
        (void)curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* or the platform's are trusted too */
    }
    if (client->cert_file) {
        (void)curl_easy_setopt(easy, CURLOPT_SSLCERT, client->cert_file);
        (void)curl_easy_setopt(easy, CURLOPT_SSLKEY, client->key_file);
    }
}

static void set_limits(CURL *easy, int timeout_ms)
{
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a resolver may outlive the deadline */
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* keys take no detours */
}

static void set_server(const struct grpc_client *client, struct transfer *t,
                       struct curl_slist *connect_to)
{
    (void)curl_easy_setopt(t->easy, CURLOPT_URL, t->url);
    (void)curl_easy_setopt(t->easy, CURLOPT_HTTP_VERSION,
                           client->has_tls ? (long)CURL_HTTP_VERSION_2TLS
                                           : (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
    if (client->target.socket_path)
        (void)curl_easy_setopt(t->easy, CURLOPT_UNIX_SOCKET_PATH, client->target.socket_path);
    if (connect_to)
        (void)curl_easy_setopt(t->easy, CURLOPT_CONNECT_TO, connect_to);
    if (client->is_fresh_each_time)
        (void)curl_easy_setopt(t->easy, CURLOPT_FORBID_REUSE, 1L);
    if (client->has_tls)
        set_tls(client, t->easy);
}

static void set_bodies(struct transfer *t)
{
    (void)curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, t->body.data);
    (void)curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->body.len);
    (void)curl_easy_setopt(t->easy, CURLOPT_USERAGENT, "sluice/" SL_VERSION);
    (void)curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, (void *)t);
    (void)curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, (void *)t);
    (void)curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->curl_text);
}

/* --- errors --- */

static int curl_failed(const struct transfer *t, CURLcode code, struct sl_error *err)
{
    const char *advice = "";
    if (code == CURLE_OPERATION_TIMEDOUT)
        return sl_error_set(err, SL_E_NETWORK, ETIMEDOUT, "no answer within the time allowed");
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        advice = "; name its CA in root-ca-file, its name in server-name";
    if (code == CURLE_HTTP2 || code == CURLE_UNSUPPORTED_PROTOCOL ||
        code == CURLE_WEIRD_SERVER_REPLY)
        advice = "; does the server speak gRPC, and without TLS?";
    if (code ==
        CURLE_HTTP2_STREAM) /* libcurl may miss a refusal that came before the request left */
        advice = "; does the server offer this method?";
    return sl_error_set(err, SL_E_NETWORK, sl_curl_errno(code), "%s%s",
                        t->curl_text[0] ? t->curl_text : curl_easy_strerror(code), advice);
}

/* --- handles --- */

static CURLM *take_handle(struct grpc_client *client)
{
    pthread_mutex_lock(&client->lock);
    CURLM *multi = client->n_idle ? client->idle[--client->n_idle] : NULL;
    pthread_mutex_unlock(&client->lock);
    return multi ? multi : curl_multi_init();
}

static void give_handle_back(struct grpc_client *client, CURLM *multi)
{
    pthread_mutex_lock(&client->lock);
    bool is_kept = client->n_idle < IDLE_MAX;
    if (is_kept)
        client->idle[client->n_idle++] = multi;
    pthread_mutex_unlock(&client->lock);
    if (!is_kept)
        (void)curl_multi_cleanup(multi);
}

/* --- calls --- */

static int prepare(const struct grpc_client *client, const struct sl_client_question *question,
                   struct transfer *t, struct sl_error *err)
{
    t->url = sl_strf("%s/%s/%s", client->origin, question->service, question->method);
    if (!t->multi || !t->easy || !t->url)
        return sl_error_oom(err);
    return sl_grpc_body_append(&t->body, question->request, err);
}

/* As curl_easy_perform(), or until somebody cancels. */
static CURLcode transfer(struct transfer *t)
{
    struct curl_waitfd cancel = {.fd = t->cancel_fd, .events = CURL_WAIT_POLLIN};
    unsigned n_extra = t->cancel_fd > 0;
    int is_running = 0, left;
    CURLMcode rc = curl_multi_add_handle(t->multi, t->easy);
    while (!rc && !(rc = curl_multi_perform(t->multi, &is_running)) && is_running) {
        rc = curl_multi_poll(t->multi, &cancel, n_extra, WAIT_MS, /* numfds= */ NULL);
        if (sl_cancel_is_asked(t->cancel_fd)) {
            t->error_r = sl_cancel_error(&t->error);
            break;
        }
    }
    const CURLMsg *msg = rc || is_running ? NULL : curl_multi_info_read(t->multi, &left);
    CURLcode code = msg ? msg->data.result : CURLE_OUT_OF_MEMORY;
    (void)curl_multi_remove_handle(t->multi, t->easy);
    return code;
}

static int perform(const struct grpc_client *client, struct transfer *t, int timeout_ms,
                   struct sl_rpc_reply *ret, struct sl_error *err)
{
    int r = set_headers(t, timeout_ms, err);
    if (r < 0)
        return r;
    struct curl_slist *connect_to = NULL;
    if (client->connect_to && !(connect_to = curl_slist_append(NULL, client->connect_to)))
        return sl_error_oom(err);
    set_server(client, t, connect_to);
    set_limits(t->easy, timeout_ms);
    set_bodies(t);
    CURLcode code = transfer(t);
    curl_slist_free_all(connect_to);
    /* A server may refuse before it has read all, and then reset the stream. */
    if (code != CURLE_OK && !sl_grpc_answer_is_refusal(&t->answer)) {
        if (t->error_r == 0)
            return curl_failed(t, code, err);
        if (err)
            *err = t->error;
        return t->error_r;
    }
    enum sl_rpc_status status = SL_RPC_UNKNOWN;
    r = sl_grpc_answer_take(&t->answer, &status, &ret->message, &ret->text, err);
    if (r == 0)
        ret->status = (int)status;
    return r;
}

static int call(struct sl_client_wire *wire, const struct sl_client_question *question,
                struct sl_rpc_reply *ret, struct sl_error *err)
{
    struct grpc_client *client = (struct grpc_client *)wire;
    int timeout_ms = sl_clock_remaining_ms(question->deadline);
    if (timeout_ms <= 0) /* libcurl would take it for none */
        return sl_error_set(err, SL_E_NETWORK, ETIMEDOUT, "no time is left to ask");
    struct transfer t = {
        .multi = take_handle(client), .easy = curl_easy_init(), .cancel_fd = question->cancel_fd};
    int r = prepare(client, question, &t, err);
    if (r == 0)
        r = perform(client, &t, timeout_ms, ret, err);
    if (r == 0)
        give_handle_back(client, t.multi);
    else
        (void)curl_multi_cleanup(t.multi); /* its connection may be in any state */
    curl_easy_cleanup(t.easy);
    curl_slist_free_all(t.headers);
    sl_bytes_wipe(&t.body);
    sl_grpc_answer_done(&t.answer);
    free(t.url);
    return r;
}

/* --- the client --- */

static void close_client(struct sl_client_wire *wire)
{
    struct grpc_client *client = (struct grpc_client *)wire;
    while (client->n_idle)
        (void)curl_multi_cleanup(client->idle[--client->n_idle]);
    pthread_mutex_destroy(&client->lock);
    sl_grpc_target_done(&client->target);
    free(client->root_ca_file);
    free(client->cert_file);
    free(client->key_file);
    free(client->origin);
    free(client->connect_to);
    free(client);
    curl_global_cleanup();
}

static int copy(const char *text, char **ret, struct sl_error *err)
{
    if (!text)
        return 0;
    *ret = strdup(text);
    return *ret ? 0 : sl_error_oom(err);
}

static int set_client_tls(struct grpc_client *client, const struct sl_rpc_tls *tls,
                          struct sl_error *err)
{
    if (!tls || !tls->enabled)
        return 0;
    if (!tls->cert_file != !tls->key_file)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "a client certificate needs both cert-file and key-file");
    if (tls->server_name && !sl_grpc_is_host(sl_span_of(tls->server_name)))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "\"%s\" cannot be a server-name",
                            tls->server_name);
    client->has_tls = true;
    client->is_unverified = tls->insecure_skip_verify;
    int r = copy(tls->root_ca_file, &client->root_ca_file, err);
    if (r == 0)
        r = copy(tls->cert_file, &client->cert_file, err);
    return r < 0 ? r : copy(tls->key_file, &client->key_file, err);
}

/* libcurl checks certificates against the name in the URL, so a server-name has to stand there, and
 * the address aside. The same name goes into :authority. */
static int set_origin(struct grpc_client *client, const char *server_name, struct sl_error *err)
{
    const char *scheme = client->has_tls ? "https" : "http";
    const struct sl_grpc_target *target = &client->target;
    if (!server_name) {
        client->origin = sl_strf("%s://%s", scheme, target->authority);
        return client->origin ? 0 : sl_error_oom(err);
    }
    client->origin = target->port ? sl_strf("%s://%s:%s", scheme, server_name, target->port)
                                  : sl_strf("%s://%s", scheme, server_name);
    if (!client->origin)
        return sl_error_oom(err);
    if (target->socket_path)
        return 0;
    client->connect_to = sl_strf("::%s", target->authority);
    return client->connect_to ? 0 : sl_error_oom(err);
}

/* libcurl 7.88 sends a second preface when it uses a connection without TLS again. */
static bool needs_fresh_connections(const struct grpc_client *client)
{
    return !client->has_tls && curl_version_info(CURLVERSION_NOW)->version_num < 0x080000;
}

static int open_client(const char *target, const struct sl_rpc_tls *tls,
                       struct sl_client_wire **ret, struct sl_error *err)
{
    int r = sl_curl_start(err);
    if (r < 0)
        return r;
    struct grpc_client *client = calloc(1, sizeof(*client));
    if (!client) {
        curl_global_cleanup();
        return sl_error_oom(err);
    }
    client->base.ops = &sl_grpc_client;
    pthread_mutex_init(&client->lock, NULL);
    r = sl_grpc_target_parse(target, &client->target, err);
    if (r == 0)
        r = set_client_tls(client, tls, err);
    if (r == 0)
        r = set_origin(client, client->has_tls ? tls->server_name : NULL, err);
    if (r < 0) {
        close_client(&client->base);
        return r;
    }
    client->is_fresh_each_time = needs_fresh_connections(client);
    *ret = &client->base;
    return 0;
}

const struct sl_client_ops sl_grpc_client = {
    .open = open_client,
    .call = call,
    .close = close_client,
};
