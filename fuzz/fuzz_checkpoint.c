/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever can push a signature controls these bytes: the checkpoint of an inclusion proof, here of
 * a tree with one leaf. The corpus has notes that both logs have signed. */
#include "sigstore_trust.h"

#include <openssl/pem.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of sigstore_lab.py's two logs. */
static const char v1_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                             "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEgoThVyU1OBhpVHnUGkPezPnzrfXd\nyBV"
                             "PdMPRjRhSv3TnpVRdZDpubi2159hr1A7VRhe070+ICYjRuWylnDhbJA==\n"
                             "-----END PUBLIC KEY-----\n";
static const char v2_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                             "MCowBQYDK2VwAyEAvSSdAFVMwprfiPpTR7gPwKexbXD4gX0sQhTsbkp86iM=\n"
                             "-----END PUBLIC KEY-----\n";

/* SHA-256 of 00 and "entry". */
static const uint8_t root[32] = {0xd9, 0xc2, 0xd6, 0x6b, 0x52, 0x2c, 0x25, 0x22, 0x72, 0x8f, 0x53,
                                 0x9f, 0xf9, 0xf6, 0x7b, 0x85, 0xd4, 0x0d, 0xef, 0xff, 0x09, 0x5f,
                                 0xc8, 0xa5, 0x28, 0xc9, 0x94, 0xf4, 0xf3, 0x5b, 0xb3, 0xde};

static struct sl_trusted_log log_of(const char *pem, char *host)
{
    struct sl_trusted_log log = {.host = host, .valid = {INT64_MIN, INT64_MAX}};
    struct sl_error err;
    if (sl_public_key_parse_pem(sl_span_of(pem), &log.key, &err) < 0)
        abort();
    return log;
}

static void check(const struct sl_trusted_log *log, const char *note)
{
    const struct sl_inclusion_proof proof = {
        .size = 1,
        .root = {root, sizeof(root)},
        .checkpoint = note,
    };
    struct sl_error err;
    if (sl_rekor_proof_check(log, sl_span_of("entry"), &proof, &err) == 0 &&
        !strstr(note, "\n1\n2cLWa1IsJSJyj1Of+fZ7hdQN7/8JX8ilKMmU9PNbs94=\n"))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sl_trusted_log v1, v2;
    static char host[] = "log2025.rekor.lab.example.com";
    if (!v1.key.key) {
        v1 = log_of(v1_pem, /* host= */ NULL);
        v2 = log_of(v2_pem, host);
    }
    SL_AUTO_FREE char *note = strndup((const char *)data, size);
    if (!note)
        abort();
    check(&v1, note);
    check(&v2, note);
    return 0;
}
