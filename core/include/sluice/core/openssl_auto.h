/* SPDX-License-Identifier: Apache-2.0 */
/* SL_AUTO() for the OpenSSL types of this module: SL_AUTO(evp_pkey_st) key = NULL; */
#pragma once

#include "sluice/core/cleanup.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/decoder.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>

SL_DEFINE_AUTO(bio_st, BIO_free_all)
SL_DEFINE_AUTO(bignum_st, BN_clear_free)
SL_DEFINE_AUTO(evp_cipher_ctx_st, EVP_CIPHER_CTX_free)
SL_DEFINE_AUTO(evp_pkey_st, EVP_PKEY_free)
SL_DEFINE_AUTO(evp_pkey_ctx_st, EVP_PKEY_CTX_free)
SL_DEFINE_AUTO(ossl_decoder_ctx_st, OSSL_DECODER_CTX_free)
SL_DEFINE_AUTO(ossl_param_bld_st, OSSL_PARAM_BLD_free)
SL_DEFINE_AUTO(x509_st, X509_free)
