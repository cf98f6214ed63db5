# SPDX-License-Identifier: Apache-2.0
sl_add_unit_test(security kbc)
sl_add_unit_test(security encryption_policy)
sl_add_unit_test(security provider_messages)
