/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever can push a signature controls these bytes: an RFC 3161 response. The corpus has some that
 * are good under this chain; none is of two signatures. */
#include "sigstore_trust.h"

#include <openssl/pem.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* sigstore_lab.py's authority, its CA and their root. */
static const char chain_pem[] = "-----BEGIN CERTIFICATE-----\n"
                                "MIIBvzCCAWWgAwIBAgIQWNaxbXPNhpvmBSpP/Ix1QzAKBggqhkjOPQQDAjAyMRUw\n"
                                "EwYDVQQKDAxzaWdzdG9yZS1sYWIxGTAXBgNVBAMMEHRzYSBpbnRlcm1lZGlhdGUw\n"
                                "HhcNMjAwMTAxMDAwMDAwWhcNNDUwMTAxMDAwMDAwWjAlMRUwEwYDVQQKDAxzaWdz\n"
                                "dG9yZS1sYWIxDDAKBgNVBAMMA3RzYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IA\n"
                                "BCmEe9SrCADE3d14FYM11SygRpheX9JatFcCBmK+qblmUnt+BHdqQTB9xRtT4sfu\n"
                                "Y4wwKs6VPZf25sXgIPCAZ1ujajBoMA4GA1UdDwEB/wQEAwIHgDAWBgNVHSUBAf8E\n"
                                "DDAKBggrBgEFBQcDCDAdBgNVHQ4EFgQUjxLOZ65Gp/cQy3k9k6U+ZmsjqXcwHwYD\n"
                                "VR0jBBgwFoAUJ6NcCD8UlI6D72daqGOn0tOqrFMwCgYIKoZIzj0EAwIDSAAwRQIg\n"
                                "BBfD7pMat89Y02jucboi2EC5sxREZSya4lOoHQNvuXECIQDH+RbuxJBEn0MvN6dE\n"
                                "rx64XhBXjMA5Y476Nn8oivGzqQ==\n"
                                "-----END CERTIFICATE-----\n"
                                "-----BEGIN CERTIFICATE-----\n"
                                "MIIB1TCCAXugAwIBAgIQS+T1sjiJMrvfMbgfAQAHnzAKBggqhkjOPQQDAjAqMRUw\n"
                                "EwYDVQQKDAxzaWdzdG9yZS1sYWIxETAPBgNVBAMMCHRzYSByb290MB4XDTIwMDEw\n"
                                "MTAwMDAwMFoXDTQ1MDEwMTAwMDAwMFowMjEVMBMGA1UECgwMc2lnc3RvcmUtbGFi\n"
                                "MRkwFwYDVQQDDBB0c2EgaW50ZXJtZWRpYXRlMFkwEwYHKoZIzj0CAQYIKoZIzj0D\n"
                                "AQcDQgAEh/0jRDk2Cyq4rJgwhlaTcpHVtalbBfvQ3Y5Oik73nCDcOmfJsG/wszg1\n"
                                "QtV1miVpaD1hIpXQq/Upj0UOq3p9QaN7MHkwDgYDVR0PAQH/BAQDAgEGMBMGA1Ud\n"
                                "JQQMMAoGCCsGAQUFBwMIMBIGA1UdEwEB/wQIMAYBAf8CAQAwHQYDVR0OBBYEFCej\n"
                                "XAg/FJSOg+9nWqhjp9LTqqxTMB8GA1UdIwQYMBaAFHn1/QlVs6ZqBKeRfxlgIVst\n"
                                "cvpFMAoGCCqGSM49BAMCA0gAMEUCIBI69LpOs7rzqMI0gUbIM4M8rvJYRpKS8WBx\n"
                                "s16Qdys5AiEAtb34VMPYjzzooY3wHN2haWnbM1RqdEJQ2nOPei+4hps=\n"
                                "-----END CERTIFICATE-----\n"
                                "-----BEGIN CERTIFICATE-----\n"
                                "MIIBlzCCAT2gAwIBAgIQN76QqapcQAvWKHKc10bu4zAKBggqhkjOPQQDAjAqMRUw\n"
                                "EwYDVQQKDAxzaWdzdG9yZS1sYWIxETAPBgNVBAMMCHRzYSByb290MB4XDTIwMDEw\n"
                                "MTAwMDAwMFoXDTQ1MDEwMTAwMDAwMFowKjEVMBMGA1UECgwMc2lnc3RvcmUtbGFi\n"
                                "MREwDwYDVQQDDAh0c2Egcm9vdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABOfX\n"
                                "wytKKhvlh2BRx9Rm8mEQ6tohQ5c1q0Zypyt8kFQZdERVx34VASpQYTKzuM6EqHJq\n"
                                "XLmUxc+YTKzssFKXdDCjRTBDMA4GA1UdDwEB/wQEAwIBBjASBgNVHRMBAf8ECDAG\n"
                                "AQH/AgEBMB0GA1UdDgQWBBR59f0JVbOmagSnkX8ZYCFbLXL6RTAKBggqhkjOPQQD\n"
                                "AgNIADBFAiEA/8HcP97eYDlnIGD1Q3nTasy5JN7kKvmxLPvvyxB3KlECIFcW0joN\n"
                                "IwnFyy6Q8RU3T9pKxXgr4ei/yva7hrew2muP\n"
                                "-----END CERTIFICATE-----\n";

static struct sl_trusted_chain read_chain(void)
{
    struct sl_trusted_chain chain = {sk_X509_new_null(), {INT64_MIN, INT64_MAX}};
    BIO *bio = BIO_new_mem_buf(chain_pem, -1);
    X509 *cert;
    while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
        if (sk_X509_push(chain.certs, cert) < 1)
            abort();
    BIO_free(bio);
    if (sk_X509_num(chain.certs) != 3)
        abort();
    return chain;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sl_trusted_chain chain;
    if (!chain.certs)
        chain = read_chain();
    const struct sl_sigstore_trust trust = {.timestampers = &chain, .n_timestampers = 1};
    struct sl_span response = {data, size};
    int64_t time;
    struct sl_error err;
    if (sl_timestamp_check(&trust, response, sl_span_of("a signature"), &time, &err) == 0 &&
        sl_timestamp_check(&trust, response, sl_span_of("another one"), &time, &err) == 0)
        abort();
    return 0;
}
