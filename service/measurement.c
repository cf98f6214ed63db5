/* SPDX-License-Identifier: Apache-2.0 */
#include "measurement.h"

#include "sluice/core/log.h"
#include "sluice/rpc.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DEADLINE_MS = 10 * 1000 };
enum { RESULT_OK, RESULT_NOT_SUPPORTED, RESULT_NOT_ENABLED }; /* of the agent's protocol */

static const char service[] = "attestation_agent.AttestationAgentService";
static const char method[] = "ExtendRuntimeMeasurement";
static const char domain[] = "github.com/confidential-containers";
static const char operation[] = "PullImage";

/* The shortest form of RFC 8259, as serde_json writes it. */
static size_t escape(char out[8], unsigned char c)
{
    static const char named[] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r',
                                 ['\t'] = 't', ['"'] = '"',  ['\\'] = '\\'};
    static const char hex[] = "0123456789abcdef";
    static const char unicode[] = {'\\', 'u', '0', '0'};
    if (c < sizeof(named) && named[c]) {
        out[0] = '\\';
        out[1] = named[c];
        return 2;
    }
    if (c >= 0x20) {
        out[0] = (char)c;
        return 1;
    }
    memcpy(out, unicode, sizeof(unicode));
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    return 6;
}

static char *escaped(const char *text)
{
    char *out = malloc(strlen(text) * 6 + 8);
    size_t n = 0;
    for (; out && *text; text++)
        n += escape(out + n, (unsigned char)*text);
    if (out)
        out[n] = '\0';
    return out;
}

char *sl_measurement_text(const char *image, const char *digest)
{
    SL_AUTO_FREE char *safe_image = escaped(image);
    SL_AUTO_FREE char *safe_digest = escaped(digest);
    if (!safe_image || !safe_digest)
        return NULL;
    return sl_strf("{\"image\":\"%s\", \"digest\":\"%s\"}", safe_image, safe_digest);
}

/* Abstract sockets and other machines have no file. A link that leads nowhere is not nothing:
 * whoever has put it there must not decide that nothing is measured. */
static bool is_missing(const char *target)
{
    static const char scheme[] = "unix://";
    const char *path = target;
    struct stat st;
    if (strncmp(target, scheme, strlen(scheme)) == 0)
        path += strlen(scheme);
    return path[0] == '/' && lstat(path, &st) < 0 && errno == ENOENT;
}

static int ask(const char *aa_socket, struct sl_span request, int *ret_result, struct sl_error *err)
{
    SL_AUTO(sl_rpc_client) client = NULL;
    SL_AUTO_DONE(sl_bytes) answer = {0};
    int r = sl_rpc_client_new(SL_RPC_TTRPC, aa_socket, /* tls= */ NULL, &client, err);
    if (r == 0)
        r = sl_rpc_call(client, service, method, request, DEADLINE_MS, &answer,
                        /* ret_status= */ NULL, err);
    return r < 0 ? r : sl_measurement_answer_unpack(sl_bytes_span(&answer), ret_result, err);
}

static int measure(const char *aa_socket, const char *image, const char *digest, int *ret_result,
                   struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) request = {0};
    SL_AUTO_FREE char *text = sl_measurement_text(image, digest);
    if (!text)
        return sl_error_oom(err);
    int r = sl_measurement_pack(domain, operation, text, &request, err);
    return r < 0 ? r : ask(aa_socket, sl_bytes_span(&request), ret_result, err);
}

int sl_measure_pull(const char *aa_socket, const char *image, const char *digest,
                    struct sl_error *err)
{
    const struct sl_log_about about = {.image = image};
    int result = RESULT_OK;
    if (!aa_socket || !*aa_socket || is_missing(aa_socket)) {
        sl_log_of(SL_LOG_INFO, &about, "not measured: there is no attestation agent at %s",
                  aa_socket ? aa_socket : "a configured place");
        return 0;
    }
    int r = measure(aa_socket, image, digest, &result, err);
    if (r < 0)
        return sl_error_wrap(err, r, "extending the runtime measurement by %s", aa_socket);
    if (result != RESULT_OK)
        sl_log_of(SL_LOG_WARN, &about, "not measured: the attestation agent says that it is %s",
                  result == RESULT_NOT_SUPPORTED ? "not supported" : "not enabled");
    return 0;
}
