# SPDX-License-Identifier: GPL-2.0-only
# faultline_unit_tests(PREFIX LIBRARY...): each tests/test_*.c becomes a cmocka executable and a CTest
# test named PREFIX/<topic>.
function(faultline_unit_tests prefix)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/tests/test_*.c)
  foreach(source ${sources})
    get_filename_component(name ${source} NAME_WE)
    string(REGEX REPLACE "^test_" "" topic ${name})
    add_executable(${prefix}_${name} ${source})
    target_include_directories(${prefix}_${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}
                               ${CMAKE_SOURCE_DIR}/engine)
    target_link_libraries(${prefix}_${name} PRIVATE ${ARGN} cmocka)
    target_compile_definitions(${prefix}_${name} PRIVATE
                               FAULTLINE_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    add_test(NAME ${prefix}/${topic} COMMAND ${prefix}_${name})
    set_tests_properties(${prefix}/${topic} PROPERTIES TIMEOUT 120 LABELS unit)
  endforeach()
endfunction()
