/* SPDX-License-Identifier: Apache-2.0 */
#include "http_easy.h"

#include "http_url.h"
#include "retry.h"

#include "sluice/core/curl_errno.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

enum {
    ERROR_BODY_MAX = 16 * 1024, /* of an answer that is not the document */
    RECV_BUFFER = 128 * 1024,   /* libcurl's own, for each transfer */
    SEND_BUFFER = 256 * 1024,   /* likewise */
    TIDYING_MS = 5 * 1000,      /* nobody waits longer for what is only tidiness */
};

/* --- callbacks of libcurl --- */

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
    struct sl_fetch *f = arg;
    if (f->stop_r == 0 && !f->has_begun) { /* later ones are trailers */
        struct sl_span line = {(const uint8_t *)data, size * n};
        f->stop_r = sl_http_response_line(&f->response, line, &f->error);
    }
    return f->stop_r < 0 ? 0 : size * n;
}

static size_t take_error_body(struct sl_fetch *f, struct sl_span bytes)
{
    size_t room = ERROR_BODY_MAX - f->error_body.len;
    size_t len = bytes.len;
    if (bytes.len > room) {
        f->is_cut = true;
        bytes.len = room;
    }
    f->stop_r = sl_bytes_append(&f->error_body, bytes, ERROR_BODY_MAX, &f->error);
    return f->stop_r < 0 || f->is_cut ? 0 : len;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct sl_fetch *f = arg;
    struct sl_span bytes = {(const uint8_t *)data, size * n};
    if (f->response.status / 100 != 2) {
        f->moved += bytes.len;
        return take_error_body(f, bytes);
    }
    if (!f->has_begun) {
        f->has_begun = true;
        if (f->ops->begin)
            f->stop_r = f->ops->begin(f, &f->error);
    }
    int r = f->stop_r;
    if (r == 0 && f->ops->body)
        r = f->ops->body(f, bytes, &f->error);
    if (r == -EAGAIN) {
        sl_fetch_note_paused(f);
        return CURL_WRITEFUNC_PAUSE;
    }
    f->moved += bytes.len;
    f->stop_r = r;
    return r < 0 ? 0 : bytes.len;
}

static size_t on_read(char *to, size_t size, size_t n, void *arg)
{
    struct sl_fetch *f = arg;
    uint64_t left = f->send_size - f->sent;
    size_t room = size * n < left ? size * n : (size_t)left;
    if (!room)
        return 0;
    ssize_t got = f->ops->send(f, (uint8_t *)to, room, &f->error);
    sl_fetch_note_sending(f, got != -EAGAIN);
    if (got == -EAGAIN)
        return CURL_READFUNC_PAUSE;
    if (got < 0) {
        f->stop_r = (int)got;
        return CURL_READFUNC_ABORT;
    }
    f->sent += (uint64_t)got;
    return (size_t)got;
}

/* --- set-up --- */

static int add_line(struct sl_fetch *f, const char *line, struct sl_error *err)
{
    struct curl_slist *list = curl_slist_append(f->headers, line);
    if (!list)
        return sl_error_oom(err);
    f->headers = list;
    return 0;
}

static int add_header(struct sl_fetch *f, const char *name, const char *value, struct sl_error *err)
{
    SL_AUTO_SECRET line = sl_strf("%s: %s", name, value);
    return line ? add_line(f, line, err) : sl_error_oom(err);
}

static int set_headers(struct sl_fetch *f, struct sl_error *err)
{
    int r = 0;
    if (f->accept)
        r = add_header(f, "Accept", f->accept, err);
    if (r == 0 && !sl_fetch_is_reading(f)) {
        /* Without a value libcurl leaves a header out: the type it would make up, and the wait for
         * a leave to send. */
        r = f->content_type ? add_header(f, "Content-Type", f->content_type, err)
                            : add_line(f, "Content-Type:", err);
        if (r == 0)
            r = add_line(f, "Expect:", err);
    }
    if (r == 0 && f->authorization && f->may_authorize)
        r = add_header(f, "Authorization", f->authorization, err);
    if (r == 0)
        (void)curl_easy_setopt(f->transfer.easy, CURLOPT_HTTPHEADER, f->headers);
    return r;
}

