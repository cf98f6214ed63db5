/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a layer's key to its annotations: the private options (PLBCO) wrapped for each recipient,
 * in the formats of ocicrypt (Go) and of CoCo's key provider. The strict side of what key_unwrap.h
 * reads leniently.
 */
#pragma once

#include "sluice/key_unwrap.h"

/* Who shall be able to open the layers. Public keys and names; with native packets also KEKs,
 * which live in locked memory. Filled before an encryption, read-only (any thread) during it. */
struct sl_recipients;
SL_MUST_CHECK int sl_recipients_new(struct sl_recipients **ret, struct sl_error *err);
struct sl_recipients *sl_recipients_free(struct sl_recipients *recipients);
SL_DEFINE_AUTO(sl_recipients, sl_recipients_free)

/* Asks the key provider of exactly this name to wrap; *ret is the element, not yet base64.
 * -ENOENT: no such provider is configured, and nothing was asked. May block; any thread. */
typedef int sl_provider_wrap_fn(void *arg, const char *name, const char *params,
                                struct sl_span plbco, struct sl_bytes *ret, struct sl_error *err);
/* has says without asking anybody whether a provider of this name is configured. */
void sl_recipients_set_provider(struct sl_recipients *recipients, sl_provider_wrap_fn *fn,
                                bool (*has)(void *arg, const char *name), void *arg);
/* KEKs of native packets whose parameters name no keypath. Set before adding specs. */
void sl_recipients_set_kek_lookup(struct sl_recipients *recipients, sl_kek_lookup_fn *fn,
                                  void *arg);
/* Packets under the public sample key: worthless as protection. */
void sl_recipients_allow_sample(struct sl_recipients *recipients, bool allow);
/* A256CTR packets, which anybody on the way can change bit by bit. */
void sl_recipients_allow_a256ctr(struct sl_recipients *recipients, bool allow);
/* The gnupg home directory in which pgp: recipients are looked up; NULL: the user's. */
SL_MUST_CHECK int sl_recipients_set_pgp_home(struct sl_recipients *recipients, const char *dir,
                                             struct sl_error *err);

/* One --encryption-key, in skopeo's syntax: jwe:FILE, pkcs7:FILE, pgp:ID, pkcs11:FILE,
 * provider:NAME[:PARAMS]. provider:attestation-agent:keypath=…::keyid=…::algorithm=… makes the
 * packet here unless a provider of that name is configured. Reads the files: whatever is wrong
 * with a recipient is told here, not after the first layer. */
SL_MUST_CHECK int sl_recipients_add_spec(struct sl_recipients *recipients, const char *spec,
                                         struct sl_error *err);
size_t sl_recipients_count(const struct sl_recipients *recipients);

/* A list of annotations to be put on a descriptor. */
struct sl_annotations {
    struct sl_pair *pairs;
    size_t n;
};
void sl_annotations_done(struct sl_annotations *list);
SL_DEFINE_AUTO_DONE(sl_annotations, sl_annotations_done)

/* The private options of a layer: {"symkey":…,"digest":…,"cipheroptions":{"nonce":…}}. plain is the
 * digest of the exact bytes that were encrypted. Secret: the caller wipes *ret. */
SL_MUST_CHECK int sl_plbco_write(const struct sl_layer_key *key, const struct sl_digest *plain,
                                 struct sl_bytes *ret, struct sl_error *err);
/* The annotations of a layer freshly encrypted: others (those of the plain layer) are kept, pubopts
 * and one enc.keys.* for each protocol in use are added. Blocks when a provider does. */
SL_MUST_CHECK int sl_recipients_annotate(const struct sl_recipients *recipients,
                                         struct sl_span plbco, const uint8_t hmac[SL_HMAC_SIZE],
                                         const struct sl_pair *others, size_t n_others,
                                         struct sl_annotations *ret, struct sl_error *err);
/* The annotations of a layer that is encrypted already, with recipients added: everything there is
 * stays as it is, new elements are appended to their lists. */
SL_MUST_CHECK int sl_recipients_append(const struct sl_recipients *recipients, struct sl_span plbco,
                                       const struct sl_pair *existing, size_t n_existing,
                                       struct sl_annotations *ret, struct sl_error *err);
/* Without those that belong to encryption: for a layer that was decrypted. */
SL_MUST_CHECK int sl_annotations_without_encryption(const struct sl_pair *existing,
                                                    size_t n_existing, struct sl_annotations *ret,
                                                    struct sl_error *err);

/* ---- CoCo packets, as a key provider makes them ---- */

enum { SL_KEK_SIZE = 32 };

/* keypath=…::keyid=…::algorithm=…::sample=true, split at "::", each at its first '='. Unknown names
 * are an error here: a typing mistake must not become another key. */
struct sl_packet_params {
    char *keypath; /* NULL: the KEK is looked up by its kid */
    char *kid;   /* canonical kbs:/// URI, random beside a keypath unless given; NULL with sample */
    bool is_ctr; /* algorithm=A256CTR */
    bool is_sample;
};
SL_MUST_CHECK int sl_packet_params_parse(const char *text, struct sl_packet_params *ret,
                                         struct sl_error *err);
void sl_packet_params_done(struct sl_packet_params *params);
SL_DEFINE_AUTO_DONE(sl_packet_params, sl_packet_params_done)
/* {"kid":…,"wrapped_data":…,"iv":…,"wrap_type":…} with a fresh iv. */
SL_MUST_CHECK int sl_packet_wrap(const uint8_t kek[SL_KEK_SIZE], const char *kid, bool is_ctr,
                                 struct sl_span plbco, struct sl_bytes *ret, struct sl_error *err);
/* What a key provider does with params: reads keypath or asks lookup, and wraps. */
SL_MUST_CHECK int sl_packet_wrap_with_params(const struct sl_packet_params *params,
                                             bool allow_sample, bool allow_ctr,
                                             sl_kek_lookup_fn *lookup, void *lookup_arg,
                                             struct sl_span plbco, struct sl_bytes *ret,
                                             struct sl_error *err);
/* The constant of CoCo's samples, known to everybody. */
extern const uint8_t sl_sample_kek[SL_KEK_SIZE];
