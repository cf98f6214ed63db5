# SPDX-License-Identifier: Apache-2.0
sl_add_unit_test(security kbc)
sl_add_unit_test(security encryption_policy)
sl_add_unit_test(security provider_messages)
sl_add_unit_test(security key_provider)
sl_add_unit_test(security provider_call)
sl_add_unit_test(security answer_cache)
