# SPDX-License-Identifier: Apache-2.0
sl_add_unit_test(rpc bytes_message PRIVATE PkgConfig::PROTOBUF_C)
foreach(subject ttrpc_frame ttrpc_wire server)
  sl_add_unit_test(rpc ${subject})
endforeach()
