# SPDX-License-Identifier: Apache-2.0
sl_add_unit_test(crypto blob_sums PRIVATE OpenSSL::Crypto)
sl_add_unit_test(crypto stage_digest SOURCES ${SL_STAGE_HARNESS})
sl_add_unit_test(crypto stage_decrypt SOURCES ${SL_STAGE_HARNESS} PRIVATE OpenSSL::Crypto)
sl_add_unit_test(crypto layer_key PRIVATE OpenSSL::Crypto)
sl_add_unit_test(crypto key_wipe SOURCES ${SL_STAGE_HARNESS} PRIVATE OpenSSL::Crypto)
target_link_options(test_crypto_key_wipe PRIVATE -Wl,--wrap=free,--wrap=calloc)
