/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include "sluice/core/resource_uri.h"
#include "sluice/resource.h"
#include "sluice/rpc.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BAD(err, ...) sl_error_set(err, SL_E_FORMAT, EINVAL, __VA_ARGS__)

static const char *behind(const char *text, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

/* ---- addresses ---- */

static int check_address(char *address, char **ret, struct sl_error *err)
{
    SL_AUTO_FREE char *owned = address;
    if (!owned)
        return sl_error_oom(err);
    int r = sl_rpc_address_check(owned, err);
    if (r == 0)
        *ret = sl_steal(&owned);
    return r;
}

int sl_config_check_listen(const char *text, char **ret, struct sl_error *err)
{
    if (behind(text, "unix://") || behind(text, "vsock://"))
        return check_address(sl_strf("ttrpc+%s", text), ret, err);
    if (!strstr(text, "://"))
        return check_address(sl_strf("grpc://%s", text), ret, err);
    return sl_rpc_address_check(text, err);
}

int sl_config_check_control(const char *text, char **ret, struct sl_error *err)
{
    if (!*text)
        return 0;
    if (!behind(text, "unix://") && !behind(text, "ttrpc"))
        return BAD(err, "'%.200s' is no address of ttrpc: say unix:///PATH, or \"\" for none",
                   text);
    return sl_config_check_listen(text, ret, err);
}

int sl_config_check_target(const char *text, char **ret, struct sl_error *err)
{
    (void)ret;
    SL_AUTO(sl_rpc_client) client = NULL;
    return sl_rpc_client_new(SL_RPC_TTRPC, text, /* tls= */ NULL, &client, err);
}

static bool is_loopback(const char *host_port)
{
    return behind(host_port, "127.") || behind(host_port, "[::1]:") ||
           behind(host_port, "localhost:");
}

int sl_config_check_metrics(const char *text, char **ret, struct sl_error *err)
{
    (void)ret;
    const char *path = behind(text, "unix://");
    if (!path && !is_loopback(text))
        return BAD(err,
                   "'%.200s': metrics are told to this machine alone: say unix:///PATH or "
                   "127.0.0.1:PORT",
                   text);
    SL_AUTO_FREE char *address =
        sl_strf(path ? "ttrpc+unix://%s" : "ttrpc://%s", path ? path : text);
    return address ? sl_rpc_address_check(address, err) : sl_error_oom(err);
}

const char *sl_config_address_tail(const char *address)
{
    const char *sep = strstr(address, "://");
    return sep ? sep + 3 : address;
}

/* ---- names of files and resources ---- */

bool sl_config_is_plain_path(const char *path)
{
    while (*path) {
        size_t n = strcspn(++path, "/");
        bool is_dots = (n == 1 && path[0] == '.') || (n == 2 && path[0] == '.' && path[1] == '.');
        bool is_last = path[n] == 0;
        if (is_dots || (n == 0 && !is_last))
            return false;
        path += n;
    }
    return true;
}

int sl_config_check_path(const char *text, char **ret, struct sl_error *err)
{
    (void)ret;
    if (*text && *text != '/')
        return BAD(err, "'%.200s' must be an absolute path", text);
    return 0;
}

int sl_config_check_folder(const char *text, char **ret, struct sl_error *err)
{
    if (*text != '/' || !sl_config_is_plain_path(text))
        return BAD(err, "'%.200s' must be an absolute path without . and ..", text);
    size_t len = strlen(text);
    if (len < 2 || text[len - 1] != '/')
        return 0;
    char *shorter = strndup(text, len - 1);
    if (!shorter)
        return sl_error_oom(err);
    *ret = shorter;
    return 0;
}

static int check_kbs(const char *text, struct sl_error *err)
{
    SL_AUTO_DONE(sl_resource_uri) uri = {0};
    int r = sl_resource_uri_parse(text, &uri, err);
    if (r == 0 && strcmp(uri.plugin, "resource") == 0)
        r = sl_resource_uri_need_resource(&uri, err);
    return r;
}

int sl_config_check_resource(const char *text, char **ret, struct sl_error *err)
{
    (void)ret;
    if (behind(text, "kbs://") || behind(text, "kbs+"))
        return check_kbs(text, err);
    const char *path = behind(text, "file://");
    if (*(path ? path : text) != '/')
        return BAD(err,
                   "'%.200s' names no resource: say kbs:///REPOSITORY/TYPE/TAG, file:///PATH or "
                   "/PATH",
                   text);
    return 0;
}

/* ---- the rest ---- */

int sl_config_check_proxy(const char *text, char **ret, struct sl_error *err)
{
    (void)ret;
    static const char *const schemes[] = {"http",   "https",   "socks4", "socks4a",
                                          "socks5", "socks5h", NULL};
    const char *sep = strstr(text, "://");
    bool is_known = !sep;
    for (size_t i = 0; sep && schemes[i]; i++)
        is_known |= strlen(schemes[i]) == (size_t)(sep - text) &&
                    strncasecmp(schemes[i], text, (size_t)(sep - text)) == 0;
    if (!is_known || !*sl_config_address_tail(text) || strchr(text, ' '))
        return BAD(err, "is no proxy (its text is not shown, since it may hold a password): say "
                        "http://HOST:PORT");
    return 0;
}

/* Takes the next certificate off the text: 1, or 0 when there is none any more. */
static int next_certificate(BIO *bio, struct sl_error *err)
{
    ERR_clear_error();
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    X509_free(cert);
    unsigned long why = ERR_peek_last_error();
    ERR_clear_error();
    if (cert)
        return 1;
    if (ERR_GET_REASON(why) == PEM_R_NO_START_LINE)
        return 0;
    return BAD(err, "not every PEM block in it is a certificate that can be read");
}

static int count_certificates(const char *pem, size_t *ret, struct sl_error *err)
{
    size_t n = 0;
    int r;
    BIO *bio = BIO_new_mem_buf(pem, -1);
    if (!bio)
        return sl_error_oom(err);
    while ((r = next_certificate(bio, err)) == 1)
        n++;
    BIO_free(bio);
    *ret = n;
    return r;
}

static size_t count_blocks(const char *pem)
{
    size_t n = 0;
    for (; (pem = strstr(pem, "-----BEGIN ")); pem++)
        n++;
    return n;
}

int sl_config_check_certificates(const char *text, char **ret, struct sl_error *err)
{
    (void)ret;
    size_t n = 0;
    int r = count_certificates(text, &n, err);
    if (r < 0)
        return r;
    if (n == 0)
        return BAD(err, "holds no certificate: PEM text is wanted, not a file's name");
    /* OpenSSL skips blocks of other kinds. */
    if (n != count_blocks(text))
        return BAD(err, "holds something else than certificates");
    return 0;
}

size_t sl_config_count_certificates(const char *pem)
{
    size_t n = 0;
    return count_certificates(pem, &n, NULL) == 0 ? n : 0;
}

int sl_config_check_pinned_digest(const char *text, char **ret, struct sl_error *err)
{
    (void)ret;
    return sl_pinned_digest_parse(text, err);
}

int sl_config_check_kbc_name(const char *text, char **ret, struct sl_error *err)
{
    (void)ret;
    if (text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")])
        return BAD(err,
                   "'%.100s' is no name of a key broker client, such as cc_kbc or "
                   "offline_fs_kbc",
                   text);
    return 0;
}

int sl_config_check_log_level(const char *text, char **ret, struct sl_error *err)
{
    static const char *const levels[] = {"error", "warn", "info", "debug", "trace"};
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (strcasecmp(text, levels[i]) == 0) {
            char *level = strdup(levels[i]);
            if (!level)
                return sl_error_oom(err);
            *ret = level;
            return 0;
        }
    return BAD(err, "'%.100s' is none of error, warn, info, debug, trace", text);
}

/* Also those of ISO 6429's upper half, U+0080 to U+009F, which are c2 80 to c2 9f. */
bool sl_config_has_control(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p < ' ' || *p == 0x7f || (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f))
            return true;
    return false;
}

int sl_config_parse_size(const char *text, uint64_t *ret, struct sl_error *err)
{
    static const char units[] = "kmg";
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    bool ok = errno == 0 && *text >= '0' && *text <= '9';
    unsigned shift = 0;
    if (ok && *end) {
        const char *unit = strchr(units, *end | 0x20);
        ok = unit && end[1] == 0;
        shift = ok ? 10 * ((unsigned)(unit - units) + 1) : 0;
    }
    if (!ok || v > (uint64_t)INT64_MAX >> shift)
        return BAD(err, "'%.100s' is not a size such as 64M", text);
    *ret = (uint64_t)v << shift;
    return 0;
}
