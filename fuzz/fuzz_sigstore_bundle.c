/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever can write to the repository controls a bundle. The key has signed nothing. */
#include "bundle.h"
#include "sigstore_signing.h"
#include "sigstore_trust.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DIGEST                                                                                     \
    "036f7e8d5057764d9232a53b0014d766076eb9ecb8189d62679121b43b57f2ac" /* of the manifest below */

/* sigstore_lab.py's other.pub */
static const char key[] = "-----BEGIN PUBLIC KEY-----\n"
                          "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEjQA5M8dFRCNfUJ8iy6yxEDSOKEPW\n"
                          "QrMxcj+H8Dw505AShkOE3kOfz7Bycx746zJ9UmVyznsJSsTULQ2vEcxDYQ==\n"
                          "-----END PUBLIC KEY-----\n";

static void judge(struct sl_span json)
{
    static struct sl_public_key public_key;
    static struct sl_sigstore_trust trust = {.keys = &public_key, .n_keys = 1};
    if (!public_key.key && sl_public_key_parse_pem(sl_span_of(key), &public_key, NULL) < 0)
        abort();
    const struct sl_requirement requirement = {.accepts_bundles = true, .trust = &trust};
    struct sl_judged_image image = {.name = "example.com/image:1",
                                    .manifest = sl_span_of("an image manifest")};
    if (sl_digest_parse("sha256:" DIGEST, &image.manifest_digest, NULL) < 0)
        abort();
    const struct sl_signature signature = {
        .kind = SL_SIGNATURE_BUNDLE,
        .bytes = {.data = (uint8_t *)(uintptr_t)json.data, .len = json.len},
    };
    struct sl_signature_finding finding = {0};
    /* Verification has no third answer. */
    if (sl_bundle_signature_verify(&requirement, &image, &signature, &finding) != -EKEYREJECTED ||
        finding.code == SL_SIG_OK || !*finding.reason)
        abort();
}

/* What the versions demand holds for all that was accepted. */
static void check_form(const struct sl_bundle *b)
{
    if (sl_bundle_signature(b).len == 0 || b->n_entries > SL_BUNDLE_ENTRIES_MAX ||
        b->n_timestamps > SL_BUNDLE_TIMESTAMPS_MAX)
        abort();
    if (b->version == SL_BUNDLE_0_3 && b->n_certificates > 1)
        abort();
    for (size_t i = 0; i < b->n_entries; i++) {
        const struct sl_bundle_entry *e = &b->entries[i];
        bool has_evidence = b->version == SL_BUNDLE_0_1 ? e->set.len > 0 : e->has_proof;
        if (!has_evidence || e->log_index < 0 || e->body.len == 0 ||
            e->n_proof_hashes > SL_BUNDLE_PROOF_HASHES_MAX)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO_DONE(sl_bundle) bundle = {0};
    struct sl_error err;
    if (sl_bundle_parse((struct sl_span){data, size}, &bundle, &err) == 0)
        check_form(&bundle);
    judge((struct sl_span){data, size});
    return 0;
}
