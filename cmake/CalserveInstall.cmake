# `cmake --install BUILD --prefix PREFIX`: the programs, and the client and calibration libraries with their CMake
# package, so that another project writes find_package(calserve) and links calserve::client or calserve::calibration.
# Headers keep their spelling: #include "client/client.h".
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/calserve")
set(include_dir "${CMAKE_INSTALL_INCLUDEDIR}/calserve")

# The files below `folder` that are its public headers.
function(calserve_install_headers folder)
  foreach(header ${ARGN})
    get_filename_component(subfolder "${folder}/${header}" DIRECTORY)
    install(FILES "${CMAKE_SOURCE_DIR}/${folder}/${header}" DESTINATION "${include_dir}/${subfolder}"
            COMPONENT client)
  endforeach()
endfunction()

set(libraries calserve_calibration)
# All of them: a class of this library holds its parts by value, so public headers include the others.
file(GLOB_RECURSE calibration_headers RELATIVE "${CMAKE_SOURCE_DIR}/calibration" CONFIGURE_DEPENDS
     "${CMAKE_SOURCE_DIR}/calibration/*.h")
calserve_install_headers(calibration ${calibration_headers})
if(CALSERVE_BUILD_CLIENT)
  list(APPEND libraries calserve_text calserve_proto calserve_proto_grpc calserve_calibration_io calserve_client)
  calserve_install_headers(calibration_io calibrator_json.h)
  calserve_install_headers(client calibration_watch.h client.h errors.h feedback_stream.h predict_stream.h retry.h
                                  types.h)
  install(TARGETS calserve RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT client)
endif()

# calserve_client is exported as calserve::client.
foreach(library ${libraries})
  string(REPLACE "calserve_" "" name "${library}")
  set_target_properties(${library} PROPERTIES EXPORT_NAME "${name}")
endforeach()
install(TARGETS ${libraries} EXPORT calserveTargets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT client
        INCLUDES DESTINATION "${include_dir}")
install(EXPORT calserveTargets NAMESPACE calserve:: DESTINATION "${package_dir}" COMPONENT client)
configure_package_config_file("${CMAKE_SOURCE_DIR}/cmake/calserveConfig.cmake.in"
  "${CMAKE_BINARY_DIR}/calserveConfig.cmake" INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${CMAKE_BINARY_DIR}/calserveConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/calserveConfig.cmake" "${CMAKE_BINARY_DIR}/calserveConfigVersion.cmake"
        DESTINATION "${package_dir}" COMPONENT client)
