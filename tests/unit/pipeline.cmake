# SPDX-License-Identifier: Apache-2.0
sl_add_unit_test(pipeline commit_gate)
sl_add_unit_test(pipeline memory_share)
sl_add_unit_test(pipeline spool)
sl_add_unit_test(pipeline process_user)
sl_add_unit_test(pipeline runtime_config)
sl_add_unit_test(pipeline signature_discovery)
# What a conversion makes of documents; its image source is a list of texts.
foreach(subject manifest index)
  sl_add_unit_test(pipeline convert_${subject}
                   SOURCES ${PROJECT_SOURCE_DIR}/tests/support/conversion_stub.c)
  target_include_directories(test_pipeline_convert_${subject}
                             PRIVATE ${PROJECT_SOURCE_DIR}/registry)
endforeach()
