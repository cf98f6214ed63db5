# SPDX-License-Identifier: Apache-2.0
sl_add_unit_test(rpc bytes_message PRIVATE PkgConfig::PROTOBUF_C)
foreach(subject ttrpc_frame ttrpc_wire server)
  sl_add_unit_test(rpc ${subject})
endforeach()
sl_add_unit_test(rpc grpc_wire
  SOURCES ${PROJECT_SOURCE_DIR}/tests/support/fake_connection.c
          ${PROJECT_SOURCE_DIR}/tests/support/http2_peer.c
  PRIVATE PkgConfig::NGHTTP2)
sl_add_unit_test(rpc guest_messages PRIVATE PkgConfig::PROTOBUF_C)
sl_add_unit_test(rpc grpc_format)
sl_add_unit_test(rpc grpc_client)
