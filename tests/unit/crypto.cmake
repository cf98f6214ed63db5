# SPDX-License-Identifier: Apache-2.0
sl_add_unit_test(crypto aes_open)
sl_add_unit_test(crypto enc_annotations)
sl_add_unit_test(crypto plbco)
sl_add_unit_test(crypto unwrap_packet)
