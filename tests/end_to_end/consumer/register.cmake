# Included by tests/end_to_end/CMakeLists.txt: find_package(calserve) from another project.
if(CALSERVE_BUILD_CLIENT)
  set(consumer_flags "")
  if(CALSERVE_SANITIZE STREQUAL "address")
    set(consumer_flags "-fsanitize=address,undefined")
  elseif(CALSERVE_SANITIZE STREQUAL "thread")
    set(consumer_flags "-fsanitize=thread")
  endif()
  add_test(NAME consumer_test COMMAND "${CMAKE_COMMAND}" -D "BUILD_DIR=${CMAKE_BINARY_DIR}"
           -D "WORK_DIR=${CMAKE_CURRENT_BINARY_DIR}/consumer" -D "CXX_FLAGS=${consumer_flags}"
           -P "${CMAKE_CURRENT_SOURCE_DIR}/consumer/consumer_test.cmake")
  set_tests_properties(consumer_test PROPERTIES LABELS end_to_end TIMEOUT 300)
endif()
