# SPDX-License-Identifier: Apache-2.0
# Third-party libraries as imported targets. `./dev deps` installs all of them on Debian.

find_package(PkgConfig REQUIRED)
find_package(OpenSSL 3 REQUIRED COMPONENTS Crypto)

function(sl_find_pkg prefix module purpose)
  pkg_check_modules(${prefix} QUIET IMPORTED_TARGET GLOBAL ${module})
  if(NOT ${prefix}_FOUND)
    message(FATAL_ERROR "${module} is missing: ${purpose}. Run ./dev deps.")
  endif()
endfunction()

sl_find_pkg(ISAL libisal "inflates gzip")
sl_find_pkg(ZSTD libzstd "decompresses zstd")
sl_find_pkg(CURL libcurl "speaks HTTP")
sl_find_pkg(YAJL yajl "reads JSON")
sl_find_pkg(TOMLPLUSPLUS tomlplusplus "reads TOML configuration")
sl_find_pkg(GPGME gpgme "wraps layer keys with PGP")
sl_find_pkg(YAML yaml-0.1 "reads YAML configuration")
sl_find_pkg(URING "liburing" "reads files through the ring")
sl_find_pkg(ARCHIVE libarchive "is the oracle of tests and a rival in the benchmarks")
if(SL_TESTS OR SL_FUZZ OR SL_BENCH)
  sl_find_pkg(ZLIB zlib "is the oracle of tests and fuzz targets, and a rival in the benchmarks")
endif()
if(SL_TESTS)
  sl_find_pkg(CMOCKA cmocka "runs the unit tests")
endif()
