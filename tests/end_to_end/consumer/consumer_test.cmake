# Installs BUILD_DIR into a temporary prefix, then configures, builds and runs the project in this folder against it.
#   cmake -D BUILD_DIR=... -D WORK_DIR=... -P consumer_test.cmake
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "exit ${result}: ${ARGN}\n${output}")
  endif()
endfunction()

file(REMOVE_RECURSE "${WORK_DIR}")
# Only what the package needs, whatever else is built.
run("${CMAKE_COMMAND}" --install "${BUILD_DIR}" --prefix "${WORK_DIR}/prefix" --component client)
run("${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}" -B "${WORK_DIR}/build" -G Ninja
    "-DCMAKE_PREFIX_PATH=${WORK_DIR}/prefix" "-DCMAKE_CXX_FLAGS=${CXX_FLAGS}")
run("${CMAKE_COMMAND}" --build "${WORK_DIR}/build")
run("${WORK_DIR}/build/measure")

# Links and runs; nobody listens there.
execute_process(COMMAND "${WORK_DIR}/build/predict" "${CMAKE_CURRENT_LIST_DIR}/CMakeLists.txt" 127.0.0.1:1
                RESULT_VARIABLE result ERROR_VARIABLE error)
if(NOT result EQUAL 1 OR NOT error MATCHES "cannot reach 127.0.0.1:1")
  message(FATAL_ERROR "predict without a server: exit ${result}: ${error}")
endif()
file(GLOB_RECURSE headers "${WORK_DIR}/prefix/include/*.h")
foreach(header ${headers})
  file(READ "${header}" text)
  if(text MATCHES "#include [<\"](grpc|google/protobuf|calserve/v1)")
    message(FATAL_ERROR "${header} includes gRPC or Protobuf")
  endif()
endforeach()
file(REMOVE_RECURSE "${WORK_DIR}")
