# SPDX-License-Identifier: Apache-2.0
sl_add_unit_test(security kbc_offline_fs PRIVATE sl::crypto)
sl_add_unit_test(security encryption_policy)
sl_add_unit_test(security provider_messages)
