# SPDX-License-Identifier: Apache-2.0
# Modules, unit tests and fuzz targets: one function each, so that a CMakeLists.txt only lists.

add_library(sl_flags INTERFACE)
target_compile_features(sl_flags INTERFACE c_std_17 cxx_std_17)
target_compile_definitions(sl_flags INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64
                           SL_VERSION="${PROJECT_VERSION}")
target_compile_options(sl_flags INTERFACE
  -Wall -Wextra $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation> -Wshadow -Wpointer-arith -Wundef -Wformat=2 -Wvla
  $<$<COMPILE_LANGUAGE:C>:-std=gnu17 -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition>
  -fno-strict-aliasing -fno-omit-frame-pointer)
if(SL_WERROR)
  target_compile_options(sl_flags INTERFACE -Werror)
endif()
if(SL_SANITIZE)
  target_compile_options(sl_flags INTERFACE -fsanitize=${SL_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(sl_flags INTERFACE -fsanitize=${SL_SANITIZE})
else()
  target_compile_options(sl_flags INTERFACE
    $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2 -fstack-protector-strong>)
  target_link_options(sl_flags INTERFACE
    $<$<AND:$<CONFIG:Release>,$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>>:-pie>)
endif()
# Binding at the first call saves all registers on the stack, with whatever piece of a key the last
# copy has left in them.
target_link_options(sl_flags INTERFACE -Wl,-z,relro,-z,now)
if(SL_FUZZ)
  target_compile_options(sl_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
find_package(Threads REQUIRED)
target_link_libraries(sl_flags INTERFACE Threads::Threads)

# sl_add_module(crypto SOURCES a.c b.c DEPENDS sl::core PRIVATE OpenSSL::Crypto)
# A static library sl_crypto, its alias sl::crypto, its include folder and its warnings. DEPENDS
# is what the layer check reads; third-party libraries are PRIVATE.
set(CMAKE_POSITION_INDEPENDENT_CODE ON) # programs: PIE
function(sl_add_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;PRIVATE" ${ARGN})
  add_library(sl_${name} STATIC ${ARG_SOURCES})
  add_library(sl::${name} ALIAS sl_${name})
  target_include_directories(sl_${name} PUBLIC include PRIVATE .)
  target_link_libraries(sl_${name} PUBLIC ${ARG_DEPENDS} PRIVATE sl_flags ${ARG_PRIVATE})
  # Programs and the shared library are made of the same objects. What a header does not mark is
  # nobody else's, which also keeps calls from one room to another direct.
  set_target_properties(sl_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON
                        C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden)
endfunction()

# sl_bind_sooner(sluice): whatever a program binds at its start is looked for in its libraries, one
# after the other. Those that most names come from stand first, which nobody may who is sanitized.
function(sl_bind_sooner target)
  if(NOT SL_SANITIZE AND NOT SL_FUZZ)
    target_link_options(${target} PRIVATE
      LINKER:--push-state,--no-as-needed,-lc,-lstdc++,${OPENSSL_CRYPTO_LIBRARY},--pop-state)
  endif()
endfunction()

# sl_add_unit_test(crypto jwe [SOURCES extra.c] [PRIVATE libs] [LABELS root]) builds
# tests/unit/test_crypto_jwe.c and registers it as unit.crypto.jwe. Private headers of the module
# are on its include path.
function(sl_add_unit_test module subject)
  cmake_parse_arguments(ARG "" "" "SOURCES;PRIVATE;LABELS" ${ARGN})
  set(target test_${module}_${subject})
  add_executable(${target} ${PROJECT_SOURCE_DIR}/tests/unit/${target}.c ${ARG_SOURCES})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/${module}
                             ${PROJECT_SOURCE_DIR}/tests/support)
  target_compile_definitions(${target} PRIVATE
                             SL_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data")
  target_link_libraries(${target} PRIVATE sl_flags sl::${module} sl::core PkgConfig::CMOCKA
                        ${ARG_PRIVATE})
  add_test(NAME unit.${module}.${subject} COMMAND ${target})
  set_tests_properties(unit.${module}.${subject} PROPERTIES
    LABELS "unit;${ARG_LABELS}" SKIP_RETURN_CODE 77 TIMEOUT 120)
endfunction()

# sl_add_fuzz_target(tar_reader MODULES sl::snapshot [SOURCES extra.c] [PRIVATE libs] [INCLUDE dirs]
#                    [CORPUS folder] [LABELS root]) builds fuzz/fuzz_tar_reader.c. Without libFuzzer
# it links the replay driver and runs its corpus, of its own name unless told, as fuzz.tar_reader.
function(sl_add_fuzz_target name)
  cmake_parse_arguments(ARG "" "CORPUS" "MODULES;SOURCES;PRIVATE;INCLUDE;LABELS" ${ARGN})
  if(NOT ARG_CORPUS)
    set(ARG_CORPUS ${name})
  endif()
  set(target fuzz_${name})
  add_executable(${target} fuzz_${name}.c ${ARG_SOURCES})
  target_include_directories(${target} PRIVATE ${ARG_INCLUDE})
  target_link_libraries(${target} PRIVATE sl_flags ${ARG_MODULES} sl::core ${ARG_PRIVATE})
  if(SL_FUZZ)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${target} PRIVATE replay_main.c)
    add_test(NAME fuzz.${name} COMMAND ${target} ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${ARG_CORPUS})
    set_tests_properties(fuzz.${name} PROPERTIES LABELS "unit;fuzz;${ARG_LABELS}" TIMEOUT 120)
  endif()
endfunction()
