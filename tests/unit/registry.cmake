# SPDX-License-Identifier: Apache-2.0
sl_add_unit_test(registry image_reference)
sl_add_unit_test(registry media_type)
sl_add_unit_test(registry manifest)
sl_add_unit_test(registry index)
sl_add_unit_test(registry image_config)
sl_add_unit_test(registry mirror)
sl_add_unit_test(registry registries_conf)
