# SPDX-License-Identifier: Apache-2.0
sl_add_unit_test(pipeline commit_gate)
sl_add_unit_test(pipeline process_user)
sl_add_unit_test(pipeline runtime_config)
