# SPDX-License-Identifier: Apache-2.0
sl_add_unit_test(service notify)
sl_add_unit_test(service metrics)
sl_add_unit_test(service metrics_endpoint)