static void set_roots(CURL *easy, const struct sl_bytes *roots)
{
    struct curl_blob blob = {
        .data = roots->data,
        .len = roots->len,
        .flags = CURL_BLOB_NOCOPY,
    };
    (void)curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
    (void)curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO_BLOB, &blob);
}

static void set_tls(struct sl_fetch *f)
{
    CURL *easy = f->transfer.easy;
    const struct sl_http_peer *peer = f->peer;
    (void)curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (peer->insecure) {
        (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    if (peer->roots.len)
        set_roots(easy, &peer->roots);
    if (peer->client_cert && sl_url_is_same_origin(peer->origin, f->hop_url)) {
        (void)curl_easy_setopt(easy, CURLOPT_SSLCERT, peer->client_cert);
        (void)curl_easy_setopt(easy, CURLOPT_SSLKEY, peer->client_key);
    }
}

static void set_limits(struct sl_fetch *f)
{
    CURL *easy = f->transfer.easy;
    const struct sl_http_settings *s = f->settings;
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)s->connect_timeout_ms);
    /* For the sake of this libcurl wakes the loop every second. */
    (void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, s->stall_timeout_s ? 1L : 0L);
    if (!f->send_size) /* else sl_fetch_note_sending() watches */
        (void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)sl_fetch_patience_s(f));
    if (f->is_tidying)
        (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)TIDYING_MS);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
}

static void set_method(struct sl_fetch *f)
{
    CURL *easy = f->transfer.easy;
    if (!strcmp(f->method, "HEAD")) {
        (void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        return;
    }
    if (f->send_size) {
        (void)curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)f->send_size);
        (void)curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)SEND_BUFFER);
        (void)curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
        (void)curl_easy_setopt(easy, CURLOPT_READDATA, (void *)f);
    } else {
        /* A NULL would make libcurl ask for the bytes. */
        const void *bytes = f->send_bytes.data ? (const void *)f->send_bytes.data : "";
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)f->send_bytes.len);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, bytes);
    }
    (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, f->method);
}

static const char *or_none(const char *text)
{
    return text ? text : "";
}

/* Unless told otherwise libcurl looks into the environment, also for the exceptions alone. */
static void set_proxy(struct sl_fetch *f)
{
    CURL *easy = f->transfer.easy;
    const struct sl_http_settings *s = f->settings;
    if (!s->https_proxy && !s->http_proxy)
        return;
    const char *proxy = sl_url_is_https(f->hop_url) ? s->https_proxy : s->http_proxy;
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, or_none(proxy));
    (void)curl_easy_setopt(easy, CURLOPT_NOPROXY, or_none(s->no_proxy));
}

static void set_request(struct sl_fetch *f)
{
    CURL *easy = f->transfer.easy;
    (void)curl_easy_setopt(easy, CURLOPT_URL, f->hop_url);
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, f->settings->user_agent);
    bool is_alone = f->is_blob && !f->is_small;
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                           is_alone ? (long)CURL_HTTP_VERSION_1_1 : (long)CURL_HTTP_VERSION_2TLS);
    if (f->method)
        set_method(f);
    if (f->has_range) {
        SL_AUTO_FREE char *range = f->range_end
                                       ? sl_strf("%llu-%llu", (unsigned long long)f->range_start,
                                                 (unsigned long long)f->range_end - 1)
                                       : sl_strf("%llu-", (unsigned long long)f->range_start);
        if (range)
            (void)curl_easy_setopt(easy, CURLOPT_RANGE, range);
    }
}

static void set_callbacks(struct sl_fetch *f)
{
    CURL *easy = f->transfer.easy;
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, (void *)f);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, (void *)f);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, f->curl_error);
    (void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)RECV_BUFFER);
}

void sl_http_easy_reset(struct sl_fetch *f)
{
    if (f->transfer.easy)
        curl_easy_reset(f->transfer.easy);
    for (struct curl_slist *h = f->headers; h; h = h->next)
        sl_wipe(h->data, strlen(h->data));
    curl_slist_free_all(f->headers);
    f->headers = NULL;
}

