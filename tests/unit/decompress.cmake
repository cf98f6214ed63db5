# SPDX-License-Identifier: Apache-2.0
set(SL_DECOMPRESS_CHECK ${SL_STAGE_HARNESS} ${PROJECT_SOURCE_DIR}/tests/support/decompress_check.c)
foreach(subject gzip_isal zstd_stream stage_decompress)
  sl_add_unit_test(decompress ${subject} SOURCES ${SL_DECOMPRESS_CHECK}
                   PRIVATE PkgConfig::ZLIB PkgConfig::ZSTD)
endforeach()
