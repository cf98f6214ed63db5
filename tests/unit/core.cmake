# SPDX-License-Identifier: Apache-2.0
sl_add_unit_test(core ring)
sl_add_unit_test(core toml)
sl_add_unit_test(core subprocess)
sl_add_unit_test(core resource_uri)
foreach(subject json bytes digest error buf_pool worker_pool flow)
  sl_add_unit_test(core ${subject})
endforeach()
