# add_device_code(<target> SOURCES <file>... [INCLUDES <folder>...] [DEFINITIONS <name[=value]>...] CXX_STANDARD <number>):
# compiles kernels and links them into the target.
#
# Sets OPS_DEVICE_COMPILER_ID, the compiler and CUDA version in words. Sources that include no header of TensorFlow are
# compiled by any nvcc of a CUDA that knows the archs, and by clang, in seconds.

set(OPS_DEVICE_COMPILER_ID "")
if(NOT OPS_CUDA_ARCHS)
  message(STATUS "Device code: none, this is a build for the CPU")
  return()
endif()

find_program(OPS_DEVICE_PROGRAM "${OPS_DEVICE_COMPILER}" HINTS "${OPS_CUDA_PATH}/bin" REQUIRED)
if(OPS_PTX AND NOT OPS_PTX IN_LIST OPS_CUDA_ARCHS)
  message(FATAL_ERROR "OPS_PTX=${OPS_PTX} must be one of OPS_CUDA_ARCHS=${OPS_CUDA_ARCHS}")
endif()

get_filename_component(name "${OPS_DEVICE_PROGRAM}" NAME)
if(name MATCHES "nvcc")
  set(CMAKE_CUDA_COMPILER "${OPS_DEVICE_PROGRAM}")
  set(CMAKE_CUDA_RUNTIME_LIBRARY None)  # TensorFlow::framework stands for it
  list(TRANSFORM OPS_CUDA_ARCHS APPEND "-real" OUTPUT_VARIABLE CMAKE_CUDA_ARCHITECTURES)
  if(OPS_PTX)
    list(APPEND CMAKE_CUDA_ARCHITECTURES "${OPS_PTX}-virtual")
  endif()
  enable_language(CUDA)
  set(OPS_DEVICE_COMPILER_ID "nvcc ${CMAKE_CUDA_COMPILER_VERSION}")
elseif(name MATCHES "clang")
  execute_process(COMMAND "${OPS_DEVICE_PROGRAM}" --version OUTPUT_VARIABLE words COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCH "clang version ([0-9.]+)" unused "${words}")
  set(OPS_DEVICE_COMPILER_ID "clang ${CMAKE_MATCH_1}")
  file(STRINGS "${OPS_CUDA_PATH}/include/cuda.h" words REGEX "#define CUDA_VERSION [0-9]+")
  string(REGEX MATCH "[0-9]+$" number "${words}")
  math(EXPR major "${number} / 1000")
  math(EXPR minor "${number} % 1000 / 10")
  string(APPEND OPS_DEVICE_COMPILER_ID " with CUDA ${major}.${minor}")
else()
  message(FATAL_ERROR "OPS_DEVICE_COMPILER=${OPS_DEVICE_COMPILER} is neither an nvcc nor a clang")
endif()
message(STATUS "Device code: sm ${OPS_CUDA_ARCHS}, PTX '${OPS_PTX}', by ${OPS_DEVICE_COMPILER_ID}")

# CMake's CUDA language wants an nvcc even for clang, so clang is called by its own command.
function(compile_with_clang source object)
  list(TRANSFORM OPS_CUDA_ARCHS PREPEND "--cuda-gpu-arch=sm_" OUTPUT_VARIABLE archs)
  set(ptx "--no-cuda-include-ptx=all")
  if(OPS_PTX)
    list(APPEND ptx "--cuda-include-ptx=sm_${OPS_PTX}")
  endif()
  list(TRANSFORM DEVICE_DEFINITIONS PREPEND "-D" OUTPUT_VARIABLE definitions)
  set(includes "")
  foreach(folder IN LISTS DEVICE_INCLUDES)
    get_filename_component(folder "${folder}" ABSOLUTE)
    list(APPEND includes "-I${folder}")
  endforeach()
  add_custom_command(
    OUTPUT "${object}"
    COMMAND ${CMAKE_CXX_COMPILER_LAUNCHER} "${OPS_DEVICE_PROGRAM}" -x cuda "--cuda-path=${OPS_CUDA_PATH}"
      ${archs} ${ptx} -Wno-unknown-cuda-version "-std=c++${DEVICE_CXX_STANDARD}" -O3 -fPIC -DNDEBUG -Wall -Wextra
      ${OPS_PREFIX_MAP} -DGOOGLE_CUDA=1 -DEIGEN_MAX_ALIGN_BYTES=64 ${definitions}
      -isystem "${TENSORFLOW_SDK}/tensorflow/include" ${includes} -MD -MF "${object}.d" -c "${source}" -o "${object}"
    COMMAND "${CMAKE_COMMAND}" "-DSOURCE=${source}" "-DOBJECT=${object}" -P "${OPS_MODULES}/RequireKernel.cmake"
    DEPENDS "${source}"
    DEPFILE "${object}.d"
    COMMENT "Compiling ${source} for the GPU"
    VERBATIM
  )
endfunction()

function(add_device_code target)
  cmake_parse_arguments(PARSE_ARGV 1 DEVICE "" "CXX_STANDARD" "SOURCES;INCLUDES;DEFINITIONS")
  if(CMAKE_CUDA_COMPILER)
    set_source_files_properties(${DEVICE_SOURCES} PROPERTIES LANGUAGE CUDA)
    target_sources(${target} PRIVATE ${DEVICE_SOURCES})
    list(TRANSFORM OPS_PREFIX_MAP PREPEND "-Xcompiler=" OUTPUT_VARIABLE options)
    list(APPEND options --expt-relaxed-constexpr)
    target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:${options}>")
    return()
  endif()
  # Sources for the CPU that use the GPU's types include its headers.
  target_include_directories(${target} SYSTEM PRIVATE "${OPS_CUDA_PATH}/include")
  foreach(source IN LISTS DEVICE_SOURCES)
    file(RELATIVE_PATH name "${OPS_ROOT}" "${source}")
    string(REGEX REPLACE "^src/" "" name "${name}")
    string(REPLACE "/" "." name "${name}")
    set(object "${CMAKE_CURRENT_BINARY_DIR}/${target}.${name}.o")
    compile_with_clang("${source}" "${object}")
    target_sources(${target} PRIVATE "${object}")
  endforeach()
endfunction()
