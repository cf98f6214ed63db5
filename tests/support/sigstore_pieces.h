/* SPDX-License-Identifier: Apache-2.0 */
/* What tests/support/sigstore_lab.py has written, and a trust made of it by hand. */
#pragma once

#include "sigstore_trust.h"

#include "assert_result.h"

#include <fcntl.h>
#include <inttypes.h>
#include <openssl/pem.h>

enum { PIECE_MAX = 1 << 20 };

/* path is absolute or relative to the lab's folder; the file must be there. */
static inline struct sl_bytes read_piece(const char *path)
{
    struct sl_bytes b = {0};
    struct sl_error err = {0};
    char full[512];
    (void)snprintf(full, sizeof(full), "%s%s", *path == '/' ? "" : SL_SIGSTORE_LAB "/", path);
    assert_done(sl_read_file(AT_FDCWD, full, PIECE_MAX, &b, &err));
    return b;
}

static inline EVP_PKEY *read_public_key(const char *path)
{
    struct sl_bytes pem = read_piece(path);
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    EVP_PKEY *key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    assert_non_null(key);
    BIO_free(bio);
    sl_bytes_done(&pem);
    return key;
}

static inline void spki_sum(EVP_PKEY *key, uint8_t out[32])
{
    uint8_t *spki = NULL;
    int len = i2d_PUBKEY(key, &spki);
    assert_true(len > 0);
    assert_int_equal(EVP_Digest(spki, (size_t)len, out, NULL, EVP_sha256(), NULL), 1);
    OPENSSL_free(spki);
}

/* Takes the key. Open-ended; id and host are for the caller to change. */
static inline struct sl_trusted_log log_of_key(EVP_PKEY *key)
{
    struct sl_trusted_log log = {.key.key = key, .valid = {INT64_MIN, INT64_MAX}};
    spki_sum(key, log.key.spki_sha256);
    memcpy(log.id, log.key.spki_sha256, sizeof(log.id));
    return log;
}

static inline void log_done(struct sl_trusted_log *log)
{
    EVP_PKEY_free(log->key.key);
    free(log->host);
}

/* A bundle and its log entry. */
struct pieces {
    struct sl_bytes payload, pae, signature, spki, certificate, response;
    struct sl_bytes body, set, root, hashes, checkpoint;
    uint8_t log_id[32];
    int64_t log_index, time;
    uint64_t proof_index, proof_size;
    char kind[32], version[16];
};

static inline struct sl_bytes one_piece(const char *bundle, const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "pieces/%s/%s", bundle, name);
    return read_piece(path);
}

static inline void read_numbers(struct pieces *p, const char *bundle)
{
    struct sl_bytes numbers = one_piece(bundle, "numbers");
    char hex[65];
    assert_int_equal(sscanf((char *)numbers.data,
                            "%64s %" SCNd64 " %" SCNd64 " %" SCNu64 " %" SCNu64 " %31s %15s", hex,
                            &p->log_index, &p->time, &p->proof_index, &p->proof_size, p->kind,
                            p->version),
                     7);
    for (size_t i = 0; i < sizeof(p->log_id); i++)
        assert_int_equal(sscanf(hex + 2 * i, "%2" SCNx8, &p->log_id[i]), 1);
    sl_bytes_done(&numbers);
}

/* bundle: one of the lab's. */
static inline struct pieces pieces_read(const char *bundle)
{
    struct pieces p = {
        .payload = one_piece(bundle, "payload"),
        .pae = one_piece(bundle, "pae"),
        .signature = one_piece(bundle, "signature"),
        .spki = one_piece(bundle, "spki"),
        .certificate = one_piece(bundle, "certificate"),
        .response = one_piece(bundle, "response"),
        .body = one_piece(bundle, "body"),
        .set = one_piece(bundle, "set"),
        .root = one_piece(bundle, "root"),
        .hashes = one_piece(bundle, "hashes"),
        .checkpoint = one_piece(bundle, "checkpoint"),
    };
    read_numbers(&p, bundle);
    return p;
}

static inline void pieces_done(struct pieces *p)
{
    struct sl_bytes *all[] = {&p->payload,     &p->pae,      &p->signature, &p->spki,
                              &p->certificate, &p->response, &p->body,      &p->set,
                              &p->root,        &p->hashes,   &p->checkpoint};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        sl_bytes_done(all[i]);
}
#define PIECES __attribute__((cleanup(pieces_done), unused)) struct pieces

/* PEM certificates, of any time. */
static inline struct sl_trusted_chain chain_read(const char *path)
{
    struct sl_bytes pem = read_piece(path);
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    struct sl_trusted_chain chain = {sk_X509_new_null(), {INT64_MIN, INT64_MAX}};
    X509 *cert;
    while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
        assert_true(sk_X509_push(chain.certs, cert) > 0);
    assert_true(sk_X509_num(chain.certs) > 1);
    BIO_free(bio);
    sl_bytes_done(&pem);
    return chain;
}

static inline void chain_done(struct sl_trusted_chain *chain)
{
    sk_X509_pop_free(chain->certs, X509_free);
}

static inline struct sl_logged_signature pieces_about(const struct pieces *p)
{
    return (struct sl_logged_signature){
        .signature = sl_bytes_span(&p->signature),
        .payload = sl_bytes_span(&p->payload),
        .pae = sl_bytes_span(&p->pae),
        .spki = sl_bytes_span(&p->spki),
        .certificate = sl_bytes_span(&p->certificate),
    };
}
