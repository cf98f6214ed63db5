# SPDX-License-Identifier: Apache-2.0
sl_add_unit_test(crypto aes_open)
sl_add_unit_test(crypto enc_annotations)
sl_add_unit_test(crypto plbco)
sl_add_unit_test(crypto unwrap_packet)
sl_add_unit_test(crypto unwrap_jwe PRIVATE OpenSSL::Crypto)
sl_add_unit_test(crypto unwrap_pkcs7 PRIVATE OpenSSL::Crypto)
sl_add_unit_test(crypto key_file PRIVATE OpenSSL::Crypto)
sl_add_unit_test(crypto key_ring)
