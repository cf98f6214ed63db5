# SPDX-License-Identifier: Apache-2.0
sl_add_unit_test(security kbc)
sl_add_unit_test(security encryption_policy)
sl_add_unit_test(security provider_messages)
sl_add_unit_test(security key_provider)
sl_add_unit_test(security provider_call)
sl_add_unit_test(security answer_cache)
sl_add_unit_test(security key_wipe)
target_link_options(test_security_key_wipe PRIVATE -Wl,--wrap=free,--wrap=malloc,--wrap=calloc)
# Keys, entries and timestamps of a sigstore of our own, written anew before each run.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(SL_SIGSTORE_LAB ${PROJECT_BINARY_DIR}/sigstore-lab)
add_test(NAME support.sigstore_lab
         COMMAND Python3::Interpreter ${PROJECT_SOURCE_DIR}/tests/support/sigstore_lab.py
                 ${SL_SIGSTORE_LAB})
set_tests_properties(support.sigstore_lab PROPERTIES LABELS unit TIMEOUT 60
                     FIXTURES_SETUP sigstore_lab ENVIRONMENT "PYTHONDONTWRITEBYTECODE=1")
foreach(subject rekor_entry rekor_proof timestamp_token)
  sl_add_unit_test(security ${subject} PRIVATE OpenSSL::Crypto)
  target_compile_definitions(test_security_${subject} PRIVATE SL_SIGSTORE_LAB="${SL_SIGSTORE_LAB}")
  set_tests_properties(unit.security.${subject} PROPERTIES FIXTURES_REQUIRED sigstore_lab)
endforeach()
