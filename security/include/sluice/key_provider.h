/* SPDX-License-Identifier: Apache-2.0 */
/*
 * External key providers: the programs and services named in the file of
 * OCICRYPT_KEYPROVIDER_CONFIG, and the JSON they speak (ocicrypt docs/keyprovider.md), both ends.
 * Commands are run here; calls over gRPC and ttrpc are handed in, since this room knows no wire.
 */
#pragma once

#include "sluice/core/json.h"

enum sl_provider_transport {
    SL_PROVIDER_CMD,
    SL_PROVIDER_GRPC,
    SL_PROVIDER_TTRPC,
};

/* How one provider is reached; when an entry names several ways, the first of cmd, grpc, ttrpc is
 * used, as ocicrypt does. "native" alone makes the provider unknown, so that the packet is opened
 * in this process. */
struct sl_provider {
    char *name;
    enum sl_provider_transport transport;
    char **argv;  /* of cmd: path and args, NULL-terminated */
    char *target; /* of grpc and ttrpc */
    struct {      /* of grpc */
        bool enabled;
        char *root_ca_file, *cert_file, *key_file, *server_name;
        bool insecure_skip_verify;
    } tls;
};

struct sl_providers;
/* The configuration file. SL_E_FORMAT names what is wrong where. */
SL_MUST_CHECK int sl_providers_parse(struct sl_span json, struct sl_providers **ret,
                                     struct sl_error *err);
/* path NULL: the file named in the environment variable OCICRYPT_KEYPROVIDER_CONFIG; unset or
 * empty: no providers. A file that is named and missing is an error. */
SL_MUST_CHECK int sl_providers_open(const char *path, struct sl_providers **ret,
                                    struct sl_error *err);
struct sl_providers *sl_providers_close(struct sl_providers *providers);
SL_DEFINE_AUTO(sl_providers, sl_providers_close)
/* By exact name, or NULL. */
const struct sl_provider *sl_providers_find(const struct sl_providers *providers, const char *name);
/* In the order of the file; NULL behind the last. */
const struct sl_provider *sl_providers_at(const struct sl_providers *providers, size_t i);

/* Carries a request to a provider over grpc or ttrpc and brings the answer, both JSON text. unwrap:
 * which of the two methods. May block until the deadline. Any thread. *ret is secret. */
typedef int sl_provider_call_fn(void *arg, const struct sl_provider *provider, bool unwrap,
                                struct sl_span request, int deadline_ms, struct sl_bytes *ret,
                                struct sl_error *err);
void sl_providers_set_call(struct sl_providers *providers, sl_provider_call_fn *fn, void *arg,
                           int deadline_ms);
/* Commands are killed, with SL_E_CANCELLED, once it is readable (core/cancel.h; borrowed). */
void sl_providers_set_cancel_fd(struct sl_providers *providers, int cancel_fd);

/* Have the types of sl_provider_unwrap_fn and sl_provider_wrap_fn; arg is the providers.
 * Concurrent unwraps of the same element are one request, and answers are kept, in locked memory,
 * until close. */
int sl_providers_unwrap(void *providers, const char *name, const char *params,
                        struct sl_span element, struct sl_bytes *ret, struct sl_error *err);
int sl_providers_wrap(void *providers, const char *name, const char *params, struct sl_span plbco,
                      struct sl_bytes *ret, struct sl_error *err);
bool sl_providers_has(void *providers, const char *name);

/* ---- the JSON, seen by a provider ---- */

enum sl_provider_op { SL_PROVIDER_WRAP, SL_PROVIDER_UNWRAP };

/* A request, checked. Secret when it wraps. */
struct sl_provider_request {
    enum sl_provider_op op;
    /* Of unwrap: the element; of wrap: the PLBCO. Decoded. */
    struct sl_bytes payload;
    /* Parameters of dc or ec, decoded: name and first value; owned. */
    struct sl_pair *params;
    size_t n_params;
};
SL_MUST_CHECK int sl_provider_request_parse(struct sl_span json, enum sl_provider_op expected,
                                            struct sl_provider_request *ret, struct sl_error *err);
/* Wipes. */
void sl_provider_request_done(struct sl_provider_request *request);
SL_DEFINE_AUTO_DONE(sl_provider_request, sl_provider_request_done)
/* Value of a parameter, or NULL. */
const char *sl_provider_request_param(const struct sl_provider_request *request, const char *name);
/* The answer, with the bytes as an array of numbers, which every peer reads. *ret is secret when
 * op is unwrap. */
SL_MUST_CHECK int sl_provider_answer_write(enum sl_provider_op op, struct sl_span payload,
                                           struct sl_bytes *ret, struct sl_error *err);
