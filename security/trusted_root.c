/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trusted_root.json (sigstore/protobuf-specs, sigstore_trustroot.proto): the logs and authorities
 * of one sigstore. It is the operator's and attested, so what cannot be used is refused, not
 * skipped.
 */
#include "proto_json.h"
#include "sigstore_trust.h"

#include "sluice/core/openssl_auto.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROOT_SIZE_MAX = 1024 * 1024, /* bytes: that of any key file */
    ROOT_DEPTH_MAX = 16,
    LOGS_MAX = 64,
    AUTHORITIES_MAX = 64,
    CHAIN_MAX = 16,
};

static int wrong(struct sl_error *err, const char *what)
{
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "%s", what);
}

/* ---- times ---- */

static int read_time(const struct sl_json *range, const char *name, bool is_end, int64_t *ret,
                     struct sl_error *err)
{
    int64_t t;
    bool has_fraction;
    int r = sl_proto_time(range, name, &t, &has_fraction, err);
    if (r == 0) /* both ends belong to it, and times are in whole seconds */
        *ret = t + (has_fraction && !is_end);
    return r;
}

/* Without a start, whoever holds an old key could sign as if in the past. */
static int read_validity(const struct sl_json *range, struct sl_validity *ret, struct sl_error *err)
{
    static const char *const members[] = {"start", "end", NULL};
    struct sl_validity valid = {INT64_MIN, INT64_MAX};
    int r = sl_proto_check(range, "validFor", members, err);
    if (r == 0)
        r = read_time(range, "start", /* is_end= */ false, &valid.start, err);
    if (r == 0 && sl_proto_get(range, "end"))
        r = read_time(range, "end", /* is_end= */ true, &valid.end, err);
    if (r < 0)
        return r;
    if (valid.end < valid.start)
        return wrong(err, "'validFor' ends before it starts");
    *ret = valid;
    return 0;
}

/* ---- keys ---- */

/* RSAPublicKey of RFC 8017, without the wrapping of RFC 5280: old certificate logs. */
static int parse_pkcs1(struct sl_span der, struct sl_public_key *ret, struct sl_error *err)
{
    const uint8_t *end = der.data;
    SL_AUTO(evp_pkey_st) key = d2i_PublicKey(EVP_PKEY_RSA, NULL, &end, (long)der.len);
    if (!key || end != der.data + der.len) {
        ERR_clear_error();
        return wrong(err, "'rawBytes' is not one RSA public key of PKCS#1");
    }
    return sl_public_key_from_evp(key, ret, err);
}

struct key_form {
    const char *details; /* keyDetails */
    int type, bits;      /* of EVP_PKEY; bits 0: any that are allowed */
    bool is_pkcs1;
};
static const struct key_form key_forms[] = {
    {"PKIX_ECDSA_P256_SHA_256", EVP_PKEY_EC, 256, false},
    {"PKIX_ECDSA_P384_SHA_384", EVP_PKEY_EC, 384, false},
    {"PKIX_ECDSA_P384_SHA_256", EVP_PKEY_EC, 384, false},
    {"PKIX_ECDSA_P521_SHA_512", EVP_PKEY_EC, 521, false},
    {"PKIX_ECDSA_P521_SHA_256", EVP_PKEY_EC, 521, false},
    {"PKIX_ED25519", EVP_PKEY_ED25519, 0, false},
    {"PKIX_ED25519_PH", EVP_PKEY_ED25519, 0, false},
    {"PKIX_RSA_PKCS1V15_2048_SHA256", EVP_PKEY_RSA, 2048, false},
    {"PKIX_RSA_PKCS1V15_3072_SHA256", EVP_PKEY_RSA, 3072, false},
    {"PKIX_RSA_PKCS1V15_4096_SHA256", EVP_PKEY_RSA, 4096, false},
    {"PKIX_RSA_PKCS1V5", EVP_PKEY_RSA, 0, false},
    {"PKCS1_RSA_PKCS1V5", EVP_PKEY_RSA, 0, true},
};

static const struct key_form *find_key_form(const char *details)
{
    for (size_t i = 0; i < sizeof(key_forms) / sizeof(key_forms[0]); i++)
        if (strcmp(details, key_forms[i].details) == 0)
            return &key_forms[i];
    return NULL;
}

static int parse_key(const struct sl_json *node, struct sl_public_key *ret, struct sl_error *err)
{
    const char *details = "";
    SL_AUTO_DONE(sl_bytes) der = {0};
    int r = sl_proto_text(node, "keyDetails", &details, err);
    if (r == 0)
        r = sl_proto_need_bytes(node, "rawBytes", &der, err);
    if (r < 0)
        return r;
    const struct key_form *form = find_key_form(details);
    if (!form)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "keys of the kind '%.60s' are not supported", details);
    r = form->is_pkcs1 ? parse_pkcs1(sl_bytes_span(&der), ret, err)
                       : sl_public_key_parse_der(sl_bytes_span(&der), ret, err);
    if (r < 0)
        return r;
    bool fits = EVP_PKEY_get_base_id(ret->key) == form->type &&
                (form->bits == 0 || EVP_PKEY_get_bits(ret->key) == form->bits);
    if (fits)
        return 0;
    sl_public_key_done(ret);
    *ret = (struct sl_public_key){0};
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "the key is not of the kind '%s'", details);
}

