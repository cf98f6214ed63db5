# SPDX-License-Identifier: Apache-2.0
sl_add_unit_test(registry image_reference)
sl_add_unit_test(registry media_type)
sl_add_unit_test(registry manifest)
sl_add_unit_test(registry index)
sl_add_unit_test(registry image_config)
sl_add_unit_test(registry mirror)
set(SL_SUPPORT ${PROJECT_SOURCE_DIR}/tests/support)
sl_add_unit_test(registry oci_layout
  SOURCES ${SL_SUPPORT}/layout_fixture.c ${SL_SUPPORT}/fake_docker_source.c)
sl_add_unit_test(registry image_source SOURCES ${SL_SUPPORT}/fake_docker_source.c)
