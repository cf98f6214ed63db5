# SPDX-License-Identifier: Apache-2.0
sl_add_unit_test(security kbc)
sl_add_unit_test(security encryption_policy)
sl_add_unit_test(security provider_messages)
sl_add_unit_test(security key_provider)
sl_add_unit_test(security provider_call)
sl_add_unit_test(security answer_cache)
sl_add_unit_test(security key_wipe)
target_link_options(test_security_key_wipe PRIVATE -Wl,--wrap=free,--wrap=malloc,--wrap=calloc)
