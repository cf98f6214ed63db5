# SPDX-License-Identifier: Apache-2.0
sl_add_unit_test(config load)
