# add_op_library(<target> FILE <path in the wheel> SOURCES <file>... [INCLUDES <folder>...] [DEFINITIONS <name[=value]>...]
#                [LIBRARIES <name>...] [CXX_STANDARD <number>]): compiles ops into one library, and installs it.
#
# Every setting below is a cache variable (-D) or an environment variable of the same name; a list is separated
# by ';', ',' or spaces.
#
#   TENSORFLOW_SDK       a folder with tensorflow/include/ and tensorflow/libtensorflow_framework.so.2, such as
#                        those members of a TensorFlow wheel unpacked. Default: the TensorFlow that the Python
#                        running the build can import.
#   OPS_CUDA_ARCHS       GPUs to make native code for, as compute capabilities: "75;80;89;90".
#                        Default: none, a build for the CPU only.
#   OPS_PTX              one of them to embed portable code for, which newer GPUs compile when they load it: "90".
#                        Default: none.
#   OPS_DEVICE_COMPILER  the program that compiles .cu and .cu.cc files, an nvcc or a clang, by name or path. Default: nvcc.
#   OPS_CUDA_PATH        for clang, the CUDA toolkit to use: bin/{ptxas,fatbinary}, include/, nvvm/libdevice/.
#                        Default: /usr/local/cuda.

function(setting name type default)
  set(value "$ENV{${name}}")
  if(value STREQUAL "")
    set(value "${default}")
  endif()
  set(${name} "${value}" CACHE ${type} "See the top of OpLibrary.cmake")
endfunction()

setting(TENSORFLOW_SDK PATH "")
setting(OPS_CUDA_ARCHS STRING "")
setting(OPS_PTX STRING "")
setting(OPS_DEVICE_COMPILER STRING "nvcc")
setting(OPS_CUDA_PATH PATH "/usr/local/cuda")
string(REGEX REPLACE "[, ]+" ";" OPS_CUDA_ARCHS "${OPS_CUDA_ARCHS}")

# The folder whose path is kept out of the library; of it come the names of objects.
if(NOT OPS_ROOT)
  set(OPS_ROOT "${CMAKE_CURRENT_SOURCE_DIR}")
endif()
set(OPS_MODULES "${CMAKE_CURRENT_LIST_DIR}")
include("${OPS_MODULES}/TensorFlowSdk.cmake")
include("${OPS_MODULES}/DeviceCode.cmake")

function(add_op_library target)
  cmake_parse_arguments(PARSE_ARGV 1 OP "" "FILE;CXX_STANDARD" "SOURCES;INCLUDES;DEFINITIONS;LIBRARIES")
  if(NOT OP_CXX_STANDARD)
    set(OP_CXX_STANDARD 17)
  endif()
  set(device_sources "${OP_SOURCES}")
  list(FILTER device_sources INCLUDE REGEX "[.]cu([.]cc)?$")
  list(FILTER OP_SOURCES EXCLUDE REGEX "[.]cu([.]cc)?$")
  if(NOT OP_SOURCES AND NOT OPS_CUDA_ARCHS)
    message(FATAL_ERROR "${OP_FILE} would be empty: its sources are for GPUs alone, and this line has no GPU code. "
      "Write `gpu_only = true` in its [[project.library]] in ops.toml, or add a source for the CPU.")
  endif()
  set(no_source "${CMAKE_CURRENT_BINARY_DIR}/${target}.no_source.cc")
  if(NOT OP_SOURCES)
    file(TOUCH "${no_source}")
    list(APPEND OP_SOURCES "${no_source}")
  endif()
  add_library(${target} MODULE ${OP_SOURCES})
  target_include_directories(${target} PRIVATE ${OP_INCLUDES})
  target_compile_features(${target} PRIVATE cxx_std_${OP_CXX_STANDARD})
  # Sized operator delete is newer than the libstdc++ of manylinux_2_17, the tag of TensorFlow's own wheels.
  target_compile_options(
    ${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-fno-sized-deallocation;${OPS_PREFIX_MAP}>"
  )
  # TensorFlow's classes change layout with NDEBUG, so it is not left to the build type.
  target_compile_definitions(${target} PRIVATE NDEBUG ${OP_DEFINITIONS})
  target_link_libraries(${target} PRIVATE TensorFlow::framework ${OP_LIBRARIES})
  target_link_options(
    ${target} PRIVATE
    "LINKER:--no-undefined"
    "LINKER:--build-id=none"
    "LINKER:--enable-new-dtags"
    # Loading the library is all that TensorFlow does with it: nothing has to be visible.
    "LINKER:--version-script=${OPS_MODULES}/exports.map"
  )
  get_filename_component(folder "${OP_FILE}" DIRECTORY)
  get_filename_component(name "${OP_FILE}" NAME_WE)
  get_filename_component(suffix "${OP_FILE}" EXT)
  string(REGEX REPLACE "[^/]+" ".." up "${folder}")
  set_target_properties(
    ${target} PROPERTIES
    PREFIX ""
    OUTPUT_NAME "${name}"
    SUFFIX "${suffix}"
    LIBRARY_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/${folder}"
    CXX_EXTENSIONS OFF
    LINK_DEPENDS "${OPS_MODULES}/exports.map"
    BUILD_WITH_INSTALL_RPATH ON
    INSTALL_RPATH "$ORIGIN/${up}/tensorflow"
  )
  if(OPS_CUDA_ARCHS)
    # GOOGLE_CUDA is how sources of TensorFlow's own projects ask whether there is GPU code.
    target_compile_definitions(${target} PRIVATE TFWHEEL_OPS_GPU GOOGLE_CUDA=1)
    if(device_sources)
      add_device_code(
        ${target} SOURCES ${device_sources} INCLUDES ${OP_INCLUDES} DEFINITIONS ${OP_DEFINITIONS}
        CXX_STANDARD ${OP_CXX_STANDARD}
      )
    endif()
  endif()
  install(TARGETS ${target} LIBRARY DESTINATION "${folder}")
endfunction()