void sl_http_easy_free(struct sl_fetch *f)
{
    sl_http_easy_reset(f);
    if (f->transfer.easy)
        curl_easy_cleanup(f->transfer.easy);
    f->transfer.easy = NULL;
    free(f->curl_error);
    f->curl_error = NULL;
}

int sl_http_easy_send(struct sl_fetch *f, struct sl_error *err)
{
    if (!f->transfer.easy)
        f->transfer.easy = curl_easy_init();
    if (!f->curl_error)
        f->curl_error = calloc(1, CURL_ERROR_SIZE);
    if (!f->transfer.easy || !f->curl_error)
        return sl_error_oom(err);
    sl_http_easy_reset(f);
    sl_http_response_done(&f->response);
    sl_bytes_done(&f->error_body);
    f->error_body = (struct sl_bytes){0};
    f->has_begun = f->is_cut = false;
    f->sent = 0;
    f->stop_r = 0;
    f->curl_error[0] = '\0';
    set_request(f);
    set_limits(f);
    set_proxy(f);
    set_tls(f);
    set_callbacks(f);
    int r = set_headers(f, err);
    return r < 0 ? r : sl_http_loop_add(f->loop, &f->transfer, err);
}

/* --- errors --- */

/* What OpenSSL makes of "HTTP/1.0 400 Bad Request" in place of a TLS record. */
bool sl_http_easy_is_plain_answer(const struct sl_fetch *f, int curl_code)
{
    return curl_code == CURLE_SSL_CONNECT_ERROR && f->curl_error &&
           (strstr(f->curl_error, "wrong version number") ||
            strstr(f->curl_error, "packet length too long"));
}

bool sl_http_easy_is_transient(const struct sl_fetch *f, int curl_code)
{
    return sl_retry_is_transient_curl(curl_code) && !sl_http_easy_is_plain_answer(f, curl_code);
}

/* By TLS 1.3 a client has finished its handshake before the server looks at certificates. One that
 * misses the client's hangs up then, and its reset may overtake the alert that would tell. */
static bool is_hung_up_after_handshake(const struct sl_fetch *f, int curl_code)
{
    return (curl_code == CURLE_RECV_ERROR || curl_code == CURLE_SEND_ERROR ||
            curl_code == CURLE_GOT_NOTHING) &&
           f->response.status == 0 && !f->peer->client_cert &&
           strncmp(f->hop_url, "https:", 6) == 0;
}

/* libcurl keeps its first complaint, and one of those is about its own bookkeeping. */
static const char *curl_message(const struct sl_fetch *f, int curl_code)
{
    if (f->curl_error && strstr(f->curl_error, "nsupported proxy")) /* it quotes the password */
        return "the proxy's URL makes no sense (http://[USER:PASSWORD@]HOST[:PORT])";
    bool is_told = f->curl_error && f->curl_error[0] && !strstr(f->curl_error, "getpeername");
    return is_told ? f->curl_error : curl_easy_strerror(curl_code);
}

int sl_http_easy_error(const struct sl_fetch *f, int curl_code, struct sl_error *err)
{
    const char *advice = "";
    long proxy_status = 0;
    (void)curl_easy_getinfo(f->transfer.easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    if (proxy_status == 407)
        advice = "; the proxy wants other credentials";
    else if (curl_code == CURLE_PEER_FAILED_VERIFICATION)
        advice = "; trust its CA with --cert-dir, or use --tls-verify=false";
    else if (sl_http_easy_is_plain_answer(f, curl_code))
        advice = "; it speaks plain HTTP, which --tls-verify=false allows";
    else if (is_hung_up_after_handshake(f, curl_code))
        advice = "; if the server wants a client certificate, give one with --cert-dir";
    else if (curl_code == CURLE_UNSUPPORTED_PROTOCOL || curl_code == CURLE_WEIRD_SERVER_REPLY)
        advice = "; the server does not speak HTTP";
    return sl_error_set(err, SL_E_NETWORK, sl_curl_errno((CURLcode)curl_code), "%s%s",
                        curl_message(f, curl_code), advice);
}
