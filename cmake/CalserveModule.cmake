# A CMake target per room; DEPS repeats the table of design.md, section 2, and tests/layering holds the includes
# against it.
#
#   calserve_module(batching SRCS batcher.cc DEPS base telemetry LIBS absl::status)
#   calserve_test(batcher_test SRCS batcher_test.cc DEPS batching LABELS unit)

add_library(calserve_flags INTERFACE)
target_include_directories(calserve_flags INTERFACE $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}>)
target_compile_options(calserve_flags INTERFACE
  $<BUILD_INTERFACE:-Wall;-Wextra;-Werror;-Wnon-virtual-dtor;-Woverloaded-virtual;-Wno-missing-field-initializers>
  # GCC 12 at -O3 takes the inactive member of a moved std::variant for a value that is read, and is wrong about
  # overlapping copies in std::string's operator+ (its bug 105651).
  $<$<CXX_COMPILER_ID:GNU>:$<BUILD_INTERFACE:-Wno-maybe-uninitialized;-Wno-restrict>>
  $<$<CXX_COMPILER_ID:Clang>:$<BUILD_INTERFACE:-Wthread-safety>>)
if(CALSERVE_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(CALSERVE_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
endif()
if(CALSERVE_SANITIZE)
  add_compile_definitions(CALSERVE_SANITIZED)  # calibration/wide_vectors.h
endif()

function(calserve_module name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS;LIBS" ${ARGN})
  list(TRANSFORM ARG_DEPS PREPEND calserve_)
  if(ARG_SRCS)
    add_library(calserve_${name} STATIC ${ARG_SRCS})
    target_link_libraries(calserve_${name} PUBLIC ${ARG_DEPS} ${ARG_LIBS} PRIVATE $<BUILD_INTERFACE:calserve_flags>)
    target_include_directories(calserve_${name} PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}>)
  else()
    add_library(calserve_${name} INTERFACE)
    target_link_libraries(calserve_${name} INTERFACE ${ARG_DEPS} ${ARG_LIBS})
    target_include_directories(calserve_${name} INTERFACE $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}>)
  endif()
endfunction()

# A GoogleTest program registered with ctest as one test. LABELS: unit, integration, end_to_end, full (only
# `./dev test --full`), serial (runs alone), tsan (also run under ThreadSanitizer: links neither gRPC nor torch).
function(calserve_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SRCS;DEPS;LIBS;LABELS" ${ARGN})
  list(TRANSFORM ARG_DEPS PREPEND calserve_)
  add_executable(${name} ${ARG_SRCS})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} ${ARG_LIBS} GTest::gmock GTest::gtest_main calserve_flags)
  target_compile_definitions(${name} PRIVATE CALSERVE_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                                             CALSERVE_BINARY_DIR="${CMAKE_BINARY_DIR}")
  add_test(NAME ${name} COMMAND ${name})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT}
                       WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  if(serial IN_LIST ARG_LABELS)  # measures time or memory: runs alone
    set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
  endif()
endfunction()
