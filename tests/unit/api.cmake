# SPDX-License-Identifier: Apache-2.0
sl_add_unit_test(api options)
sl_add_unit_test(api report)
sl_add_unit_test(api stored)
sl_add_unit_test(api errors)
sl_add_unit_test(api cancel SOURCES ${PROJECT_SOURCE_DIR}/tests/support/layout_fixture.c)
sl_add_unit_test(api images LABELS root)
target_include_directories(test_api_images PRIVATE ${PROJECT_SOURCE_DIR}/snapshot)

# What others include must compile where others are strict.
add_library(api_header_c OBJECT api_header.c)
set_target_properties(api_header_c PROPERTIES C_STANDARD 99 C_EXTENSIONS OFF)
add_library(api_header_cc OBJECT api_header.cc)
set_target_properties(api_header_cc PROPERTIES CXX_STANDARD 20 CXX_EXTENSIONS OFF)
foreach(target api_header_c api_header_cc)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/api/include)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Werror
    $<$<COMPILE_LANGUAGE:CXX>:-Wno-missing-field-initializers>)
endforeach()
