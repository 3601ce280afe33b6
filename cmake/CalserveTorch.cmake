# LibTorch from the pinned wheel, unpacked by scripts/bootstrap.sh. We link torch_cpu and c10 only; CUDA is
# opened at run time where a configuration asks for it. The wheel's libtorch.so drags in all of CUDA, and an
# AOTInductor package needs that name: the shim below, found first by our run path, stands in for it.
if(DEFINED ENV{XDG_CACHE_HOME})
  set(CALSERVE_CACHE_DIR "$ENV{XDG_CACHE_HOME}/calserve")
else()
  set(CALSERVE_CACHE_DIR "$ENV{HOME}/.cache/calserve")
endif()
set(CALSERVE_TORCH_ROOT "${CALSERVE_CACHE_DIR}/libtorch-2.15.0" CACHE PATH "Folder of the unpacked wheels")
if(NOT EXISTS "${CALSERVE_TORCH_ROOT}/torch/include/torch/csrc/api/include/torch/torch.h")
  message(FATAL_ERROR "No LibTorch under ${CALSERVE_TORCH_ROOT}: run ./dev setup, or set CALSERVE_TORCH_ROOT")
endif()
file(GLOB CALSERVE_CUDA_RUNTIME_DIR "${CALSERVE_TORCH_ROOT}/nvidia/*/lib")
list(JOIN CALSERVE_CUDA_RUNTIME_DIR ":" CALSERVE_CUDA_RUNTIME_DIR)  # One with the light install, more with the full.

set(shim_dir "${CMAKE_BINARY_DIR}/torch_shim")
file(CONFIGURE OUTPUT "${shim_dir}/empty.cc" CONTENT "")  # Not WRITE: each configure would build it again.
add_library(calserve_torch_shim SHARED "${shim_dir}/empty.cc")
set_target_properties(calserve_torch_shim PROPERTIES
  LIBRARY_OUTPUT_DIRECTORY "${shim_dir}" OUTPUT_NAME torch NO_SONAME OFF
  BUILD_RPATH "${CALSERVE_TORCH_ROOT}/torch/lib;${CALSERVE_CUDA_RUNTIME_DIR}")
target_link_options(calserve_torch_shim PRIVATE -Wl,--no-as-needed "${CALSERVE_TORCH_ROOT}/torch/lib/libtorch_cpu.so"
  "-Wl,-rpath-link,${CALSERVE_CUDA_RUNTIME_DIR}")

add_library(calserve_torch INTERFACE)
target_include_directories(calserve_torch SYSTEM INTERFACE
  "${CALSERVE_TORCH_ROOT}/torch/include" "${CALSERVE_TORCH_ROOT}/torch/include/torch/csrc/api/include")
target_link_libraries(calserve_torch INTERFACE
  "${CALSERVE_TORCH_ROOT}/torch/lib/libtorch_cpu.so" "${CALSERVE_TORCH_ROOT}/torch/lib/libc10.so" ${CMAKE_DL_LIBS})
# --disable-new-dtags: RPATH (not RUNPATH) is also used for what libtorch_cpu.so itself and a dlopen'ed package need.
target_link_options(calserve_torch INTERFACE
  "-Wl,--disable-new-dtags,-rpath,${shim_dir}"
  "-Wl,-rpath,${CALSERVE_TORCH_ROOT}/torch/lib" "-Wl,-rpath,${CALSERVE_CUDA_RUNTIME_DIR}"
  "-Wl,-rpath-link,${CALSERVE_CUDA_RUNTIME_DIR}")
add_dependencies(calserve_torch calserve_torch_shim)
