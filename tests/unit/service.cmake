# SPDX-License-Identifier: Apache-2.0
sl_add_unit_test(service backend)
target_link_options(test_service_backend PRIVATE -Wl,--wrap=sl_log)
target_include_directories(test_service_backend PRIVATE ${PROJECT_SOURCE_DIR}/config)
sl_add_unit_test(service forward)
sl_add_unit_test(service bundle_path)
sl_add_unit_test(service credentials)
sl_add_unit_test(service crew)
sl_add_unit_test(service image_claims)
# Over a library and a configuration that the test is itself.
sl_add_unit_test(service jobs)
sl_add_unit_test(service job_progress)
target_link_options(test_service_job_progress PRIVATE
  -Wl,--wrap=sl_clock_ms,--wrap=sl_log_of)
sl_add_unit_test(service measurement)
sl_add_unit_test(service metrics)
sl_add_unit_test(service metrics_endpoint)
sl_add_unit_test(service notify)
sl_add_unit_test(service pause_bundle)
sl_add_unit_test(service error_words)
sl_add_unit_test(service status_text)
# Over a store that the test is itself.
sl_add_unit_test(service mount_watch)
