# SPDX-License-Identifier: Apache-2.0
sl_add_unit_test(service forward)
sl_add_unit_test(service bundle_path)
sl_add_unit_test(service credentials)
sl_add_unit_test(service crew)
# Over a library and a configuration that the test is itself.
sl_add_unit_test(service jobs)
sl_add_unit_test(service measurement)
sl_add_unit_test(service metrics)
sl_add_unit_test(service metrics_endpoint)
sl_add_unit_test(service notify)
sl_add_unit_test(service pause_bundle)
sl_add_unit_test(service error_words)
sl_add_unit_test(service status_text)