static int read_key(const struct sl_json *node, struct sl_trusted_log *log, struct sl_error *err)
{
    static const char *const members[] = {"rawBytes", "keyDetails", "validFor", NULL};
    int r = sl_proto_check(node, "publicKey", members, err);
    if (r == 0)
        r = parse_key(node, &log->key, err);
    return r < 0 ? r : read_validity(sl_proto_get(node, "validFor"), &log->valid, err);
}

/* ---- logs ---- */

/* Empty when absent. */
static int read_id(const struct sl_json *node, const char *name, struct sl_bytes *ret,
                   struct sl_error *err)
{
    static const char *const members[] = {"keyId", NULL};
    if (!node)
        return 0;
    int r = sl_proto_check(node, name, members, err);
    return r < 0 ? r : sl_proto_need_bytes(node, "keyId", ret, err);
}

/* Entries name their log by logId. Newer documents may have checkpointKeyId alone, which serves
 * when it is not cut to the four bytes that stand in checkpoints. */
static int read_ids(const struct sl_json *node, struct sl_trusted_log *log, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) id = {0};
    SL_AUTO_DONE(sl_bytes) checkpoint_id = {0};
    int r = read_id(sl_proto_get(node, "logId"), "logId", &id, err);
    if (r == 0)
        r = read_id(sl_proto_get(node, "checkpointKeyId"), "checkpointKeyId", &checkpoint_id, err);
    if (r < 0)
        return r;
    const struct sl_bytes *known = id.len ? &id : &checkpoint_id;
    if (known->len != sizeof(log->id))
        return wrong(err, "'logId' must be of 32 bytes");
    memcpy(log->id, known->data, sizeof(log->id));
    return 0;
}

/* The part of a URL that checkpoints call the log by, with the port: C2SP tlog-checkpoint. */
static int read_host(const struct sl_json *node, struct sl_trusted_log *log, struct sl_error *err)
{
    const char *url = "";
    int r = sl_proto_text(node, "baseUrl", &url, err);
    if (r < 0)
        return r;
    const char *scheme = strstr(url, "://");
    const char *host = scheme ? scheme + 3 : url;
    size_t len = strcspn(host, "/?#");
    if (len == 0) /* it may be left out */
        return 0;
    if (strcspn(host, "@ \t\r\n+") < len)
        return wrong(err, "'baseUrl' must be a plain URL");
    log->host = strndup(host, len);
    return log->host ? 0 : sl_error_oom(err);
}

static int read_log(const struct sl_json *node, struct sl_trusted_log *log, struct sl_error *err)
{
    static const char *const members[] = {"baseUrl",         "hashAlgorithm", "publicKey", "logId",
                                          "checkpointKeyId", "operator",      NULL};
    const char *algorithm = "", *operated_by = "";
    int r = sl_proto_check(node, "log", members, err);
    if (r == 0)
        r = sl_proto_text(node, "hashAlgorithm", &algorithm, err);
    if (r == 0)
        r = sl_proto_text(node, "operator", &operated_by, err);
    if (r < 0)
        return r;
    if (strcmp(algorithm, "SHA2_256") != 0)
        return wrong(err, "'hashAlgorithm' must be SHA2_256");
    r = read_host(node, log, err);
    if (r == 0)
        r = read_ids(node, log, err);
    return r < 0 ? r : read_key(sl_proto_get(node, "publicKey"), log, err);
}

static int read_logs(const struct sl_json *root, const char *name, struct sl_trusted_log **logs,
                     size_t *n_logs, struct sl_error *err)
{
    const struct sl_json *list = NULL;
    size_t n = 0;
    int r = sl_proto_list(root, name, LOGS_MAX, &list, &n, err);
    if (r < 0 || n == 0)
        return r;
    struct sl_trusted_log *more = reallocarray(*logs, *n_logs + n, sizeof(*more));
    if (!more)
        return sl_error_oom(err);
    *logs = more;
    for (size_t i = 0; i < n; i++) {
        struct sl_trusted_log *log = &more[(*n_logs)++];
        *log = (struct sl_trusted_log){0};
        r = read_log(sl_json_at(list, i), log, err);
        if (r < 0)
            return sl_error_wrap(err, r, "'%s' %zu", name, i + 1);
    }
    return 0;
}

/* ---- authorities ---- */

