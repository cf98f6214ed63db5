# SPDX-License-Identifier: Apache-2.0
sl_add_unit_test(snapshot remove_tree)
sl_add_unit_test(snapshot layer_store)
sl_add_unit_test(snapshot overlay_mount LABELS root)
sl_add_unit_test(snapshot clean_path)
sl_add_unit_test(snapshot tar_header)
sl_add_unit_test(snapshot path_guard)