static int read_certificate(const struct sl_json *node, STACK_OF(X509) * certs,
                            struct sl_error *err)
{
    static const char *const members[] = {"rawBytes", NULL};
    SL_AUTO_DONE(sl_bytes) der = {0};
    SL_AUTO(x509_st) cert = NULL;
    int r = sl_proto_check(node, "certificates", members, err);
    if (r == 0)
        r = sl_proto_need_bytes(node, "rawBytes", &der, err);
    if (r == 0)
        r = sl_certificate_parse_der(sl_bytes_span(&der), &cert, err);
    if (r < 0)
        return r;
    if (sk_X509_push(certs, cert) <= 0)
        return sl_error_oom(err);
    cert = NULL; /* the stack's now */
    return 0;
}

static int read_chain(const struct sl_json *node, struct sl_trusted_chain *chain,
                      struct sl_error *err)
{
    static const char *const members[] = {"certificates", NULL};
    const struct sl_json *list = NULL;
    size_t n = 0;
    int r = sl_proto_check(node, "certChain", members, err);
    if (r == 0)
        r = sl_proto_list(node, "certificates", CHAIN_MAX, &list, &n, err);
    if (r < 0)
        return r;
    if (n == 0)
        return wrong(err, "'certChain' is empty");
    chain->certs = sk_X509_new_null();
    if (!chain->certs)
        return sl_error_oom(err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = read_certificate(sl_json_at(list, i), chain->certs, err);
        if (r < 0)
            return sl_error_wrap(err, r, "certificate %zu", i + 1);
    }
    return 0;
}

static int check_subject(const struct sl_json *node, struct sl_error *err)
{
    static const char *const members[] = {"organization", "commonName", NULL};
    return node ? sl_proto_check(node, "subject", members, err) : 0;
}

static int read_authority(const struct sl_json *node, struct sl_trusted_chain *chain,
                          struct sl_error *err)
{
    static const char *const members[] = {"subject",  "uri",      "certChain",
                                          "validFor", "operator", NULL};
    int r = sl_proto_check(node, "authority", members, err);
    if (r == 0) /* names for people; certificates have their own */
        r = check_subject(sl_proto_get(node, "subject"), err);
    if (r == 0)
        r = read_validity(sl_proto_get(node, "validFor"), &chain->valid, err);
    return r < 0 ? r : read_chain(sl_proto_get(node, "certChain"), chain, err);
}

static int read_authorities(const struct sl_json *root, const char *name,
                            struct sl_trusted_chain **chains, size_t *n_chains,
                            struct sl_error *err)
{
    const struct sl_json *list = NULL;
    size_t n = 0;
    int r = sl_proto_list(root, name, AUTHORITIES_MAX, &list, &n, err);
    if (r < 0 || n == 0)
        return r;
    struct sl_trusted_chain *more = reallocarray(*chains, *n_chains + n, sizeof(*more));
    if (!more)
        return sl_error_oom(err);
    *chains = more;
    for (size_t i = 0; i < n; i++) {
        struct sl_trusted_chain *chain = &more[(*n_chains)++];
        *chain = (struct sl_trusted_chain){0};
        r = read_authority(sl_json_at(list, i), chain, err);
        if (r < 0)
            return sl_error_wrap(err, r, "'%s' %zu", name, i + 1);
    }
    return 0;
}

/* ---- the document ---- */

static int check_media_type(const struct sl_json *root, struct sl_error *err)
{
    static const char *const known[] = {
        "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "application/vnd.dev.sigstore.trustedroot.v0.1+json",
        "application/vnd.dev.sigstore.trustedroot.v0.2+json", /* adds operators, no rules we need */
    };
    const char *media_type = sl_json_string(sl_proto_get(root, "mediaType"));
    if (!media_type)
        return wrong(err, "'mediaType' must be a string");
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(media_type, known[i]) == 0)
            return 0;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                        "'mediaType' is '%.80s', and versions 0.1 and 0.2 are known", media_type);
}

static int read_root(const struct sl_json *root, struct sl_sigstore_trust *trust,
                     struct sl_error *err)
{
    static const char *const members[] = {
        "mediaType", "tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities", NULL};
    int r = check_media_type(root, err);
    if (r == 0)
        r = sl_proto_check(root, "trusted root", members, err);
    if (r == 0)
        r = read_logs(root, "tlogs", &trust->logs, &trust->n_logs, err);
    if (r == 0)
        r = read_logs(root, "ctlogs", &trust->ct_logs, &trust->n_ct_logs, err);
    if (r == 0)
        r = read_authorities(root, "certificateAuthorities", &trust->authorities,
                             &trust->n_authorities, err);
    if (r == 0)
        r = read_authorities(root, "timestampAuthorities", &trust->timestampers,
                             &trust->n_timestampers, err);
    return r;
}

int sl_trusted_root_parse(struct sl_span json, struct sl_sigstore_trust *trust,
                          struct sl_error *err)
{
    const struct sl_json_limits limits = {ROOT_SIZE_MAX, ROOT_DEPTH_MAX};
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = sl_json_parse(json, "sigstore trusted root", &limits, &doc, err);
    if (r < 0)
        return r;
    r = read_root(sl_json_root(doc), trust, err);
    if (r < 0)
        return sl_error_wrap(err, r, "sigstore trusted root");
    trust->has_trusted_root = true;
    return 0;
}
